//! The checks of the protocol: our server passes them, and servers with one thing wrong do not.

#[path = "conformance/saboteurs.rs"]
mod saboteurs;

use axum::Router;
use mlops_core::{
    Error, ErrorKind,
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensors},
    testing::FnPredictor,
};
use mlops_serve::{
    conformance::{ConformanceConfig, ConformanceReport, Level, Outcome, check},
    grpc::GrpcService,
    http::{HttpConfig, Service},
};
use std::time::Duration;

const TYPES: [DType; 14] = [
    DType::F32,
    DType::Bool,
    DType::U8,
    DType::U16,
    DType::U32,
    DType::U64,
    DType::I8,
    DType::I16,
    DType::I32,
    DType::I64,
    DType::F16,
    DType::BF16,
    DType::F64,
    DType::Utf8,
];

/// Gives each input back: one of two columns for each of these types.
fn same(name: &str, types: &[DType]) -> FnPredictor {
    let named = |kind: &str, dtype: DType| format!("{kind}_{}", dtype.oip_name().to_lowercase());
    let specs = |kind: &'static str| {
        let spec =
            move |&dtype: &DType| TensorSpec::new(named(kind, dtype), dtype, [None, Some(2)]);
        types.iter().map(spec).collect::<Vec<_>>()
    };
    let signature = ModelSignature::new(specs("in"), specs("out")).unwrap();
    FnPredictor::new(name, signature, |inputs| {
        let renamed = |name: &str| name.replacen("in_", "out_", 1);
        let all = inputs.iter().map(|(name, tensor)| (renamed(name), tensor.clone()));
        all.into_iter()
            .try_fold(Tensors::new(), |outputs, (name, tensor)| outputs.with(name, tensor))
    })
}

/// Both protocols on one port: `plain` is of the types that JSON has, `all` of all, `one` of one.
fn app() -> Router {
    let in_json: Vec<DType> =
        TYPES.into_iter().filter(|dtype| !matches!(dtype, DType::F16 | DType::BF16)).collect();
    let service = Service::new()
        .with_model(same("plain", &in_json))
        .with_model(same("all", &TYPES))
        .with_model(same("one", &[DType::F32]))
        .with_config(HttpConfig::default());
    GrpcService::new(service.clone()).into_router().merge(service.into_router())
}

/// Serves it, and asks it the checks whose names begin so.
async fn report_of(app: Router, subject: &str, only: &str) -> ConformanceReport {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let mut config = ConformanceConfig::new(format!("http://{address}"))
        .with_grpc(address.to_string())
        .with_model(subject)
        .with_mutations(30)
        .with_only(only);
    for other in ["all", "one", "plain"] {
        if other != subject {
            config = config.with_model(other);
        }
    }
    check(&config).await.unwrap()
}

async fn report(app: Router, subject: &str) -> ConformanceReport {
    report_of(app, subject, "").await
}

fn names(report: &ConformanceReport, outcome: Outcome) -> Vec<&str> {
    let such = report.checks.iter().filter(|row| row.outcome == outcome);
    such.map(|row| row.name.as_str()).collect()
}

#[tokio::test]
async fn our_server_passes_every_check() {
    let whole = report(app(), "plain").await;
    let failed: Vec<_> = whole.failed().collect();
    assert!(whole.conforms() && failed.is_empty(), "{failed:#?}");
    // The protocol does not say how these stand in JSON.
    let mut skipped = names(&whole, Outcome::Skipped);
    skipped.retain(|name| !["schedule.", "logging.", "trace."].iter().any(|e| name.starts_with(e)));
    let not_in_json = ["infer.datatype.FP16", "infer.datatype.BF16"];
    assert_eq!(skipped, not_in_json, "{}", whole.to_markdown());
    assert!(names(&whole, Outcome::Unsupported).is_empty());

    let one = report(app(), "one").await;
    let failed: Vec<_> = one.failed().collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test]
async fn a_report_says_who_was_asked_and_what_came_of_it() {
    let report = report(app(), "one").await;
    assert_eq!(report.server.name, "mlops");
    assert!(report.server.models[0].starts_with("one(in_fp32 FP32"), "{:?}", report.server.models);
    let counts = report.counts(Level::Required);
    assert!(counts.passed > 60 && counts.failed == 0, "{counts:?}");
    let text = report.to_markdown();
    assert!(text.contains("`mlops`") && text.contains("conforms."), "{text}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["conforms"], true);
    assert_eq!(json["checks"].as_array().unwrap().len(), report.checks.len());
}

#[tokio::test]
async fn what_cannot_be_asked_is_an_error_of_its_kind() {
    let kind = |result: Result<ConformanceReport, Error>| result.unwrap_err().kind();
    let of = |url: &str| ConformanceConfig::new(url).with_timeout(Duration::from_secs(2));
    assert_eq!(kind(check(&of("no url at all")).await), ErrorKind::InvalidInput);
    assert_eq!(kind(check(&of("https://127.0.0.1")).await), ErrorKind::Unsupported);
    // Bound, and closed again: nobody listens there now.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(kind(check(&of(&format!("http://{free}"))).await), ErrorKind::Unavailable);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app()).await.unwrap() });
    let config = of(&format!("http://{address}")).with_model("no such model");
    assert_eq!(kind(check(&config).await), ErrorKind::InvalidInput);
}

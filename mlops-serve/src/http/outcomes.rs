//! The route that takes what came of predictions.

use super::{
    body::{self, in_time},
    refusal::{Refusal, json},
    routes::{Target, TargetPath, target, to_json},
    service::Service,
};
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use mlops_core::{Error, ErrorKind, Result, inference_log::Outcome};
use serde_json::value::RawValue;
use std::{pin::pin, sync::Arc};

#[derive(serde::Serialize)]
struct Accepted {
    accepted: usize,
}

pub(super) async fn outcomes(
    State(service): State<Arc<Service>>,
    path: TargetPath,
    request: Request,
) -> Result<Response, Refusal> {
    let Target { name, .. } = target(path)?;
    service.model(&name, None)?;
    let log = service.outcomes(&name)?;
    let (parts, mut body) = request.into_parts();
    let held = body::read(&parts.headers, &mut body, &service.config, &service.budget).await?;
    let outcomes = parse(&held.bytes, service.config.max_outcomes)?;
    // Acknowledged only once the log has them.
    let appended = in_time(service.config.timeout, pin!(log.append(&outcomes))).await;
    appended.unwrap_or_else(|| {
        let message = "the outcomes were not written in time; sending them again is safe";
        Err(Error::new(ErrorKind::TimedOut, message))
    })?;
    Ok(json(StatusCode::OK, to_json(&Accepted { accepted: outcomes.len() })))
}

/// One outcome, or an array of them.
fn parse(body: &[u8], max: usize) -> Result<Vec<Outcome>> {
    let body =
        std::str::from_utf8(body).map_err(|_| Error::invalid("the outcomes are not UTF-8"))?;
    if !body.trim_start().starts_with('[') {
        return Ok(vec![Outcome::from_json(body)?]);
    }
    let raw: Vec<&RawValue> = serde_json::from_str(body).map_err(|cause| {
        let place = format!("at line {} column {}", cause.line(), cause.column());
        Error::invalid(format!("the outcomes are not valid JSON {place}"))
    })?;
    if raw.len() > max {
        return Err(Error::too_large(format!("{} outcomes at once, over {max}", raw.len())));
    }
    let one = |(index, raw): (usize, &&RawValue)| {
        Outcome::from_json(raw.get()).map_err(|error| {
            Error::new(error.kind(), format!("outcome {index}: {}", error.message()))
        })
    };
    raw.iter().enumerate().map(one).collect()
}

//! `mlops serve --tls-cert --tls-key`: clients of other makes, over TLS.

use super::{Place, Serving, onnx, rows};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

fn pem(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(pem(name)).unwrap()
}

/// A server with a copy of the first certificate.
fn start(place: &Place, more: &[&str]) -> Serving {
    place.write("cert.pem", &text("first.pem"));
    place.write("key.pem", &text("first.key.pem"));
    let model = format!("risk={}", onnx("logistic").display());
    let flags = ["--model", &model, "--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    place.serve(&[&flags[..], more].concat())
}

/// Trusts this certificate alone.
pub(super) fn trusting(name: &str) -> ureq::Agent {
    let certificate = Certificate::from_pem(text(name).as_bytes()).unwrap();
    let roots = RootCerts::Specific(Arc::new(vec![certificate]));
    let tls = TlsConfig::builder().root_certs(roots).build();
    let config = ureq::Agent::config_builder().http_status_as_error(false).tls_config(tls);
    config.build().new_agent()
}

fn address(url: &str) -> &str {
    url.split_once("://").unwrap().1
}

#[test]
fn what_is_asked_over_tls_is_answered_as_without() {
    let place = Place::new();
    let server = start(&place, &[]);
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let row = rows("logistic", 1).remove(0).1;
    let body = json!({ "inputs": [{
        "name": "features", "shape": [1, 30], "datatype": "FP32", "data": row,
    }]});
    let client = trusting("first.pem");
    let url = format!("{}/v2/models/risk/infer", server.url);
    for _ in 0..3 {
        let mut answer = client.post(&url).send(body.to_string()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert_eq!(answer.status(), 200, "{text}");
        assert!(text.contains("\"probabilities\""), "{text}");
    }
    assert!(trusting("second.pem").get(&url).call().is_err(), "it trusts another certificate");
    assert_eq!(server.end().code(), Some(0));
}

/// What does not speak TLS is told so, and what speaks nothing harms nobody.
#[test]
fn plain_http_to_the_port_is_told_so() {
    let place = Place::new();
    let server = start(&place, &[]);
    let say = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(address(&server.url)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // It may be a reset as well.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answer = say(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("speaks TLS"), "{answer}");
    // A record of a handshake that holds none.
    assert!(!say(&[22, 3, 1, 0, 5, 1, 2, 3, 4, 5]).contains("HTTP"));
    let silent: Vec<TcpStream> =
        (0..50).map(|_| TcpStream::connect(address(&server.url)).unwrap()).collect();
    let live = trusting("first.pem").get(format!("{}/v2/health/live", server.url)).call();
    assert_eq!(live.unwrap().status(), 200);
    drop(silent);
    assert_eq!(server.end().code(), Some(0));
}

/// A new certificate is used from the next connection on; one that is damaged is not.
#[test]
fn a_certificate_is_read_again_when_asked() {
    let place = Place::new();
    let server = start(&place, &[]);
    let live = |name: &str| {
        let answer = trusting(name).get(format!("{}/v2/health/live", server.url)).call();
        answer.is_ok_and(|answer| answer.status() == 200)
    };
    let hang_up = || {
        let pid = server.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    };
    assert!(live("first.pem") && !live("second.pem"));
    place.write("key.pem", "no key");
    hang_up();
    std::thread::sleep(Duration::from_millis(200));
    assert!(live("first.pem"), "a damaged key is no reason to end");
    place.write("cert.pem", &text("second.pem"));
    place.write("key.pem", &text("second.key.pem"));
    hang_up();
    let late = Instant::now() + Duration::from_secs(20);
    while !live("second.pem") {
        assert!(Instant::now() < late, "the new certificate is not used");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!live("first.pem"));
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn grpc_speaks_tls_too() {
    let place = Place::new();
    let server = start(&place, &["--grpc-port", "0"]);
    let grpc = server.grpc.as_deref().unwrap();
    assert!(grpc.starts_with("grpcs://"), "{grpc}");
    super::grpc::wait(async {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(pem("first.pem")).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = tokio::net::TcpStream::connect(address(grpc)).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let client = super::grpc::Client::over(stream).await;
        assert_eq!(client.call("ServerReady", Vec::new()).await, ("0".into(), vec![8, 1]));
    });
    assert_eq!(server.end().code(), Some(0));
}

/// OpenSSL's own client: TLS 1.2 and 1.3 are spoken, 1.1 is not.
#[test]
fn old_versions_are_refused() {
    let place = Place::new();
    let server = start(&place, &[]);
    let speaks = |version: &str| {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", address(&server.url), version, "-brief"]);
        command.args(["-CAfile", pem("first.pem").to_str().unwrap(), "-verify_return_error"]);
        let output = command.stdin(Stdio::null()).output();
        output.map(|output| output.status.success())
    };
    match speaks("-tls1_3") {
        Err(_) => println!("skipped: openssl is not there"),
        Ok(newest) => {
            assert!(newest && speaks("-tls1_2").unwrap());
            assert!(!speaks("-tls1_1").unwrap());
        }
    }
}

#[test]
fn what_is_no_certificate_is_named() {
    let place = Place::new();
    let model = onnx("logistic");
    place.write("none.pem", "no certificate");
    let files = |cert: &str, key: &str| {
        let (cert, key) = (cert.to_owned(), key.to_owned());
        let model = model.to_str().unwrap();
        place.run(&[
            "serve",
            "--model",
            model,
            "--port",
            "0",
            "--tls-cert",
            &cert,
            "--tls-key",
            &key,
        ])
    };
    let shown = |name: &str| pem(name).to_str().unwrap().to_owned();
    files("absent.pem", &shown("first.key.pem")).failed(66, "absent.pem");
    files("none.pem", &shown("first.key.pem")).failed(65, "none.pem: holds no certificate");
    files(&shown("first.pem"), "none.pem").failed(65, "none.pem: holds no private key");
    files(&shown("first.pem"), &shown("second.key.pem")).failed(65, "do not go together");
    let alone = ["serve", "--model", model.to_str().unwrap(), "--tls-cert", "none.pem"];
    place.run(&alone).failed(2, "--tls-key");
}

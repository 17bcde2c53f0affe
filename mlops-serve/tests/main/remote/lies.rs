//! Answers that are not what they say.

use super::{
    connected,
    peer::{Peer, Say, http},
};
use crate::doubles::block_on;
use mlops_core::{
    ErrorKind, Predictor,
    predictor::PredictRequest,
    tensor::{Tensor, Tensors},
};
use mlops_serve::engines::remote::RemoteConfig;

/// What is said of this answer to one row.
fn refused(answer: Vec<u8>) -> (ErrorKind, String) {
    let peer = Peer::start(move |_| Say::AndClose(answer.clone()));
    let config = RemoteConfig::new(format!("http://{}", peer.address), "m");
    let remote = connected(config.with_max_answer_bytes(10_000));
    let x = Tensor::from_vec([1], vec![1_f32]).unwrap();
    let request = PredictRequest::new(Tensors::one("x", x)).with_id("mine");
    let error = block_on(remote.predict(request)).unwrap_err();
    (error.kind(), error.to_string())
}

fn of_body(headers: &str, body: impl AsRef<[u8]>) -> String {
    let (kind, text) = refused(http("200 OK", headers, body));
    assert_eq!(kind, ErrorKind::Corrupt, "{text}");
    text
}

fn of_output(output: &str) -> String {
    of_body("", format!(r#"{{"model_name":"m","outputs":[{output}]}}"#))
}

#[test]
fn each_is_corrupt_and_says_why() {
    for (output, why) in [
        ("", "has no output \"y\""),
        (r#"{"name":"y","datatype":"FP64","shape":[1],"data":[1]}"#, "has type float64"),
        (r#"{"name":"y","datatype":"FP32","shape":[1,1],"data":[1]}"#, "has shape [1, 1]"),
        (r#"{"name":"y","datatype":"FP32","shape":[2],"data":[1]}"#, "wants"),
        (r#"{"name":"y","datatype":"FP32","shape":[2],"data":[1,2]}"#, "has 2 rows for 1"),
        (r#"{"name":"y","datatype":"FP32","shape":[4611686018427387904]}"#, "longer than"),
        (r#"{"name":"y","datatype":"FP32","shape":[-1],"data":[]}"#, "negative"),
        (r#"{"name":"y","datatype":"FP32","shape":[1],"data":["a"]}"#, "no number"),
        (r#"{"name":"y","datatype":"FP32","shape":[1]}"#, "neither \"data\""),
        (
            r#"{"name":"y","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}}"#,
            "0 bytes are left",
        ),
    ] {
        let text = of_output(output);
        assert!(text.contains(why), "{output}: {text}");
    }
    let twice = r#"{"name":"y","datatype":"FP32","shape":[1],"data":[1]}"#;
    assert!(of_output(&format!("{twice},{twice}")).contains("given twice"));
}

#[test]
fn so_is_what_is_around_the_outputs() {
    for (headers, body, why) in [
        ("", "", "cut off"),
        ("", "[]", "does not have the form"),
        ("", "{\"model_name\":\"m\"}", "no \"outputs\""),
        ("", "<html>", "not valid JSON"),
        ("", "{\"outputs\":[],\"id\":\"other\"}", "to another request"),
        ("Inference-Header-Content-Length: 900\r\n", "{}", "has 900 bytes"),
        ("Inference-Header-Content-Length: -1\r\n", "{}", "is no number"),
        ("Inference-Header-Content-Length: 14\r\n", "{\"outputs\":[]}rest", "belong to no output"),
    ] {
        let text = of_body(headers, body);
        assert!(text.contains(why), "{body}: {text}");
    }
    let deep = "[".repeat(9000);
    assert!(of_body("", format!("{{\"outputs\":{deep}")).contains("answer"));
}

#[test]
fn one_that_is_too_long_is_too_large() {
    let long = " ".repeat(20_000);
    let (kind, text) = refused(http("200 OK", "", &long));
    assert_eq!(kind, ErrorKind::TooLarge, "{text}");
    let chunks = format!("4e20\r\n{long}\r\n0\r\n\r\n");
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(refused([head, &chunks].concat().into_bytes()).0, ErrorKind::TooLarge);
}

#[test]
fn what_is_no_http_is_corrupt() {
    let (kind, text) = refused(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec());
    assert_eq!(kind, ErrorKind::Corrupt, "{text}");
}

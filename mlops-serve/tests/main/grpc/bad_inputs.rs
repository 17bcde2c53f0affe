//! Bad requests: each is refused with words that name the thing, and harms nobody else's.

use super::{
    Server, good,
    proto::{
        Choice, InferInputTensor, InferRequestedOutputTensor, InferTensorContents,
        ModelInferRequest,
    },
};
use mlops_serve::http::HttpConfig;
use prost::Message;
use tonic::Code;

/// A request, the status it must get, and what its message must name.
struct Bad {
    request: ModelInferRequest,
    code: Code,
    names: &'static str,
}

fn bad(names: &'static str, change: impl FnOnce(&mut ModelInferRequest)) -> Bad {
    let mut request = good();
    change(&mut request);
    Bad { request, code: Code::InvalidArgument, names }
}

/// The good request typed, then changed.
fn typed(names: &'static str, change: impl FnOnce(&mut InferInputTensor)) -> Bad {
    let mut bad = bad(names, |request| {
        request.raw_input_contents.clear();
        contents(&mut request.inputs[0]).fp32_contents = vec![1.0, 2.0, 3.0, 4.0];
        contents(&mut request.inputs[1]).bytes_contents = vec![b"a".to_vec(), b"b".to_vec()];
    });
    change(&mut bad.request.inputs[0]);
    bad
}

fn contents(input: &mut InferInputTensor) -> &mut InferTensorContents {
    input.contents.get_or_insert_default()
}

impl Bad {
    fn but(mut self, code: Code) -> Self {
        self.code = code;
        self
    }
}

fn wrong_parts() -> Vec<Bad> {
    let said = |choice: Choice| choice.parameter();
    vec![
        bad("no model \"none\"", |r| r.model_name = "none".into()).but(Code::NotFound),
        bad("no model \"\"", |r| r.model_name.clear()).but(Code::NotFound),
        bad("version \"9\"", |r| r.model_version = "9".into()).but(Code::NotFound),
        bad("\"id\" is longer than 4096 bytes", |r| r.id = "x".repeat(5000))
            .but(Code::ResourceExhausted),
        bad("input \"x\" is missing", |r| {
            r.inputs.clear();
            r.raw_input_contents.clear();
        }),
        bad("input \"label\" is missing", |r| {
            r.inputs.pop();
            r.raw_input_contents.pop();
        }),
        bad("no input \"y\"", |r| r.inputs[0].name = "y".into()),
        bad("name of input 1 is missing", |r| r.inputs[1].name.clear()),
        bad("\"x\" is given twice", |r| r.inputs[1] = r.inputs[0].clone()).with_raw_of_first(),
        bad("no output \"z\"", |r| r.outputs.push(output("z"))),
        bad("name of output 0 is missing", |r| r.outputs.push(output(""))),
        bad("output \"sum\" is asked for twice", |r| {
            r.outputs = vec![output("sum"), output("sum")];
        }),
        bad("\"priority\"", |r| {
            drop(r.parameters.insert("priority".into(), said(Choice::Text("high".into()))));
        }),
        bad("\"timeout\"", |r| {
            drop(r.parameters.insert("timeout".into(), said(Choice::Int64(-1))));
        }),
        bad("parameter \"a\" is out of range", |r| {
            drop(r.parameters.insert("a".into(), said(Choice::Uint64(u64::MAX))));
        }),
        bad("parameter \"a\" is out of range", |r| {
            drop(r.parameters.insert("a".into(), said(Choice::Double(f64::NAN))));
        }),
        bad("parameter \"a\" is longer", |r| {
            drop(r.parameters.insert("a".into(), said(Choice::Text("x".repeat(5000)))));
        })
        .but(Code::ResourceExhausted),
        bad("\"shared_memory_region\"", |r| {
            r.inputs[0]
                .parameters
                .insert("shared_memory_region".into(), said(Choice::Text("r".into())));
        })
        .but(Code::Unimplemented),
        bad("\"classification\"", |r| {
            r.outputs.push(output("sum"));
            r.outputs[0].parameters.insert("classification".into(), said(Choice::Int64(2)));
        })
        .but(Code::Unimplemented),
        bad("\"non_finite\"", |r| {
            r.inputs[0].parameters.insert("non_finite".into(), said(Choice::Text("0=NaN".into())));
        }),
        bad("input \"x\": there is no element 4 to be null", |r| {
            r.inputs[0].parameters.insert("nulls".into(), said(Choice::Text("4".into())));
        }),
    ]
}

impl Bad {
    fn with_raw_of_first(mut self) -> Self {
        let [first, second] = &mut self.request.raw_input_contents[..] else {
            panic!("two inputs")
        };
        second.clone_from(first);
        self
    }
}

fn output(name: &str) -> InferRequestedOutputTensor {
    InferRequestedOutputTensor { name: name.to_owned(), ..Default::default() }
}

fn wrong_shapes() -> Vec<Bad> {
    let shape = |names, axes: &[i64]| bad(names, |r| r.inputs[0].shape = axes.to_vec());
    vec![
        shape("\"x\" has shape [4, 1], not [-1, 2]", &[4, 1]),
        shape("\"x\" has shape [4], not [-1, 2]", &[4]),
        shape("input \"x\": shape [3, 2]", &[3, 2]),
        shape("input \"x\": shape []", &[]),
        shape("input 0: axis 0 of its shape is negative", &[-1, 2]),
        shape("input 0: axis 1 of its shape is negative", &[2, i64::MIN]),
        shape("input 0: axis 0 of its shape is longer", &[i64::MAX, 2])
            .but(Code::ResourceExhausted),
        shape("input \"x\": shape", &[1 << 25, 1 << 25, 1 << 25]),
        shape("input 0: \"shape\" has more than 32 axes", &[1; 33]).but(Code::ResourceExhausted),
        bad("rows", |r| {
            r.inputs[1].shape = vec![1];
            r.raw_input_contents[1].truncate(5);
        }),
    ]
}

fn wrong_contents() -> Vec<Bad> {
    vec![
        bad("\"raw_input_contents\" has 1 elements for 2 inputs", |r| {
            drop(r.raw_input_contents.pop());
        }),
        bad("\"raw_input_contents\" has 3 elements", |r| r.raw_input_contents.push(Vec::new())),
        bad("input \"x\": has \"contents\" beside", |r| {
            contents(&mut r.inputs[0]).fp32_contents = vec![1.0];
        }),
        bad("input \"x\": shape [2, 2] holds 4 elements", |r| r.raw_input_contents[0].truncate(15)),
        bad("input \"label\": element 1 says it has 2 bytes", |r| {
            r.raw_input_contents[1].truncate(10);
        }),
        bad("input \"label\": element 1 is not UTF-8", |r| r.raw_input_contents[1][9] = 0xff),
        bad("\"FLOAT\"", |r| r.inputs[0].datatype = "FLOAT".into()),
        bad("input \"x\": has no \"datatype\"", |r| r.inputs[0].datatype.clear()),
        bad("\"x\" has type int32, not float32", |r| r.inputs[0].datatype = "INT32".into()),
        typed("input \"x\": \"contents\" has 3 elements", |x| {
            contents(x).fp32_contents.truncate(3);
        }),
        typed("input \"x\": \"contents\" has 5 elements", |x| contents(x).fp32_contents.push(0.0)),
        typed("input \"x\": \"contents\" has 0 elements", |x| x.contents = None),
        typed("input \"x\": has \"fp64_contents\"", |x| contents(x).fp64_contents = vec![1.0; 4]),
        typed("input \"x\": has \"fp32_contents\"", |x| x.datatype = "INT8".into()),
        typed("input \"x\": has \"fp32_contents\"", |x| x.datatype = "BYTES".into()),
        typed("datatype FP16 must stand in \"raw_input_contents\"", |x| x.datatype = "FP16".into()),
        typed("datatype BF16 must stand in \"raw_input_contents\"", |x| x.datatype = "BF16".into()),
        typed("element 1 is out of the range of datatype INT8", |x| {
            integers(x, "INT8", &[1, 128, 0, 0]);
        }),
        typed("element 0 is out of the range of datatype INT16", |x| {
            integers(x, "INT16", &[-32769, 0, 0, 0]);
        }),
        typed("element 3 is out of the range of datatype UINT8", |x| {
            naturals(x, "UINT8", &[0, 0, 0, 256]);
        }),
        typed("\"contents\" has more elements", |x| naturals(x, "UINT16", &[0; 5])),
    ]
}

fn integers(input: &mut InferInputTensor, datatype: &str, values: &[i32]) {
    datatype.clone_into(&mut input.datatype);
    input.contents =
        Some(InferTensorContents { int_contents: values.to_vec(), ..Default::default() });
}

fn naturals(input: &mut InferInputTensor, datatype: &str, values: &[u32]) {
    datatype.clone_into(&mut input.datatype);
    input.contents =
        Some(InferTensorContents { uint_contents: values.to_vec(), ..Default::default() });
}

#[tokio::test]
async fn each_is_refused_by_name_and_harms_nobody() {
    let server = Server::start(HttpConfig::default()).await;
    for bad in [wrong_parts(), wrong_shapes(), wrong_contents()].into_iter().flatten() {
        let status = server.infer(&bad.request).await.map(drop).unwrap_err();
        let said = status.message();
        assert_eq!(status.code(), bad.code, "{said}");
        assert!(said.contains(bad.names), "{said:?} does not name {:?}", bad.names);
        assert!(said.len() < 300, "{} bytes of message", said.len());
        server.still_answers().await;
    }
}

/// Messages that are no protobuf, or other than the protocol says.
#[tokio::test]
async fn malformed_messages_are_refused_too() {
    let server = Server::start(HttpConfig::default()).await;
    let good = good().encode_to_vec();
    for (names, message) in [
        ("not valid protobuf at byte 0", vec![0xff; 11]),
        ("not valid protobuf at byte 0", vec![0x00]),
        ("not valid protobuf at byte 0", vec![0x0b]),
        ("not valid protobuf at byte 2", vec![0x0a, 0x05, b's']),
        ("not valid protobuf", good[..good.len() - 1].to_vec()),
        ("\"model_name\" does not have the form", vec![0x08, 0x01]),
        ("\"model_name\" is not UTF-8", vec![0x0a, 0x01, 0xff]),
        ("\"inputs\" does not have the form", [&good[..], &[0x28, 0x01]].concat()),
        ("an entry of \"parameters\" is no name", [&good[..], &[0x22, 0x01, 0xff]].concat()),
    ] {
        let status = server.call("ModelInfer", message).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().contains(names), "{status:?} does not name {names:?}");
        server.still_answers().await;
    }
    // Fields of a later version of the protocol are nobody's mistake.
    let unknown = [&good[..], &[0xf8, 0x01, 0x07]].concat();
    server.call("ModelInfer", unknown).await.unwrap();
}

/// What a caller sends stays with the caller: no element of theirs stands in a message.
#[tokio::test]
async fn values_never_stand_in_a_message() {
    let server = Server::start(HttpConfig::default()).await;
    let secret = "4929-1234-5678";
    let item = [&14_u32.to_le_bytes()[..], secret.as_bytes()].concat();
    let mut short = good();
    short.raw_input_contents[1] = item.clone();
    let mut wrong = good();
    wrong.raw_input_contents[0] = item;
    let mut typed = good();
    typed.raw_input_contents.clear();
    contents(&mut typed.inputs[0]).bytes_contents = vec![secret.into()];
    for request in [short, wrong, typed] {
        let status = server.infer(&request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(!status.message().contains(secret), "{status:?}");
    }
    server.still_answers().await;
}

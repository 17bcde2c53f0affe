//! What ONNX Runtime says when it fails, as one of ours.

use mlops_core::{Error, ErrorKind};
use ort::ErrorCode;

/// At loading: its message speaks of the file, which is the model's owner's.
pub(super) fn loading(cause: &ort::Error) -> Error {
    let kind = match cause.code() {
        ErrorCode::NoSuchFile | ErrorCode::NotFound => ErrorKind::NotFound,
        ErrorCode::NotImplemented | ErrorCode::ExecutionProviderFailure => ErrorKind::Unsupported,
        _ if unknown_operator(cause.message()) => ErrorKind::Unsupported,
        _ => ErrorKind::InvalidInput,
    };
    let message = cause.message().trim();
    Error::new(kind, format!("ONNX Runtime does not load the model: {message}"))
}

/// Operators, versions and types that it does not know, in its words.
fn unknown_operator(message: &str) -> bool {
    let words = [
        "is not a registered function/op",
        "No Op registered for",
        "is not currently registered or supported",
        "Could not find an implementation",
        "Unsupported model IR",
        "official support for",
    ];
    words.iter().any(|words| message.contains(words))
}

/// In a call whose inputs fit the signature: values, or lengths of free axes, that the model cannot
/// take. Its message may quote them, so only the node that it names is passed on.
pub(super) fn running(cause: &ort::Error) -> Error {
    let (message, node) = (cause.message(), node(cause.message()));
    if message.contains("Failed to allocate") || message.contains("bad_alloc") {
        return Error::too_large(format!("the model{node} needs more memory than there is"));
    }
    match cause.code() {
        ErrorCode::GenericFailure
        | ErrorCode::InvalidArgument
        | ErrorCode::RuntimeException
        | ErrorCode::InvalidGraph => {
            Error::invalid(format!("the model{node} cannot compute these inputs"))
        }
        code => Error::internal(format!("ONNX Runtime failed{node}: {code:?}")),
    }
}

/// Ours before it was called: a bug.
pub(super) fn internal(doing: &'static str) -> impl Fn(ort::Error) -> Error {
    move |cause| Error::internal(format!("ONNX Runtime failed at {doing}: {:?}", cause.code()))
}

/// ` (node "N" of operator Op)`, from `… while running Op node. Name:'N' Status Message: …`: names
/// that the file gives.
fn node(message: &str) -> String {
    let named = || {
        let rest = message.split_once("while running ")?.1;
        let (operator, rest) = rest.split_once(" node. Name:'")?;
        let (name, _) = rest.split_once("' Status Message:")?;
        Some(format!(" (node {name:?} of operator {operator})"))
    };
    named().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_named_and_a_value_is_not() {
        let message = "Non-zero status code returned while running Gather node. Name:'/emb/Gather' \
                       Status Message: indices element out of data bounds, idx=7";
        assert_eq!(node(message), " (node \"/emb/Gather\" of operator Gather)");
        assert_eq!(node("idx=7 is out of bounds"), "");
    }
}

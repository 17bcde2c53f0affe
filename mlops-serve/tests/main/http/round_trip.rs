//! What we write we read back, bit for bit; and no bytes whatever make the reader panic.

use super::{good, model};
use mlops_core::{
    ErrorKind, PredictionId, Predictor,
    arrow::buffer::{Buffer, NullBuffer},
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
};
use mlops_serve::http::oip::{Limits, OutputForms, decode_request, encode_response};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A response's bytes, turned into a request that sends its outputs as inputs.
fn as_request(tensor: &Tensor, binary: bool) -> (Vec<u8>, Option<usize>) {
    let info = PredictorInfo::new("same", "1", ModelSignature::default());
    let request = PredictRequest::default();
    let outputs = Tensors::one("x", tensor.clone());
    let response = PredictResponse::new(PredictionId::from_u128(7), &info, &request, outputs);
    let encoded = encode_response(&response, &OutputForms::new(binary)).unwrap();
    let (json, tail) = encoded.body.split_at(encoded.json_bytes.unwrap_or(encoded.body.len()));
    let json: Value = serde_json::from_slice(json).unwrap();
    let mut body = json!({ "inputs": json["outputs"] }).to_string().into_bytes();
    let length = encoded.json_bytes.map(|_| body.len());
    body.extend_from_slice(tail);
    (body, length)
}

fn read_back(tensor: &Tensor, binary: bool) -> Tensor {
    let (body, length) = as_request(tensor, binary);
    let axes = vec![None; tensor.shape().len()];
    let spec = TensorSpec::new("x", tensor.dtype(), axes).with_nullable(true);
    let signature = ModelSignature::new(vec![spec], vec![]).unwrap();
    let body = Buffer::from_vec(body);
    let decoded = decode_request(&body, length, &signature, &Limits::default()).unwrap();
    decoded.request.inputs.require("x").unwrap().clone()
}

/// Every element's bits, where it is not null.
fn valid_elements(tensor: &Tensor) -> Vec<Option<Vec<u8>>> {
    let elements: Vec<Vec<u8>> = match tensor.as_bytes() {
        Some(bytes) => {
            let size = tensor.dtype().size().unwrap();
            bytes.chunks(size).map(<[u8]>::to_vec).collect()
        }
        None => tensor.byte_strings().unwrap().map(<[u8]>::to_vec).collect(),
    };
    let valid = |at: usize| tensor.nulls().is_none_or(|nulls| nulls.is_valid(at));
    elements.into_iter().enumerate().map(|(at, bits)| valid(at).then_some(bits)).collect()
}

fn same_bits(tensor: &Tensor, binary: bool) -> Result<(), TestCaseError> {
    let back = read_back(tensor, binary);
    prop_assert_eq!(back.dtype(), tensor.dtype());
    prop_assert_eq!(back.shape(), tensor.shape());
    prop_assert_eq!(valid_elements(&back), valid_elements(tensor));
    Ok(())
}

fn with_some_nulls(tensor: Tensor, valid: &[bool]) -> Tensor {
    let flags: Vec<bool> = (0..tensor.len()).map(|at| valid[at % valid.len()]).collect();
    tensor.with_nulls(Some(NullBuffer::from(flags))).unwrap()
}

proptest! {
    #[test]
    fn floats_survive(bits in prop::collection::vec(any::<u64>(), 0..40), valid in prop::collection::vec(any::<bool>(), 1..9), binary: bool) {
        // JSON says of a NaN only that it is one: the quiet one comes back.
        let quiet = |value: f64| if value.is_nan() && !binary { f64::NAN } else { value };
        let mut values: Vec<f64> = bits.iter().map(|&bits| quiet(f64::from_bits(bits))).collect();
        values.extend([f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]);
        let singles: Vec<f32> = bits.iter().map(|&bits| f32::from_bits((bits >> 32) as u32))
            .map(|value| if value.is_nan() && !binary { f32::NAN } else { value }).collect();
        let tensor = Tensor::from_vec([values.len()], values).unwrap();
        same_bits(&tensor, binary)?;
        same_bits(&with_some_nulls(tensor, &valid), binary)?;
        same_bits(&Tensor::from_vec([1, singles.len()], singles).unwrap(), binary)?;
    }

    #[test]
    fn integers_and_booleans_survive(values in prop::collection::vec(any::<i64>(), 0..40), valid in prop::collection::vec(any::<bool>(), 1..9), binary: bool) {
        let unsigned: Vec<u64> = values.iter().map(|value| value.cast_unsigned()).collect();
        let flags: Vec<bool> = values.iter().map(|value| value % 2 == 0).collect();
        let tensor = Tensor::from_vec([values.len()], values.clone()).unwrap();
        same_bits(&tensor, binary)?;
        same_bits(&with_some_nulls(tensor, &valid), binary)?;
        same_bits(&Tensor::from_vec([unsigned.len(), 1], unsigned).unwrap(), binary)?;
        same_bits(&Tensor::from_bools([flags.len()], &flags).unwrap(), binary)?;
    }

    #[test]
    fn texts_survive(values in prop::collection::vec(".{0,9}", 0..20), valid in prop::collection::vec(any::<bool>(), 1..9), binary: bool) {
        let tensor = Tensor::from_strs([values.len()], &values).unwrap();
        same_bits(&tensor, binary)?;
        same_bits(&with_some_nulls(tensor, &valid), binary)?;
    }

    #[test]
    fn byte_strings_survive_in_binary(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..20)) {
        same_bits(&Tensor::from_byte_strings([values.len()], &values).unwrap(), true)?;
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), length in prop::option::of(0_usize..220)) {
        check_refusal(&bytes, length)?;
    }

    /// Close to a good request is where a parser is weak.
    #[test]
    fn no_damage_to_a_good_request_makes_it_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..6)) {
        let mut bytes = good().to_string().into_bytes();
        for (at, byte, how) in damage {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        check_refusal(&bytes, None)?;
    }
}

fn check_refusal(bytes: &[u8], length: Option<usize>) -> Result<(), TestCaseError> {
    let info = model("sum").info();
    let body = Buffer::from_vec(bytes.to_vec());
    if let Err(error) = decode_request(&body, length, &info.signature, &Limits::default()) {
        let of_the_caller = [ErrorKind::InvalidInput, ErrorKind::TooLarge, ErrorKind::Unsupported];
        prop_assert!(of_the_caller.contains(&error.kind()), "{:?}", error);
    }
    Ok(())
}

/// Bytes that are no text cannot stand in JSON; the caller is told what to ask for instead.
#[test]
fn bytes_that_are_no_text_must_be_asked_for_in_binary() {
    let tensor = Tensor::from_byte_strings([1], &[b"\xff"]).unwrap();
    let info = PredictorInfo::new("same", "1", ModelSignature::default());
    let outputs = Tensors::one("y", tensor);
    let id = PredictionId::from_u128(7);
    let response = PredictResponse::new(id, &info, &PredictRequest::default(), outputs);
    let error = encode_response(&response, &OutputForms::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("output \"y\"") && error.message().contains("binary_data"));
    assert_eq!(DType::Bytes.oip_name(), "BYTES");
}

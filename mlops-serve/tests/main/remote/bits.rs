//! The same bits in process and by every way.

use super::{ask, connected, served, ways};
use crate::http::same;
use mlops_core::{
    predictor::PredictRequest,
    tensor::{DType, Tensor, Tensors},
};
use mlops_serve::http::Service;

/// Of every type two rows of two; in floats a NaN with a payload, -0, an infinity and a denormal.
fn all() -> Vec<Tensor> {
    let floats = [0x7fc0_dead_u32, 0x8000_0000, 0xff80_0000, 1].map(f32::from_bits);
    let doubles = [0x7ff8_0000_dead_beef_u64, 1 << 63, 0x7ff0 << 48, 1].map(f64::from_bits);
    let halves: Vec<u8> =
        [0x7e11_u16, 0x8000, 0x7c00, 1].iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let raw = |dtype, bytes: Vec<u8>| Tensor::from_buffer(dtype, [2, 2], bytes.into()).unwrap();
    let shape = [2, 2];
    vec![
        Tensor::from_vec(shape, floats.to_vec()).unwrap(),
        Tensor::from_vec(shape, doubles.to_vec()).unwrap(),
        raw(DType::F16, halves.clone()),
        raw(DType::BF16, halves),
        Tensor::from_bools(shape, &[true, false, false, true]).unwrap(),
        Tensor::from_vec(shape, vec![0_u8, 1, 2, u8::MAX]).unwrap(),
        Tensor::from_vec(shape, vec![0_u16, 1, 2, u16::MAX]).unwrap(),
        Tensor::from_vec(shape, vec![0_u32, 1, 2, u32::MAX]).unwrap(),
        Tensor::from_vec(shape, vec![0_u64, 1, 2, u64::MAX]).unwrap(),
        Tensor::from_vec(shape, vec![i8::MIN, 1, 2, i8::MAX]).unwrap(),
        Tensor::from_vec(shape, vec![i16::MIN, 1, 2, i16::MAX]).unwrap(),
        Tensor::from_vec(shape, vec![i32::MIN, 1, 2, i32::MAX]).unwrap(),
        Tensor::from_vec(shape, vec![i64::MIN, 1, 2, i64::MAX]).unwrap(),
        Tensor::from_strs(shape, &["", "a", "\u{e9}", "\"\n"]).unwrap(),
        Tensor::from_byte_strings(shape, &[&b"\xff\x00"[..], b"", b"a", b"\x80"]).unwrap(),
    ]
}

fn bits(tensor: &Tensor) -> (DType, Vec<usize>, Vec<Vec<u8>>) {
    let bytes = match tensor.as_bytes() {
        Some(bytes) => vec![bytes.to_vec()],
        None => tensor.byte_strings().unwrap().map(<[u8]>::to_vec).collect(),
    };
    (tensor.dtype(), tensor.shape().to_vec(), bytes)
}

#[test]
fn of_every_type_raw_and_over_grpc() {
    for tensor in all() {
        let model = same(tensor.dtype(), 2, false);
        let request = || PredictRequest::new(Tensors::one("x", tensor.clone()));
        let here = ask(&model, request()).unwrap().outputs;
        let address = served(Service::new().with_model(model));
        for (way, config) in ways(address, "same") {
            if way == "json" {
                continue;
            }
            let there = ask(&connected(config), request()).unwrap().outputs;
            let [here, there] = [&here, &there].map(|outputs| bits(outputs.require("y").unwrap()));
            assert_eq!(here, there, "{way}");
        }
    }
}

/// JSON has every number; of a NaN only that it is one, and no bytes that are not UTF-8.
#[test]
fn json_has_what_it_can() {
    for tensor in all() {
        let model = same(tensor.dtype(), 2, false);
        let remote = connected(ways(served(Service::new().with_model(model)), "same")[1].1.clone());
        let answer = ask(&remote, PredictRequest::new(Tensors::one("x", tensor.clone())));
        if tensor.dtype() == DType::Bytes {
            let error = answer.unwrap_err().to_string();
            assert!(error.contains("not UTF-8"), "{error}");
            continue;
        }
        let mut there = bits(answer.unwrap().outputs.require("y").unwrap());
        let here = bits(&tensor);
        if tensor.dtype().is_float() {
            let size = tensor.dtype().size().unwrap();
            assert_ne!(there.2[0][..size], [0; 8][..size], "a NaN stays a NaN");
            there.2[0][..size].copy_from_slice(&here.2[0][..size]);
        }
        assert_eq!(here, there);
    }
}

/// Longer than what is read and written at once, and than one frame of HTTP/2.
#[test]
fn of_a_large_tensor() {
    let values: Vec<u64> =
        (0..400_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let tensor = Tensor::from_vec([200_000, 2], values).unwrap();
    let address = served(Service::new().with_model(same(DType::U64, 2, false)));
    for (way, config) in ways(address, "same") {
        let request = PredictRequest::new(Tensors::one("x", tensor.clone()));
        let answer = ask(&connected(config), request).unwrap();
        assert!(*answer.outputs.require("y").unwrap() == tensor, "{way}");
    }
}

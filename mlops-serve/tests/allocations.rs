//! A row takes no memory of its own: a call allocates as often for few rows as for many, but for one scratch space a
//! block of 64. In a program of its own, whose allocator counts.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use allocation_counter::measure;
use mlops_core::{
    arrow::buffer::Buffer,
    tensor::{Tensor, Tensors},
};
use mlops_serve::{InferOptions, LoadOptions, Session, Stop, engines::tabular::TabularEngine};
use std::{fs, path::Path};

/// What a session takes, as zeros and the same text.
fn rows(session: &dyn Session, count: usize) -> Tensors {
    let mut inputs = Tensors::new();
    for spec in &session.info().signature.inputs {
        let shape: Vec<usize> = spec.shape.iter().map(|axis| axis.unwrap_or(count)).collect();
        let cells: usize = shape.iter().product();
        let tensor = match spec.dtype.size() {
            Some(size) => {
                Tensor::from_buffer(spec.dtype, shape, Buffer::from_vec(vec![0_u8; cells * size]))
            }
            None => Tensor::from_strs(shape, &vec!["left"; cells]),
        };
        inputs.push(spec.name.clone(), tensor.unwrap()).unwrap();
    }
    inputs
}

/// How often a call with so many rows allocates.
fn allocations(session: &dyn Session, count: usize) -> u64 {
    let (inputs, stop) = (rows(session, count), Stop::new());
    let mut result = None;
    let counted = measure(|| result = Some(session.run(&inputs, &InferOptions::new(&stop))));
    result.unwrap().unwrap();
    counted.count_total
}

#[test]
fn no_row_allocates() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/boosters");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if matches!(name, "manifest.json" | "catboost_sum.json") {
            continue;
        }
        let session = TabularEngine::new().load_file(&path, &LoadOptions::default()).unwrap();
        let [one, few, many] = [1, 64, 6_400].map(|count| allocations(&*session, count));
        assert!(many <= few + 2 * 100, "{name}: {few} times for 64 rows, {many} for 6,400");
        // A graph allocates for each of its nodes, other models for their few tensors.
        let bound = if name.starts_with("onnx_") { 200 } else { 16 };
        assert!(one <= bound, "{name}: {one} times for a row");
        seen += 1;
    }
    assert!(seen >= 140, "{seen} models");
}

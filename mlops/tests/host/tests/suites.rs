//! The stranger's own implementations pass the family's suites.

use host::{detector::MeanDetector, predictor::Rule};
use mlops::{
    arrow::{
        array::{ArrayRef, Float64Array, RecordBatch},
        schema::{DataType, Field, Schema},
    },
    conformance::{drift, predictor},
    tensor::{Tensor, Tensors},
};
use std::sync::Arc;

fn inputs() -> Tensors {
    let column = |values: [f64; 3]| Tensor::from_vec([3], values.to_vec()).unwrap();
    let income = Tensors::one("income", column([40.0, 55.5, 0.0]));
    income.with("amount", column([10.0, 80.0, 1.0])).unwrap()
}

/// The same values in another order: what a detector of the mean calls the same.
fn rows(moved_by: f64, step: usize) -> RecordBatch {
    let value = |row: usize| (row * step % 1009) as f64 / 100.0 + moved_by;
    let array: ArrayRef = Arc::new((0..1009).map(value).map(Some).collect::<Float64Array>());
    let schema = Schema::new(vec![Field::new("income", DataType::Float64, true)]);
    RecordBatch::try_new(Arc::new(schema), vec![array]).unwrap()
}

fn subject() -> drift::Subject {
    let open = || MeanDetector::open("income", &rows(0.0, 1)).unwrap();
    drift::Subject::new(
        move || Box::new(open()),
        |state| Ok(Box::new(MeanDetector::restore("income", &rows(0.0, 1), state)?)),
        rows(0.0, 7),
        rows(9.0, 11),
    )
}

mlops::predictor_conformance!(rule, predictor::Subject::new(Rule::new().unwrap(), inputs()));
mlops::drift_conformance!(mean_detector, subject());

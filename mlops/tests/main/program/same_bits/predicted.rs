//! The roads of `mlops predict`.

use super::{
    answers::{of_csv, of_lines},
    case::{Bits, Case, Unsayable},
};
use crate::program::Place;
use mlops::{arrow::array::RecordBatch, signature::TensorSpec, tensor::Tensors};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use std::{fs, path::Path};

/// Every form of rows of `mlops predict`.
pub(super) fn predicted(place: &Place, case: &Case) {
    // An empty cell of CSV is a missing one.
    let forms =
        [("rows.csv", Some(Unsayable::EmptyText)), ("rows.json", None), ("rows.parquet", None)];
    for (input, unsayable) in forms {
        match unsayable.and_then(|unsayable| case.without(unsayable)) {
            None => by_every_output(place, case, input),
            Some(rest) => {
                write(place, case, input);
                let run = place.run(&arguments(case, input));
                run.failed(65, "null");
                by_every_output(place, &rest, input);
            }
        }
    }
}

fn write(place: &Place, case: &Case, input: &str) {
    let bytes = match input {
        "rows.csv" => case.csv(),
        "rows.json" => Value::Array(case.objects(|cell| cell)).to_string().into_bytes(),
        _ => case.parquet(),
    };
    fs::write(place.path(input), bytes).unwrap();
}

/// What asks about these rows. The columns of an input without names are named.
fn arguments<'a>(case: &'a Case, input: &'a str) -> Vec<&'a str> {
    let mut arguments = vec!["predict", "--model", &case.source, "--input", input];
    arguments.extend(case.engine.iter().flat_map(|engine| ["--engine", *engine]));
    if let Some(columns) = &case.named {
        arguments.extend(["--columns", columns]);
    }
    arguments
}

/// Every form of outputs, of these rows in this form.
fn by_every_output(place: &Place, case: &Case, input: &str) {
    write(place, case, input);
    let (wanted, what) = (case.in_process(), format!("{}: {input}", case.name));
    let run = |more: &[&str]| place.run(&[&arguments(case, input)[..], more].concat()).ok();
    assert_eq!(of_lines(&run(&["--json"]), &wanted), wanted, "{what}");
    if case.is_by_row() {
        let alone = run(&["--json", "--batch-rows", "1"]);
        assert_eq!(of_lines(&alone, &wanted), wanted, "{what}, each row alone");
    }
    assert_eq!(of_csv(&run(&[]), &wanted), wanted, "{what} to CSV");
    run(&["--output", "out.parquet"]);
    assert_eq!(of_parquet(&place.path("out.parquet"), &wanted), wanted, "{what} to Parquet");
}

fn of_parquet(file: &Path, wanted: &Bits) -> Bits {
    let bytes = bytes::Bytes::from(fs::read(file).unwrap());
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let specs: Vec<TensorSpec> = wanted.iter().map(|(spec, _)| spec.clone()).collect();
    let pieces: Vec<Tensors> =
        batches.iter().map(|batch| Tensors::from_batch(batch, &specs).unwrap()).collect();
    let bits = |spec: &TensorSpec| {
        let tensors = pieces.iter().map(|piece| piece.require(&spec.name).unwrap());
        tensors.flat_map(|tensor| tensor.as_bytes().unwrap().to_vec()).collect()
    };
    specs.iter().map(|spec| (spec.clone(), bits(spec))).collect()
}

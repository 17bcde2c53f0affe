//! Answers read from records of the inference log, and changes of accuracy.

use mlops_core::{
    ErrorKind, PredictionId, Timestamp,
    arrow::{
        array::{
            ArrayRef, FixedSizeBinaryArray, FixedSizeListArray, Float32Array, Float64Array,
            Int64Array, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
            UInt32Array, UInt64Array, new_null_array,
        },
        schema::{DataType, Field, Fields, Schema},
    },
    drift::Verdict,
    inference_log::{OutcomeValue, record_schema},
    signature::{ModelSignature, TensorSpec},
    tensor::DType,
};
use mlops_drift::performance::{AccuracyRule, Answer, accuracy_change};
use std::sync::Arc;

/// A record a row of the schema that the log has; the third one failed.
fn records(output: TensorSpec, answers: &ArrayRef) -> RecordBatch {
    let input = TensorSpec::column("x", DType::F32);
    let schema = record_schema(&ModelSignature::new(vec![input], vec![output]).unwrap()).unwrap();
    let rows = answers.len();
    let text = |text: &str| Arc::new(StringArray::from(vec![text; rows])) as ArrayRef;
    let column = |field: &Arc<Field>| -> ArrayRef {
        let DataType::Struct(fields) = field.data_type() else {
            return plain(field, rows).unwrap_or_else(|| text(field.name()));
        };
        let inside = if field.name() == "outputs" {
            Arc::clone(answers)
        } else {
            new_null_array(&DataType::Float32, rows)
        };
        Arc::new(StructArray::new(fields.clone(), vec![inside], None))
    };
    let columns = schema.fields().iter().map(column).collect();
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn plain(field: &Field, rows: usize) -> Option<ArrayRef> {
    let count = u32::try_from(rows).unwrap();
    let one = |at: usize, text| -> ArrayRef {
        let texts = (0..rows).map(|row| (row == at).then_some(text));
        Arc::new(texts.collect::<StringArray>())
    };
    Some(match field.name().as_str() {
        "prediction" => {
            let ids = (0..count).map(|row| u128::from(row / 2 + 7).to_be_bytes());
            Arc::new(FixedSizeBinaryArray::try_from_iter(ids).unwrap())
        }
        "row" => Arc::new(UInt32Array::from_iter_values((0..count).map(|row| row % 2))),
        "time" => Arc::new(
            TimestampMicrosecondArray::from_iter_values((0..count).map(i64::from))
                .with_timezone("UTC"),
        ),
        "latency_us" => Arc::new(UInt64Array::from(vec![5; rows])),
        "error" => one(2, "timed_out"),
        "key" => one(1, "k"),
        "request" | "digest" | "arm" => new_null_array(field.data_type(), rows),
        _ => return None,
    })
}

fn classes(output: TensorSpec, answers: &ArrayRef, threshold: f64) -> Vec<String> {
    let read = Answer::of_records(&records(output, answers), "p", threshold).unwrap();
    read.iter().map(|answer| format!("{:?}", answer.value)).collect()
}

#[test]
fn answers_come_from_every_form_of_output() {
    let spec = |dtype| TensorSpec::column("p", dtype);
    let floats = Float64Array::from(vec![Some(0.4), Some(0.6), Some(0.9), None, Some(0.5)]);
    let floats: ArrayRef = Arc::new(floats);
    let read = classes(spec(DType::F64), &floats, 0.5);
    assert_eq!(read, ["Number(0.0)", "Number(1.0)", "Number(NaN)", "Number(1.0)"]);
    assert_eq!(classes(spec(DType::F64), &floats, 0.55)[3], "Number(0.0)");
    let integers: ArrayRef = Arc::new(Int64Array::from(vec![3, 0, 1, 2]));
    let read = classes(spec(DType::I64), &integers, 0.5);
    assert_eq!(read, ["Number(3.0)", "Number(0.0)", "Number(2.0)"]);
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["no", "yes", "?", "no"]));
    let read = classes(spec(DType::Utf8), &texts, 0.5);
    assert_eq!(read, ["Label(\"no\")", "Label(\"yes\")", "Label(\"no\")"]);

    let vector = TensorSpec::new("p", DType::F32, [None, Some(3)]);
    let values = vec![0.2, 0.5, 0.3, 0.4, 0.4, 0.2, 1.0, 0.0, 0.0, 0.1, f32::NAN, 0.9];
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let values: ArrayRef = Arc::new(Float32Array::from(values));
    let lists: ArrayRef = Arc::new(FixedSizeListArray::new(item, 3, values, None));
    let read = classes(vector, &lists, 0.5);
    assert_eq!(read, ["Number(1.0)", "Number(0.0)", "Number(NaN)"]);
}

#[test]
fn a_record_says_who_answered_what_and_when() {
    let answers: ArrayRef = Arc::new(Float64Array::from(vec![0.1, 0.9, 0.9, 0.9]));
    let records = records(TensorSpec::column("p", DType::F64), &answers);
    let read = Answer::of_records(&records, "p", 0.5).unwrap();
    let at = |number, time| {
        let (id, time) = (PredictionId::from_u128(number), Timestamp::from_unix_micros(time));
        Answer::new(id, time, "model/version", OutcomeValue::Number(1.0))
    };
    assert_eq!(read[1..], [at(7, 1).with_row(1).with_key("k"), at(8, 3).with_row(1)]);
    let error = Answer::of_records(&records, "q", 0.5).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "records have no output \"q\"");
    let none = RecordBatch::new_empty(Arc::new(Schema::new(Fields::empty())));
    let error = Answer::of_records(&none, "p", 0.5).unwrap_err();
    assert_eq!(error.to_string(), "records have no column \"model\"");
}

#[test]
fn a_fall_of_accuracy_needs_more_than_a_margin() {
    let rule = AccuracyRule::default();
    let verdict = |right, known| {
        let drift = accuracy_change((8300, 10_000), (right, known), &rule).unwrap();
        assert_eq!((drift.name.as_ref(), drift.rows), ("accuracy", known));
        drift.verdict
    };
    assert_eq!(verdict(7000, 10_000), Verdict::Drifted);
    assert_eq!(verdict(8290, 10_000), Verdict::Stable);
    assert_eq!(verdict(9900, 10_000), Verdict::Stable);
    // From .83 to .80 in 500 rows: perhaps.
    assert_eq!(verdict(400, 500), Verdict::Warning);
    assert_eq!(verdict(0, 299), Verdict::TooFewRows);
    assert_eq!(verdict(0, 0), Verdict::TooFewRows);
    assert!(accuracy_change((11, 10), (1, 10), &rule.with_min_rows(1)).is_err());
    assert!(accuracy_change((1, 10), (1, 10), &rule.with_margin(f64::NAN)).is_err());
}

//! Rows of a file, as a model takes them: Parquet, CSV, or JSON objects.

use crate::{
    Error, Result, ResultExt,
    arrow::array::{
        ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int64Array,
        RecordBatch, StringArray, UInt64Array,
    },
    arrow::schema::Field,
    signature::{ModelSignature, TensorSpec},
    tensor::DType,
};
use mlops_core::data::{CsvOptions, CsvType, Dataset, ParquetOptions};
use serde_json::value::RawValue;
use std::{collections::BTreeMap, ops::Neg, path::Path, str::FromStr, sync::Arc};

/// An object whose values stand as they were written: their digits are read once it is known as what.
type Row<'a> = BTreeMap<String, &'a RawValue>;

/// Reads the rows that a model of this signature takes; other columns of the file are left out.
/// `columns` names what a packed input without named columns holds, in its order.
///
/// # Behavior
/// - the file's ending says its form; `.json` holds an array of objects, or an object a line
/// - a missing column, a column of the wrong type and a value that does not fit are named
pub(super) fn read(path: &Path, specs: &[TensorSpec]) -> Result<Vec<RecordBatch>> {
    let extension = path.extension().and_then(|text| text.to_str()).unwrap_or_default();
    let features: Vec<&str> =
        specs.iter().flat_map(TensorSpec::features).map(AsRef::as_ref).collect();
    match extension.to_ascii_lowercase().as_str() {
        "parquet" => {
            let options = ParquetOptions::new().with_columns(features);
            Ok(Dataset::read_parquet(path, &options)?.batches().to_vec())
        }
        "csv" => {
            let options = csv_options(specs);
            Ok(Dataset::read_csv(path, &options)?.batches().to_vec())
        }
        "json" | "jsonl" | "ndjson" => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|source| Error::io(path.display(), source))?;
            let batch = objects(&text).and_then(|rows| batch(&rows, specs));
            batch.map(|batch| vec![batch]).context(|| path.display().to_string())
        }
        _ => Err(Error::unsupported(format!(
            "{}: rows are read from .parquet, .csv or .json",
            path.display()
        ))),
    }
}

/// The model's inputs, packed ones with the columns that the caller names, if any.
pub(super) fn specs(signature: &ModelSignature, columns: &[String]) -> Result<Vec<TensorSpec>> {
    if columns.is_empty() {
        return Ok(signature.inputs.clone());
    }
    with_columns(signature, columns).context(|| "--columns")
}

/// The model's inputs, the packed one without named columns with those that the caller names, in
/// its order. `InvalidInput` if they are too many or too few, or if there is no one such input.
fn with_columns(signature: &ModelSignature, columns: &[String]) -> Result<Vec<TensorSpec>> {
    let unnamed: Vec<&TensorSpec> =
        signature.inputs.iter().filter(|spec| packs_unnamed(spec)).collect();
    let [packed] = unnamed.as_slice() else {
        return Err(Error::invalid(format!(
            "columns can be named for one packed input, and the model has {}",
            unnamed.len()
        )));
    };
    let named = TensorSpec::clone(packed).with_columns(columns.iter().map(String::as_str));
    let inputs = signature.inputs.iter();
    let inputs = inputs.map(|spec| if spec == *packed { named.clone() } else { spec.clone() });
    // Says so if they are too many or too few.
    ModelSignature::new(inputs.collect(), Vec::new()).map(|signature| signature.inputs)
}

/// Whether an input holds several columns that have no names.
fn packs_unnamed(spec: &TensorSpec) -> bool {
    spec.columns.is_empty() && spec.shape.len() == 2 && spec.shape[1].is_none_or(|n| n > 1)
}

/// How CSV is read for these inputs: the types that the model wants, so that a code of digits stays
/// text.
fn csv_options(specs: &[TensorSpec]) -> CsvOptions {
    let mut options = CsvOptions::new();
    for spec in specs {
        let kind = match spec.dtype {
            DType::Utf8 => CsvType::Utf8,
            DType::Bool => CsvType::Bool,
            // By way of 64 bits a number could be rounded twice.
            DType::F32 => CsvType::Float32,
            dtype if dtype.is_float() => CsvType::Float64,
            _ => continue,
        };
        for feature in spec.features() {
            options = options.with_type(feature.as_ref(), kind);
        }
    }
    options
}

fn objects(text: &str) -> Result<Vec<Row<'_>>> {
    let bad = |cause: serde_json::Error| {
        let place = format!("line {} column {}", cause.line(), cause.column());
        Error::invalid(format!("no array of objects, and no object a line ({place})"))
    };
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(bad);
    }
    serde_json::Deserializer::from_str(text).into_iter().map(|row| row.map_err(bad)).collect()
}

fn batch(rows: &[Row<'_>], specs: &[TensorSpec]) -> Result<RecordBatch> {
    let mut columns: Vec<(String, ArrayRef, bool)> = Vec::new();
    for spec in specs {
        for name in spec.features() {
            let cells = rows.iter().map(|row| row.get(name.as_ref()));
            let values: Vec<&str> =
                cells.map(|cell| cell.map_or("null", |raw| raw.get())).collect();
            if !rows.is_empty() && rows.iter().all(|row| !row.contains_key(name.as_ref())) {
                return Err(Error::invalid(format!("column {name:?} is missing")));
            }
            let array = array(&values, spec);
            let array = array.context(|| format!("column {name:?}"))?;
            columns.push((name.as_ref().to_owned(), array, true));
        }
    }
    RecordBatch::try_from_iter_with_nullable(columns)
        .map_err(|cause| Error::invalid(cause.to_string()).with_source(cause))
}

/// The elements of an array, as they were written; none if it is another value.
fn items(value: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value).ok()
}

/// A column of scalars, or of vectors for a packed input without named columns.
fn array(values: &[&str], spec: &TensorSpec) -> Result<ArrayRef> {
    let Some(width) = values.iter().find_map(|value| Some(items(value)?.len())) else {
        return scalars(values, spec.dtype);
    };
    let mut flat = Vec::with_capacity(values.len() * width);
    for (row, value) in values.iter().enumerate() {
        let items = items(value).filter(|items| items.len() == width);
        let items = items
            .ok_or_else(|| Error::invalid(format!("row {row} is no array of {width} elements")))?;
        flat.extend(items.into_iter().map(RawValue::get));
    }
    let flat = scalars(&flat, spec.dtype)?;
    let field = Arc::new(Field::new("item", flat.data_type().clone(), true));
    let width =
        i32::try_from(width).map_err(|_| Error::too_large("a row of over 2^31 elements"))?;
    let list = FixedSizeListArray::try_new(field, width, flat, None);
    list.map(|list| Arc::new(list) as ArrayRef)
        .map_err(|cause| Error::invalid(cause.to_string()).with_source(cause))
}

fn scalars(values: &[&str], dtype: DType) -> Result<ArrayRef> {
    fn all<T>(
        values: &[&str],
        what: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<Option<T>>> {
        let one = |(row, value): (usize, &&str)| match *value {
            "null" => Ok(None),
            value => read(value)
                .map(Some)
                .ok_or_else(|| Error::invalid(format!("row {row}: the value is no {what}"))),
        };
        values.iter().enumerate().map(one).collect()
    }
    Ok(match dtype {
        DType::Bool => {
            Arc::new(BooleanArray::from(all(values, "boolean", |value| value.parse().ok())?))
        }
        DType::Utf8 | DType::Bytes => {
            let texts = all(values, "text", |value| serde_json::from_str::<String>(value).ok())?;
            Arc::new(StringArray::from(texts))
        }
        DType::U64 => Arc::new(UInt64Array::from(all(values, "whole number", whole)?)),
        // By way of 64 bits a number could be rounded twice.
        DType::F32 => {
            let number = |value: &str| number(value, f32::NAN, f32::INFINITY, f32::is_finite);
            Arc::new(Float32Array::from(all(values, "number of single precision", number)?))
        }
        dtype if dtype.is_float() => {
            let number = |value: &str| number(value, f64::NAN, f64::INFINITY, f64::is_finite);
            Arc::new(Float64Array::from(all(values, "number", number)?))
        }
        _ => Arc::new(Int64Array::from(all(values, "whole number", whole)?)),
    })
}

fn whole<T: FromStr>(digits: &str) -> Option<T> {
    // JSON has it, Rust's unsigned numbers have not.
    if digits == "-0" { "0" } else { digits }.parse().ok()
}

/// A number that there is, or what JSON has no number for.
fn number<T: FromStr + Neg<Output = T> + Copy>(
    value: &str,
    nan: T,
    infinity: T,
    is_finite: impl Fn(T) -> bool,
) -> Option<T> {
    match value {
        "\"NaN\"" => Some(nan),
        "\"Infinity\"" => Some(infinity),
        "\"-Infinity\"" => Some(-infinity),
        digits => digits.parse().ok().filter(|value| is_finite(*value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensors;

    fn specs() -> Vec<TensorSpec> {
        let x = TensorSpec::new("x", DType::F32, [None, Some(2)]).with_columns(["age", "income"]);
        vec![x, TensorSpec::column("state", DType::Utf8)]
    }

    #[test]
    fn objects_in_an_array_or_one_a_line_give_the_same_rows() {
        let rows = [
            r#"{"age": 41, "income": 7.5, "state": "MA"}"#,
            r#"{"age": null, "income": "NaN", "state": "NH", "more": []}"#,
        ];
        let (lines, array) = (rows.join("\n"), format!(" [{}]", rows.join(",")));
        let read = |text: &str| batch(&objects(text).unwrap(), &specs()).unwrap();
        let same = format!("{:?}", read(&array));
        assert_eq!(format!("{:?}", read(&lines)), same);
        let tensors = Tensors::from_batch(&read(&lines), &specs()).unwrap();
        let x = tensors.require("x").unwrap().as_slice::<f32>().unwrap();
        assert_eq!(x[..2], [41.0, 7.5]);
        assert!(x[2].is_nan() && x[3].is_nan());
    }

    #[test]
    fn digits_of_a_file_are_read_as_those_of_a_request() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        let digits = "1.00000017881393432617187499";
        std::fs::write(&path, format!("age,income,state\n{digits},inf,1\n,-2,\n")).unwrap();
        let batches = read(&path, &specs()).unwrap();
        let tensors = Tensors::from_batch(&batches[0], &specs()[..1]).unwrap();
        let x = tensors.require("x").unwrap().as_slice::<f32>().unwrap();
        assert_eq!((x[0], x[1], x[3]), (digits.parse().unwrap(), f32::INFINITY, -2.0));
        assert!(x[2].is_nan());
    }

    /// Each column is read as what the model takes: nothing is rounded on the way.
    #[test]
    fn digits_of_json_are_read_as_those_of_a_request() {
        let column = TensorSpec::column;
        let packed = TensorSpec::new("p", DType::F32, [None, Some(2)]);
        let specs = [
            column("f", DType::F32),
            column("d", DType::F64),
            column("i", DType::I64),
            column("u", DType::U64),
            packed,
        ];
        let (single, whole) = ("1.00000017881393432617187499", "9007199254740993");
        let most = u64::MAX;
        let row = format!(
            r#"{{"f": {single}, "d": {single}, "i": -{whole}, "u": {most}, "p": [{single}, -0.0]}}"#
        );
        let batch = batch(&objects(&row).unwrap(), &specs).unwrap();
        let tensors = Tensors::from_batch(&batch, &specs).unwrap();
        let bits = |name: &str| tensors.require(name).unwrap().as_slice::<f32>().unwrap().to_vec();
        assert_eq!(bits("f"), [single.parse::<f32>().unwrap()]);
        assert_ne!(bits("f"), [1.000_000_2], "by way of f64 it is the next one");
        assert_eq!(bits("p")[..1], [single.parse::<f32>().unwrap()]);
        assert!(bits("p")[1].is_sign_negative());
        let slice = |name| tensors.require(name).unwrap();
        assert_eq!(slice("d").as_slice::<f64>().unwrap(), [single.parse::<f64>().unwrap()]);
        assert_eq!(slice("i").as_slice::<i64>().unwrap(), [-9_007_199_254_740_993]);
        assert_eq!(slice("u").as_slice::<u64>().unwrap(), [most]);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| {
            objects(text).and_then(|rows| batch(&rows, &specs())).unwrap_err().to_string()
        };
        assert_eq!(error(r#"[{"age": 1, "state": "MA"}]"#), "column \"income\" is missing");
        let text = error(r#"[{"age": "old", "income": 1, "state": "MA"}]"#);
        assert_eq!(text, "column \"age\": row 0: the value is no number of single precision");
        let text = error(r#"[{"age": 1e39, "income": 1, "state": "MA"}]"#);
        assert!(text.contains("row 0: the value is no number of single"), "{text}");
        let text = error(r#"[{"age": [1], "income": 1, "state": 7}]"#);
        assert_eq!(text, "column \"state\": row 0: the value is no text");
        assert!(error("[{").contains("line 1"));
    }

    #[test]
    fn columns_of_a_packed_input_are_named_by_the_caller() {
        let x = TensorSpec::new("x", DType::F32, [None, Some(2)]);
        let signature = ModelSignature::new(vec![x], vec![]).unwrap();
        let named = super::specs(&signature, &["a".to_owned(), "b".to_owned()]).unwrap();
        assert_eq!(named[0].features(), ["a".into(), "b".into()]);
        assert!(super::specs(&signature, &["a".to_owned()]).is_err());
    }
}

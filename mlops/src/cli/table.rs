//! A model's outputs as a table: CSV, JSON or Parquet, whole or not at all.

use crate::{
    Error, Result,
    arrow::array::{Array, ArrayRef, RecordBatch, cast::AsArray, types},
    arrow::schema::DataType,
};
use clap::ValueEnum;
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A header and a line a row; a vector is JSON in its cell
    Csv,
    /// An object a line
    Json,
    /// Snappy-compressed; needs --output
    Parquet,
}

impl Format {
    /// What a file's ending says.
    pub(super) fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|text| text.to_str()) {
            Some("csv") => Ok(Self::Csv),
            Some("json" | "jsonl" | "ndjson") => Ok(Self::Json),
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(Error::unsupported(format!(
                "{}: outputs are written to .csv, .json or .parquet",
                path.display()
            ))),
        }
    }

    /// The rows of all batches, in order.
    pub(super) fn encode(self, batches: &[RecordBatch]) -> Result<Vec<u8>> {
        match self {
            Self::Csv => csv(batches),
            Self::Json => json_lines(batches),
            Self::Parquet => parquet(batches),
        }
    }
}

/// Writes a file that appears under its name when it is whole and on the disk.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = fs::File::create(&partial).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    });
    written.map_err(|source| Error::io(path.display(), source))
}

fn csv(batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let failed = |cause: csv::Error| Error::internal("writing CSV").with_source(cause);
    let mut writer = csv::Writer::from_writer(Vec::new());
    if let Some(first) = batches.first() {
        let schema = first.schema();
        writer.write_record(schema.fields().iter().map(|field| field.name())).map_err(failed)?;
    }
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| cell(column, row));
            let cells: Vec<String> = cells.collect::<Result<_>>()?;
            writer.write_record(cells).map_err(failed)?;
        }
    }
    writer.into_inner().map_err(|_| Error::internal("writing CSV to memory"))
}

/// A value as CSV has it: text as it is, null empty.
fn cell(column: &ArrayRef, row: usize) -> Result<String> {
    Ok(match value(column, row)? {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    })
}

fn json_lines(batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            serde_json::to_writer(&mut text, &object(batch, row)?)
                .map_err(|cause| Error::internal("writing JSON").with_source(cause))?;
            text.push(b'\n');
        }
    }
    Ok(text)
}

/// One row as a JSON object.
pub(super) fn object(batch: &RecordBatch, row: usize) -> Result<Value> {
    let schema = batch.schema();
    let cells = schema.fields().iter().zip(batch.columns());
    let cells = cells.map(|(field, column)| Ok((field.name().clone(), value(column, row)?)));
    cells.collect::<Result<serde_json::Map<_, _>>>().map(Value::Object)
}

/// A cell as JSON; a number that is not finite is its name, for JSON has no other word for it.
fn value(column: &ArrayRef, row: usize) -> Result<Value> {
    macro_rules! of {
        ($type:ty) => {
            json!(column.as_primitive::<$type>().value(row))
        };
    }
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match column.data_type() {
        DataType::Boolean => json!(column.as_boolean().value(row)),
        DataType::Int8 => of!(types::Int8Type),
        DataType::Int16 => of!(types::Int16Type),
        DataType::Int32 => of!(types::Int32Type),
        DataType::Int64 => of!(types::Int64Type),
        DataType::UInt8 => of!(types::UInt8Type),
        DataType::UInt16 => of!(types::UInt16Type),
        DataType::UInt32 => of!(types::UInt32Type),
        DataType::UInt64 => of!(types::UInt64Type),
        DataType::Float16 => float(column.as_primitive::<types::Float16Type>().value(row).to_f32()),
        DataType::Float32 => float(column.as_primitive::<types::Float32Type>().value(row)),
        DataType::Float64 => {
            let value = column.as_primitive::<types::Float64Type>().value(row);
            if value.is_finite() { json!(value) } else { json!(not_finite(value)) }
        }
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        DataType::FixedSizeList(..) => {
            let items = column.as_fixed_size_list().value(row);
            (0..items.len()).map(|at| value(&items, at)).collect::<Result<Vec<_>>>()?.into()
        }
        other => {
            return Err(Error::unsupported(format!("a column of type {other} as text")));
        }
    })
}

/// The fewest digits that read back as the same number; by way of `f64` there would be more.
fn float(value: f32) -> Value {
    if !value.is_finite() {
        return json!(not_finite(f64::from(value)));
    }
    let digits = value.to_string();
    serde_json::from_str(&digits).unwrap_or_else(|_| json!(value))
}

fn not_finite(value: f64) -> &'static str {
    match value {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    }
}

fn parquet(batches: &[RecordBatch]) -> Result<Vec<u8>> {
    use parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};
    let failed = |cause: parquet::errors::ParquetError| {
        Error::internal("writing Parquet").with_source(cause)
    };
    let first = batches.first().ok_or_else(|| Error::invalid("no rows, so no columns"))?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer =
        ArrowWriter::try_new(Vec::new(), first.schema(), Some(properties)).map_err(failed)?;
    for batch in batches {
        writer.write(batch).map_err(failed)?;
    }
    writer.into_inner().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Tensor, Tensors};

    fn batch() -> RecordBatch {
        let p = Tensor::from_vec([2], vec![0.1_f32, f32::NAN]).unwrap();
        let both = Tensor::from_vec([2, 2], vec![0.25_f64, 0.75, 1.0, f64::NEG_INFINITY]).unwrap();
        let label = Tensor::from_strs([2], &["yes, it is", "no"]).unwrap();
        let tensors = Tensors::one("p", p).with("both", both).unwrap();
        tensors.with("label", label).unwrap().to_batch(&[]).unwrap()
    }

    #[test]
    fn csv_and_json_have_the_same_values() {
        let csv = String::from_utf8(Format::Csv.encode(&[batch()]).unwrap()).unwrap();
        assert_eq!(
            csv,
            "p,both,label\n0.1,\"[0.25,0.75]\",\"yes, it is\"\nNaN,\"[1.0,\"\"-Infinity\"\"]\",no\n"
        );
        let json = String::from_utf8(Format::Json.encode(&[batch()]).unwrap()).unwrap();
        let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!(first, json!({ "p": 0.1, "both": [0.25, 0.75], "label": "yes, it is" }));
        assert!(Format::Parquet.encode(&[batch()]).unwrap().starts_with(b"PAR1"));
    }
}

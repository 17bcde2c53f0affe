//! The inference log, cut into the windows that a monitor looks at.

use mlops::{
    Error, Result, Timestamp,
    arrow::array::{RecordBatch, StructArray, TimestampMicrosecondArray},
    inference_log::columns,
};

/// What a model was given: a column for each number of its packed input.
pub(crate) fn inputs(records: &RecordBatch) -> Result<RecordBatch> {
    let column: &StructArray = typed(records, columns::INPUTS)?;
    Ok(RecordBatch::from(column.clone()))
}

/// Runs of rows of one year.
pub(crate) fn by_year(records: &RecordBatch) -> Result<Vec<(i32, RecordBatch)>> {
    let times: &TimestampMicrosecondArray = typed(records, columns::TIME)?;
    let years: Vec<i32> = times.values().iter().map(|time| year(*time)).collect();
    let mut runs = Vec::new();
    let mut from = 0;
    for run in years.chunk_by(|a, b| a == b) {
        runs.push((run[0], records.slice(from, run.len())));
        from += run.len();
    }
    Ok(runs)
}

fn year(micros: i64) -> i32 {
    let text = Timestamp::from_unix_micros(micros).to_string();
    text.get(..4).and_then(|year| year.parse().ok()).unwrap_or(0)
}

fn typed<'a, T: 'static>(records: &'a RecordBatch, name: &str) -> Result<&'a T> {
    let column = records.column_by_name(name);
    let column = column.and_then(|column| column.as_any().downcast_ref());
    column.ok_or_else(|| Error::corrupt(format!("the log has no column {name:?}")))
}

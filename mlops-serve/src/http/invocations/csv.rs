//! The CSV of a scoring request: a head that names the columns, then a row a line.

use super::{super::oip::Limits, table::Table};
use csv_core::{ReadFieldResult, Reader};
use mlops_core::{
    Error, Result, predictor::PredictRequest, signature::ModelSignature, tensor::DType,
};

/// Reads a scoring request in CSV (RFC 4180, UTF-8).
///
/// # Behavior
/// - the first line names the columns; which of them are taken is as in
///   [`decode_request`](super::decode_request)
/// - an empty cell is null; numbers are read as JSON's are, and `NaN`, `inf`, `Infinity` with or
///   without a sign are what they say; booleans are `true` and `false`, in any case
/// - every mistake is `InvalidInput`, or `TooLarge` over a limit, and names the line and the column; no
///   cell stands in a message
pub fn decode_csv(
    csv: &[u8],
    signature: &ModelSignature,
    limits: &Limits,
) -> Result<PredictRequest> {
    let csv = csv.strip_prefix(b"\xef\xbb\xbf").unwrap_or(csv);
    let mut fields = Fields::new(csv);
    let head = head(&mut fields, signature, limits)?;
    let mut table = Table::new(signature, limits, &head, csv.len());
    let slots = table.find_all(&head)?.into_iter();
    let slots: Vec<_> = slots.map(|slot| slot.map(|slot| (slot, table.dtype(slot)))).collect();
    let mut row: Vec<String> = vec![String::new(); table.width()];
    while let Some(line) = fields.line() {
        let mut count = 0;
        loop {
            if let Some(Some((slot, dtype))) = slots.get(count) {
                write(fields.text(&line)?, *dtype, &mut row[*slot]).map_err(|what| {
                    let line = fields.number(&line);
                    Error::invalid(format!("line {line}: column {:?} {what}", head[count]))
                })?;
            }
            count += 1;
            if !fields.another() {
                break;
            }
        }
        if count != head.len() {
            let (line, wanted) = (fields.number(&line), head.len());
            let message = format!("line {line} has {count} cells for {wanted} columns");
            return Err(Error::invalid(message));
        }
        table.push(|slot| Some(row[slot].as_str()))?;
    }
    table.finish().map(PredictRequest::new)
}

fn head(
    fields: &mut Fields<'_>,
    signature: &ModelSignature,
    limits: &Limits,
) -> Result<Vec<String>> {
    let (most, mut names) = (super::most_columns(signature, limits), Vec::new());
    let Some(line) = fields.line() else {
        return Err(Error::invalid("the table has no line that names its columns"));
    };
    loop {
        super::one_more_column(names.len(), most)?;
        names.push(fields.text(&line)?.to_owned());
        if !fields.another() {
            return Ok(names);
        }
    }
}

/// A cell as JSON, or as one of the words for what JSON has no number for.
fn write(text: &str, dtype: DType, json: &mut String) -> Result<(), &'static str> {
    json.clear();
    match dtype {
        _ if text.is_empty() => json.push_str("null"),
        DType::Utf8 | DType::Bytes => *json = serde_json::Value::from(text).to_string(),
        DType::Bool if text.eq_ignore_ascii_case("true") => json.push_str("true"),
        DType::Bool if text.eq_ignore_ascii_case("false") => json.push_str("false"),
        DType::Bool => return Err("is neither true nor false"),
        _ => {
            let text = text.trim();
            let value: f64 = text.parse().map_err(|_| "is no number")?;
            let is_named = text.contains(['n', 'N']);
            json.push_str(match () {
                () if !is_named => text,
                () if value.is_nan() => "NaN",
                () if value > 0.0 => "Infinity",
                () => "-Infinity",
            });
        }
    }
    Ok(())
}

/// Fields of a text, one at a time, in one buffer.
struct Fields<'a> {
    reader: Reader,
    text: &'a [u8],
    at: usize,
    field: Vec<u8>,
    length: usize,
    ends_line: bool,
}

/// A line, by what was read before it.
struct Line {
    after: usize,
}

impl<'a> Fields<'a> {
    fn new(text: &'a [u8]) -> Self {
        let (field, length) = (vec![0; 256], 0);
        Self { reader: Reader::new(), text, at: 0, field, length, ends_line: true }
    }

    /// Reads the first field of the next line that has any; `None` at the end.
    fn line(&mut self) -> Option<Line> {
        let line = Line { after: self.at };
        self.read().then_some(line)
    }

    /// Reads the next field of this line, if it has one.
    fn another(&mut self) -> bool {
        !self.ends_line && self.read()
    }

    fn text(&self, line: &Line) -> Result<&str> {
        std::str::from_utf8(&self.field[..self.length])
            .map_err(|_| Error::invalid(format!("line {} is not UTF-8", self.number(line))))
    }

    /// Counted from one; empty lines, which the reader skips, count.
    fn number(&self, line: &Line) -> usize {
        let (before, rest) = self.text.split_at(line.after);
        let skipped = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        1 + before.iter().chain(skipped).filter(|&&byte| byte == b'\n').count()
    }

    fn read(&mut self) -> bool {
        self.length = 0;
        loop {
            let into = &mut self.field[self.length..];
            let (result, read, written) = self.reader.read_field(&self.text[self.at..], into);
            (self.at, self.length) = (self.at + read, self.length + written);
            match result {
                // The reader asks again, and is then told by nothing that the text has ended.
                ReadFieldResult::InputEmpty => {}
                ReadFieldResult::OutputFull => {
                    let wanted = self.field.len() * 2;
                    self.field.resize(wanted, 0);
                }
                ReadFieldResult::Field { record_end } => {
                    self.ends_line = record_end;
                    return true;
                }
                ReadFieldResult::End => return false,
            }
        }
    }
}

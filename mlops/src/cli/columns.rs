//! Rows for people, in columns.

use super::{Console, console::visible};
use crate::{Result, Timestamp};
use serde_json::{Value, json};

/// How much of a cell is shown, but in the last column, which is shown whole.
const WIDEST: usize = 48;

/// Rows under a head, each column as wide as its widest cell.
#[derive(Debug)]
pub(super) struct Columns {
    rows: Vec<Vec<String>>,
}

impl Columns {
    /// No rows yet.
    pub(super) fn new<S: AsRef<str>>(head: impl IntoIterator<Item = S>) -> Self {
        let mut columns = Self { rows: Vec::new() };
        columns.add(head);
        columns
    }

    /// Adds a row. The text may be foreign.
    pub(super) fn add<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(|cell| visible(cell.as_ref())).collect());
    }

    /// Writes head and rows.
    pub(super) fn say(self, console: &Console) -> Result<()> {
        let count = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default().min(WIDEST)
        };
        let widths: Vec<usize> = (0..count).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if at + 1 == row.len() {
                    line.push_str(cell);
                } else {
                    let padded = format!("{:<width$}  ", shortened(cell));
                    line.push_str(&padded);
                }
            }
            console.say(line.trim_end())?;
        }
        Ok(())
    }
}

/// The beginning of a text that is longer than a column.
fn shortened(cell: &str) -> String {
    if cell.chars().count() <= WIDEST {
        return cell.to_owned();
    }
    cell.chars().take(WIDEST - 1).chain(['…']).collect()
}

/// A number as JSON has it; one that is not finite is its name, for JSON has no other word for it.
pub(super) fn number(value: f64) -> Value {
    match value {
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        _ if value.is_nan() => json!("NaN"),
        _ => json!(value),
    }
}

/// A number for people: all its digits, and no row of zeros.
pub(super) fn digits(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e16 {
        value.to_string()
    } else {
        format!("{value:?}")
    }
}

/// A time for people: to the second.
pub(super) fn second(time: Timestamp) -> String {
    let text = time.to_string();
    match text.split_once('.') {
        Some((second, _)) => second.replace('T', " "),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_short_and_whole() {
        assert_eq!((digits(3.0), digits(1e300), digits(0.1)), words("3", "1e300", "0.1"));
        assert_eq!((digits(f64::NAN), digits(-0.0), digits(1e16)), words("NaN", "-0", "1e16"));
        assert_eq!(number(f64::NEG_INFINITY), json!("-Infinity"));
        assert_eq!(second(Timestamp::from_unix_millis(1_514_764_800_500)), "2018-01-01 00:00:00");
        assert_eq!(shortened(&"é".repeat(60)).chars().count(), WIDEST);
    }

    fn words(a: &str, b: &str, c: &str) -> (String, String, String) {
        (a.to_owned(), b.to_owned(), c.to_owned())
    }
}

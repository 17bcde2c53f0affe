//! Statements for many rows at once. Their texts come in few lengths, so that they are found prepared.

use super::connection::{Connection, Value};
use std::fmt::Write as _;

/// How many rows one statement takes at most: SQLite looks for each placeholder among all of them.
const ROWS: usize = 16;
/// How many names.
const NAMES: usize = 64;

/// Adds rows of so many values each, by the next statement: `insert … values`, the rows, then the rest.
pub(super) fn insert(
    db: &mut Connection,
    (head, rest): (&str, &str),
    width: usize,
    mut values: Vec<Value>,
) {
    while !values.is_empty() {
        // Powers of two: five texts, and at most four statements for what one of 16 does not take.
        let left = values.len() / width;
        let rows = if left >= ROWS { ROWS } else { 1 << left.ilog2() };
        let after = values.split_off(rows * width);
        let own = std::mem::replace(&mut values, after);
        let mut text = String::with_capacity(head.len() + rest.len() + 6 * own.len());
        text.push_str(head);
        for number in 1..=own.len() {
            let (first, last) = (number % width == 1 || width == 1, number % width == 0);
            let before = if !first {
                ", "
            } else if number == 1 {
                " ("
            } else {
                ", ("
            };
            // Writing to a String cannot fail.
            let _ = write!(text, "{before}${number}{}", if last { ")" } else { "" });
        }
        text.push(' ');
        text.push_str(rest);
        db.later(text, own);
    }
}

/// Names for lists `in (…)`: pieces of few lengths, filled up with their last name.
pub(super) fn lists<T: Copy>(names: &[T]) -> impl Iterator<Item = Vec<T>> {
    names.chunks(NAMES).map(|some| {
        let mut list = some.to_vec();
        if let Some(last) = some.last() {
            list.resize(some.len().next_power_of_two(), *last);
        }
        list
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_few_lengths() {
        let names: Vec<usize> = (0..131).collect();
        let all: Vec<_> = lists(&names).collect();
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [64, 64, 4]);
        assert_eq!(all[2], [128, 129, 130, 130]);
        assert_eq!(lists::<usize>(&[]).count(), 0);
    }
}

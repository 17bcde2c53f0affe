//! Statements for many rows at once. Their texts come in few lengths, so that they are found prepared.

use super::connection::{Connection, Value, placeholders};

/// How many rows, or names, one statement takes at most.
const MOST: usize = 64;

/// Adds rows of so many values each, by the next statement: `insert … values`, the rows, then the rest.
pub(super) fn insert(
    db: &mut Connection,
    (head, rest): (&str, &str),
    width: usize,
    mut values: Vec<Value>,
) {
    while !values.is_empty() {
        // Powers of two: seven texts, and at most six statements for what one of 64 does not take.
        let left = values.len() / width;
        let rows = if left >= MOST { MOST } else { 1 << left.ilog2() };
        let after = values.split_off(rows * width);
        let own = std::mem::replace(&mut values, after);
        let row = |row: usize| format!("({})", placeholders(1 + row * width, width));
        let all: Vec<String> = (0..rows).map(row).collect();
        db.later(format!("{head} {} {rest}", all.join(", ")), own);
    }
}

/// Names for lists `in (…)`: pieces of few lengths, filled up with their last name.
pub(super) fn lists<T: Copy>(names: &[T]) -> impl Iterator<Item = Vec<T>> {
    names.chunks(MOST).map(|some| {
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

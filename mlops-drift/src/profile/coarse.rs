//! Which coarse cell a value falls into.

use super::{
    Profile, ProfileSpec, Value,
    categorical::Place,
    counters::place,
    cuts::Precision,
    rows::{Code, codes, numbers, texts},
    spec::KindSpec,
};
use mlops_core::arrow::array::ArrayRef;
use std::sync::Arc;

/// Numbers the cells of [`coarse_counts`](super::ColumnProfile::coarse_counts).
#[derive(Clone, Debug)]
pub(crate) struct Coder {
    spec: Arc<ProfileSpec>,
    /// Of a numeric column: the coarse cell of each of its cells along the line.
    lines: Vec<Vec<usize>>,
}

impl Coder {
    pub(crate) fn new(reference: &Profile, most: usize) -> Self {
        let spec = Arc::clone(&reference.spec);
        let line = |kind: &KindSpec| match kind {
            KindSpec::Numeric(numeric) => {
                let ends = numeric.groups(most);
                let group = |cell: usize| 2 + ends.partition_point(|end| *end <= cell);
                let cells = (0..numeric.cuts.len()).map(group);
                std::iter::once(1).chain(cells).chain([2 + ends.len()]).collect()
            }
            KindSpec::Codes(_) | KindSpec::Texts(_) => Vec::new(),
        };
        let lines = spec.columns.iter().map(|column| line(&column.kind)).collect();
        Self { spec, lines }
    }

    /// The cell of a value of this column.
    pub(crate) fn cell(&self, column: usize, value: Value<'_>) -> usize {
        let Some(kind) = self.spec.columns.get(column).map(|column| &column.kind) else { return 0 };
        match (kind, value) {
            (KindSpec::Numeric(_), Value::Number(value)) => {
                self.on_line(column, Precision::Double, value)
            }
            (KindSpec::Numeric(_), Value::Single(value)) => {
                self.on_line(column, Precision::Single, value.into())
            }
            (KindSpec::Codes(listed), Value::Number(value)) => {
                listed_cell(listed.len(), place(listed, value))
            }
            (KindSpec::Codes(listed), Value::Single(value)) => {
                listed_cell(listed.len(), place(listed, value.into()))
            }
            (KindSpec::Texts(listed), Value::Text(text)) => {
                let found = listed.binary_search_by(|listed| (**listed).cmp(text));
                listed_cell(listed.len(), Place::of(found))
            }
            _ => 0,
        }
    }

    /// The cells of all values of a column, whose type its profile counts.
    pub(crate) fn cells(&self, column: usize, array: &ArrayRef) -> Vec<usize> {
        let mut cells = Vec::with_capacity(array.len());
        match self.spec.columns.get(column).map(|column| &column.kind) {
            Some(KindSpec::Numeric(_)) => {
                let precision = Precision::of(array.data_type());
                numbers(array, |value| {
                    cells.push(value.map_or(0, |value| self.on_line(column, precision, value)));
                });
            }
            Some(KindSpec::Codes(listed)) => codes(array, |code| {
                let place = match code {
                    None => Place::Null,
                    Some(Code::Other) => Place::Other,
                    Some(Code::Value(value)) => Place::of(listed.binary_search(&value)),
                };
                cells.push(listed_cell(listed.len(), place));
            }),
            Some(KindSpec::Texts(listed)) => texts(array, |text| {
                let found = |text: &str| listed.binary_search_by(|value| (**value).cmp(text));
                let place = text.map_or(Place::Null, |text| Place::of(found(text)));
                cells.push(listed_cell(listed.len(), place));
            }),
            None => {}
        }
        cells
    }

    fn on_line(&self, column: usize, precision: Precision, value: f64) -> usize {
        let Some(KindSpec::Numeric(spec)) = self.spec.columns.get(column).map(|own| &own.kind)
        else {
            return 0;
        };
        if value.is_nan() {
            return 0;
        }
        let at = spec.bins(precision).place(value + 0.0).at;
        self.lines.get(column).and_then(|line| line.get(at)).copied().unwrap_or(0)
    }
}

fn listed_cell(listed: usize, place: Place) -> usize {
    match place {
        Place::Null => 0,
        Place::Listed(at) => 1 + at,
        Place::Other => 1 + listed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProfileOptions;
    use mlops_core::arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray};

    #[test]
    fn values_fall_where_they_are_counted() {
        let numbers = (0..500).map(|row| (row % 7 != 0).then(|| f64::from(row % 173) * 0.3));
        let words = (0..500).map(|row| (row % 11 != 0).then(|| format!("w{}", row % 5)));
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("x", Arc::new(numbers.clone().collect::<Float64Array>()) as ArrayRef, true),
            ("code", Arc::new((0..500).map(|row| Some(row % 4)).collect::<Int64Array>()), true),
            ("word", Arc::new(words.clone().collect::<StringArray>()), true),
        ])
        .unwrap();
        let reference = Profile::fit(&[batch.slice(0, 120)], &ProfileOptions::default()).unwrap();
        let mut window = Profile::empty_like(&reference);
        window.update(&batch).unwrap();
        let coder = Coder::new(&reference, 16);
        for (at, column) in window.columns().enumerate() {
            let mut counts = vec![0; column.coarse_counts(16).len()];
            for cell in coder.cells(at, batch.column(at)) {
                counts[cell] += 1;
            }
            assert_eq!(counts, column.coarse_counts(16), "{}", column.name());
        }
        let cells = coder.cells(0, batch.column(0));
        for (value, cell) in numbers.zip(cells) {
            assert_eq!(coder.cell(0, value.map_or(Value::Missing, Value::Number)), cell);
        }
        let cells = coder.cells(2, batch.column(2));
        for (word, cell) in words.zip(cells) {
            let value = word.as_deref().map_or(Value::Missing, Value::Text);
            assert_eq!(coder.cell(2, value), cell);
        }
    }
}

//! Making a profile's cells from reference data.

use super::{
    bytes::VERSION,
    cuts::{NumericSpec, Precision},
    rows::{Code, Content, codes, numbers, texts},
    spec::{ColumnSpec, KindSpec, ProfileSpec},
};
use mlops_core::{
    Error, Result,
    arrow::array::{Array, ArrayRef, RecordBatch},
};
use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::Arc,
};

/// How a profile's cells are made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProfileOptions {
    /// The columns to describe, in this order; `None` for all.
    pub columns: Option<Vec<Arc<str>>>,
    /// Cells of a numeric column, at most; 1,024, which is at most about 40 KiB a column when saved.
    pub max_cells: usize,
    /// Listed values of a column of categories, at most; 64.
    pub max_values: usize,
    /// Rows of the reference that a value needs to be listed; 5. Rarer ones are counted together,
    /// which keeps them out of the stored profile.
    pub min_value_rows: u64,
    /// A column of integers with at most this many different values holds codes of categories; 50.
    pub max_integer_values: usize,
}

impl Default for ProfileOptions {
    fn default() -> Self {
        let (max_cells, max_values) = (1024, 64);
        Self { columns: None, max_cells, max_values, min_value_rows: 5, max_integer_values: 50 }
    }
}

impl ProfileOptions {
    /// Describes these columns only.
    #[must_use]
    pub fn with_columns<S: Into<Arc<str>>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Sets how many cells a numeric column has at most.
    #[must_use]
    pub fn with_max_cells(mut self, cells: usize) -> Self {
        self.max_cells = cells;
        self
    }

    /// Sets how many values of a column of categories are listed at most.
    #[must_use]
    pub fn with_max_values(mut self, values: usize) -> Self {
        self.max_values = values;
        self
    }

    /// Sets how many rows a value needs to be listed.
    #[must_use]
    pub fn with_min_value_rows(mut self, rows: u64) -> Self {
        self.min_value_rows = rows;
        self
    }

    /// Sets up to how many different integers are categories.
    #[must_use]
    pub fn with_max_integer_values(mut self, values: usize) -> Self {
        self.max_integer_values = values;
        self
    }
}

/// Longer texts are never listed.
const MAX_TEXT_BYTES: usize = 256;

/// What a fit decides.
pub(super) struct Fitted {
    pub(super) spec: ProfileSpec,
    /// For each column, whether only some rows [chose](chooses) its values; the others count.
    pub(super) chosen_by_some: Vec<bool>,
}

/// Rows that cells were made from, which are counted in them: not those that chose the values.
#[derive(Clone, Copy)]
pub(crate) struct OwnRows<'a> {
    /// For each column, whether only some rows chose its values.
    pub(crate) chosen_by_some: &'a [bool],
    /// Each row's number in the fit.
    pub(crate) numbers: &'a [u64],
}

/// Whether a row belongs to the half that chooses values, where choosing and counting must not be
/// done by the same rows: a bit of its number, mixed, so that no pattern of the data meets it.
pub(super) fn chooses(row: u64) -> bool {
    let mut z = row.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) & 1 == 0
}

pub(super) fn fit(batches: &[RecordBatch], options: &ProfileOptions) -> Result<Fitted> {
    if options.max_cells == 0 || options.max_values == 0 {
        return Err(Error::invalid("a profile needs at least one cell and one listed value"));
    }
    let Some(first) = batches.first() else {
        return Err(Error::invalid("no batch to make a profile from: not even columns are known"));
    };
    let names = match &options.columns {
        Some(names) => names.clone(),
        None => {
            first.schema_ref().fields().iter().map(|field| field.name().as_str().into()).collect()
        }
    };
    let mut columns: Vec<ColumnSpec> = Vec::with_capacity(names.len());
    let mut chosen_by_some = Vec::with_capacity(names.len());
    let mut known = HashSet::with_capacity(names.len());
    for name in names {
        if !known.insert(Arc::clone(&name)) {
            return Err(Error::invalid(format!("column {name:?} appears twice")));
        }
        let pieces =
            batches.iter().map(|batch| column(batch, &name)).collect::<Result<Vec<_>>>()?;
        let (kind, by_some) = kind(&name, &pieces, options)?;
        columns.push(ColumnSpec { name, kind });
        chosen_by_some.push(by_some);
    }
    Ok(Fitted { spec: ProfileSpec { columns, version: VERSION }, chosen_by_some })
}

/// A column of a batch by name.
pub(super) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    let column = batch.column_by_name(name);
    column.ok_or_else(|| Error::invalid(format!("column {name:?} is missing")))
}

/// What a column holds, or an error that names it and its type.
pub(super) fn content(name: &str, array: &ArrayRef) -> Result<Content> {
    let data_type = array.data_type();
    Content::of(data_type).ok_or_else(|| {
        Error::invalid(format!(
            "column {name:?} has type {data_type}, which a profile cannot describe; \
             leave it out, or turn it into numbers or text"
        ))
    })
}

/// The column's cells, and whether only some rows chose them.
fn kind(name: &str, pieces: &[&ArrayRef], options: &ProfileOptions) -> Result<(KindSpec, bool)> {
    let mut seen = Content::Null;
    for piece in pieces {
        let next = content(name, piece)?;
        if seen != Content::Null && next != Content::Null && seen != next {
            return Err(Error::invalid(format!("column {name:?} holds {seen}, then {next}")));
        }
        seen = if next == Content::Null { seen } else { next };
    }
    Ok(match seen {
        Content::Text | Content::Null => {
            let (texts, by_some) = choose(|of| text_tally(pieces, of), options);
            (KindSpec::Texts(texts), by_some)
        }
        Content::Boolean => (KindSpec::Codes(vec![0, 1]), false),
        Content::Integer if are_codes(pieces, options) => {
            let (codes, by_some) = choose(|of| code_tally(pieces, of), options);
            (KindSpec::Codes(codes), by_some)
        }
        Content::Integer | Content::Float => (KindSpec::Numeric(numeric(pieces, options)), false),
    })
}

fn numeric(pieces: &[&ArrayRef], options: &ProfileOptions) -> NumericSpec {
    let mut values = Vec::with_capacity(pieces.iter().copied().map(Array::len).sum());
    for piece in pieces {
        // + 0.0 makes −0 a 0.
        numbers(piece, |value| {
            values.extend(value.filter(|value| !value.is_nan()).map(|value| value + 0.0));
        });
    }
    let precision = pieces.iter().map(|piece| Precision::of(piece.data_type())).min();
    let precision = precision.unwrap_or(Precision::Double);
    for value in &mut values {
        *value = precision.round(*value);
    }
    values.sort_unstable_by(f64::total_cmp);
    NumericSpec::of(&values, options.max_cells, precision)
}

/// Which rows are tallied.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    All,
    Choosing,
}

/// How often each value occurs, and how many rows hold any.
#[derive(Default)]
struct Tally<T> {
    counts: HashMap<T, u64>,
    rows: u64,
}

/// The values to list, and whether half of the rows chose them.
///
/// Values that made it to the list were lucky on average: counted by the rows that chose them,
/// they seem more frequent than they are, and drift seems to be there (with 5,000 values in 2,000
/// rows, in 10% of windows instead of 5%). So where more than one row in a hundred holds a value
/// that is not listed, one half of the rows chooses, and the other half counts.
fn choose<T: Clone + Ord + Hash>(
    tally: impl Fn(Of) -> Tally<T>,
    options: &ProfileOptions,
) -> (Vec<T>, bool) {
    let all = tally(Of::All);
    let values = listed(&all.counts, options);
    let counted: u64 = values.iter().filter_map(|value| all.counts.get(value)).sum();
    if (all.rows - counted) * 100 <= all.rows {
        return (values, false);
    }
    (listed(&tally(Of::Choosing).counts, options), true)
}

fn text_tally(pieces: &[&ArrayRef], of: Of) -> Tally<Arc<str>> {
    let (mut tally, mut row) = (Tally::<Arc<str>>::default(), 0);
    for piece in pieces {
        texts(piece, |text| {
            row += 1;
            let Some(text) = text.filter(|_| of == Of::All || chooses(row - 1)) else { return };
            tally.rows += 1;
            if text.len() > MAX_TEXT_BYTES {
                return;
            }
            match tally.counts.get_mut(text) {
                Some(count) => *count += 1,
                None => drop(tally.counts.insert(text.into(), 1)),
            }
        });
    }
    tally
}

fn code_tally(pieces: &[&ArrayRef], of: Of) -> Tally<i64> {
    let (mut tally, mut row) = (Tally::<i64>::default(), 0);
    for piece in pieces {
        codes(piece, |code| {
            row += 1;
            let Some(code) = code.filter(|_| of == Of::All || chooses(row - 1)) else { return };
            tally.rows += 1;
            if let Code::Value(value) = code {
                *tally.counts.entry(value).or_default() += 1;
            }
        });
    }
    tally
}

/// Whether integers have few enough different values, each in enough rows, to be categories.
fn are_codes(pieces: &[&ArrayRef], options: &ProfileOptions) -> bool {
    let mut seen = HashSet::new();
    let (mut fits, mut rows) = (true, 0_u64);
    for piece in pieces {
        codes(piece, |code| match code {
            Some(Code::Value(value)) if fits => {
                rows += 1;
                seen.insert(value);
                fits = seen.len() <= options.max_integer_values;
            }
            Some(Code::Other) => fits = false,
            _ => {}
        });
    }
    fits && rows / options.min_value_rows.max(1) >= seen.len() as u64
}

/// The most frequent values, the smaller value first where counts are equal, in ascending order.
fn listed<T: Clone + Ord>(counts: &HashMap<T, u64>, options: &ProfileOptions) -> Vec<T> {
    let mut frequent: Vec<(&T, u64)> =
        counts.iter().map(|(value, count)| (value, *count)).collect();
    frequent.retain(|(_, count)| *count >= options.min_value_rows);
    frequent.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    frequent.truncate(options.max_values);
    let mut values: Vec<T> = frequent.into_iter().map(|(value, _)| value.clone()).collect();
    values.sort_unstable();
    values
}

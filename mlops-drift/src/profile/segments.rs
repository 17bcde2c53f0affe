//! Profiles of segments: rows told apart by a column's value.

use super::{
    MAX_ROWS, Profile, ProfileOptions,
    fit::{OwnRows, column, content},
    pack::{Packer, Unpacker, cut_short},
    rows::{Code, Content, codes, texts},
};
use arrow_select::take::take_record_batch;
use mlops_core::{
    Digest, Error, Result,
    arrow::array::{RecordBatch, UInt64Array},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// A profile for each of a column's most frequent values, and one of all other rows.
///
/// Each segment has cells of its own, made from its rows of the reference, so that what is usual
/// there is not judged by what is usual elsewhere. There are at most as many as were asked for: a
/// value that the reference did not have, or had too rarely, and a missing one, count in the
/// [rest](Self::rest), so memory does not grow with what is observed.
///
/// ```
/// use mlops_core::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
/// use mlops_drift::profile::{ProfileOptions, Segments};
/// use std::sync::Arc;
///
/// # fn main() -> mlops_core::Result<()> {
/// let state: ArrayRef = Arc::new(StringArray::from(vec!["MA", "MA", "NY", "MA"]));
/// let income: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 9.0, 4.0]));
/// let rows = RecordBatch::try_from_iter([("state", state), ("income", income)]).expect("columns");
/// let options = ProfileOptions::default().with_columns(["income"]).with_min_value_rows(2);
/// let reference = Segments::fit(std::slice::from_ref(&rows), "state", 1, &options)?;
/// let mut window = Segments::empty_like(&reference);
/// window.update(&rows)?;
/// let counted: Vec<_> = window.iter().map(|(value, profile)| (value, profile.rows())).collect();
/// assert_eq!((counted, window.rest().rows()), (vec![("MA", 3)], 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Segments {
    by: Arc<str>,
    /// Values in ascending order, and their rows' profiles.
    listed: Vec<(Arc<str>, Profile)>,
    rest: Profile,
}

const START: &[u8] = b"mlops-segments\n";
const VERSION: u32 = 1;

impl Segments {
    /// Makes a profile for each of the `most` most frequent values of the column `by` (the smaller
    /// first where equal), and one of the rest.
    ///
    /// Values need [`min_value_rows`](ProfileOptions::min_value_rows) rows. A column of text,
    /// booleans or whole numbers can tell segments apart; another, and what [`Profile::fit`] says
    /// of the rows, is `InvalidInput`.
    pub fn fit(
        batches: &[RecordBatch],
        by: &str,
        most: usize,
        options: &ProfileOptions,
    ) -> Result<Self> {
        let listed = frequent_values(batches, by, most, options.min_value_rows)?;
        let mut parts = vec![Vec::new(); listed.len() + 1];
        for batch in batches {
            let places = split(batch, by, &listed)?;
            for (part, rows) in parts.iter_mut().zip(places) {
                part.push(taken(batch, rows)?);
            }
        }
        let rest = parts.pop().unwrap_or_default();
        let fitted = listed.into_iter().zip(parts).map(|(value, rows)| {
            let profile = Profile::fit(&rows, options);
            Ok((value, profile?))
        });
        let listed = fitted.collect::<Result<_>>()?;
        Ok(Self { by: by.into(), listed, rest: Profile::fit(&rest, options)? })
    }

    /// Segments of these values of the column `by`, which count nothing yet and all have the cells
    /// of one profile, so that what each adds to the change of the whole
    /// [can be told](crate::why::segments). The rows that made those cells are counted with
    /// [`update_own`](Self::update_own), all others with [`update`](Self::update).
    pub fn in_cells_of<S: Into<Arc<str>>>(
        whole: &Profile,
        by: &str,
        values: impl IntoIterator<Item = S>,
    ) -> Self {
        let values: BTreeSet<Arc<str>> = values.into_iter().map(Into::into).collect();
        let empty = |value| (value, Profile::empty_like(whole));
        let listed = values.into_iter().map(empty).collect();
        Self { by: by.into(), listed, rest: Profile::empty_like(whole) }
    }

    /// The same segments, which count nothing yet.
    pub fn empty_like(reference: &Self) -> Self {
        let empty = |(value, profile): &(Arc<str>, Profile)| {
            (Arc::clone(value), Profile::empty_like(profile))
        };
        Self {
            by: Arc::clone(&reference.by),
            listed: reference.listed.iter().map(empty).collect(),
            rest: Profile::empty_like(&reference.rest),
        }
    }

    /// The column whose values tell segments apart.
    pub fn by(&self) -> &Arc<str> {
        &self.by
    }

    /// The segments in ascending order of their values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Profile)> {
        self.listed.iter().map(|(value, profile)| (value.as_ref(), profile))
    }

    /// The profile of this value's rows.
    pub fn segment(&self, value: &str) -> Option<&Profile> {
        let at = self.listed.binary_search_by(|(own, _)| (**own).cmp(value)).ok()?;
        Some(&self.listed[at].1)
    }

    /// The profile of all other rows.
    pub fn rest(&self) -> &Profile {
        &self.rest
    }

    /// Counts each row in its segment; errors as of [`Profile::update`], and nothing is changed
    /// then.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<()> {
        self.count(batch, None)
    }

    /// Counts rows that the cells were made from, in the order in which they were fitted: all of
    /// them, a batch at a time, and no other rows here.
    ///
    /// `whole` is the profile that was fitted, in whose [cells](Self::in_cells_of) these segments
    /// count. Where half of its rows chose the values of a column, they are left out of it here as
    /// they are there, so that a test beside a window is judged by rows that chose nothing: its
    /// probability is then that of the law. Errors are those of `update`; other cells are
    /// `InvalidInput`.
    pub fn update_own(&mut self, batch: &RecordBatch, whole: &Profile) -> Result<()> {
        for profile in self.profiles() {
            profile.same_cells(whole)?;
        }
        self.count(batch, Some(&whole.chosen_by_some()))
    }

    fn count(&mut self, batch: &RecordBatch, chosen_by_some: Option<&[bool]>) -> Result<()> {
        let first: u64 = self.profiles().map(Profile::rows).sum();
        let listed: Vec<Arc<str>> =
            self.listed.iter().map(|(value, _)| Arc::clone(value)).collect();
        for profile in self.profiles() {
            profile.accepts(batch)?;
        }
        let places = split(batch, &self.by, &listed)?.into_iter();
        let parts = places.map(|rows| {
            let numbers: Vec<u64> = rows.iter().map(|row| first + row).collect();
            Ok((numbers, taken(batch, rows)?))
        });
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let profiles = self.listed.iter_mut().map(|(_, profile)| profile);
        for (profile, (numbers, part)) in profiles.chain([&mut self.rest]).zip(parts) {
            let own = |chosen_by_some| OwnRows { chosen_by_some, numbers: &numbers };
            profile.count(&part, chosen_by_some.map(own))?;
        }
        Ok(())
    }

    /// Adds the counts of the same segments; others are `InvalidInput` and change nothing.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let values = |of: &Self| of.listed.iter().map(|(value, _)| value.clone()).collect();
        let (own, others): (Vec<Arc<str>>, Vec<Arc<str>>) = (values(self), values(other));
        if self.by != other.by || own != others {
            return Err(Error::invalid("the segments are of other values"));
        }
        for (profile, more) in self.profiles().zip(other.profiles()) {
            profile.adds_up(more)?;
        }
        let own = self.listed.iter_mut().map(|(_, profile)| profile);
        for (profile, more) in own.chain([&mut self.rest]).zip(other.profiles()) {
            profile.merge(more)?;
        }
        Ok(())
    }

    fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.listed.iter().map(|(_, profile)| profile).chain([&self.rest])
    }

    /// Its bytes, the same for the same counts: `mlops-segments`, a line feed, a version, a SHA-256,
    /// and each profile's own bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut body = Packer::default();
        body.text(&self.by);
        body.whole(self.listed.len() as u64);
        for (value, profile) in &self.listed {
            body.text(value);
            body.bytes(&profile.to_bytes()?);
        }
        body.bytes(&self.rest.to_bytes()?);
        let body = body.into_bytes();
        let head = [START, &VERSION.to_le_bytes(), digest(VERSION, &body).as_bytes()].concat();
        Ok([head, body].concat())
    }

    /// Segments from their bytes. Damaged ones are `Corrupt`, those of a newer version
    /// `Unsupported`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let rest = bytes.strip_prefix(START);
        let rest = rest.ok_or_else(|| Error::corrupt("bytes that are not segments"))?;
        let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(cut_short)?;
        let (claimed, body) = rest.split_first_chunk::<32>().ok_or_else(cut_short)?;
        let version = u32::from_le_bytes(*version);
        if claimed != digest(version, body).as_bytes() {
            return Err(Error::corrupt("segments whose digest does not match their bytes"));
        }
        if version != VERSION {
            return Err(Error::unsupported(format!(
                "segments of version {version}; this build reads {VERSION}"
            )));
        }
        let mut from = Unpacker::new(body);
        let by = from.text()?.into();
        let length = from.length()?;
        let read = (0..length).map(|_| {
            let value: Arc<str> = from.text()?.into();
            Ok((value, Profile::from_bytes(from.bytes()?)?))
        });
        let listed: Vec<(Arc<str>, Profile)> = read.collect::<Result<_>>()?;
        let rest = Profile::from_bytes(from.bytes()?)?;
        from.end()?;
        if !listed.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(Error::corrupt("segments out of order"));
        }
        Ok(Self { by, listed, rest })
    }
}

/// The `most` most frequent values of a column that have at least so many rows (the smaller first
/// where equal), in ascending order. A column of text, booleans or whole numbers has such values;
/// another, and a missing one, is `InvalidInput`.
pub fn frequent_values(
    batches: &[RecordBatch],
    by: &str,
    most: usize,
    min_rows: u64,
) -> Result<Vec<Arc<str>>> {
    let mut counts: HashMap<Arc<str>, u64> = HashMap::new();
    for batch in batches {
        each_value(batch, by, |_, value| {
            let Some(value) = value else { return };
            match counts.get_mut(value) {
                Some(count) => *count += 1,
                None => drop(counts.insert(value.into(), 1)),
            }
        })?;
    }
    let mut frequent: Vec<(Arc<str>, u64)> = counts.into_iter().collect();
    frequent.retain(|(_, count)| *count >= min_rows);
    frequent.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    frequent.truncate(most);
    let listed: BTreeSet<Arc<str>> = frequent.into_iter().map(|(value, _)| value).collect();
    Ok(listed.into_iter().collect())
}

fn digest(version: u32, body: &[u8]) -> Digest {
    Digest::of([version.to_le_bytes().as_slice(), Digest::of(body).as_bytes()].concat())
}

/// The rows of each listed value, then those of none.
fn split(batch: &RecordBatch, by: &str, listed: &[Arc<str>]) -> Result<Vec<Vec<u64>>> {
    let mut places = vec![Vec::new(); listed.len() + 1];
    each_value(batch, by, |row, value| {
        let found = value.and_then(|value| listed.binary_search_by(|own| (**own).cmp(value)).ok());
        places[found.unwrap_or(listed.len())].push(row);
    })?;
    Ok(places)
}

fn taken(batch: &RecordBatch, rows: Vec<u64>) -> Result<RecordBatch> {
    take_record_batch(batch, &UInt64Array::from(rows)).map_err(|source| {
        Error::internal("rows of a segment could not be taken").with_source(source)
    })
}

/// Passes on each row's number and its value as text.
fn each_value(
    batch: &RecordBatch,
    by: &str,
    mut each: impl FnMut(u64, Option<&str>),
) -> Result<()> {
    let array = column(batch, by)?;
    let mut row = 0..MAX_ROWS;
    let mut next = |value: Option<&str>| each(row.next().unwrap_or(MAX_ROWS), value);
    match content(by, array)? {
        Content::Text => texts(array, next),
        Content::Null => (0..array.len()).for_each(|_| next(None)),
        Content::Boolean => codes(array, |code| {
            next(code.map(|code| if code == Code::Value(0) { "false" } else { "true" }));
        }),
        Content::Integer => codes(array, |code| match code {
            Some(Code::Value(value)) => next(Some(&value.to_string())),
            Some(Code::Other) | None => next(None),
        }),
        Content::Float => {
            return Err(Error::invalid(format!(
                "column {by:?} holds floats, whose values do not tell segments apart"
            )));
        }
    }
    Ok(())
}

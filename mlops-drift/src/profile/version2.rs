//! Version 2 of a profile's bytes: binary, since a thousand cells are long in JSON.
//!
//! ```text
//! "mlops-profile\n"  version u32  SHA-256[32] of the version and of the body's SHA-256  body
//! body     rows  own_cells u8  source?  columns  (name kind cells)…  (counts)…
//! numeric  least centre exponent precision  cuts  (cut)…  ranks u8  (rank)…
//!          null nan squares  (cell)…: below, the cells, above
//! cell     count  (min max sum if there is any)
//! ```
//!
//! Whole numbers are variable-length ([`pack`](super::pack)). A float is the exclusive or of its
//! bits with those of a neighbour that is likely close: a cut with the cut before, a cell's least
//! value with its lower border and its largest with its upper; what they share costs nothing.

use super::{
    Counts, Profile, ProfileSpec, Source,
    bins::CachedBins,
    bytes::{Parts, mismatched, newer},
    categorical::CategoryCounts,
    cuts::{NumericSpec, Precision},
    numeric::{Cell, NumericCounts},
    pack::{Packer, Unpacker, cut_short},
    spec::{ColumnSpec, KindSpec},
};
use mlops_core::{Digest, Error, Result};
use std::sync::Arc;

const START: &[u8] = b"mlops-profile\n";
const VERSION: u32 = 2;
const HEAD: usize = START.len() + 4 + 32;

pub(super) fn write(profile: &Profile) -> Vec<u8> {
    let mut body = Packer::default();
    body.whole(profile.rows);
    body.byte(profile.own_cells.into());
    write_source(profile.source.as_ref(), &mut body);
    body.whole(profile.spec.columns.len() as u64);
    for column in &profile.spec.columns {
        body.text(&column.name);
        write_kind(&column.kind, &mut body);
    }
    for (column, counts) in profile.spec.columns.iter().zip(&profile.counts) {
        match (&column.kind, counts) {
            (KindSpec::Numeric(spec), Counts::Numeric(counts)) => {
                write_numbers(spec, counts, &mut body);
            }
            (_, Counts::Categories(counts)) => write_categories(counts, &mut body),
            _ => super::unmatched(),
        }
    }
    let body = body.into_bytes();
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.extend(START);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(digest(VERSION, &body).as_bytes());
    bytes.extend(body);
    bytes
}

/// The body of bytes in this form, if that is what they are.
pub(super) fn body(bytes: &[u8]) -> Result<Option<&[u8]>> {
    let Some(rest) = bytes.strip_prefix(START) else { return Ok(None) };
    let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(cut_short)?;
    let (claimed, body) = rest.split_first_chunk::<32>().ok_or_else(cut_short)?;
    let version = u32::from_le_bytes(*version);
    match () {
        () if *claimed != *digest(version, body).as_bytes() => Err(mismatched()),
        () if version > VERSION => Err(newer(version)),
        () if version < VERSION => Err(Error::corrupt("a profile of a version that never was")),
        () => Ok(Some(body)),
    }
}

/// Covers the version as well: a damaged one is not taken for a newer one.
fn digest(version: u32, body: &[u8]) -> Digest {
    Digest::of([version.to_le_bytes().as_slice(), Digest::of(body).as_bytes()].concat())
}

pub(super) fn read(body: &[u8]) -> Result<Parts> {
    let mut from = Unpacker::new(body);
    let rows = from.whole()?;
    let own_cells = from.byte()? != 0;
    let source = read_source(&mut from)?;
    let columns = from.length()?;
    let columns = (0..columns).map(|_| {
        let name = from.text()?.into();
        Ok(ColumnSpec { name, kind: read_kind(&mut from)? })
    });
    let spec = ProfileSpec { columns: columns.collect::<Result<_>>()?, version: VERSION };
    let counts = spec.columns.iter().map(|column| match &column.kind {
        KindSpec::Numeric(spec) => Ok(Counts::Numeric(read_numbers(spec, &mut from)?)),
        KindSpec::Codes(_) | KindSpec::Texts(_) => {
            Ok(Counts::Categories(read_categories(&mut from)?))
        }
    });
    let counts = counts.collect::<Result<_>>()?;
    from.end()?;
    Ok(Parts { spec, own_cells, rows, counts, source })
}

fn write_source(source: Option<&Source>, to: &mut Packer) {
    to.byte(source.is_some().into());
    if let Some(source) = source {
        to.text(&source.path);
        to.raw(source.digest.as_bytes());
    }
}

fn read_source(from: &mut Unpacker<'_>) -> Result<Option<Source>> {
    if from.byte()? == 0 {
        return Ok(None);
    }
    let path = from.text()?.into();
    Ok(Some(Source { path, digest: Digest::from_bytes(from.raw()?) }))
}

fn write_kind(kind: &KindSpec, to: &mut Packer) {
    match kind {
        KindSpec::Numeric(spec) => {
            to.byte(0);
            write_cuts(spec, to);
        }
        KindSpec::Codes(codes) => {
            to.byte(1);
            to.whole(codes.len() as u64);
            for code in codes {
                to.signed((*code).into());
            }
        }
        KindSpec::Texts(texts) => {
            to.byte(2);
            to.whole(texts.len() as u64);
            for text in texts {
                to.text(text);
            }
        }
    }
}

fn read_kind(from: &mut Unpacker<'_>) -> Result<KindSpec> {
    let kind = from.byte()?;
    if kind == 0 {
        return read_cuts(from).map(KindSpec::Numeric);
    }
    let length = from.length()?;
    match kind {
        1 => (0..length).map(|_| from.small()).collect::<Result<_>>().map(KindSpec::Codes),
        2 => {
            let texts = (0..length).map(|_| from.text().map(Arc::from));
            texts.collect::<Result<_>>().map(KindSpec::Texts)
        }
        _ => Err(Error::corrupt("a column of a kind that this build does not know")),
    }
}

fn write_cuts(spec: &NumericSpec, to: &mut Packer) {
    to.float(spec.least, 0.0);
    to.float(spec.centre, 0.0);
    to.signed(spec.exponent.into());
    to.byte(match spec.precision {
        Precision::Half => 0,
        Precision::Single => 1,
        Precision::Double => 2,
    });
    to.whole(spec.cuts.len() as u64);
    let mut before = spec.least;
    for cut in &spec.cuts {
        to.float(*cut, before);
        before = *cut;
    }
    to.byte((!spec.ranks.is_empty()).into());
    let mut before = 0;
    for rank in &spec.ranks {
        to.whole(rank - before);
        before = *rank;
    }
}

fn read_cuts(from: &mut Unpacker<'_>) -> Result<NumericSpec> {
    let (least, centre) = (from.float(0.0)?, from.float(0.0)?);
    let exponent = i32::try_from(from.small()?);
    let exponent = exponent.map_err(|_| Error::corrupt("an exponent out of all bounds"))?;
    let precision = match from.byte()? {
        0 => Precision::Half,
        1 => Precision::Single,
        2 => Precision::Double,
        _ => return Err(Error::corrupt("a precision that this build does not know")),
    };
    let length = from.length()?;
    let mut before = least;
    let cuts = (0..length).map(|_| {
        before = from.float(before)?;
        Ok(before)
    });
    let cuts = cuts.collect::<Result<_>>()?;
    let ranked = if from.byte()? == 0 { 0 } else { length };
    let mut before = 0_u64;
    let ranks = (0..ranked).map(|_| {
        before = before.saturating_add(from.whole()?);
        Ok(before)
    });
    let ranks = ranks.collect::<Result<_>>()?;
    let cached = CachedBins::default();
    Ok(NumericSpec { least, cuts, centre, exponent, precision, ranks, cached })
}

/// The lower and upper border of each cell along the line.
fn borders(spec: &NumericSpec) -> impl Iterator<Item = (f64, f64)> {
    let last = spec.cuts.last().copied().unwrap_or(spec.least);
    let lower = [spec.least, spec.least].into_iter().chain(spec.cuts.iter().copied());
    lower.zip(std::iter::once(spec.least).chain(spec.cuts.iter().copied()).chain([last]))
}

fn write_numbers(spec: &NumericSpec, counts: &NumericCounts, to: &mut Packer) {
    to.whole(counts.null);
    to.whole(counts.nan);
    to.signed(counts.squares);
    for (cell, (lower, upper)) in counts.line.iter().zip(borders(spec)) {
        to.whole(cell.count);
        if cell.count > 0 {
            to.float(cell.min, lower);
            to.float(cell.max, upper);
            to.signed(cell.sum);
        }
    }
}

fn read_numbers(spec: &NumericSpec, from: &mut Unpacker<'_>) -> Result<NumericCounts> {
    let (null, nan, squares) = (from.whole()?, from.whole()?, from.signed()?);
    let line = borders(spec).map(|(lower, upper)| {
        let count = from.whole()?;
        if count == 0 {
            return Ok(Cell::EMPTY);
        }
        let (min, max) = (from.float(lower)?, from.float(upper)?);
        Ok(Cell { count, min, max, sum: from.signed()? })
    });
    Ok(NumericCounts { null, nan, line: line.collect::<Result<_>>()?, squares })
}

fn write_categories(counts: &CategoryCounts, to: &mut Packer) {
    to.whole(counts.null);
    to.whole(counts.other);
    to.whole(counts.chose);
    to.whole(counts.values.len() as u64);
    counts.values.iter().for_each(|count| to.whole(*count));
}

fn read_categories(from: &mut Unpacker<'_>) -> Result<CategoryCounts> {
    let (null, other, chose) = (from.whole()?, from.whole()?, from.whole()?);
    let length = from.length()?;
    let values = (0..length).map(|_| from.whole()).collect::<Result<_>>()?;
    Ok(CategoryCounts { values, other, null, chose })
}

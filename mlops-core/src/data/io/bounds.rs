//! What a Parquet file says it becomes, found out before any of it is decompressed.
//!
//! A page names its size once decompressed, and decoders make that much room for it before they look
//! at its bytes; a dictionary lets a few bytes stand for a long text in every row. So a small file may
//! ask for any amount of memory. Here the heads of its pages are walked, which costs next to nothing.

use crate::{Error, Result};
use bytes::Bytes;
use parquet::{
    basic::Type as Physical,
    file::metadata::{ColumnChunkMetaData, ParquetMetaData},
    schema::types::Type,
};

/// Bytes of the part that describes a file: each of them may become fifty in memory.
const MAX_FOOTER: usize = 1 << 20;
/// The longest value of a type of fixed length; each row has room for one, also if it is null.
const MAX_FIXED: i32 = 32;
/// The most rows that are decoded at a time.
const MAX_BATCH: usize = 8192;

/// Refuses a file that takes long to describe; before its description is read.
pub(super) fn check_footer(bytes: &[u8]) -> Result<()> {
    let Some([a, b, c, d, ..]) = bytes.last_chunk::<8>() else {
        return Err(Error::corrupt("the file is shorter than Parquet's end"));
    };
    let length = usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX);
    if length > MAX_FOOTER {
        let message = format!("the file's description has {length} bytes, over {MAX_FOOTER}");
        return Err(Error::too_large(message));
    }
    Ok(())
}

/// Checks what these root columns become against the most bytes; how many rows may be decoded at a
/// time, so that a batch of them is within that too.
pub(super) fn check(
    bytes: &Bytes,
    metadata: &ParquetMetaData,
    roots: &[usize],
    max: usize,
) -> Result<usize> {
    let over = || Error::too_large(format!("the table is longer than {max} bytes"));
    let schema = metadata.file_metadata().schema_descr();
    let fields = schema.root_schema().get_fields();
    for &root in roots {
        flat(&fields[root])?;
    }
    let rows: i64 = metadata.row_groups().iter().map(|group| group.num_rows().max(0)).sum();
    let cells = usize::try_from(rows).unwrap_or(usize::MAX).saturating_mul(roots.len());
    if cells > max {
        return Err(over());
    }
    let (mut sum, mut largest) = (0_usize, 16_usize);
    for group in metadata.row_groups() {
        // A flat root is one leaf; leaves stand in the roots' order.
        for (leaf, chunk) in group.columns().iter().enumerate() {
            if roots.contains(&schema.get_column_root_idx(leaf)) {
                for page in pages(bytes, chunk)? {
                    sum = sum.saturating_add(page);
                    largest = largest.max(page);
                }
            }
        }
        if sum > max {
            return Err(over());
        }
    }
    Ok((max / largest.saturating_mul(roots.len().max(1))).clamp(1, MAX_BATCH))
}

/// One value a row, of a bounded length unless its bytes are in the file.
fn flat(field: &Type) -> Result<()> {
    let name = field.name();
    let is_list = field.get_basic_info().has_repetition()
        && field.get_basic_info().repetition() == parquet::basic::Repetition::REPEATED;
    match field {
        Type::PrimitiveType {
            physical_type: Physical::FIXED_LEN_BYTE_ARRAY, type_length, ..
        } if !(0..=MAX_FIXED).contains(type_length) => {
            Err(Error::unsupported(format!("column {name:?} has values of {type_length} bytes")))
        }
        Type::PrimitiveType { .. } if !is_list => Ok(()),
        _ => Err(Error::unsupported(format!("column {name:?} is nested"))),
    }
}

/// The sizes of a chunk's pages once decompressed.
fn pages(bytes: &Bytes, chunk: &ColumnChunkMetaData) -> Result<Vec<usize>> {
    let (start, length) = chunk.byte_range();
    let range = || {
        let start = usize::try_from(start).ok()?;
        bytes.get(start..start.checked_add(usize::try_from(length).ok()?)?)
    };
    let mut left = range().ok_or_else(|| Error::corrupt("a column lies outside of the file"))?;
    let mut sizes = Vec::new();
    while !left.is_empty() {
        let page = Head::read(&mut left).ok_or_else(|| Error::corrupt("a page has no head"))?;
        left = left
            .get(page.compressed..)
            .ok_or_else(|| Error::corrupt("a page ends after its column"))?;
        sizes.push(page.uncompressed);
    }
    Ok(sizes)
}

/// Of a page's head, which is a struct of Thrift's compact protocol, the fields 2 and 3.
struct Head {
    uncompressed: usize,
    compressed: usize,
}

/// How deep structs in a page's head may nest; there they nest twice.
const MAX_DEPTH: usize = 8;

impl Head {
    fn read(left: &mut &[u8]) -> Option<Self> {
        let (mut id, mut uncompressed, mut compressed) = (0_i64, None, None);
        while let Some(kind) = field(left, &mut id)? {
            match (id, kind) {
                (2, 5) => uncompressed = Some(usize::try_from(signed(left)?).ok()?),
                (3, 5) => compressed = Some(usize::try_from(signed(left)?).ok()?),
                _ => skip(left, kind, MAX_DEPTH)?,
            }
        }
        Some(Self { uncompressed: uncompressed?, compressed: compressed? })
    }
}

/// The next field's type, its number put into `id`; none at the struct's end.
#[expect(clippy::option_option, reason = "the outer one is bytes that are no Thrift")]
fn field(left: &mut &[u8], id: &mut i64) -> Option<Option<u8>> {
    let head = byte(left)?;
    if head == 0 {
        return Some(None);
    }
    *id = match head >> 4 {
        0 => signed(left)?,
        delta => id.checked_add(i64::from(delta))?,
    };
    Some(Some(head & 0x0f))
}

fn skip(left: &mut &[u8], kind: u8, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match kind {
        1 | 2 => {}
        3 => drop(byte(left)?),
        4..=6 => drop(varint(left)?),
        7 => drop(take(left, 8)?),
        8 => {
            let length = usize::try_from(varint(left)?).ok()?;
            take(left, length)?;
        }
        9 | 10 => {
            let head = byte(left)?;
            let count = if head >> 4 == 15 { varint(left)? } else { u64::from(head >> 4) };
            for _ in 0..count {
                // An element takes a byte at least; a boolean does too.
                match head & 0x0f {
                    1 | 2 => drop(byte(left)?),
                    kind => skip(left, kind, depth)?,
                }
            }
        }
        12 => {
            let mut id = 0;
            while let Some(kind) = field(left, &mut id)? {
                skip(left, kind, depth)?;
            }
        }
        // A page's head has no maps.
        _ => return None,
    }
    Some(())
}

fn byte(left: &mut &[u8]) -> Option<u8> {
    let (first, rest) = left.split_first()?;
    *left = rest;
    Some(*first)
}

fn take<'a>(left: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = left.split_at_checked(count)?;
    *left = rest;
    Some(taken)
}

fn varint(left: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let next = byte(left)?;
        value |= u64::from(next & 0x7f) << shift;
        if next & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Zigzag.
fn signed(left: &mut &[u8]) -> Option<i64> {
    let value = varint(left)?;
    let half = i64::try_from(value >> 1).ok()?;
    Some(if value & 1 == 0 { half } else { -half - 1 })
}

//! What a dataset's digest and a row's fingerprint are computed from: the values, in one canonical
//! form that knows nothing of batches, buffers and files.

use super::column::{Cell, ColumnType, Reader, reader};
use crate::digest::{Digest, Hasher};
use arrow_array::RecordBatch;
use arrow_schema::Schema;

/// Bytes collected before they are hashed.
const PIECE: usize = 64 * 1024;

/// The digest of schema and values.
///
/// It is the SHA-256 of: the text `mlops.dataset.1`, the number of rows, the number of columns,
/// and for each column its name, its type's name, the digest of its values and the digest of the
/// positions of its nulls. Every number is 8 bytes, little-endian: integers in two's complement,
/// floats as doubles. A text is preceded by its length. A null adds nothing to the values; every
/// NaN counts as the same NaN.
pub(super) fn digest(schema: &Schema, batches: &[RecordBatch]) -> Digest {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let mut all = Hasher::default();
    all.update("mlops.dataset.1");
    all.update(length(rows));
    all.update(length(schema.fields().len()));
    for (at, field) in schema.fields().iter().enumerate() {
        let kind = ColumnType::of(field.data_type()).map(String::from).unwrap_or_default();
        for text in [field.name(), &kind] {
            all.update(length(text.len()));
            all.update(text);
        }
        for digest in column(batches, at) {
            all.update(digest.as_bytes());
        }
    }
    all.finish()
}

/// Digests of one column's values and of where it has none.
fn column(batches: &[RecordBatch], at: usize) -> [Digest; 2] {
    let (mut values, mut nulls) = (Hasher::default(), Hasher::default());
    let mut piece = Vec::with_capacity(PIECE);
    let mut position = 0;
    for batch in batches {
        let read = reader(batch.column(at));
        for row in 0..batch.num_rows() {
            match read(row) {
                Cell::Null => nulls.update(length(position)),
                cell => write(&mut piece, cell),
            }
            position += 1;
            if piece.len() >= PIECE {
                values.update(&piece);
                piece.clear();
            }
        }
    }
    values.update(&piece);
    [values.finish(), nulls.finish()]
}

/// Appends a cell so that no two different rows of cells give the same bytes.
fn write(into: &mut Vec<u8>, cell: Cell<'_>) {
    match cell {
        Cell::Null => {}
        Cell::Bool(value) => into.push(u8::from(value)),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "64 bits came in"
        )]
        Cell::Int(value) => into.extend_from_slice(&(value as u64).to_le_bytes()),
        Cell::Float(value) => {
            let value = if value.is_nan() { f64::NAN } else { value };
            into.extend_from_slice(&value.to_bits().to_le_bytes());
        }
        Cell::Text(text) => write_bytes(into, text.as_bytes()),
        Cell::Bytes(bytes) => write_bytes(into, bytes),
    }
}

fn write_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend_from_slice(&length(bytes.len()));
    into.extend_from_slice(bytes);
}

fn length(count: usize) -> [u8; 8] {
    (count as u64).to_le_bytes()
}

/// 128 bits of a row: two rows that have the same are the same, but for a chance of 2^-64 in
/// any set of fewer than 2^32.
pub(super) type Fingerprint = u128;

/// Fingerprints the rows of a batch over some of its columns.
pub(super) struct Fingerprints<'a> {
    readers: Vec<Reader<'a>>,
    bytes: Vec<u8>,
}

impl<'a> Fingerprints<'a> {
    /// Over the columns at these positions.
    pub(super) fn new(batch: &'a RecordBatch, columns: &[usize]) -> Self {
        let readers = columns.iter().map(|&at| reader(batch.column(at))).collect();
        Self { readers, bytes: Vec::new() }
    }

    /// The fingerprint of a row; `None` if every cell of it is null.
    pub(super) fn of(&mut self, row: usize) -> Option<Fingerprint> {
        self.bytes.clear();
        let mut holds_a_value = false;
        for read in &self.readers {
            let cell = read(row);
            holds_a_value |= cell != Cell::Null;
            self.bytes.push(u8::from(cell != Cell::Null));
            write(&mut self.bytes, cell);
        }
        holds_a_value.then(|| first_128(Digest::of(&self.bytes)))
    }
}

/// A uniform draw from [0, 1) that depends on nothing but the seed and the value: the same on
/// every machine, for ever. The top 53 bits of SHA-256 of `mlops.entity.1`, the seed and the value.
pub(super) fn draw(seed: u64, cell: Cell<'_>) -> f64 {
    let mut bytes = b"mlops.entity.1".to_vec();
    bytes.extend_from_slice(&seed.to_le_bytes());
    write(&mut bytes, cell);
    unit((first_128(Digest::of(bytes)) >> 64) as u64)
}

/// 53 bits as a number in [0, 1).
#[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

fn first_128(digest: Digest) -> u128 {
    let mut first = [0; 16];
    first.copy_from_slice(&digest.as_bytes()[..16]);
    u128::from_be_bytes(first)
}

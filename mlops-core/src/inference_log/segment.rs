//! Files of the log: a journal while it is written, an Arrow IPC file once it is closed.
//!
//! A closed segment's name says all that is needed to skip or to check it: its number, the least
//! and the greatest prediction id in it, and the SHA-256 of its bytes. Any Arrow library reads it.

use super::{
    columns,
    journal::{Frames, Journal},
};
use crate::{Digest, Error, Result, digest::Hasher, disk};
use arrow_array::{RecordBatch, cast::AsArray};
use arrow_ipc::{
    reader::{FileReader, StreamReader},
    writer::{FileWriter, StreamWriter},
};
use arrow_schema::ArrowError;
use std::{
    fs::{self, File},
    io::{BufWriter, Cursor, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

/// Small batches are put together until they have this many rows.
const BATCH_ROWS: usize = 8192;

/// What a segment is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentName {
    /// Counts up in the order in which segments were begun.
    pub(super) number: u64,
    /// Nothing while it is a journal.
    pub(super) closed: Option<Closed>,
}

/// What the name of a closed segment adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    /// The least and the greatest prediction id.
    pub(super) ids: (u128, u128),
    digest: Digest,
}

impl SegmentName {
    fn journal(number: u64) -> Self {
        Self { number, closed: None }
    }

    pub(super) fn path(self, folder: &Path) -> PathBuf {
        let number = self.number;
        folder.join(match self.closed {
            None => format!("{number:016}.journal"),
            Some(Closed { ids: (low, high), digest }) => {
                format!("{number:016}-{low:032x}-{high:032x}-{}.arrow", digest.to_hex())
            }
        })
    }

    /// `None` for whatever else lies in the folder.
    fn parse(name: &str) -> Option<Self> {
        if let Some(number) = name.strip_suffix(".journal") {
            return Some(Self::journal(number.parse().ok()?));
        }
        let parts: Vec<&str> = name.strip_suffix(".arrow")?.split('-').collect();
        let [number, low, high, digest] = parts.as_slice() else { return None };
        let id = |text: &str| u128::from_str_radix(text, 16).ok();
        let (ids, digest) = ((id(low)?, id(high)?), digest.parse().ok()?);
        Some(Self { number: number.parse().ok()?, closed: Some(Closed { ids, digest }) })
    }

    /// Whether a record of this prediction may be in it.
    pub(super) fn may_hold(self, id: u128) -> bool {
        self.closed.is_none_or(|closed| closed.ids.0 <= id && id <= closed.ids.1)
    }
}

/// The segments of a folder, in the order of their numbers. A journal that was closed and not yet
/// removed is left out.
pub(super) fn list(folder: &Path) -> Result<Vec<SegmentName>> {
    // Reading a folder is no snapshot: a segment that is closed meanwhile may be passed over under
    // both of its names.
    let mut found = scan(folder)?;
    loop {
        let again = scan(folder)?;
        if again == found {
            return Ok(found);
        }
        found = again;
    }
}

fn scan(folder: &Path) -> Result<Vec<SegmentName>> {
    let failed = |source| Error::io(folder.display(), source);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        found.extend(name.to_str().and_then(SegmentName::parse));
    }
    found.sort_by_key(|name| (name.number, name.closed.is_none()));
    found.dedup_by_key(|name| name.number);
    Ok(found)
}

/// A segment that grows.
#[derive(Debug)]
pub(super) struct OpenSegment {
    folder: PathBuf,
    number: u64,
    journal: Journal,
    /// Rows on the disk.
    pub(super) rows: usize,
}

impl OpenSegment {
    /// Begins segment `number`.
    pub(super) fn create(folder: &Path, number: u64) -> Result<Self> {
        let journal = Journal::create(&SegmentName::journal(number).path(folder))?;
        Ok(Self { folder: folder.to_owned(), number, journal, rows: 0 })
    }

    /// Adds rows, which are on the disk when this returns; all of them or none.
    pub(super) fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        self.journal.append(&encode(batch)?)?;
        self.rows += batch.num_rows();
        Ok(())
    }

    /// Makes it an Arrow file.
    pub(super) fn close(self) -> Result<()> {
        close(&self.folder, self.number).map(|_| ())
    }
}

/// What could not be read of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// The file, or the segment that it became.
    pub segment: PathBuf,
    /// How many bytes behind what was flushed.
    pub bytes: u64,
}

/// Makes a journal an Arrow file: into a temporary file, fsync, rename, fsync of the folder. Only
/// then is the journal removed, so a stop at any point leaves at least one of the two.
pub(super) fn close(folder: &Path, number: u64) -> Result<Option<Gap>> {
    let journal = SegmentName::journal(number).path(folder);
    let temporary = folder.join(format!("{number:016}.temporary"));
    let remove = |path: &Path| fs::remove_file(path).map_err(|e| Error::io(path.display(), e));
    let mut frames = Frames::open(&journal)?;
    let written = rewrite(&mut frames, &temporary)?;
    let segment = written.map(|closed| SegmentName { number, closed: Some(closed) }.path(folder));
    if let Some(path) = &segment {
        disk::publish(&temporary, path)?;
    }
    remove(&journal)?;
    let bytes = frames.dropped;
    Ok((bytes > 0).then(|| Gap { segment: segment.unwrap_or(journal), bytes }))
}

/// Finishes what an earlier process left: journals become segments, half-written files go.
pub(super) fn recover(folder: &Path) -> Result<(u64, Vec<Gap>)> {
    let failed = |source| Error::io(folder.display(), source);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "temporary") {
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    let (mut next, mut gaps) = (1, Vec::new());
    for name in list(folder)? {
        next = name.number.saturating_add(1);
        let journal = SegmentName::journal(name.number).path(folder);
        if name.closed.is_none() {
            gaps.extend(close(folder, name.number)?);
        } else if journal.exists() {
            fs::remove_file(&journal).map_err(failed)?;
        }
    }
    Ok((next, gaps))
}

fn rewrite(frames: &mut Frames, temporary: &Path) -> Result<Option<Closed>> {
    let failed = |source| Error::io(temporary.display(), source);
    let mut writer: Option<FileWriter<Hashing<BufWriter<File>>>> = None;
    let (mut waiting, mut ids) = (Waiting::default(), (u128::MAX, u128::MIN));
    for frame in frames.by_ref() {
        for batch in decode(&frame?)? {
            widen(&mut ids, &batch);
            let writer = match &mut writer {
                Some(writer) => writer,
                none => {
                    let file = BufWriter::new(File::create(temporary).map_err(failed)?);
                    let made = FileWriter::try_new(Hashing::new(file), &batch.schema());
                    none.insert(made.map_err(arrow)?)
                }
            };
            waiting.push(batch, writer)?;
        }
    }
    let Some(mut writer) = writer else { return Ok(None) };
    waiting.write(&mut writer)?;
    writer.write_metadata("mlops.dropped_bytes", frames.dropped.to_string());
    writer.finish().map_err(arrow)?;
    let Hashing { inner, hasher } = writer.into_inner().map_err(arrow)?;
    let file = inner.into_inner().map_err(|cause| failed(cause.into_error()))?;
    file.sync_all().map_err(failed)?;
    let ids = if ids.0 > ids.1 { (u128::MIN, u128::MAX) } else { ids };
    Ok(Some(Closed { ids, digest: hasher.finish() }))
}

/// Batches that are too small to be written alone.
#[derive(Default)]
struct Waiting {
    batches: Vec<RecordBatch>,
    rows: usize,
}

impl Waiting {
    fn push<W: Write>(&mut self, batch: RecordBatch, into: &mut FileWriter<W>) -> Result<()> {
        self.rows += batch.num_rows();
        self.batches.push(batch);
        if self.rows < BATCH_ROWS { Ok(()) } else { self.write(into) }
    }

    fn write<W: Write>(&mut self, into: &mut FileWriter<W>) -> Result<()> {
        let Some(schema) = self.batches.first().map(RecordBatch::schema) else { return Ok(()) };
        let batch = arrow_select::concat::concat_batches(&schema, &self.batches).map_err(arrow)?;
        *self = Self::default();
        into.write(&batch).map_err(arrow)
    }
}

/// Widens a range of prediction ids by those of a batch. A row without one (an outcome known by
/// its key) may belong to any.
fn widen(ids: &mut (u128, u128), batch: &RecordBatch) {
    let column = batch.column_by_name(columns::PREDICTION);
    let Some(column) = column.and_then(|column| column.as_fixed_size_binary_opt()) else { return };
    for id in column {
        let bytes: Option<[u8; 16]> = id.and_then(|bytes| bytes.try_into().ok());
        let (low, high) = bytes.map(u128::from_be_bytes).map_or((0, u128::MAX), |id| (id, id));
        *ids = (ids.0.min(low), ids.1.max(high));
    }
}

/// What a segment holds, and what could not be read of it.
pub(super) struct Contents {
    pub(super) batches: Vec<RecordBatch>,
    pub(super) gap: Option<Gap>,
}

/// Reads a whole segment; `Corrupt` if its bytes are not those that its name promises.
pub(super) fn read(folder: &Path, name: SegmentName) -> Result<Contents> {
    let path = name.path(folder);
    let Some(closed) = name.closed else { return read_journal(folder, name) };
    let bytes = fs::read(&path).map_err(|source| Error::io(path.display(), source))?;
    if Digest::of(&bytes) != closed.digest {
        return Err(Error::corrupt(format!("{}: the bytes are not as written", path.display())));
    }
    let (batches, dropped) = guarded(|| decode_file(bytes))?;
    let gap = (dropped > 0).then_some(Gap { segment: path, bytes: dropped });
    Ok(Contents { batches, gap })
}

fn read_journal(folder: &Path, name: SegmentName) -> Result<Contents> {
    let path = name.path(folder);
    let mut frames = match Frames::open(&path) {
        Ok(frames) => frames,
        // Its writer closed it since the folder was listed.
        Err(error) if error.kind() == crate::ErrorKind::NotFound => {
            let now = list(folder)?.into_iter().find(|now| now.number == name.number);
            return match now {
                Some(closed) if closed.closed.is_some() => read(folder, closed),
                Some(_) => Err(error),
                None => Ok(Contents { batches: Vec::new(), gap: None }),
            };
        }
        Err(error) => return Err(error),
    };
    let mut batches = Vec::new();
    for frame in frames.by_ref() {
        batches.extend(decode(&frame?)?);
    }
    let bytes = frames.dropped;
    Ok(Contents { batches, gap: (bytes > 0).then_some(Gap { segment: path, bytes }) })
}

fn encode(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).map_err(arrow)?;
    writer.write(batch).map_err(arrow)?;
    writer.into_inner().map_err(arrow)
}

fn decode(frame: &[u8]) -> Result<Vec<RecordBatch>> {
    guarded(|| {
        let reader = StreamReader::try_new(Cursor::new(frame), None).map_err(arrow)?;
        reader.collect::<Result<_, _>>().map_err(arrow)
    })
}

/// The batches of a closed segment, and how many bytes its journal had lost.
fn decode_file(bytes: Vec<u8>) -> Result<(Vec<RecordBatch>, u64)> {
    let reader = FileReader::try_new(Cursor::new(bytes), None).map_err(arrow)?;
    let dropped = reader.custom_metadata().get("mlops.dropped_bytes");
    let dropped = dropped.and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
    Ok((reader.collect::<Result<_, _>>().map_err(arrow)?, dropped))
}

/// The decoder is not ours, and it panics on some bytes that somebody gave a right digest: should it,
/// that is an error here.
fn guarded<T>(decode: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(Error::corrupt("the inference log: its decoder gave up on it")))
}

/// Hashes what passes through.
struct Hashing<W> {
    inner: W,
    hasher: Hasher,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self { inner, hasher: Hasher::default() }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

pub(super) fn arrow(cause: ArrowError) -> Error {
    match cause {
        ArrowError::IoError(_, source) => Error::io("the inference log", source),
        cause => Error::corrupt(format!("the inference log: {cause}")).with_source(cause),
    }
}

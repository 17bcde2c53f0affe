//! CSV, with types that are inferred from every row or given.

use super::name_of;
use crate::{Error, Result, data::Dataset, setters::setters};
use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{BooleanBuilder, Float32Builder, Float64Builder, Int64Builder, StringBuilder},
};
use csv::{ByteRecord, ErrorKind};
use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

/// Rows of one record batch.
const BATCH_ROWS: usize = 64 * 1024;
/// Bytes of text after which a batch ends early: the offsets of Arrow's text have 32 bits.
const BATCH_BYTES: usize = 1 << 30;

/// How CSV is read.
///
/// ```
/// use mlops_core::data::{CsvOptions, CsvType, Dataset};
///
/// let text = "zip;income\n02139;52.5\n02140;NA\n";
/// let options = CsvOptions::new().with_delimiter(b';').with_null_texts(["NA"]);
/// let people = Dataset::from_csv("people", text, &options)?;
/// assert_eq!(people.strs("zip")?[0], Some("02139")); // a leading zero makes a code, not a number
/// assert!(people.f64s("income")?[1].is_nan());
///
/// let error = Dataset::from_csv("people", text, &options.with_type("income", CsvType::Int64));
/// let text = "people: line 2, column \"income\": the value is no int64";
/// assert_eq!(error.unwrap_err().to_string(), text);
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CsvOptions {
    /// What stands between two values.
    pub delimiter: u8,
    /// Whether the first line names the columns; else they are `column_0`, `column_1` …
    pub header: bool,
    /// Texts that mean that there is no value; by default only the empty one.
    pub null_texts: Vec<String>,
    /// Types of columns by name; the others' are inferred.
    pub types: BTreeMap<String, CsvType>,
}

/// The type of a CSV column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CsvType {
    /// `true` and `false` in any case; if the type is given, also `1` and `0`.
    Bool,
    /// Integers of 64 bits.
    Int64,
    /// Decimal numbers, `inf` and `NaN`, each the nearest of single precision; never guessed.
    Float32,
    /// The same in double precision.
    Float64,
    /// Anything.
    Utf8,
}

impl CsvType {
    fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int64 => "int64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Utf8 => "str",
        }
    }
}

impl Default for CsvOptions {
    fn default() -> Self {
        let (null_texts, types) = (vec![String::new()], BTreeMap::new());
        Self { delimiter: b',', header: true, null_texts, types }
    }
}

impl CsvOptions {
    /// Commas, a header, empty texts as nulls, inferred types.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds texts that mean that there is no value, as `NA`, beside the empty one.
    #[must_use]
    pub fn with_null_texts<T: Into<String>>(mut self, texts: impl IntoIterator<Item = T>) -> Self {
        self.null_texts.extend(texts.into_iter().map(Into::into));
        self
    }

    /// Gives the type of a column.
    #[must_use]
    pub fn with_type(mut self, column: impl Into<String>, kind: CsvType) -> Self {
        self.types.insert(column.into(), kind);
        self
    }
}

setters!(CsvOptions {
    /// Sets what stands between two values.
    with_delimiter => delimiter: u8,
    /// Says whether the first line names the columns.
    with_header => header: bool,
});

impl Dataset {
    /// Reads a CSV file.
    ///
    /// # Behavior
    /// - without a given type a column is what all its values are: integers, else numbers, else
    ///   booleans, else text; digits after a leading zero or plus are a code, so text, and so is an
    ///   integer that does not fit 64 bits
    /// - a value that does not fit the given type, a line of another number of values and bytes that
    ///   are not UTF-8 are `InvalidInput` that names file, line and column
    pub fn read_csv(path: impl AsRef<Path>, options: &CsvOptions) -> Result<Self> {
        let path = path.as_ref();
        let shown = path.display().to_string();
        let bytes = fs::read(path).map_err(|source| Error::io(&shown, source))?;
        read(name_of(path), &bytes, options).map_err(|error| error.context(shown))
    }

    /// Reads CSV text; as [`read_csv`](Self::read_csv).
    pub fn from_csv(
        name: impl Into<Arc<str>>,
        text: impl AsRef<[u8]>,
        options: &CsvOptions,
    ) -> Result<Self> {
        let name = name.into();
        let dataset = read(Arc::clone(&name), text.as_ref(), options);
        dataset.map_err(|error| error.context(name.to_string()))
    }
}

fn read(name: Arc<str>, bytes: &[u8], options: &CsvOptions) -> Result<Dataset> {
    let names = column_names(bytes, options)?;
    if let Some(name) = options.types.keys().find(|name| !names.contains(name)) {
        return Err(Error::invalid(format!("has no column {name:?}, whose type is given")));
    }
    let types = types(bytes, options, &names)?;
    let mut columns: Vec<Column> = types.iter().map(|kind| Column::new(*kind)).collect();
    let (mut batches, mut rows, mut size) = (Vec::new(), 0, 0);
    each_record(bytes, options, &names, |record| {
        if rows == BATCH_ROWS || size + record.as_slice().len() > BATCH_BYTES {
            batches.push(finish(&names, &mut columns)?);
            (rows, size) = (0, 0);
        }
        for ((name, column), field) in names.iter().zip(&mut columns).zip(record) {
            let text = utf8(record, name, field)?;
            let fits = column.push(Some(text).filter(|text| !is_null(options, text)));
            fits.ok_or_else(|| misfit(record, name, column.kind()))?;
        }
        (rows, size) = (rows + 1, size + record.as_slice().len());
        Ok(())
    })?;
    batches.push(finish(&names, &mut columns)?);
    Dataset::from_batches(name, batches)
}

fn column_names(bytes: &[u8], options: &CsvOptions) -> Result<Vec<String>> {
    let mut reader = reader(bytes, options);
    // Without a header this is the first record.
    let first = reader.byte_headers().map_err(foreign)?;
    if first.is_empty() {
        return Err(Error::invalid("is empty, so it names no columns"));
    }
    let name = |(at, field): (usize, &[u8])| {
        if options.header {
            String::from_utf8(field.to_vec())
                .map_err(|_| Error::invalid(format!("line 1, column {at}: the name is not UTF-8")))
        } else {
            Ok(format!("column_{at}"))
        }
    };
    first.iter().enumerate().map(name).collect()
}

/// Given types, and for the other columns the narrowest one that all values fit.
fn types(bytes: &[u8], options: &CsvOptions, names: &[String]) -> Result<Vec<CsvType>> {
    let given: Vec<Option<CsvType>> =
        names.iter().map(|name| options.types.get(name).copied()).collect();
    let mut guesses = vec![Guess::default(); names.len()];
    if given.iter().any(Option::is_none) {
        each_record(bytes, options, names, |record| {
            for ((name, guess), field) in names.iter().zip(&mut guesses).zip(record) {
                let text = utf8(record, name, field)?;
                if !is_null(options, text) {
                    guess.see(text);
                }
            }
            Ok(())
        })?;
    }
    Ok(given.iter().zip(guesses).map(|(given, guess)| given.unwrap_or(guess.result())).collect())
}

fn reader<'a>(bytes: &'a [u8], options: &CsvOptions) -> csv::Reader<&'a [u8]> {
    csv::ReaderBuilder::new()
        .delimiter(options.delimiter)
        .has_headers(options.header)
        .from_reader(bytes)
}

fn each_record(
    bytes: &[u8],
    options: &CsvOptions,
    names: &[String],
    mut each: impl FnMut(&ByteRecord) -> Result<()>,
) -> Result<()> {
    let mut reader = reader(bytes, options);
    let mut record = ByteRecord::with_capacity(0, names.len());
    while reader.read_byte_record(&mut record).map_err(foreign)? {
        if record.as_slice().len() > BATCH_BYTES {
            let line = line(&record);
            return Err(Error::too_large(format!("line {line}: the record is over 1 GiB")));
        }
        each(&record)?;
    }
    Ok(())
}

fn is_null(options: &CsvOptions, text: &str) -> bool {
    options.null_texts.iter().any(|null| null == text)
}

/// What the values seen so far could all be.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "independent answers, each a word")]
struct Guess {
    bool: bool,
    int: bool,
    float: bool,
    /// `inf` and `NaN` alone do not make numbers of a column.
    digits: bool,
    seen: bool,
}

impl Default for Guess {
    fn default() -> Self {
        Self { bool: true, int: true, float: true, digits: false, seen: false }
    }
}

impl Guess {
    fn see(&mut self, text: &str) {
        self.seen = true;
        self.bool &= word(text).is_some();
        if self.float {
            let number = !is_code(text);
            self.int &= number && text.parse::<i64>().is_ok();
            self.float &= number && text.parse::<f64>().is_ok();
            self.digits |= text.bytes().any(|byte| byte.is_ascii_digit());
        }
    }

    fn result(self) -> CsvType {
        match self {
            Self { seen: false, .. } => CsvType::Utf8,
            Self { float: true, int: true, .. } => CsvType::Int64,
            Self { float: true, digits: true, .. } => CsvType::Float64,
            Self { bool: true, .. } => CsvType::Bool,
            _ => CsvType::Utf8,
        }
    }
}

/// Whether digits are a name rather than an amount: a postal code, a telephone number, an
/// identity of more digits than 64 bits hold.
fn is_code(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let padded = matches!(digits, [b'0', next, ..] if next.is_ascii_digit());
    let long = digits.iter().all(u8::is_ascii_digit) && text.parse::<i64>().is_err();
    padded || long || text.starts_with('+')
}

fn word(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A column in the making.
enum Column {
    Bool(BooleanBuilder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Utf8(StringBuilder),
}

impl Column {
    fn new(kind: CsvType) -> Self {
        match kind {
            CsvType::Bool => Self::Bool(BooleanBuilder::new()),
            CsvType::Int64 => Self::Int64(Int64Builder::new()),
            CsvType::Float32 => Self::Float32(Float32Builder::new()),
            CsvType::Float64 => Self::Float64(Float64Builder::new()),
            CsvType::Utf8 => Self::Utf8(StringBuilder::new()),
        }
    }

    fn kind(&self) -> CsvType {
        match self {
            Self::Bool(_) => CsvType::Bool,
            Self::Int64(_) => CsvType::Int64,
            Self::Float32(_) => CsvType::Float32,
            Self::Float64(_) => CsvType::Float64,
            Self::Utf8(_) => CsvType::Utf8,
        }
    }

    /// `None` if the text does not fit the type.
    fn push(&mut self, text: Option<&str>) -> Option<()> {
        match (self, text) {
            (Self::Bool(builder), None) => builder.append_null(),
            (Self::Int64(builder), None) => builder.append_null(),
            (Self::Float32(builder), None) => builder.append_null(),
            (Self::Float64(builder), None) => builder.append_null(),
            (Self::Utf8(builder), None) => builder.append_null(),
            (Self::Bool(builder), Some("1")) => builder.append_value(true),
            (Self::Bool(builder), Some("0")) => builder.append_value(false),
            (Self::Bool(builder), Some(text)) => builder.append_value(word(text)?),
            (Self::Int64(builder), Some(text)) => builder.append_value(text.parse().ok()?),
            (Self::Float32(builder), Some(text)) => builder.append_value(text.parse().ok()?),
            (Self::Float64(builder), Some(text)) => builder.append_value(text.parse().ok()?),
            (Self::Utf8(builder), Some(text)) => builder.append_value(text),
        }
        Some(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::Float32(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Utf8(builder) => Arc::new(builder.finish()),
        }
    }
}

fn finish(names: &[String], columns: &mut [Column]) -> Result<RecordBatch> {
    let finished = names.iter().zip(columns).map(|(name, column)| (name, column.finish(), true));
    RecordBatch::try_from_iter_with_nullable(finished)
        .map_err(|cause| Error::internal(cause.to_string()).with_source(cause))
}

fn utf8<'a>(record: &ByteRecord, name: &str, field: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(field).map_err(|cause| {
        let line = line(record);
        Error::invalid(format!("line {line}, column {name:?}: the value is not UTF-8"))
            .with_source(cause)
    })
}

/// Names where, and never the value: it may be anybody's.
fn misfit(record: &ByteRecord, name: &str, wanted: CsvType) -> Error {
    let (line, wanted) = (line(record), wanted.name());
    Error::invalid(format!("line {line}, column {name:?}: the value is no {wanted}"))
}

/// The line that a record begins on, from 1.
fn line(record: &ByteRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

fn foreign(cause: csv::Error) -> Error {
    let text = match cause.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            format!("line {line}: {len} values, {expected_len} are expected")
        }
        _ => cause.to_string(),
    };
    Error::invalid(text).with_source(cause)
}

//! Rows and columns that say which part of the data they are.

use super::{
    column::{Cell, ColumnType, Reader, canonical, reader},
    content,
    rows::{Place, gather},
};
use crate::{
    Digest, Error, Result,
    signature::{ModelSignature, TensorSpec},
    tensor::DType,
};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray, cast::AsArray};
use arrow_schema::{Field, Schema, SchemaRef};
use std::{
    fmt,
    marker::PhantomData,
    sync::{Arc, OnceLock},
};

/// Which part of the data a [`Dataset`] is. Sealed: [`Any`], [`Train`], [`Valid`], [`Test`].
pub trait Part: sealed::Sealed + 'static {
    /// Its name in messages.
    const NAME: &'static str;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! parts {
    ($($(#[$doc:meta])* $part:ident = $name:literal,)*) => {
        $($(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $part {}

        impl sealed::Sealed for $part {}

        impl Part for $part {
            const NAME: &'static str = $name;
        })*
    };
}

parts! {
    /// Not yet split, or not meant to be.
    Any = "any",
    /// What models and transforms are fitted on.
    Train = "train",
    /// What choices are made by: when to stop, which settings, which threshold.
    Valid = "valid",
    /// What the last word is said by; nothing is ever fitted on it.
    Test = "test",
}

/// A table: named columns of equally many rows, in record batches. Immutable; cloning shares.
///
/// The type says which part of the data it is, so that fitting on a test part does not compile:
///
/// ```compile_fail,E0308
/// use mlops_core::data::{Dataset, Test, TransformSpec};
///
/// fn cheat(test: &Dataset<Test>) {
///     let _ = TransformSpec::new().fit(test); // expected `&Dataset<Train>`
/// }
/// ```
///
/// ```
/// use mlops_core::data::{CsvOptions, Dataset};
///
/// let text = "age,state\n41,MA\n23,\n";
/// let people = Dataset::from_csv("people", text.as_bytes(), &CsvOptions::new())?;
/// assert_eq!(people.rows(), 2);
/// assert_eq!(people.f64s("age")?, [41.0, 23.0]);
/// assert_eq!(people.strs("state")?, [Some("MA"), None]);
///
/// let again = Dataset::from_parquet("people", people.to_parquet()?)?;
/// assert_eq!(again.digest(), people.digest()); // the values count, not the file
/// # Ok::<(), mlops_core::Error>(())
/// ```
///
/// # Behavior
/// - columns are of the types that [`ColumnType`] lists; other forms of text and dictionaries are
///   brought to those, the rest is `Unsupported` and named
/// - every column may hold nulls; metadata of schemas is dropped
pub struct Dataset<S = Any> {
    inner: Arc<Inner>,
    part: PhantomData<fn() -> S>,
}

struct Inner {
    name: Arc<str>,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    rows: usize,
    /// Computed when first asked for: many datasets never are.
    digest: OnceLock<Digest>,
}

impl Dataset {
    /// A dataset of these batches, all with the same columns in the same order.
    ///
    /// # Behavior
    /// - `InvalidInput` without a batch, for two columns of one name, and for batches that differ
    pub fn from_batches(
        name: impl Into<Arc<str>>,
        batches: impl IntoIterator<Item = RecordBatch>,
    ) -> Result<Self> {
        let name = name.into();
        let batches: Vec<RecordBatch> =
            batches.into_iter().map(|batch| canonical_batch(&batch)).collect::<Result<_>>()?;
        let Some(first) = batches.first() else {
            return Err(Error::invalid(format!("dataset {name:?} has no batch, so no columns")));
        };
        let schema = first.schema();
        for field in schema.fields() {
            if schema.fields().iter().filter(|other| other.name() == field.name()).count() > 1 {
                let column = field.name();
                return Err(Error::invalid(format!("column {column:?} is there twice")));
            }
        }
        for batch in &batches {
            check_same(&schema, &batch.schema())?;
        }
        Ok(Self::new(name, schema, batches))
    }

    /// A dataset of one batch.
    pub fn from_columns<N: Into<String>>(
        name: impl Into<Arc<str>>,
        columns: impl IntoIterator<Item = (N, ArrayRef)>,
    ) -> Result<Self> {
        let columns = columns.into_iter().map(|(name, array)| (name.into(), array, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns)
            .map_err(|cause| Error::invalid(cause.to_string()).with_source(cause))?;
        Self::from_batches(name, [batch])
    }

    /// The same rows as a part of the data, for parts that were made elsewhere. The caller vouches
    /// for it; a [split](Dataset::split_random) needs no vouching.
    ///
    /// # Examples
    /// One part does not become another:
    /// ```compile_fail,E0599
    /// # use mlops_core::data::{Dataset, Test, Valid};
    /// fn declare(test: Dataset<Test>) -> Dataset<Valid> {
    ///     test.declare::<Valid>()
    /// }
    /// ```
    pub fn declare<P: Part>(self) -> Dataset<P> {
        Dataset { inner: self.inner, part: PhantomData }
    }
}

impl<S: Part> Dataset<S> {
    /// Columns are canonical and batches have this schema.
    pub(super) fn new(name: Arc<str>, schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        let inner = Inner { name, schema, batches, rows, digest: OnceLock::new() };
        Self { inner: Arc::new(inner), part: PhantomData }
    }

    /// The name that it was given or read under.
    pub fn name(&self) -> &Arc<str> {
        &self.inner.name
    }

    /// Names and types of the columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.inner.schema
    }

    /// The names of the columns, in order.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = &str> {
        self.inner.schema.fields().iter().map(|field| field.name().as_str())
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.inner.rows
    }

    /// The rows, in the pieces that they came in.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.inner.batches
    }

    /// All rows in one piece; a copy unless there is one piece already.
    pub fn batch(&self) -> Result<RecordBatch> {
        if let [only] = self.batches() {
            Ok(only.clone())
        } else {
            let columns: Vec<usize> = (0..self.schema().fields().len()).collect();
            self.gathered(&columns, &self.places())
        }
    }

    /// The digest of names, types and values: the same however the rows were cut into batches and
    /// whatever file they came from. Nulls count, the dataset's name does not; every NaN is the same.
    pub fn digest(&self) -> Digest {
        let inner = &self.inner;
        *inner.digest.get_or_init(|| content::digest(&inner.schema, &inner.batches))
    }

    /// What a model takes that is given these columns, one tensor each. Days and points in time are
    /// `Unsupported`: tensors do not hold them.
    pub fn signature(&self) -> Result<ModelSignature> {
        let specs = self.schema().fields().iter().enumerate().map(|(at, field)| {
            let name = field.name();
            let kind = column_type(field)?;
            let dtype = kind.dtype().ok_or_else(|| {
                Error::unsupported(format!("column {name:?} of type {kind} fits no tensor"))
            })?;
            let nullable = self.nulls(at) > 0;
            Ok(TensorSpec::column(name.as_str(), dtype).with_nullable(nullable))
        });
        ModelSignature::new(specs.collect::<Result<_>>()?, Vec::new())
    }

    /// One column in one piece; `InvalidInput` names one that is missing, here and below.
    pub fn column(&self, name: &str) -> Result<ArrayRef> {
        let at = self.position(name)?;
        match self.batches() {
            [only] => Ok(Arc::clone(only.column(at))),
            _ => gather(name, &self.pieces(at), &self.places()),
        }
    }

    /// The type of a column.
    pub fn column_type(&self, name: &str) -> Result<ColumnType> {
        column_type(self.schema().field(self.position(name)?))
    }

    /// Numbers, or booleans as 0 and 1; a null is NaN. An integer beyond 2^53 rounds.
    pub fn f64s(&self, name: &str) -> Result<Vec<f64>> {
        let kind = self.column_type(name)?;
        if !kind.is_number() && kind != ColumnType::Value(DType::Bool) {
            return Err(wrong_type(name, &kind, "numbers"));
        }
        let at = self.position(name)?;
        let numbers = self.cells(at).map(|cell| cell.number().unwrap_or(f64::NAN));
        Ok(numbers.collect())
    }

    /// Integers, booleans as 0 and 1, days and units of time; `InvalidInput` names the row of a
    /// value that does not fit 64 bits.
    pub fn i64s(&self, name: &str) -> Result<Vec<Option<i64>>> {
        let kind = self.column_type(name)?;
        let integer = |(row, cell): (usize, Cell<'_>)| match cell {
            Cell::Null => Ok(None),
            Cell::Bool(value) => Ok(Some(i64::from(value))),
            Cell::Int(value) => i64::try_from(value).map(Some).map_err(|_| {
                Error::invalid(format!("column {name:?}, row {row}: the value does not fit int64"))
            }),
            _ => Err(wrong_type(name, &kind, "integers")),
        };
        if kind.is_float() || matches!(kind.dtype(), Some(dtype) if dtype.size().is_none()) {
            return Err(wrong_type(name, &kind, "integers"));
        }
        self.cells(self.position(name)?).enumerate().map(integer).collect()
    }

    /// Text.
    pub fn strs(&self, name: &str) -> Result<Vec<Option<&str>>> {
        let at = self.position(name)?;
        let kind = self.column_type(name)?;
        let pieces: Option<Vec<&StringArray>> =
            self.batches().iter().map(|batch| batch.column(at).as_string_opt::<i32>()).collect();
        let pieces = pieces.ok_or_else(|| wrong_type(name, &kind, "text"))?;
        Ok(pieces.into_iter().flatten().collect())
    }

    /// These columns only, in this order.
    pub fn select<N: AsRef<str>>(&self, names: &[N]) -> Result<Self> {
        let positions: Vec<usize> =
            names.iter().map(|name| self.position(name.as_ref())).collect::<Result<_>>()?;
        let project = |batch: &RecordBatch| {
            batch.project(&positions).map_err(|cause| Error::internal(cause.to_string()))
        };
        let batches = self.batches().iter().map(project).collect::<Result<Vec<_>>>()?;
        let schema = self.schema().project(&positions);
        let schema = schema.map_err(|cause| Error::internal(cause.to_string()))?;
        Ok(Self::new(Arc::clone(self.name()), Arc::new(schema), batches))
    }

    /// The rows at these positions, in this order; one may come again. `InvalidInput` names a
    /// position that is not there.
    pub fn take(&self, rows: &[usize]) -> Result<Self> {
        let all = self.places();
        let place = |&row: &usize| {
            all.get(row).copied().ok_or_else(|| {
                let (name, count) = (self.name(), self.rows());
                Error::invalid(format!("dataset {name:?} has no row {row}, it has {count} rows"))
            })
        };
        let places = rows.iter().map(place).collect::<Result<Vec<_>>>()?;
        let columns: Vec<usize> = (0..self.schema().fields().len()).collect();
        let batch = self.gathered(&columns, &places)?;
        Ok(Self::new(Arc::clone(self.name()), Arc::clone(self.schema()), vec![batch]))
    }

    /// The rows whose flag is set; one flag a row.
    pub fn filter_rows(&self, keep: &[bool]) -> Result<Self> {
        if keep.len() != self.rows() {
            let (given, rows) = (keep.len(), self.rows());
            return Err(Error::invalid(format!("{given} flags for {rows} rows")));
        }
        let kept = keep.iter().enumerate().filter(|(_, keep)| **keep).map(|(row, _)| row);
        self.take(&kept.collect::<Vec<_>>())
    }

    /// The rows of all parts one after another, under the first one's name; shares their memory.
    pub fn concat(parts: &[&Self]) -> Result<Self> {
        let Some(first) = parts.first() else {
            return Err(Error::invalid("there is no dataset to concatenate"));
        };
        for part in parts {
            check_same(first.schema(), part.schema())
                .map_err(|error| error.context(format!("dataset {:?}", part.name())))?;
        }
        let batches = parts.iter().flat_map(|part| part.batches().iter().cloned()).collect();
        Ok(Self::new(Arc::clone(first.name()), Arc::clone(first.schema()), batches))
    }

    /// The same rows under another name.
    pub fn with_name(&self, name: impl Into<Arc<str>>) -> Self {
        Self::new(name.into(), Arc::clone(self.schema()), self.batches().to_vec())
    }

    /// Where a column is.
    pub(super) fn position(&self, name: &str) -> Result<usize> {
        self.schema().index_of(name).map_err(|_| {
            Error::invalid(format!("dataset {:?} has no column {name:?}", self.name()))
        })
    }

    /// The cells of a column, row by row.
    pub(super) fn cells(&self, at: usize) -> impl Iterator<Item = Cell<'_>> {
        self.batches().iter().flat_map(move |batch| {
            let read: Reader<'_> = reader(batch.column(at));
            (0..batch.num_rows()).map(read)
        })
    }

    /// How many cells of a column are null.
    pub(super) fn nulls(&self, at: usize) -> usize {
        self.batches().iter().map(|batch| batch.column(at).null_count()).sum()
    }

    fn pieces(&self, at: usize) -> Vec<&ArrayRef> {
        self.batches().iter().map(|batch| batch.column(at)).collect()
    }

    /// Where each row is.
    fn places(&self) -> Vec<Place> {
        let pieces = (0_u32..).zip(self.batches());
        pieces.flat_map(|(piece, b)| (0..b.num_rows()).map(move |row| Some((piece, row)))).collect()
    }

    fn gathered(&self, columns: &[usize], places: &[Place]) -> Result<RecordBatch> {
        let gather = |&at: &usize| gather(self.schema().field(at).name(), &self.pieces(at), places);
        let arrays = columns.iter().map(gather).collect::<Result<Vec<_>>>()?;
        batch(Arc::clone(self.schema()), arrays, places.len())
    }
}

impl<S> Clone for Dataset<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), part: PhantomData }
    }
}

impl<S: Part> fmt::Debug for Dataset<S> {
    /// Names, types and counts, never the values: rows stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, rows) = (self.name(), self.rows());
        write!(f, "Dataset({name:?}, {}, {rows} rows", S::NAME)?;
        for field in self.schema().fields() {
            let kind = ColumnType::of(field.data_type()).map(String::from).unwrap_or_default();
            write!(f, ", {}: {kind}", field.name())?;
        }
        f.write_str(")")
    }
}

impl<S: Part> PartialEq for Dataset<S> {
    /// Whether columns and values are the same; by digest.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner) || self.digest() == other.digest()
    }
}

/// A batch of checked arrays; the number of rows counts where there is no column.
pub(super) fn batch(schema: SchemaRef, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, arrays, &options)
        .map_err(|cause| Error::internal(cause.to_string()).with_source(cause))
}

/// The type of a canonical column.
pub(super) fn column_type(field: &Field) -> Result<ColumnType> {
    ColumnType::of(field.data_type())
        .ok_or_else(|| Error::internal(format!("column {:?} is not canonical", field.name())))
}

pub(super) fn wrong_type(name: &str, kind: &ColumnType, wanted: &str) -> Error {
    Error::invalid(format!("column {name:?} has type {kind}, it does not hold {wanted}"))
}

fn canonical_batch(given: &RecordBatch) -> Result<RecordBatch> {
    let schema = given.schema();
    let named = schema.fields().iter().zip(given.columns());
    let arrays: Vec<ArrayRef> =
        named.map(|(field, array)| canonical(field.name(), array)).collect::<Result<_>>()?;
    let field = |(field, array): (&Arc<Field>, &ArrayRef)| {
        Field::new(field.name(), array.data_type().clone(), true)
    };
    let fields: Vec<Field> = schema.fields().iter().zip(&arrays).map(field).collect();
    batch(Arc::new(Schema::new(fields)), arrays, given.num_rows())
}

fn check_same(first: &Schema, other: &Schema) -> Result<()> {
    let (ours, theirs) = (first.fields(), other.fields());
    if let Some((own, given)) = ours.iter().zip(theirs).find(|(own, given)| own != given) {
        let (name, kind) = (own.name(), column_type(own)?);
        return Err(Error::invalid(format!(
            "column {name:?} of type {kind} is column {:?} of type {} elsewhere",
            given.name(),
            column_type(given)?
        )));
    }
    if ours.len() != theirs.len() {
        return Err(Error::invalid(format!("{} columns, {} elsewhere", ours.len(), theirs.len())));
    }
    Ok(())
}

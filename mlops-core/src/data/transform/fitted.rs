//! A transform that has learned: stored as JSON, applied to rows.

use super::fit::nan_is_null;
use crate::{
    Digest, Error, Result, ResultExt, Transform,
    data::{
        ColumnType, Dataset, Part,
        category::{Kind, Positions},
        column::{Cell, Reader, canonical, reader},
        dataset::batch,
        version::{self, Version1},
    },
    signature::TensorSpec,
    tensor::DType,
};
use arrow_array::{ArrayRef, Float32Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, sync::Arc};

/// A transform fitted on training data: raw columns in, `float32` columns out.
///
/// It is saved with the model as [`transform.json`](crate::model::names::TRANSFORM).
///
/// # Behavior
/// - outputs have stable names: `AGEP`, `AGEP=null`, `SEX=1`, `SEX=other`, `SEX=null`; the text
///   categories `other` and `null` are written in quotes there
/// - a value that was not there in training is no error: one-hot gives zeros or the cell of others,
///   ordinal the code after the last
/// - outputs hold no nulls: what stays null is NaN
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct FittedTransform {
    stored: Stored,
    encoders: Vec<Encoder>,
    schema: SchemaRef,
}

/// The form in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stored {
    version: Version1,
    /// Digest of the training data.
    fitted_on: Digest,
    /// Rows of the training data.
    rows: usize,
    columns: Vec<LearnedColumn>,
}

/// What was learned of one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LearnedColumn {
    pub(super) name: Arc<str>,
    /// The type that it had in training.
    #[serde(rename = "type")]
    pub(super) kind: ColumnType,
    #[serde(default)]
    pub(super) null_cell: bool,
    #[serde(flatten)]
    pub(super) learned: Learned,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "encoding", rename_all = "snake_case")]
pub(super) enum Learned {
    /// (number kept within `clip` - `shift`) / `scale`; nulls are read as `fill`.
    Number { clip: Option<(f64, f64)>, shift: f64, scale: f64, fill: Option<f64> },
    /// Nulls are read as the category at `fill`.
    OneHot { categories: Vec<String>, other: bool, fill: Option<usize> },
    /// Nulls are read as the category at `fill`.
    Ordinal { categories: Vec<String>, fill: Option<usize> },
}

/// A column's part of the work, with its look-up tables built.
#[derive(Clone, Debug)]
struct Encoder {
    name: Arc<str>,
    /// What cells may be; a change of width is none.
    kind: Kind,
    width: usize,
    /// The output that tells nulls.
    null_output: Option<usize>,
    code: Code,
}

#[derive(Clone, Debug)]
enum Code {
    Number { clip: Option<(f64, f64)>, shift: f64, scale: f64, fill: f64 },
    OneHot { positions: Positions, other: Option<usize>, fill: Option<usize> },
    Ordinal { positions: Positions, other: f32, null: f32 },
}

impl FittedTransform {
    pub(super) fn new(fitted_on: Digest, rows: usize, columns: Vec<LearnedColumn>) -> Result<Self> {
        Self::try_from(Stored { version: Version1, fitted_on, rows, columns })
    }

    /// The names of the outputs, in order.
    pub fn output_names(&self) -> Vec<&str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    /// What it takes, one tensor a column, with the types of the training data; each may be null.
    pub fn input_specs(&self) -> Vec<TensorSpec> {
        let spec = |column: &LearnedColumn| {
            let dtype = column.kind.dtype().unwrap_or(DType::F64);
            TensorSpec::column(Arc::clone(&column.name), dtype).with_nullable(true)
        };
        self.stored.columns.iter().map(spec).collect()
    }

    /// All outputs packed side by side: what a model takes that is fed by this transform.
    ///
    /// ```
    /// # use mlops_core::{data::{CsvOptions, Dataset, Rule, Train, TransformSpec}, tensor::Tensors};
    /// # use mlops_core::Transform;
    /// # let train = Dataset::from_csv("t", "age,state\n20,MA\n40,NH\n", &CsvOptions::new())?;
    /// # let train = train.declare::<Train>();
    /// let transform = TransformSpec::new()
    ///     .with_column("age", Rule::standardise())
    ///     .with_column("state", Rule::one_hot(8))
    ///     .fit(&train)?;
    /// let x = transform.tensor_spec("x");
    /// assert_eq!(x.to_string(), "x: float32[-1, 3]");
    ///
    /// let features = transform.apply(&train.batch()?)?;
    /// let tensors = Tensors::from_batch(&features, &[x])?;
    /// assert_eq!(tensors.require("x")?.as_slice::<f32>()?, [-1.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    /// # Ok::<(), mlops_core::Error>(())
    /// ```
    pub fn tensor_spec(&self, name: impl Into<Arc<str>>) -> TensorSpec {
        let names = self.output_names();
        TensorSpec::new(name, DType::F32, [None, Some(names.len())]).with_columns(names)
    }

    /// The digest of the training data.
    pub fn fitted_on(&self) -> Digest {
        self.stored.fitted_on
    }

    /// Applies it to a dataset, which stays the part of the data that it is.
    pub fn apply_to<S: Part>(&self, dataset: &Dataset<S>) -> Result<Dataset<S>> {
        let batches = dataset.batches().iter().map(|batch| self.apply(batch));
        let name = Arc::clone(dataset.name());
        Ok(Dataset::new(name, Arc::clone(&self.schema), batches.collect::<Result<_>>()?))
    }

    /// Writes versioned JSON.
    pub fn to_json(&self) -> String {
        version::to_json(self)
    }

    /// Reads JSON; another version is `Unsupported`, a mistake is `InvalidInput` and named.
    pub fn from_json(text: &str) -> Result<Self> {
        version::from_json("transform", text)
    }
}

impl Transform for FittedTransform {
    fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let mut outputs: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for encoder in &self.encoders {
            let name = &encoder.name;
            let column = rows.column_by_name(name);
            let column =
                column.ok_or_else(|| Error::invalid(format!("column {name:?} is missing")))?;
            let column = canonical(name, column)?;
            encoder.check(&column)?;
            let encoded = encoder.encode(&reader(&column), rows.num_rows());
            outputs
                .extend(encoded.into_iter().map(|o| Arc::new(Float32Array::from(o)) as ArrayRef));
        }
        batch(Arc::clone(&self.schema), outputs, rows.num_rows())
    }
}

impl PartialEq for FittedTransform {
    fn eq(&self, other: &Self) -> bool {
        self.stored == other.stored
    }
}

impl Encoder {
    fn check(&self, column: &ArrayRef) -> Result<()> {
        let given = ColumnType::of(column.data_type());
        if given.as_ref().and_then(kind_of) == Some(self.kind) {
            return Ok(());
        }
        let (name, given) = (&self.name, given.map(String::from).unwrap_or_default());
        let wanted = match self.kind {
            Kind::Bool => "booleans",
            Kind::Number => "numbers",
            Kind::Text => "text",
        };
        Err(Error::invalid(format!("column {name:?} has type {given}, {wanted} are expected")))
    }

    /// One vector an output.
    #[expect(clippy::needless_range_loop, reason = "the row is of every output")]
    fn encode(&self, cell: &Reader<'_>, rows: usize) -> Vec<Vec<f32>> {
        let mut outputs = vec![vec![0.0; rows]; self.width];
        for row in 0..rows {
            let cell = nan_is_null(cell(row));
            if let Some(output) = self.null_output.filter(|_| cell == Cell::Null) {
                outputs[output][row] = 1.0;
            }
            if let Some((output, value)) = self.code.of(cell) {
                outputs[output][row] = value;
            }
        }
        outputs
    }
}

impl Code {
    /// Which output gets which value; none leaves the zeros.
    #[expect(clippy::cast_possible_truncation, reason = "outputs are float32, as is documented")]
    fn of(&self, cell: Cell<'_>) -> Option<(usize, f32)> {
        match self {
            Self::Number { clip, shift, scale, fill } => {
                let number = cell.number().unwrap_or(*fill);
                let number = clip.map_or(number, |(least, most)| number.clamp(least, most));
                Some((0, ((number - shift) / scale) as f32))
            }
            Self::OneHot { fill, .. } if cell == Cell::Null => Some(((*fill)?, 1.0)),
            Self::OneHot { positions, other, .. } => Some((positions.find(cell).or(*other)?, 1.0)),
            Self::Ordinal { null, .. } if cell == Cell::Null => Some((0, *null)),
            Self::Ordinal { positions, other, .. } => {
                Some((0, positions.find(cell).map_or(*other, code)))
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "checked to be below 2^24 when made")]
fn code(position: usize) -> f32 {
    position as f32
}

impl From<FittedTransform> for Stored {
    fn from(fitted: FittedTransform) -> Self {
        fitted.stored
    }
}

impl TryFrom<Stored> for FittedTransform {
    type Error = Error;

    /// Checks everything, so that applying it can rely on it.
    fn try_from(stored: Stored) -> Result<Self> {
        if stored.columns.is_empty() {
            return Err(Error::invalid("a transform needs at least one column"));
        }
        let (mut encoders, mut names) = (Vec::new(), Vec::new());
        for column in &stored.columns {
            let encoder = column.encoder().context(|| format!("column {:?}", column.name))?;
            names.extend(column.output_names());
            encoders.push(encoder);
        }
        let mut known = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !known.insert(name.as_str())) {
            return Err(Error::invalid(format!("two outputs are named {twice:?}")));
        }
        let fields: Vec<Field> =
            names.iter().map(|name| Field::new(name, DataType::Float32, true)).collect();
        Ok(Self { stored, encoders, schema: Arc::new(Schema::new(fields)) })
    }
}

impl LearnedColumn {
    /// The columns that this one becomes.
    fn output_names(&self) -> Vec<String> {
        let name = &self.name;
        let mut names = Vec::new();
        if let Learned::OneHot { categories, other, .. } = &self.learned {
            let text = kind_of(&self.kind) == Some(Kind::Text);
            names.extend(categories.iter().map(|label| {
                if text { format!("{name}={}", quoted(label)) } else { format!("{name}={label}") }
            }));
            names.extend(other.then(|| format!("{name}=other")));
        } else {
            names.push(name.to_string());
        }
        let ordinal = matches!(self.learned, Learned::Ordinal { .. });
        names.extend((self.null_cell && !ordinal).then(|| format!("{name}=null")));
        names
    }

    fn encoder(&self) -> Result<Encoder> {
        let kind = kind_of(&self.kind)
            .ok_or_else(|| Error::unsupported(format!("type {} is not transformed", self.kind)))?;
        let width = self.output_names().len();
        let positions = |labels: &[String], fill: Option<usize>| {
            if fill.is_some_and(|fill| fill >= labels.len()) || labels.len() >= 1 << 24 {
                return Err(Error::invalid("a category that is not there, or too many"));
            }
            Positions::new(kind, labels.iter().map(String::as_str))
        };
        let code = match &self.learned {
            Learned::Number { clip, shift, scale, fill } => {
                check_number(*clip, *shift, *scale, *fill)?;
                let (clip, fill) = (*clip, fill.unwrap_or(f64::NAN));
                Code::Number { clip, shift: *shift, scale: *scale, fill }
            }
            Learned::OneHot { categories, other, fill } => {
                let other = other.then_some(categories.len());
                Code::OneHot { positions: positions(categories, *fill)?, other, fill: *fill }
            }
            Learned::Ordinal { categories, fill } => {
                let positions = positions(categories, *fill)?;
                let own = if self.null_cell { code(categories.len() + 1) } else { f32::NAN };
                let null = fill.map_or(own, code);
                Code::Ordinal { positions, other: code(categories.len()), null }
            }
        };
        let ordinal = matches!(code, Code::Ordinal { .. });
        let null_output = (self.null_cell && !ordinal).then(|| width - 1);
        Ok(Encoder { name: Arc::clone(&self.name), kind, width, null_output, code })
    }
}

fn check_number(clip: Option<(f64, f64)>, shift: f64, scale: f64, fill: Option<f64>) -> Result<()> {
    let finite = shift.is_finite() && scale.is_finite() && fill.is_none_or(f64::is_finite);
    // `clamp` panics on bounds that are not in order.
    let ordered = clip.is_none_or(|(least, most)| least <= most);
    if finite && ordered && scale != 0.0 {
        return Ok(());
    }
    Err(Error::invalid("numbers that are not finite, not in order, or a scale of 0"))
}

/// What cells of this type are; `None` for those that are not transformed.
fn kind_of(kind: &ColumnType) -> Option<Kind> {
    match kind.dtype()? {
        DType::Bool => Some(Kind::Bool),
        DType::Utf8 => Some(Kind::Text),
        DType::Bytes => None,
        _ => Some(Kind::Number),
    }
}

/// The names of our own cells, and what looks quoted already, are quoted; the rest stays as it is.
fn quoted(label: &str) -> String {
    match label {
        "other" | "null" => format!("{label:?}"),
        _ if label.starts_with('"') => format!("{label:?}"),
        _ => label.to_owned(),
    }
}

//! What the columns of a dataset are like: learned from training data, saved with the model, and
//! what later data is [validated](DataSchema::validate) against.

use super::{
    category::{Category, Kind, Tally, whole},
    column::{Cell, ColumnType},
    dataset::{Dataset, Part, Train, column_type},
    version::{self, Version1},
};
use crate::{Result, setters::setters};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Codes among numbers repeat: a number is a category only if each value came this often on average.
const REPEATS: usize = 5;

/// What each column of a dataset is like. Counts, ranges and the values of categories; no rows.
///
/// ```
/// use mlops_core::data::{CsvOptions, DataSchema, Dataset, Train};
///
/// let text = "age,state\n41,MA\n23,NH\n,MA\n";
/// let train = Dataset::from_csv("people", text, &CsvOptions::new())?.declare::<Train>();
/// let schema = DataSchema::infer(&train);
/// let age = schema.column("age").unwrap();
/// assert_eq!((age.nulls, age.range.unwrap().max), (1, 41.0));
/// assert_eq!(schema.column("state").unwrap().categories.as_ref().unwrap()[0].value, "MA");
/// assert_eq!(DataSchema::from_json(&schema.to_json())?, schema);
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DataSchema {
    version: Version1,
    /// The number of rows that it was learned from.
    pub rows: usize,
    /// The columns, in their order.
    pub columns: Vec<ColumnSchema>,
}

/// What one column is like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ColumnSchema {
    /// Its name.
    pub name: Arc<str>,
    /// The type of its values.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// The number of nulls.
    pub nulls: usize,
    /// The number of values that are NaN.
    #[serde(default)]
    pub nans: usize,
    /// The number of values that are infinite.
    #[serde(default)]
    pub infinities: usize,
    /// The least and the greatest finite number, day or unit of time; `None` if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
    /// Whether all finite numbers are whole, whatever their type.
    #[serde(default)]
    pub whole: bool,
    /// The distinct values, in order, with how often they were there; `None` if the column is no
    /// category, or has more than [`SchemaOptions::max_categories`] values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<Vec<Category>>,
}

/// Where numbers lie. Integers beyond 2^53 are rounded, in order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

/// How a schema is learned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaOptions {
    /// The most distinct values that a category has; of columns with more no value is kept.
    pub max_categories: usize,
}

impl Default for SchemaOptions {
    fn default() -> Self {
        Self { max_categories: 64 }
    }
}

impl SchemaOptions {
    /// At most 64 values of a category.
    pub fn new() -> Self {
        Self::default()
    }
}

setters!(SchemaOptions {
    /// Sets the most distinct values that a category has; 0 keeps none.
    with_max_categories => max_categories: usize,
});

impl DataSchema {
    /// What the training data is like, with default options.
    ///
    /// # Examples
    /// Rows of another part do not compile:
    /// ```compile_fail,E0308
    /// # use mlops_core::data::{DataSchema, Dataset, Valid};
    /// fn infer(valid: &Dataset<Valid>) -> DataSchema {
    ///     DataSchema::infer(valid)
    /// }
    /// ```
    pub fn infer(train: &Dataset<Train>) -> Self {
        Self::of(train, &SchemaOptions::new())
    }

    /// What any dataset is like.
    ///
    /// # Behavior
    /// - text, booleans and whole numbers are categories if they have few enough distinct values;
    ///   numbers only if each value came at least five times on average
    pub fn of<S: Part>(dataset: &Dataset<S>, options: &SchemaOptions) -> Self {
        let fields = dataset.schema().fields().iter().enumerate();
        let columns = fields.filter_map(|(at, field)| {
            let kind = column_type(field).ok()?;
            Some(column(field.name(), kind, dataset.cells(at), options))
        });
        Self { version: Version1, rows: dataset.rows(), columns: columns.collect() }
    }

    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&ColumnSchema> {
        self.columns.iter().find(|column| column.name.as_ref() == name)
    }

    /// Writes versioned JSON.
    pub fn to_json(&self) -> String {
        version::to_json(self)
    }

    /// Reads JSON; another version is `Unsupported`, a mistake is `InvalidInput` that says where.
    pub fn from_json(text: &str) -> Result<Self> {
        version::from_json("data schema", text)
    }
}

impl ColumnSchema {
    /// Whether it has exactly one value, nulls aside; `None` if that was not kept.
    pub(super) fn is_constant(&self) -> Option<bool> {
        match (&self.categories, self.range) {
            (Some(categories), _) => Some(categories.len() == 1),
            (None, Some(range)) => Some(range.min.total_cmp(&range.max).is_eq()),
            (None, None) => None,
        }
    }

    /// How its categories are read.
    pub(super) fn category_kind(&self) -> Kind {
        match self.kind.dtype() {
            Some(crate::tensor::DType::Bool) => Kind::Bool,
            Some(crate::tensor::DType::Utf8) => Kind::Text,
            _ => Kind::Number,
        }
    }
}

fn column<'a>(
    name: &str,
    kind: ColumnType,
    cells: impl Iterator<Item = Cell<'a>>,
    options: &SchemaOptions,
) -> ColumnSchema {
    let may_be_category = !kind.is_time() && kind.dtype() != Some(crate::tensor::DType::Bytes);
    let mut tally = may_be_category.then(Tally::default);
    let (mut nulls, mut nans, mut infinities) = (0, 0, 0);
    let (mut range, mut all_whole): (Option<Range>, bool) = (None, true);
    for cell in cells {
        if let Some(counted) = &mut tally {
            counted.see(cell);
            tally = tally.filter(|t| t.distinct() <= options.max_categories && t.other == 0);
        }
        match (cell, cell.number()) {
            (Cell::Null, _) => nulls += 1,
            (_, Some(number)) if number.is_nan() => nans += 1,
            (_, Some(number)) if number.is_infinite() => infinities += 1,
            (Cell::Int(_) | Cell::Float(_), Some(number)) => {
                range = Some(range.map_or(Range { min: number, max: number }, |r| r.with(number)));
                all_whole &= matches!(cell, Cell::Int(_)) || whole(number).is_some();
            }
            _ => {}
        }
    }
    let enough = |t: &Tally| !kind.is_number() || t.total >= REPEATS * t.distinct();
    let tally = tally.filter(|t| t.total > 0 && enough(t));
    let categories = tally.map(|tally| tally.categories());
    let whole = all_whole && range.is_some();
    ColumnSchema { name: name.into(), kind, nulls, nans, infinities, range, whole, categories }
}

impl Range {
    fn with(self, number: f64) -> Self {
        Self { min: self.min.min(number), max: self.max.max(number) }
    }
}

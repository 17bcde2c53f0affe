//! What is to be done with each column.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is to be done with which columns, in the order of the output. Columns that are not named
/// are left out.
///
/// ```
/// use mlops_core::data::{CsvOptions, Dataset, FittedTransform, Nulls, Rule, Train, TransformSpec};
///
/// let text = "age,purpose,id\n20,car,1\n40,house,2\n,car,3\n";
/// let train = Dataset::from_csv("loans", text, &CsvOptions::new())?.declare::<Train>();
/// let transform = TransformSpec::new()
///     .with_column("age", Rule::standardise().with_nulls(Nulls::Median).with_null_cell())
///     .with_column("purpose", Rule::one_hot(8).with_other())
///     .fit(&train)?;
/// let names = transform.output_names();
/// assert_eq!(names, ["age", "age=null", "purpose=car", "purpose=house", "purpose=other"]);
/// assert_eq!(FittedTransform::from_json(&transform.to_json())?, transform);
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransformSpec {
    pub(super) columns: Vec<(Arc<str>, Rule)>,
}

impl TransformSpec {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column.
    #[must_use]
    pub fn with_column(mut self, name: impl Into<Arc<str>>, rule: Rule) -> Self {
        self.columns.push((name.into(), rule));
        self
    }

    /// Adds several columns under one rule.
    #[must_use]
    pub fn with_columns<N: Into<Arc<str>>>(
        mut self,
        names: impl IntoIterator<Item = N>,
        rule: &Rule,
    ) -> Self {
        self.columns.extend(names.into_iter().map(|name| (name.into(), rule.clone())));
        self
    }
}

/// What is to be done with one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rule {
    /// What becomes of its values.
    pub encoding: Encoding,
    /// The least and the most that a number may be: it is kept between them before anything else.
    #[serde(default)]
    pub clip: Option<(f64, f64)>,
    /// Whether values that one-hot has no output for share one: `SEX=other`; else they are all zero.
    #[serde(default)]
    pub other: bool,
    /// What becomes of its nulls.
    #[serde(default)]
    pub nulls: Nulls,
    /// Whether nulls are also told: by an output of their own for numbers and one-hot (`SEX=null`),
    /// by a code of their own for ordinal.
    #[serde(default)]
    pub null_cell: bool,
}

/// What becomes of values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Encoding {
    /// A number stays itself.
    Number,
    /// The training data's mean is taken off, the rest divided by its standard deviation (that of
    /// the population, as scikit-learn's `StandardScaler` has it).
    Standard,
    /// An output of 0 or 1 for each value.
    OneHot {
        /// The most values that get an output; the most frequent do.
        max_categories: usize,
    },
    /// The position of the value among the values in order; others share the code after the last.
    Ordinal {
        /// The most values that get a code; the most frequent do.
        max_categories: usize,
    },
}

/// What becomes of nulls; NaN counts as null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Nulls {
    /// NaN for numbers and ordinal, zeros for one-hot. An ordinal with a null cell gives its code.
    #[default]
    Keep,
    /// The mean of the training data; numbers only.
    Mean,
    /// The median of the training data; numbers only.
    Median,
    /// The most frequent value of the training data; of equally frequent ones the least.
    MostFrequent,
    /// This number; numbers only.
    Number(f64),
    /// This category, written as in names of outputs; one-hot and ordinal only.
    Category(String),
}

impl Rule {
    fn new(encoding: Encoding) -> Self {
        Self { encoding, clip: None, other: false, nulls: Nulls::Keep, null_cell: false }
    }

    /// The number itself.
    pub fn number() -> Self {
        Self::new(Encoding::Number)
    }

    /// The number in standard deviations from the mean of the training data.
    pub fn standardise() -> Self {
        Self::new(Encoding::Standard)
    }

    /// An output of 0 or 1 for each of the most frequent values.
    pub fn one_hot(max_categories: usize) -> Self {
        Self::new(Encoding::OneHot { max_categories })
    }

    /// The position among the most frequent values.
    pub fn ordinal(max_categories: usize) -> Self {
        Self::new(Encoding::Ordinal { max_categories })
    }

    /// Keeps numbers between the least and the most before anything else happens to them.
    #[must_use]
    pub fn with_clip(mut self, least: f64, most: f64) -> Self {
        self.clip = Some((least, most));
        self
    }

    /// Gives values that are too rare or unseen an output of their own; one-hot only.
    #[must_use]
    pub fn with_other(mut self) -> Self {
        self.other = true;
        self
    }

    /// Says what becomes of nulls.
    #[must_use]
    pub fn with_nulls(mut self, nulls: Nulls) -> Self {
        self.nulls = nulls;
        self
    }

    /// Also tells nulls by an output, or a code, of their own.
    #[must_use]
    pub fn with_null_cell(mut self) -> Self {
        self.null_cell = true;
        self
    }

    /// Whether its parts fit each other.
    pub(super) fn check(&self) -> Result<()> {
        let numbers = matches!(self.encoding, Encoding::Number | Encoding::Standard);
        let wrong = match (&self.encoding, &self.nulls) {
            _ if self.clip.is_some() && !numbers => "only numbers are clipped",
            _ if self.clip.is_some_and(|(least, most)| !in_order(least, most)) => {
                "the bounds are not two numbers in order"
            }
            (
                Encoding::OneHot { max_categories: 0 } | Encoding::Ordinal { max_categories: 0 },
                _,
            ) => "at least one category is needed",
            (Encoding::Number | Encoding::Standard | Encoding::Ordinal { .. }, _) if self.other => {
                "only one-hot has an output for other values"
            }
            (_, Nulls::Mean | Nulls::Median | Nulls::Number(_)) if !numbers => {
                "nulls of a category cannot become a number"
            }
            (_, Nulls::Category(_)) if numbers => "nulls of a number cannot become a category",
            (_, Nulls::Number(number)) if !number.is_finite() => {
                "nulls cannot become a number that is not finite"
            }
            _ => return Ok(()),
        };
        Err(Error::invalid(wrong))
    }
}

fn in_order(least: f64, most: f64) -> bool {
    least.is_finite() && most.is_finite() && least <= most
}

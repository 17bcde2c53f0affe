//! What a transform learns from training data.

use super::{
    fitted::{FittedTransform, Learned, LearnedColumn},
    rule::{Encoding, Nulls, Rule, TransformSpec},
};
use crate::{
    Error, Result, ResultExt,
    data::{
        ColumnType, Dataset, Train,
        category::{Category, Tally},
        column::Cell,
    },
    tensor::DType,
};
use std::sync::Arc;

impl TransformSpec {
    /// Learns from training data; from no other part.
    ///
    /// # Behavior
    /// - a column that is missing, is no number where one is needed, holds no value, or holds
    ///   numbers that are not whole where categories are needed, is `InvalidInput` and named; so are
    ///   rules whose parts do not fit, and outputs of the same name
    /// - days, points in time and bytes are `Unsupported`
    ///
    /// # Examples
    /// ```
    /// # use mlops_core::data::{Dataset, Rule, TransformSpec};
    /// fn fit(rows: Dataset) -> mlops_core::Result<()> {
    ///     let split = rows.split_random([0.6, 0.2, 0.2], 7)?;
    ///     let spec = TransformSpec::new().with_column("age", Rule::standardise());
    ///     spec.fit(&split.train)?;
    ///     Ok(())
    /// }
    /// ```
    /// The test part is no training data, and this does not compile:
    /// ```compile_fail,E0308
    /// # use mlops_core::data::{Dataset, Rule, TransformSpec};
    /// fn fit(rows: Dataset) -> mlops_core::Result<()> {
    ///     let split = rows.split_random([0.6, 0.2, 0.2], 7)?;
    ///     let spec = TransformSpec::new().with_column("age", Rule::standardise());
    ///     spec.fit(&split.test)?;
    ///     Ok(())
    /// }
    /// ```
    pub fn fit(&self, train: &Dataset<Train>) -> Result<FittedTransform> {
        let column = |(name, rule): &(Arc<str>, Rule)| {
            rule.check()
                .and_then(|()| learn(train, name, rule))
                .map(|(kind, learned)| {
                    let null_cell = rule.null_cell;
                    LearnedColumn { name: Arc::clone(name), kind, null_cell, learned }
                })
                .context(|| format!("column {name:?}"))
        };
        let columns = self.columns.iter().map(column).collect::<Result<Vec<_>>>()?;
        FittedTransform::new(train.digest(), train.rows(), columns)
    }
}

fn learn(train: &Dataset<Train>, name: &str, rule: &Rule) -> Result<(ColumnType, Learned)> {
    let kind = train.column_type(name)?;
    if kind.is_time() || kind.dtype() == Some(DType::Bytes) {
        return Err(Error::unsupported(format!("type {kind} is not transformed")));
    }
    let cells = train.cells(train.position(name)?).map(nan_is_null);
    let learned = match rule.encoding {
        Encoding::Number | Encoding::Standard if kind.dtype() == Some(DType::Utf8) => {
            Err(Error::invalid("it holds text, not numbers"))
        }
        Encoding::Number | Encoding::Standard => {
            number(cells.filter_map(Cell::number).collect(), rule)
        }
        Encoding::OneHot { max_categories } => {
            let (categories, fill) = categories(cells, max_categories, &rule.nulls)?;
            Ok(Learned::OneHot { categories, other: rule.other, fill })
        }
        Encoding::Ordinal { max_categories } => {
            let (categories, fill) = categories(cells, max_categories, &rule.nulls)?;
            Ok(Learned::Ordinal { categories, fill })
        }
    };
    Ok((kind, learned?))
}

/// Data frames write gaps among floats as NaN.
pub(super) fn nan_is_null(cell: Cell<'_>) -> Cell<'_> {
    match cell {
        Cell::Float(value) if value.is_nan() => Cell::Null,
        cell => cell,
    }
}

fn number(mut values: Vec<f64>, rule: &Rule) -> Result<Learned> {
    if let Some((least, most)) = rule.clip {
        for value in &mut values {
            *value = value.clamp(least, most);
        }
    }
    let standard = rule.encoding == Encoding::Standard;
    let learns =
        standard || matches!(rule.nulls, Nulls::Mean | Nulls::Median | Nulls::MostFrequent);
    if learns && values.is_empty() {
        return Err(Error::invalid("it holds no values to learn from"));
    }
    if learns && values.iter().any(|value| value.is_infinite()) {
        return Err(Error::invalid("it holds infinite values: clip them"));
    }
    let (shift, scale) = if standard { moments(&values) } else { (0.0, 1.0) };
    let fill = match rule.nulls {
        Nulls::Mean => Some(moments(&values).0),
        Nulls::Median => Some(median(&mut values)),
        Nulls::MostFrequent => Some(most_frequent(&mut values)),
        Nulls::Number(number) => Some(number),
        Nulls::Keep | Nulls::Category(_) => None,
    };
    if !shift.is_finite() || !scale.is_finite() || fill.is_some_and(|fill| !fill.is_finite()) {
        return Err(Error::invalid("its values are too great to be averaged: clip them"));
    }
    Ok(Learned::Number { clip: rule.clip, shift, scale, fill })
}

/// Mean, and standard deviation of the population; 1 instead of the latter where values differ by
/// nothing but rounding (the bound of scikit-learn's `_is_constant_feature`).
#[expect(clippy::cast_precision_loss, reason = "a count of rows is far below 2^53")]
fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let first = values.iter().sum::<f64>() / count;
    // The second pass takes away what rounding left in the first.
    let mean = first + values.iter().map(|value| value - first).sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let rounding = count * f64::EPSILON * variance + (count * mean * f64::EPSILON).powi(2);
    (mean, if variance <= rounding { 1.0 } else { variance.sqrt() })
}

/// Between the two in the middle if their number is even.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        return values[middle];
    }
    values[middle - 1].midpoint(values[middle])
}

#[expect(clippy::float_cmp, reason = "the same value, of which 0 and -0 are two writings")]
fn most_frequent(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let mut best = (0, f64::NAN);
    for run in values.chunk_by(|one, next| one == next) {
        if run.len() > best.0 {
            best = (run.len(), run[0]);
        }
    }
    best.1
}

/// The labels that get a place, in order, and the place that nulls go to.
fn categories<'a>(
    cells: impl Iterator<Item = Cell<'a>>,
    most: usize,
    nulls: &Nulls,
) -> Result<(Vec<String>, Option<usize>)> {
    let mut tally = Tally::default();
    for cell in cells {
        tally.see(cell);
    }
    if tally.other > 0 {
        return Err(Error::invalid("it holds numbers that are not whole: they are no categories"));
    }
    let kept: Vec<Category> = tally.frequent(most);
    // Of equally frequent ones the first: `max_by_key` would take the last.
    let frequent = kept.iter().enumerate().rev().max_by_key(|(_, category)| category.count);
    let Some((frequent, _)) = frequent else {
        return Err(Error::invalid("it holds no values to learn from"));
    };
    let fill = match nulls {
        Nulls::MostFrequent => Some(frequent),
        Nulls::Category(text) => {
            let at = kept.iter().position(|category| category.value == *text);
            Some(at.ok_or_else(|| {
                Error::invalid(format!("nulls become {text:?}, which is none of its categories"))
            })?)
        }
        _ => None,
    };
    Ok((kept.into_iter().map(|category| category.value).collect(), fill))
}

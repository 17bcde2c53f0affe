//! Which cell each row falls into.

use super::{
    column::ColumnProfile,
    cuts::{NumericSpec, Precision},
    fit::{column, content},
    rows::{Code, codes, numbers, texts},
    spec::KindSpec,
};
use mlops_core::{
    Error, Result,
    arrow::array::{ArrayRef, RecordBatch},
};

/// Of the missing; the cells along a line or of the listed values come after it.
const MISSING: usize = 0;

impl ColumnProfile<'_> {
    /// For each row of a batch, the place of its cell among the column's
    /// [`coarse_cells`](Self::coarse_cells) of the same `most`; errors as of
    /// [`Profile::update`](super::Profile::update).
    pub(crate) fn places(&self, batch: &RecordBatch, most: usize) -> Result<Vec<usize>> {
        let spec = self.spec();
        let array = column(batch, &spec.name)?;
        let content = content(&spec.name, array)?;
        spec.kind.accepts(content).map_err(|wanted| {
            let name = &spec.name;
            Error::invalid(format!("column {name:?} holds {content}; its profile counts {wanted}"))
        })?;
        Ok(match &spec.kind {
            KindSpec::Numeric(numeric) => along(numeric, array, most),
            KindSpec::Codes(listed) => {
                let mut places = Vec::with_capacity(array.len());
                let at = |code| listed.binary_search(&code).unwrap_or(listed.len()) + 1;
                codes(array, |code| {
                    places.push(match code {
                        None => MISSING,
                        Some(Code::Value(code)) => at(code),
                        Some(Code::Other) => listed.len() + 1,
                    });
                });
                places
            }
            KindSpec::Texts(listed) => {
                let mut places = Vec::with_capacity(array.len());
                let at = |text: &str| listed.binary_search_by(|own| (**own).cmp(text));
                let at = |text: &str| at(text).unwrap_or(listed.len()) + 1;
                texts(array, |text| places.push(text.map_or(MISSING, at)));
                places
            }
        })
    }

    /// The borders of a numeric column's coarse cells, ascending: the least value of the first, then
    /// the largest of each. Empty if the reference had no value.
    pub(crate) fn borders(&self, most: usize) -> Vec<f64> {
        let KindSpec::Numeric(spec) = &self.spec().kind else { return Vec::new() };
        let ends = spec.groups(most).into_iter().filter_map(|end| spec.cuts.get(end - 1).copied());
        let mut borders: Vec<f64> = ends.collect();
        if !borders.is_empty() {
            borders.insert(0, spec.least);
        }
        borders
    }
}

fn along(spec: &NumericSpec, array: &ArrayRef, most: usize) -> Vec<usize> {
    let (bins, ends) = (spec.bins(Precision::of(array.data_type())), spec.groups(most));
    let mut places = Vec::with_capacity(array.len());
    numbers(array, |value| {
        places.push(match value.filter(|value| !value.is_nan()) {
            None => MISSING,
            // 0 is below, then come the cells, then above.
            Some(value) => match bins.place(value + 0.0).at {
                0 => 1,
                at => ends.partition_point(|end| *end < at) + 2,
            },
        });
    });
    places
}

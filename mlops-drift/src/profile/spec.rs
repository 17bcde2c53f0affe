//! The cells of a profile: made once from a reference, shared by every window beside it.

use super::{cuts::NumericSpec, rows::Content};
use mlops_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, sync::Arc};

/// Which columns a profile has, and where the borders of their cells lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileSpec {
    pub(super) columns: Vec<ColumnSpec>,
    /// The version of the bytes in which these cells are written: cells keep it, so that replicas
    /// of two releases can count in one reference's cells and read each other.
    #[serde(skip, default = "first_version")]
    pub(super) version: u32,
}

fn first_version() -> u32 {
    1
}

/// One column's cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnSpec {
    pub(super) name: Arc<str>,
    pub(super) kind: KindSpec,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KindSpec {
    Numeric(NumericSpec),
    /// Listed codes, ascending.
    Codes(Vec<i64>),
    /// Listed texts, ascending.
    Texts(Vec<Arc<str>>),
}

impl ProfileSpec {
    /// The names of its columns, in order.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.columns.iter().map(|column| &column.name)
    }

    /// Whether it could have been made by a fit.
    pub(super) fn check(&self) -> Result<()> {
        let mut names = HashSet::with_capacity(self.columns.len());
        for column in &self.columns {
            if !names.insert(&column.name) {
                return Err(Error::corrupt(format!("column {:?} appears twice", column.name)));
            }
            let sound = match &column.kind {
                KindSpec::Numeric(numeric) => numeric.is_sound(),
                KindSpec::Codes(codes) => codes.is_sorted_by(|a, b| a < b),
                KindSpec::Texts(texts) => texts.is_sorted_by(|a, b| a < b),
            };
            if !sound {
                return Err(Error::corrupt(format!(
                    "column {:?}: cells out of order",
                    column.name
                )));
            }
        }
        Ok(())
    }
}

impl KindSpec {
    /// Whether a column of this content can be counted; if not, what can.
    pub(super) fn accepts(&self, content: Content) -> Result<(), &'static str> {
        match self {
            Self::Texts(_) if matches!(content, Content::Text | Content::Null) => Ok(()),
            Self::Texts(_) => Err("text"),
            Self::Numeric(_) | Self::Codes(_) if content.is_number() => Ok(()),
            Self::Numeric(_) => Err("numbers"),
            Self::Codes(_) => Err("whole numbers"),
        }
    }
}

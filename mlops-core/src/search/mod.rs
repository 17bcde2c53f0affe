//! MLflow's filter and order grammar: text in, a typed tree out, no database needed.
//!
//! ```text
//! filter := condition (AND condition)*
//! condition := key op value | key IS [NOT] NULL | key [NOT] IN ('a', 'b') | key [I]LIKE 'a%'
//! key := [family '.'] name          without a family it is an attribute
//! family := metric(s) | param(s) | parameter(s) | tag(s) | attribute(s) | attr | run | dataset(s)
//! name := word, with dots after a family, or quoted: `any text` or "any text"
//! value := 'text' or "text", where a doubled quote stands for one | number
//! ```
//!
//! Those are the families of runs. Experiments, models and versions have `attribute` and `tag(s)`,
//! logged models `attributes`, `metrics`, `params` and `tags`. The number of a version may be in
//! quotes, as its JSON has it. A filter of blanks asks for nothing, as an empty one.
//!
//! There is no OR, NOT or parenthesis: MLflow has none. Keywords may be written in either case.
//! A store in memory asks [`Filter::matches`] and [`Order::compare`]; a store with a query language
//! walks [`Filter::conditions`] and [`Order::keys`]. What either answers is the same:
//!
//! - a key that the thing does not have matches nothing but `IS NULL`, not even `!=`; only that a
//!   version that no run made has the empty text as its `run_id`;
//! - a metric is its latest point; NaN matches nothing but `!=`;
//! - `%` in a pattern is any text, `_` any one character; `ILIKE` takes ASCII letters of either case;
//! - times are whole milliseconds since 1970.
//!
//! ```
//! use mlops_core::search::{Filter, List};
//!
//! let filter = Filter::parse(List::Runs, "metrics.loss < 0.5 AND tags.team LIKE 'risk%'")?;
//! assert_eq!(filter.conditions().len(), 2);
//! let error = Filter::parse(List::Runs, "metrics.loss < 'low'").unwrap_err();
//! assert_eq!(error.to_string(), "filter, byte 15: a number is expected after `metrics.loss <`");
//! # Ok::<(), mlops_core::Error>(())
//! ```

mod field;
mod matching;
mod order;
mod parser;
mod print;
mod scanner;
mod view;

pub use field::{Attribute, DatasetField, Key, List};
pub use matching::{Searchable, Value};
pub use order::{Order, OrderKey};

/// The longest filter or order key, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// The most conditions of a filter.
pub const MAX_CONDITIONS: usize = 100;
/// The most texts in the parentheses of one `IN`.
pub const MAX_LISTED: usize = 1_000;
/// The most keys to order by.
pub const MAX_ORDER_KEYS: usize = 32;

/// Conditions that must all hold; none hold for everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    conditions: Vec<Condition>,
}

impl Filter {
    /// Every condition, in the order of the text.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

/// One condition of a filter.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Condition {
    /// What is looked at.
    pub key: Key,
    /// What must hold of it.
    pub test: Test,
}

/// What must hold of a value. A number key has only [`Test::Number`], a text key only the others.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Test {
    /// Compared with a finite number.
    Number(Comparison, f64),
    /// `=`, or `!=` if `not`.
    Equals {
        /// The text, which must be the same to the byte.
        text: String,
        /// Whether it must differ.
        not: bool,
    },
    /// `LIKE`, or `ILIKE` if `ignore_case`.
    Like {
        /// Text in which `%` is any text and `_` any one character; nothing escapes them.
        pattern: String,
        /// Whether ASCII letters of either case are the same.
        ignore_case: bool,
    },
    /// `IN`, or `NOT IN` if `not`.
    In {
        /// The texts; at least one.
        texts: Vec<String>,
        /// Whether it must be none of them.
        not: bool,
    },
    /// `IS NULL`, or `IS NOT NULL` if `not`.
    Null {
        /// Whether it must be there.
        not: bool,
    },
}

/// How a number is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// As SQL and the grammar write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// Whether it holds; with a NaN only `!=` does.
    #[expect(clippy::float_cmp, reason = "the filter asks for exactly this number")]
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

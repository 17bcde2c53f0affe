//! Searches: parsed by the family's grammar first, then written as MLflow reads them.

use super::http::Session;
use crate::mlflow::wire::datasets;
use mlops_core::{
    Error, Result,
    page::{Search, View},
    search::{Attribute, Condition, DatasetField, Filter, Key, List, Order, OrderKey, Test},
};
use std::fmt::Write as _;

/// A search as it travels.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) filter: Option<String>,
    pub(super) order_by: Vec<String>,
    pub(super) view: &'static str,
    pub(super) page: Option<String>,
}

impl Wanted {
    /// What is outside the grammar is `InvalidInput` and says where; nothing is sent then.
    pub(super) fn of(session: &Session, list: List, search: &Search) -> Result<Self> {
        let filter = Filter::parse(list, &search.filter)?;
        let order = Order::parse(list, &search.order_by)?;
        let writer = Writer { list, plain: !session.is_ours() };
        let filter = writer.filter(&filter)?;
        let order_by = order.keys().iter().map(|key| writer.order(key)).collect::<Result<_>>()?;
        let view = match search.view {
            View::Active => "ACTIVE_ONLY",
            View::Deleted => "DELETED_ONLY",
            View::All => "ALL",
            _ => return Err(Error::unsupported("this client does not know the view of a search")),
        };
        let filter = Some(filter).filter(|filter| !filter.is_empty());
        Ok(Self { filter, order_by, view, page: search.page.clone() })
    }
}

/// A token that says where the next page begins; MLflow writes an empty one for none.
pub(super) fn next(token: Option<String>) -> Option<String> {
    token.filter(|token| !token.is_empty())
}

/// Equality with a text, for a registry's list.
pub(super) fn equals(key: &str, text: &str) -> Result<String> {
    Ok(format!("{key} = {}", quoted(text)?))
}

struct Writer {
    list: List,
    plain: bool,
}

impl Writer {
    fn filter(&self, filter: &Filter) -> Result<String> {
        let parts: Result<Vec<String>> =
            filter.conditions().iter().map(|condition| self.condition(condition)).collect();
        Ok(parts?.join(" AND "))
    }

    fn order(&self, key: &OrderKey) -> Result<String> {
        Ok(format!("{} {}", self.key(&key.key)?, if key.descending { "DESC" } else { "ASC" }))
    }

    fn condition(&self, condition: &Condition) -> Result<String> {
        let key = self.key(&condition.key)?;
        let text = |text: &str| match &condition.key {
            // MLflow keeps the beginning of a digest.
            Key::Dataset(DatasetField::Digest) if self.plain => quoted(&datasets::short(text)),
            _ => quoted(text),
        };
        Ok(match &condition.test {
            Test::Number(comparison, number) => {
                format!("{key} {} {}", comparison.as_str(), written(*number))
            }
            Test::Equals { text: own, not } => {
                format!("{key} {} {}", if *not { "!=" } else { "=" }, text(own)?)
            }
            Test::Like { pattern, ignore_case } => {
                let operator = if *ignore_case { "ILIKE" } else { "LIKE" };
                format!("{key} {operator} {}", quoted(pattern)?)
            }
            Test::In { texts, not } => {
                let texts: Result<Vec<String>> = texts.iter().map(|own| text(own)).collect();
                let operator = if *not { "NOT IN" } else { "IN" };
                format!("{key} {operator} ({})", texts?.join(", "))
            }
            Test::Null { not } => format!("{key} IS {}", if *not { "NOT NULL" } else { "NULL" }),
            _ => return Err(Error::unsupported("this client does not know a part of the filter")),
        })
    }

    fn key(&self, key: &Key) -> Result<String> {
        Ok(match key {
            Key::Attribute(attribute) => self.word(*attribute).to_owned(),
            Key::Metric(name) => format!("metrics.{}", named(name)?),
            Key::Param(name) => format!("params.{}", named(name)?),
            Key::Tag(name) => format!("tags.{}", named(name)?),
            Key::Dataset(field) => format!("dataset.{}", field.as_str()),
            _ => return Err(Error::unsupported("this client does not know a key of the search")),
        })
    }

    fn word(&self, attribute: Attribute) -> &'static str {
        let registry = matches!(self.list, List::Models | List::Versions);
        match attribute {
            Attribute::Created if registry => "creation_timestamp",
            Attribute::Updated if registry => "last_updated_timestamp",
            other => other.as_str(),
        }
    }
}

/// A number, as short as it can be: MLflow takes no fraction where it compares integers.
fn written(number: f64) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = if number.fract() == 0.0 && number.abs() < 1e15 {
        write!(text, "{number:.0}")
    } else {
        write!(text, "{number:?}")
    };
    text
}

/// A name in the quotes that it does not hold: MLflow reads no doubled ones.
fn named(name: &str) -> Result<String> {
    in_quotes(name, ['`', '"'])
}

/// A text in the quotes that it does not hold.
fn quoted(text: &str) -> Result<String> {
    in_quotes(text, ['\'', '"'])
}

fn in_quotes(text: &str, quotes: [char; 2]) -> Result<String> {
    let free = quotes.into_iter().find(|&quote| !text.contains(quote));
    free.map(|quote| format!("{quote}{text}{quote}")).ok_or_else(|| {
        Error::unsupported(format!("MLflow has no quotes for a text that holds {quotes:?}"))
    })
}

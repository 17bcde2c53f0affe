//! In which order a list comes.

use super::{Attribute, Key, List, MAX_ORDER_KEYS, Searchable, Value, scanner::Scanner};
use crate::{Error, Result, Timestamp};
use std::cmp::Ordering;

/// Keys to order by, the first first; ends with keys that tell any two items apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    keys: Vec<OrderKey>,
}

/// One key to order by. In both directions NaN comes after numbers and what lacks the key last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OrderKey {
    /// What is compared.
    pub key: Key,
    /// Whether the largest comes first.
    pub descending: bool,
}

impl Order {
    /// Reads keys such as `metrics.loss DESC` and adds the list's own order for what they leave
    /// open. `InvalidInput` says which key is wrong at which byte, or that a key came before.
    pub fn parse(list: List, texts: &[impl AsRef<str>]) -> Result<Self> {
        if texts.len() > MAX_ORDER_KEYS {
            return Err(Error::too_large(format!("order_by: more than {MAX_ORDER_KEYS} keys")));
        }
        let mut keys: Vec<OrderKey> = Vec::new();
        for text in texts {
            let key = order_key(list, text.as_ref())?;
            if keys.iter().any(|own| own.key == key.key) {
                return Err(Error::invalid(format!("order_by: {} is there twice", key.key)));
            }
            keys.push(key);
        }
        for (attribute, descending) in last_keys(list, keys.is_empty()) {
            let key = Key::Attribute(*attribute);
            if !keys.iter().any(|own| own.key == key) {
                keys.push(OrderKey { key, descending: *descending });
            }
        }
        Ok(Self { keys })
    }

    /// The keys asked for, then those of the list.
    pub fn keys(&self) -> &[OrderKey] {
        &self.keys
    }

    /// Which of two items comes first.
    pub fn compare(&self, left: &dyn Searchable, right: &dyn Searchable) -> Ordering {
        let mut orders = self.keys.iter().map(|key| key.compare(left, right));
        orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

/// MLflow's: runs by start, the others as their pages show them.
fn last_keys(list: List, alone: bool) -> &'static [(Attribute, bool)] {
    match list {
        List::Experiments if !alone => &[(Attribute::ExperimentId, true)],
        List::Runs => &[(Attribute::StartTime, true), (Attribute::RunId, false)],
        List::Experiments => &[(Attribute::Created, true), (Attribute::ExperimentId, false)],
        List::Models => &[(Attribute::Name, false)],
        List::LoggedModels => &[(Attribute::Created, true), (Attribute::ModelId, false)],
        List::Traces => &[(Attribute::StartTime, true), (Attribute::TraceId, false)],
        List::Versions => &[
            (Attribute::Created, true),
            (Attribute::Name, false),
            (Attribute::VersionNumber, true),
        ],
    }
}

fn order_key(list: List, text: &str) -> Result<OrderKey> {
    let mut scanner = Scanner::new("order_by", text)?;
    // Nothing but a direction can follow a key, so it needs no quotes around signs.
    let bare = |c: char| !c.is_whitespace() && !matches!(c, '.' | '`' | '"' | '\'' | ',');
    let at = scanner.space().at();
    let key = scanner.key(list, bare)?.kept(list);
    if matches!(key, Key::Dataset(_)) {
        return Err(scanner.error(at, "runs cannot be ordered by their datasets"));
    }
    let descending = scanner.space().keyword("DESC");
    if !descending {
        scanner.keyword("ASC");
    }
    if !scanner.space().is_at_end() {
        return Err(scanner.error(scanner.at(), "ASC, DESC or nothing is expected after the key"));
    }
    Ok(OrderKey { key, descending })
}

impl OrderKey {
    fn compare(&self, left: &dyn Searchable, right: &dyn Searchable) -> Ordering {
        let value = |item: &dyn Searchable| -> Option<Owned> {
            item.values(&self.key).into_iter().next().map(|value| self.owned(value))
        };
        let (left, right) = (value(left), value(right));
        let rank = |value: &Option<Owned>| match value {
            Some(Owned::Number(number)) if number.is_nan() => 1,
            Some(_) => 0,
            None => 2,
        };
        let order = match (&left, &right) {
            (Some(left), Some(right)) => left.compare(right),
            _ => Ordering::Equal,
        };
        let directed = if self.descending { order.reverse() } else { order };
        rank(&left).cmp(&rank(&right)).then(directed)
    }

    fn owned(&self, value: Value<'_>) -> Owned {
        match value {
            Value::Number(number) => Owned::Number(number),
            Value::Time(time) => Owned::Time(time),
            // The shorter of two decimal numbers is the smaller one.
            Value::Text(text) if self.key == Key::Attribute(Attribute::ExperimentId) => {
                Owned::Text(text.len(), text.into_owned())
            }
            Value::Text(text) => Owned::Text(0, text.into_owned()),
        }
    }
}

enum Owned {
    Number(f64),
    Time(Timestamp),
    Text(usize, String),
}

impl Owned {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            // 0 and -0 are the same number; NaN has its own rank.
            (Self::Number(left), Self::Number(right)) => {
                left.partial_cmp(right).unwrap_or(Ordering::Equal)
            }
            (Self::Time(left), Self::Time(right)) => left.cmp(right),
            (Self::Text(left_length, left), Self::Text(right_length, right)) => {
                (left_length, left).cmp(&(right_length, right))
            }
            _ => Ordering::Equal,
        }
    }
}

//! Back to text: what is printed parses to the same tree.

use super::{Condition, Filter, Key, Order, OrderKey, Test};
use std::fmt;

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, condition) in self.conditions().iter().enumerate() {
            let and = if index == 0 { "" } else { " AND " };
            write!(f, "{and}{condition}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.test)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(attribute) => f.write_str(attribute.as_str()),
            Self::Metric(name) => write!(f, "metrics.{}", Quoted(name, '`')),
            Self::Param(name) => write!(f, "params.{}", Quoted(name, '`')),
            Self::Tag(name) => write!(f, "tags.{}", Quoted(name, '`')),
            Self::Dataset(field) => write!(f, "dataset.{}", field.as_str()),
            Self::Metadata(name) => write!(f, "metadata.{}", Quoted(name, '`')),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |not: bool| if not { "NOT " } else { "" };
        match self {
            // `Debug` keeps every bit and is short where `Display` writes 300 zeros.
            Self::Number(comparison, number) => write!(f, "{} {number:?}", comparison.as_str()),
            Self::Equals { text, not } => {
                write!(f, "{} {}", if *not { "!=" } else { "=" }, Quoted(text, '\''))
            }
            Self::Like { pattern, ignore_case } => {
                let operator = if *ignore_case { "ILIKE" } else { "LIKE" };
                write!(f, "{operator} {}", Quoted(pattern, '\''))
            }
            Self::In { texts, not } => {
                write!(f, "{}IN (", word(*not))?;
                for (index, text) in texts.iter().enumerate() {
                    write!(f, "{}{}", if index == 0 { "" } else { ", " }, Quoted(text, '\''))?;
                }
                f.write_str(")")
            }
            Self::Null { not } => write!(f, "IS {}NULL", word(*not)),
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, key) in self.keys().iter().enumerate() {
            write!(f, "{}{key}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Display for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, if self.descending { "DESC" } else { "ASC" })
    }
}

/// A text in quotes, in which the quote is doubled.
struct Quoted<'a>(&'a str, char);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        f.write_char(self.1)?;
        for c in self.0.chars() {
            if c == self.1 {
                f.write_char(c)?;
            }
            f.write_char(c)?;
        }
        f.write_char(self.1)
    }
}

//! Whether a thing is what a filter asks for.

use super::{Condition, Filter, Key, Test};
use crate::Timestamp;
use std::borrow::Cow;

/// Something that can be searched for: gives what it has under a key.
pub trait Searchable {
    /// The values under a key: none if the thing lacks it, more than one only of a dataset.
    ///
    /// A key for which [`Key::is_number`] holds has numbers or times, any other texts.
    fn values(&self, key: &Key) -> Vec<Value<'_>>;
}

/// A value of a thing that is searched for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A number.
    Number(f64),
    /// A time: filters see its whole milliseconds, orders all of it.
    Time(Timestamp),
}

impl<'a> Value<'a> {
    /// A text, borrowed or owned.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }
}

impl Filter {
    /// Whether every condition holds.
    pub fn matches(&self, item: &dyn Searchable) -> bool {
        self.conditions().iter().all(|condition| condition.matches(item))
    }
}

impl Condition {
    /// Whether it holds; of several values one must pass the test.
    pub fn matches(&self, item: &dyn Searchable) -> bool {
        let values = item.values(&self.key);
        match &self.test {
            Test::Null { not } => values.is_empty() != *not,
            test => values.iter().any(|value| holds(test, value)),
        }
    }
}

fn holds(test: &Test, value: &Value<'_>) -> bool {
    match (test, value) {
        (Test::Number(comparison, right), Value::Number(left)) => comparison.holds(*left, *right),
        (Test::Number(comparison, right), Value::Time(time)) => {
            comparison.holds(millis(*time), *right)
        }
        (Test::Equals { text, not }, Value::Text(own)) => (own == text) != *not,
        (Test::In { texts, not }, Value::Text(own)) => texts.iter().any(|text| own == text) != *not,
        (Test::Like { pattern, ignore_case }, Value::Text(own)) => like(own, pattern, *ignore_case),
        _ => false,
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact until the year 287396")]
fn millis(time: Timestamp) -> f64 {
    time.unix_millis() as f64
}

/// Whether a text fits a pattern. Takes at most as many steps as the product of the lengths: after
/// a mismatch only the last `%` takes one character more.
fn like(text: &str, pattern: &str, ignore_case: bool) -> bool {
    let characters = |text: &str| -> Vec<char> {
        let fold = |c: char| if ignore_case { c.to_ascii_lowercase() } else { c };
        text.chars().map(fold).collect()
    };
    let (text, pattern) = (characters(text), characters(pattern));
    let (mut at, mut in_pattern) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(in_pattern) {
            Some('%') => {
                in_pattern += 1;
                retry = Some((at, in_pattern));
            }
            Some(&c) if c == '_' || c == text[at] => (at, in_pattern) = (at + 1, in_pattern + 1),
            _ => match retry {
                Some((start, after)) => {
                    retry = Some((start + 1, after));
                    (at, in_pattern) = (start + 1, after);
                }
                None => return false,
            },
        }
    }
    pattern[in_pattern..].iter().all(|c| *c == '%')
}

#[cfg(test)]
mod tests {
    use super::like;
    use proptest::prelude::*;

    #[test]
    fn patterns_fit_what_they_should() {
        for (text, pattern, fits) in [
            ("", "", true),
            ("", "%", true),
            ("", "_", false),
            ("risk-model", "risk%", true),
            ("risk-model", "%model", true),
            ("risk-model", "%k_m%", true),
            ("risk-model", "risk", false),
            ("aab", "%ab", true),
            ("abab", "%ab%ab%", true),
            ("ab", "%ab%ab%", false),
            ("straße", "stra_e", true),
        ] {
            assert_eq!(like(text, pattern, false), fits, "{text:?} {pattern:?}");
        }
        assert!(!like("Risk", "risk", false) && like("Risk", "rISK", true));
    }

    /// The definition, which takes exponential time.
    fn slow(text: &[char], pattern: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('%', rest)) => (0..=text.len()).any(|skip| slow(&text[skip..], rest)),
            Some((first, rest)) => text
                .split_first()
                .is_some_and(|(own, text)| (first == own || *first == '_') && slow(text, rest)),
        }
    }

    proptest! {
        #[test]
        fn it_is_what_the_definition_says(text in "[ab_%]{0,8}", pattern in "[ab_%]{0,6}") {
            let (t, p): (Vec<_>, Vec<_>) = (text.chars().collect(), pattern.chars().collect());
            prop_assert_eq!(like(&text, &pattern, false), slow(&t, &p));
        }
    }
}

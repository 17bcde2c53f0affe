//! Which rows a search begins with.

use crate::store::{
    connection::{Connection, Value},
    tags,
};
use mlops_core::{
    Result,
    search::{Comparison, Condition, Key, List, Test},
};

/// So many rows of each condition are counted at most: in an index, that takes a tenth of a millisecond.
const MOST_COUNTED: u64 = 2000;

/// The condition that the fewest things meet, if one of them names a text exactly.
///
/// A database that has counted nothing guesses, and guesses wrong by factors of ten. So the search counts, as
/// far as is worth it: texts that are named, and ranges of metrics, each of which an index has.
pub(super) async fn choose<'a>(
    db: &mut Connection,
    list: List,
    conditions: &'a [Condition],
) -> Result<Option<&'a Condition>> {
    let texts = conditions.iter().filter(|condition| is_exact(condition));
    let ranges = conditions.iter().filter(|condition| is_range(condition));
    let Some(first) = texts.clone().next() else { return Ok(None) };
    let candidates: Vec<_> = texts.chain(ranges).collect();
    // Only runs are that many.
    if candidates.len() == 1 || list != List::Runs {
        return Ok(Some(first));
    }
    let (mut counts, mut values) = (Vec::new(), Vec::new());
    for Condition { key, test, .. } in &candidates {
        counts.extend(count(key, test, &mut values));
    }
    let rows = db.rows(format!("select {}", counts.join(", ")), &values).await?;
    let mut fewest = (first, i64::MAX);
    for (at, candidate) in candidates.into_iter().enumerate() {
        let counted = rows[0].int(at)?;
        // Of equals the first: a text.
        if counted < fewest.1 {
            fewest = (candidate, counted);
        }
    }
    Ok(Some(fewest.0))
}

fn is_exact(condition: &Condition) -> bool {
    matches!(condition.key, Key::Param(_) | Key::Tag(_))
        && matches!(condition.test, Test::Equals { not: false, .. })
}

fn is_range(condition: &Condition) -> bool {
    let Test::Number(comparison, _) = condition.test else { return false };
    matches!(condition.key, Key::Metric(_)) && comparison != Comparison::NotEqual
}

/// A column with the count of the rows of a text or a range.
fn count(key: &Key, test: &Test, values: &mut Vec<Value>) -> Option<String> {
    let texts = if matches!(key, Key::Param(_)) { tags::PARAM.name } else { tags::RUN.name };
    let (table, name, column) = match (key, test) {
        (Key::Param(name) | Key::Tag(name), Test::Equals { text, .. }) => {
            values.extend([Value::from(name), Value::from(text)]);
            (texts, "key", "value =".to_owned())
        }
        (Key::Metric(name), Test::Number(comparison, bound)) => {
            values.extend([Value::from(name), Value::from(*bound)]);
            ("metric_series", "metric", format!("number {}", comparison.as_str()))
        }
        _ => return None,
    };
    let (first, second) = (values.len() - 1, values.len());
    Some(format!(
        "(select count(*) from (select 1 from {table} where {name} = ${first} and {column} ${second}
         limit {MOST_COUNTED}) counted)"
    ))
}

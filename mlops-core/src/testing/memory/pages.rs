//! Searches over things in memory, and lists in pages.

use crate::{
    Error, Result,
    page::{Page, Search, View},
    search::{Filter, List, Order, Searchable},
    tracker::Lifecycle,
};
use std::cmp::Ordering;

/// What a search finds, in its order. A page begins after the last item of the one before, which
/// `identity` names; so what is added meanwhile moves nothing.
pub(super) fn find<T: Searchable + Clone>(
    list: List,
    search: &Search,
    all: &[T],
    identity: impl Fn(&T) -> String,
    seen: impl Fn(&T) -> bool,
) -> Result<Page<T>> {
    let limit = limit(list, search.max_results)?;
    let filter = Filter::parse(list, &search.filter)?;
    let order = Order::parse(list, &search.order_by)?;
    let before = match &search.page {
        None => None,
        Some(token) => {
            let gone = || Error::invalid("the search does not have the page that is asked for");
            Some(all.iter().find(|item| identity(item) == *token).ok_or_else(gone)?)
        }
    };
    let after =
        |item: &T| before.is_none_or(|before| order.compare(before, item) == Ordering::Less);
    let mut found: Vec<&T> =
        all.iter().filter(|item| seen(item) && filter.matches(*item) && after(item)).collect();
    found.sort_by(|left, right| order.compare(*left, *right));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| identity(last));
    Ok(Page { items: found.into_iter().cloned().collect(), next })
}

/// Whether a view shows what is live, or deleted.
pub(super) fn shows(view: View, lifecycle: Lifecycle) -> bool {
    match view {
        View::Active => lifecycle == Lifecycle::Active,
        View::Deleted => lifecycle == Lifecycle::Deleted,
        View::All => true,
    }
}

/// How many items a page has: MLflow's defaults and maxima.
fn limit(list: List, asked: Option<usize>) -> Result<usize> {
    let (default, most) = match list {
        List::Models => (100, 1_000),
        List::Versions => (10_000, 200_000),
        // Of those that this store keeps; it has no logged models and no traces.
        _ => (1_000, 50_000),
    };
    checked(asked, default, most)
}

/// None, or more than allowed, is `InvalidInput`.
pub(super) fn checked(asked: Option<usize>, default: usize, most: usize) -> Result<usize> {
    let count = asked.unwrap_or(default);
    if (1..=most).contains(&count) {
        return Ok(count);
    }
    Err(Error::invalid(format!("max_results is {count} and not between 1 and {most}")))
}

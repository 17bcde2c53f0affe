//! Lists that come in pages.

use crate::{
    Result,
    page::{Page, Search},
};

/// The most items asked for at once.
const PAGE: usize = 1000;

/// The first items of a list, and whether there are more.
pub(super) async fn first<T>(
    limit: usize,
    mut search: Search,
    ask: impl AsyncFn(Search) -> Result<Page<T>>,
) -> Result<(Vec<T>, bool)> {
    let mut found = Vec::new();
    while found.len() < limit {
        let wanted = (limit - found.len()).min(PAGE);
        let page = ask(search.clone().with_max_results(wanted)).await?;
        found.extend(page.items);
        match page.next {
            Some(next) => search = search.with_page(Some(next)),
            None => return Ok((found, false)),
        }
    }
    Ok((found, true))
}

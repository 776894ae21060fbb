//! Pages of rows as GraphQL connections.

use async_graphql::OutputType;
use async_graphql::connection::{Connection, Edge};

use super::Result;
use crate::error::Refusal;
use crate::store::page::{CursorError, DEFAULT_PAGE, MAX_PAGE, Page, PageRequest, encode_cursor};

/// Which page is wanted.
pub(super) fn page_request(first: Option<i32>, after: Option<&str>) -> Result<PageRequest> {
    let first = first.map(u64::try_from).transpose().map_err(|_| Refusal::invalid("first", "`first` can't be negative"))?;
    if first.is_some_and(|first| first > MAX_PAGE) {
        return Err(Refusal::invalid("first", format!("`first` is at most {MAX_PAGE}")));
    }
    Ok(PageRequest::new(first, after)?)
}

impl From<CursorError> for Refusal {
    fn from(error: CursorError) -> Self {
        Self::invalid("after", error.to_string())
    }
}

/// How many rows a list counts for in the complexity of a query.
pub(super) fn rows(first: Option<i32>) -> usize {
    let wanted = first.and_then(|first| u64::try_from(first).ok()).unwrap_or(DEFAULT_PAGE).min(MAX_PAGE);
    usize::try_from(wanted).unwrap_or(usize::MAX).max(1)
}

/// A page as a connection; each row says its sort key.
pub(super) fn connection<R, T: OutputType>(page: Page<R>, key: impl Fn(&R) -> String, view: impl Fn(R) -> T) -> Connection<String, T> {
    let mut connection = Connection::new(page.has_previous, page.has_next);
    connection.edges = page.rows.into_iter().map(|row| Edge::new(encode_cursor(&key(&row)), view(row))).collect();
    connection
}

/// A page of rows that a loader gave all at once, in the order of their ids.
pub(super) fn page_of<R: Clone>(all: &[R], id: impl Fn(&R) -> &str, page: &PageRequest) -> Page<R> {
    let behind = all.iter().filter(|row| page.after.as_deref().is_none_or(|after| id(row) > after));
    let limit = usize::try_from(page.limit()).unwrap_or(usize::MAX);
    page.page(behind.take(limit).cloned().collect())
}

//! Lists in pages: a cursor is the sort key of the last row seen, so a page costs the same at any depth and rows that come or go
//! meanwhile shift nothing.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, QueryFilter, QueryOrder, QuerySelect, Select};

use super::TenantOwned;

/// Rows in a page where the caller does not say.
pub(crate) const DEFAULT_PAGE: u64 = 50;
/// Most rows in a page.
pub(crate) const MAX_PAGE: u64 = 500;

/// Which page.
#[derive(Debug, Clone)]
pub(crate) struct PageRequest {
    /// How many rows.
    pub(crate) first: u64,
    /// The sort key of the row before.
    pub(crate) after: Option<String>,
}

/// A page.
#[derive(Debug)]
pub(crate) struct Page<T> {
    /// In order.
    pub(crate) rows: Vec<T>,
    /// Whether there are more behind it.
    pub(crate) has_next: bool,
    /// Whether it is not the first.
    pub(crate) has_previous: bool,
}

/// A cursor that this program did not make.
#[derive(Debug, thiserror::Error)]
#[error("`after` is not a cursor of this list")]
pub(crate) struct CursorError;

/// The opaque form of a sort key.
pub(crate) fn encode_cursor(key: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(key)
}

impl PageRequest {
    /// Checks what a caller asked for.
    pub(crate) fn new(first: Option<u64>, after: Option<&str>) -> Result<Self, CursorError> {
        let after = after.map(|cursor| BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| CursorError)).transpose()?;
        let after = after.map(|bytes| String::from_utf8(bytes).map_err(|_| CursorError)).transpose()?;
        Ok(Self { first: first.unwrap_or(DEFAULT_PAGE), after })
    }

    /// One row more than wanted tells whether there is a next page.
    pub(crate) const fn limit(&self) -> u64 {
        self.first.saturating_add(1)
    }

    /// Makes a page of what was read with [`PageRequest::limit`].
    pub(crate) fn page<T>(&self, mut rows: Vec<T>) -> Page<T> {
        let wanted = usize::try_from(self.first).unwrap_or(usize::MAX);
        let has_next = rows.len() > wanted;
        rows.truncate(wanted);
        Page { rows, has_next, has_previous: self.after.is_some() }
    }
}

/// A page in the order of ids, which is that of creation.
pub(crate) async fn by_id<E: TenantOwned>(
    connection: &impl ConnectionTrait,
    rows: Select<E>,
    page: &PageRequest,
) -> Result<Page<E::Model>, DbErr> {
    let rows = match &page.after {
        Some(id) => rows.filter(E::id().gt(id.as_str())),
        None => rows,
    };
    Ok(page.page(rows.order_by_asc(E::id()).limit(page.limit()).all(connection).await?))
}

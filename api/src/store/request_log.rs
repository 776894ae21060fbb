//! The request log, newest first.

use chrono::{DateTime, SecondsFormat, Utc};
use entity::request_log::{Column, Entity, Model};
use entity::request_tag;
use sea_orm::sea_query::Query;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, DbErr, QueryFilter, QueryOrder, QuerySelect};

use super::page::{CursorError, Page, PageRequest};
use super::select;
use crate::authz::TenantScope;

/// Which requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// Name or id.
    pub(crate) project: Option<String>,
    /// Name, `project/name` or id.
    pub(crate) key: Option<String>,
    /// As it was asked for, as it answered, or `provider/model`.
    pub(crate) model: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) end_user: Option<String>,
    pub(crate) status: Option<i64>,
    pub(crate) error_code: Option<String>,
    /// Name and, unless any will do, value.
    pub(crate) tag: Option<(String, Option<String>)>,
    pub(crate) trace_id: Option<String>,
    pub(crate) from: Option<DateTime<Utc>>,
    pub(crate) to: Option<DateTime<Utc>>,
}

/// The cursor of a row: when it began, and its id to tell apart what began at the same time.
pub(crate) fn cursor_key(row: &Model) -> String {
    format!("{}|{}", row.time.to_rfc3339_opts(SecondsFormat::Micros, true), row.id)
}

/// One page, newest first.
pub(crate) async fn page(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    wanted: &Wanted,
    page: &PageRequest,
) -> Result<Result<Page<Model>, CursorError>, DbErr> {
    let mut rows = select::<Entity>(scope).filter(condition(scope, wanted));
    if let Some(after) = &page.after {
        let Some((time, id)) = parse_cursor(after) else { return Ok(Err(CursorError)) };
        let same_time = Condition::all().add(Column::Time.eq(time)).add(Column::Id.lt(id));
        rows = rows.filter(Condition::any().add(Column::Time.lt(time)).add(same_time));
    }
    let rows = rows.order_by_desc(Column::Time).order_by_desc(Column::Id).limit(page.limit()).all(connection).await?;
    Ok(Ok(page.page(rows)))
}

fn parse_cursor(text: &str) -> Option<(DateTime<Utc>, &str)> {
    let (time, id) = text.split_once('|')?;
    Some((DateTime::parse_from_rfc3339(time).ok()?.with_timezone(&Utc), id))
}

fn condition(scope: &TenantScope, wanted: &Wanted) -> Condition {
    let texts = [
        (Column::Provider, &wanted.provider),
        (Column::EndUser, &wanted.end_user),
        (Column::ErrorCode, &wanted.error_code),
        (Column::TraceId, &wanted.trace_id),
    ];
    let mut all = texts
        .into_iter()
        .fold(Condition::all(), |all, (column, value)| all.add_option(value.as_ref().map(|value| column.eq(value.as_str()))));
    all = all.add_option(wanted.status.map(|status| Column::Status.eq(status)));
    all = all.add_option(wanted.from.map(|from| Column::Time.gte(from)));
    all = all.add_option(wanted.to.map(|to| Column::Time.lt(to)));
    if let Some(project) = &wanted.project {
        all = all.add(Condition::any().add(Column::ProjectName.eq(project.as_str())).add(Column::ProjectId.eq(project.as_str())));
    }
    if let Some(key) = &wanted.key {
        all = all.add(key_condition(key));
    }
    if let Some(model) = &wanted.model {
        all = all.add(model_condition(model));
    }
    if let Some((name, value)) = &wanted.tag {
        all = all.add(Column::Id.in_subquery(tagged(scope, name, value.as_deref())));
    }
    all
}

fn key_condition(key: &str) -> Condition {
    let plain = Condition::any().add(Column::KeyName.eq(key)).add(Column::KeyId.eq(key));
    match key.split_once('/') {
        Some((project, name)) => plain.add(Condition::all().add(Column::ProjectName.eq(project)).add(Column::KeyName.eq(name))),
        None => plain,
    }
}

fn model_condition(model: &str) -> Condition {
    let plain = Condition::any().add(Column::Model.eq(model)).add(Column::RequestedModel.eq(model));
    match model.split_once('/') {
        Some((provider, name)) => plain.add(Condition::all().add(Column::Provider.eq(provider)).add(Column::Model.eq(name))),
        None => plain,
    }
}

/// Ids of requests with a tag.
fn tagged(scope: &TenantScope, name: &str, value: Option<&str>) -> sea_orm::sea_query::SelectStatement {
    let mut query = Query::select();
    query
        .column(request_tag::Column::RequestId)
        .from(request_tag::Entity)
        .and_where(request_tag::Column::OrgId.eq(scope.org_id()))
        .and_where(request_tag::Column::Name.eq(name));
    if let Some(value) = value {
        query.and_where(request_tag::Column::Value.eq(value));
    }
    query
}

//! Spend, summed over the ledger by what the caller wants to see side by side.

use chrono::{DateTime, Utc};
use entity::{request_tag, usage_ledger};
use sea_orm::sea_query::{Alias, Expr, ExprTrait as _, Func, IntoCondition as _, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, IntoSimpleExpr as _, JoinType, QueryFilter,
    QuerySelect, RelationDef,
};

use super::select;
use crate::authz::TenantScope;

/// Groups in an answer at most.
const MAX_ROWS: usize = 10_000;

/// What to sum by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dimension {
    Project,
    Key,
    Model,
    Provider,
    EndUser,
    /// The value of this tag.
    Tag(String),
    /// The day in UTC.
    Day,
}

/// Which span.
#[derive(Debug, Clone, Default)]
pub(crate) struct Span {
    pub(crate) from: Option<DateTime<Utc>>,
    pub(crate) to: Option<DateTime<Utc>>,
}

/// Sums of one group; the values of its dimensions are in order, empty where there is none.
#[derive(Debug, Clone)]
pub(crate) struct Sum {
    pub(crate) group: Vec<String>,
    pub(crate) cost_nano: i64,
    pub(crate) requests: i64,
    pub(crate) input_tokens: i64,
    pub(crate) output_tokens: i64,
}

#[derive(Debug, FromQueryResult)]
struct Totals {
    cost_nano: Option<i64>,
    requests: i64,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
}

/// Sums by `dimensions`, the dearest first, and whether there are more than are given; with none, one sum of everything.
pub(crate) async fn sums(
    connection: &impl ConnectionTrait,
    scope: &TenantScope,
    span: &Span,
    dimensions: &[Dimension],
) -> Result<(Vec<Sum>, bool), DbErr> {
    let mut rows = select::<usage_ledger::Entity>(scope).filter(within(span)).select_only();
    if let Some(tag) = dimensions.iter().find_map(tag_of) {
        rows = rows.join(JoinType::LeftJoin, tag_relation(tag));
    }
    for (index, dimension) in dimensions.iter().enumerate() {
        // Grouped by its name: written twice, its bound values would make two different expressions of it for PostgreSQL.
        let name = format!("group_{index}");
        let value = expression(dimension, connection.get_database_backend());
        rows = rows.expr_as(value, name.clone()).group_by(Expr::col(Alias::new(name)));
    }
    let rows = rows
        .expr_as(total(usage_ledger::Column::CostNano), "cost_nano")
        .expr_as(counted(), "requests")
        .expr_as(
            total_of(&[usage_ledger::Column::InputTokens, usage_ledger::Column::CachedInputTokens, usage_ledger::Column::CacheWriteTokens]),
            "input_tokens",
        )
        .expr_as(total_of(&[usage_ledger::Column::OutputTokens, usage_ledger::Column::ReasoningTokens]), "output_tokens")
        .limit(u64::try_from(MAX_ROWS).unwrap_or(u64::MAX).saturating_add(1));
    let mut statement = sea_orm::QueryTrait::into_query(rows);
    statement.order_by_expr(total(usage_ledger::Column::CostNano), sea_orm::sea_query::Order::Desc);
    let found = connection.query_all(&statement).await?;
    let sums: Result<Vec<Sum>, DbErr> = found.iter().take(MAX_ROWS).map(|row| read(row, dimensions.len())).collect();
    Ok((sums?, found.len() > MAX_ROWS))
}

fn read(row: &sea_orm::QueryResult, dimensions: usize) -> Result<Sum, DbErr> {
    let group = (0..dimensions).map(|index| row.try_get::<Option<String>>("", &format!("group_{index}")).map(Option::unwrap_or_default));
    let totals = Totals::from_query_result(row, "")?;
    Ok(Sum {
        group: group.collect::<Result<_, _>>()?,
        cost_nano: totals.cost_nano.unwrap_or(0),
        requests: totals.requests,
        input_tokens: totals.input_tokens.unwrap_or(0),
        output_tokens: totals.output_tokens.unwrap_or(0),
    })
}

fn within(span: &Span) -> Condition {
    Condition::all()
        .add_option(span.from.map(|from| usage_ledger::Column::Time.gte(from)))
        .add_option(span.to.map(|to| usage_ledger::Column::Time.lt(to)))
}

fn tag_of(dimension: &Dimension) -> Option<&str> {
    match dimension {
        Dimension::Tag(tag) => Some(tag),
        _ => None,
    }
}

/// A sum of big integers is numeric on PostgreSQL, and does not read as one; the cast does on both.
fn total(column: usage_ledger::Column) -> SimpleExpr {
    column.into_simple_expr().sum().cast_as(Alias::new("BIGINT"))
}

fn total_of(columns: &[usage_ledger::Column]) -> SimpleExpr {
    let sum = columns.iter().map(|column| column.into_simple_expr()).reduce(|sum, column| sum.add(column));
    sum.unwrap_or_else(|| Expr::value(0_i64)).sum().cast_as(Alias::new("BIGINT"))
}

/// Corrections are money, not requests.
fn counted() -> SimpleExpr {
    let request = usage_ledger::Column::RequestId.into_simple_expr();
    let is_request = usage_ledger::Column::Kind.ne(usage_ledger::Kind::Correction);
    let counted = sea_orm::sea_query::CaseStatement::new().case(is_request, request);
    Func::count_distinct(SimpleExpr::Case(Box::new(counted))).into()
}

fn expression(dimension: &Dimension, backend: DbBackend) -> SimpleExpr {
    match dimension {
        Dimension::Project => usage_ledger::Column::ProjectId.into_simple_expr(),
        Dimension::Key => usage_ledger::Column::KeyId.into_simple_expr(),
        Dimension::Model => usage_ledger::Column::Model.into_simple_expr(),
        Dimension::Provider => usage_ledger::Column::Provider.into_simple_expr(),
        Dimension::EndUser => usage_ledger::Column::EndUser.into_simple_expr(),
        Dimension::Tag(_) => Expr::col((request_tag::Entity, request_tag::Column::Value)),
        Dimension::Day => day(backend),
    }
}

fn day(backend: DbBackend) -> SimpleExpr {
    let time = usage_ledger::Column::Time.into_simple_expr();
    match backend {
        // Times are UTC text there, the day first.
        DbBackend::Sqlite => Func::cust(Alias::new("substr")).args([time, Expr::value(1), Expr::value(10)]).into(),
        _ => {
            let utc = Func::cust(Alias::new("timezone")).args([Expr::value("UTC"), time]);
            Func::cust(Alias::new("to_char")).args([SimpleExpr::from(utc), Expr::value("YYYY-MM-DD")]).into()
        }
    }
}

/// Ledger entries to the value of one tag of their request.
fn tag_relation(tag: &str) -> RelationDef {
    let tag = tag.to_owned();
    let relation: RelationDef = usage_ledger::Entity::belongs_to(request_tag::Entity)
        .from((usage_ledger::Column::OrgId, usage_ledger::Column::RequestId))
        .to((request_tag::Column::OrgId, request_tag::Column::RequestId))
        .into();
    relation.on_condition(move |_, right| Expr::col((right, request_tag::Column::Name)).eq(tag.as_str()).into_condition())
}

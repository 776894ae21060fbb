//! Spend by what the caller wants to see side by side.

use std::collections::HashMap;

use async_graphql::{Context, Enum, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::{project, proxy_key};

use super::Result;
use super::caller::{Caller, caller};
use super::scalar::UsdAmount;
use crate::authz::Resource;
use crate::error::Refusal;
use crate::store;
use crate::store::spend::{Dimension, Span, Sum};

/// What to sum by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
enum SpendDimension {
    /// Name of the project.
    Project,
    /// `project/key`.
    Key,
    /// The provider's name of the model.
    Model,
    /// Name of the provider.
    Provider,
    /// End user as the caller named it.
    EndUser,
    /// Value of the tag named by `tagKey`.
    Tag,
    /// Day in UTC.
    Day,
}

impl SpendDimension {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Project => "PROJECT",
            Self::Key => "KEY",
            Self::Model => "MODEL",
            Self::Provider => "PROVIDER",
            Self::EndUser => "END_USER",
            Self::Tag => "TAG",
            Self::Day => "DAY",
        }
    }

    fn into_dimension(self, tag_key: Option<&str>) -> Result<Dimension> {
        Ok(match self {
            Self::Project => Dimension::Project,
            Self::Key => Dimension::Key,
            Self::Model => Dimension::Model,
            Self::Provider => Dimension::Provider,
            Self::EndUser => Dimension::EndUser,
            Self::Tag => Dimension::Tag(tag_key.ok_or_else(|| Refusal::invalid("tagKey", "say which tag to group by"))?.to_owned()),
            Self::Day => Dimension::Day,
        })
    }
}

/// What was spent.
#[derive(SimpleObject)]
struct Spend {
    /// All of it.
    total_usd: UsdAmount,
    /// How many requests.
    requests: i64,
    /// By group, the dearest first.
    rows: Vec<SpendRow>,
    /// Whether there are more groups than an answer has room for: 10,000. Then the rows come to less than the total.
    truncated: bool,
}

/// What one group spent.
#[derive(SimpleObject)]
struct SpendRow {
    /// What makes the group, in the order asked for.
    group: Vec<SpendGroup>,
    /// What it cost.
    cost_usd: UsdAmount,
    /// How many requests.
    requests: i64,
    /// Input tokens, cached and cache-write ones too.
    input_tokens: i64,
    /// Output tokens, reasoning too.
    output_tokens: i64,
}

/// One dimension of a group.
#[derive(SimpleObject)]
struct SpendGroup {
    /// The dimension.
    name: String,
    /// Its value; empty where a request has none.
    value: String,
}

#[derive(Default)]
pub(super) struct SpendQuery;

#[Object]
impl SpendQuery {
    /// What was spent from one instant until before another.
    #[graphql(complexity = "500 + child_complexity")]
    async fn spend(
        &self,
        ctx: &Context<'_>,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
        group_by: Option<Vec<SpendDimension>>,
        tag_key: Option<String>,
    ) -> Result<Spend> {
        let caller = caller(ctx)?;
        let scope = caller.reading(Resource::Spend)?;
        let group_by = checked(group_by.unwrap_or_default())?;
        let dimensions = group_by.iter().map(|dimension| dimension.into_dimension(tag_key.as_deref())).collect::<Result<Vec<_>>>()?;
        let span = Span { from, to };
        let (total, _) = store::spend::sums(caller.database(), scope, &span, &[]).await?;
        let (sums, truncated) = match dimensions.as_slice() {
            [] => (Vec::new(), false),
            dimensions => store::spend::sums(caller.database(), scope, &span, dimensions).await?,
        };
        let names = names_of(caller, &group_by, &sums).await?;
        Ok(Spend {
            total_usd: UsdAmount::from_nanos(total.iter().map(|sum| sum.cost_nano).sum()),
            requests: total.iter().map(|sum| sum.requests).sum(),
            rows: sums.into_iter().map(|sum| spend_row(&group_by, &names, sum)).collect(),
            truncated,
        })
    }
}

fn checked(group_by: Vec<SpendDimension>) -> Result<Vec<SpendDimension>> {
    let twice = group_by.iter().enumerate().any(|(index, one)| group_by.iter().take(index).any(|other| other == one));
    if twice {
        return Err(Refusal::invalid("groupBy", "each dimension at most once"));
    }
    Ok(group_by)
}

fn spend_row(group_by: &[SpendDimension], names: &HashMap<String, String>, sum: Sum) -> SpendRow {
    let group = group_by
        .iter()
        .zip(sum.group)
        .map(|(dimension, value)| SpendGroup { name: dimension.as_str().to_owned(), value: names.get(&value).cloned().unwrap_or(value) });
    SpendRow {
        group: group.collect(),
        cost_usd: UsdAmount::from_nanos(sum.cost_nano),
        requests: sum.requests,
        input_tokens: sum.input_tokens,
        output_tokens: sum.output_tokens,
    }
}

/// Names of the projects and keys in the answer; what is gone keeps its id.
async fn names_of(caller: &Caller, group_by: &[SpendDimension], sums: &[Sum]) -> Result<HashMap<String, String>> {
    let ids = |wanted: SpendDimension| -> Vec<String> {
        let place = group_by.iter().position(|dimension| *dimension == wanted);
        place.map(|place| sums.iter().filter_map(|sum| sum.group.get(place).cloned()).collect()).unwrap_or_default()
    };
    let (connection, scope) = (caller.database(), caller.ctx().scope());
    let keys = in_steps::<proxy_key::Entity>(connection, scope, ids(SpendDimension::Key)).await?;
    let mut projects = ids(SpendDimension::Project);
    projects.extend(keys.iter().map(|key| key.project_id.clone()));
    let projects = in_steps::<project::Entity>(connection, scope, projects).await?;
    let mut names: HashMap<String, String> = projects.into_iter().map(|row| (row.id, row.name)).collect();
    for key in keys {
        let project = names.get(&key.project_id).cloned().unwrap_or_default();
        names.insert(key.id, format!("{project}/{}", key.name));
    }
    Ok(names)
}

/// Rows by id, not too many in one statement.
async fn in_steps<E: store::TenantOwned>(
    connection: &sea_orm::DatabaseConnection,
    scope: &crate::authz::TenantScope,
    mut ids: Vec<String>,
) -> Result<Vec<E::Model>> {
    ids.sort();
    ids.dedup();
    let mut rows = Vec::new();
    for some in ids.chunks(5_000) {
        rows.extend(store::find_all::<E>(connection, scope, some).await?);
    }
    Ok(rows)
}

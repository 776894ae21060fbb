//! What a manifest would have made of requests that were served or refused already.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use policy::money::NanoUsd;
use policy::replay::{Difference, Outcome, Refused};
use serde_json::Value;

use super::Result;
use super::caller::caller;
use super::connection::{page_request, rows};
use super::request_log::RequestLogFilter;
use super::scalar::{NamedReference, UsdAmount};
use crate::app::manifest::{ApplyManifest, read_manifest};
use crate::app::replay::{Replayed, replay_page};
use crate::store::page::{Page, encode_cursor};
use crate::store::request_log::cursor_key;

/// The policy that is tried.
#[derive(InputObject)]
struct ReplayInput {
    /// What it changes of the organization; what it does not name stays as it is.
    manifest: Value,
    /// Remove what it does not name.
    prune: Option<bool>,
}

/// What would be different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ReplayDifference", rename_items = "snake_case")]
enum DifferenceName {
    /// Nothing.
    None,
    /// It is served and would be refused.
    Denied,
    /// It is refused and would be served.
    Permitted,
    /// Somebody else would be asked.
    Rerouted,
    /// The same would be asked at another price.
    Repriced,
}

impl From<Difference> for DifferenceName {
    fn from(difference: Difference) -> Self {
        match difference {
            Difference::None => Self::None,
            Difference::Denied => Self::Denied,
            Difference::Permitted => Self::Permitted,
            Difference::Rerouted => Self::Rerouted,
            Difference::Repriced => Self::Repriced,
        }
    }
}

/// What a policy makes of a request.
#[derive(SimpleObject)]
#[graphql(name = "ReplayOutcome")]
struct OutcomeView {
    /// Code of the refusal; none where it is served.
    error_code: Option<String>,
    /// The refusal in words.
    message: Option<String>,
    /// Who is asked, as `provider/model`: one, or all members of an ensemble.
    targets: Vec<String>,
    /// Variant of the A/B test that leads there.
    ab_variant: Option<String>,
    /// The last rule that decided, as `@slug rule 2`.
    rule: Option<String>,
    /// What it costs.
    cost_usd: UsdAmount,
    /// Whether the cost is an estimate, as no answer's tokens were counted.
    estimated: bool,
}

impl From<Outcome> for OutcomeView {
    fn from(outcome: Outcome) -> Self {
        let Outcome { refusal, targets, variant, rule, cost, estimated } = outcome;
        let (error_code, message) = refusal.map(|Refused { code, message }| (code.to_owned(), message)).unzip();
        Self {
            error_code,
            message,
            targets: targets.iter().map(ToString::to_string).collect(),
            ab_variant: variant.as_deref().map(str::to_owned),
            rule,
            cost_usd: cost.into(),
            estimated,
        }
    }
}

/// One request that was decided again.
#[derive(SimpleObject)]
struct ReplayedRequest {
    /// The request id that the caller was told.
    id: ID,
    /// When it began.
    time: DateTime<Utc>,
    /// Its project.
    project: NamedReference,
    /// The key it came with.
    key: NamedReference,
    /// The model as the caller wrote it.
    requested_model: String,
    /// HTTP status that the caller saw.
    status: i64,
    /// The model that answered.
    model: Option<String>,
    /// The provider that answered.
    provider: Option<String>,
    /// What it cost.
    cost_usd: UsdAmount,
    /// What would be different.
    difference: DifferenceName,
    /// By the policy that is in force.
    before: OutcomeView,
    /// By the manifest's.
    after: OutcomeView,
}

/// A page of the request log, decided again.
#[derive(SimpleObject)]
#[graphql(name = "Replay")]
struct ReplayView {
    /// Requests of this page that were decided again.
    requests: i64,
    /// Requests of this page of which too little was recorded.
    skipped: i64,
    /// What the policy in force makes them cost.
    cost_before_usd: UsdAmount,
    /// What the manifest's makes them cost.
    cost_after_usd: UsdAmount,
    /// Those that would be different, newest first.
    changes: Vec<ReplayedRequest>,
    /// Whether there are older ones.
    has_next_page: bool,
    /// For `after` of the next page.
    end_cursor: Option<String>,
}

impl From<Page<Replayed>> for ReplayView {
    fn from(page: Page<Replayed>) -> Self {
        let Page { rows, has_next, has_previous: _ } = page;
        let end_cursor = rows.last().map(|last| encode_cursor(&cursor_key(&last.row)));
        let (mut requests, mut skipped, mut changes) = (0, 0, Vec::new());
        let (mut cost_before, mut cost_after) = (NanoUsd::ZERO, NanoUsd::ZERO);
        for Replayed { row, outcomes } in rows {
            let Some((before, after)) = outcomes else {
                skipped += 1;
                continue;
            };
            requests += 1;
            cost_before = cost_before.saturating_add(before.cost);
            cost_after = cost_after.saturating_add(after.cost);
            let difference = before.difference(&after);
            if difference == Difference::None {
                continue;
            }
            changes.push(ReplayedRequest {
                id: row.id.into(),
                time: row.time,
                project: NamedReference { id: row.project_id, name: row.project_name },
                key: NamedReference { id: row.key_id, name: row.key_name },
                requested_model: row.requested_model,
                status: row.status,
                model: row.model,
                provider: row.provider,
                cost_usd: UsdAmount::from_nanos(row.cost_nano),
                difference: difference.into(),
                before: before.into(),
                after: after.into(),
            });
        }
        Self {
            requests,
            skipped,
            cost_before_usd: cost_before.into(),
            cost_after_usd: cost_after.into(),
            changes,
            has_next_page: has_next,
            end_cursor,
        }
    }
}

#[derive(Default)]
pub(super) struct ReplayQuery;

#[Object]
impl ReplayQuery {
    /// What a manifest would have made of logged requests, newest first, beside what the policy in force makes of them. Nothing is changed,
    /// and nothing is sent anywhere.
    #[graphql(complexity = "500 + rows(first) * child_complexity")]
    async fn replay(
        &self,
        ctx: &Context<'_>,
        input: ReplayInput,
        first: Option<i32>,
        after: Option<String>,
        filter: Option<RequestLogFilter>,
    ) -> Result<ReplayView> {
        let caller = caller(ctx)?;
        let ReplayInput { manifest, prune } = input;
        let candidate = ApplyManifest { manifest: read_manifest(manifest)?, prune: prune.unwrap_or(false) };
        let wanted = filter.unwrap_or_default().into();
        let page = replay_page(caller.ctx(), candidate, &wanted, &page_request(first, after.as_deref())?).await??;
        Ok(page.into())
    }
}

//! How providers stand, as the workers that are alive see them.

use async_graphql::connection::Connection;
use async_graphql::{Context, Enum, Object, SimpleObject};
use chrono::{DateTime, Utc};

use super::Result;
use super::caller::caller;
use super::connection::{connection, page_of, page_request, rows};
use crate::app::provider_health::{self, Standing};

/// How a circuit breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "BreakerState", rename_items = "snake_case", remote = "policy::link::BreakerState")]
enum StateName {
    /// Requests go through.
    Closed,
    /// One may go through and find out.
    HalfOpen,
    /// Requests take another target.
    Open,
}

/// How a model at a provider stands, or a provider as a whole.
#[derive(SimpleObject)]
#[graphql(name = "ProviderHealth")]
struct ProviderHealthView {
    /// Name of the provider.
    provider: String,
    /// The provider's model; none for the provider as a whole, as its health checks see it.
    model: Option<String>,
    /// The worst state of its circuit breaker at any worker.
    state: StateName,
    /// Good answers among the attempts of the last five minutes, from 0 to 1; none where there were no attempts.
    success_rate: Option<f64>,
    /// Attempts of the last five minutes of which something came.
    requests: u64,
    /// Median time to the response head.
    p50_ms: Option<f64>,
    /// Since when a circuit breaker is open that is open now.
    opened_at: Option<DateTime<Utc>>,
    /// When any worker heard of it last.
    last_seen_at: DateTime<Utc>,
    /// What came of the last health check of the provider: `ok`, `connect`, `timeout`, `status`, `credential` or `token`.
    last_check: Option<String>,
    /// Workers that tell of it.
    workers: u32,
    /// Of them those whose circuit breaker is open or half-open.
    resting_workers: u32,
}

impl From<Standing> for ProviderHealthView {
    fn from(standing: Standing) -> Self {
        let Standing { key: _, provider, model, state, successes, failures, p50_us, opened_at, seen_at, outcome, workers, resting } =
            standing;
        let requests = successes.saturating_add(failures);
        Self {
            provider,
            model,
            state: state.into(),
            success_rate: (requests > 0).then(|| ratio(successes, requests)),
            requests,
            p50_ms: p50_us.map(|micros| ratio(micros, 1_000)),
            opened_at,
            last_seen_at: seen_at,
            last_check: outcome,
            workers,
            resting_workers: resting,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "for display; counts and microseconds are far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[derive(Default)]
pub(super) struct ProviderHealthQuery;

#[Object]
impl ProviderHealthQuery {
    /// How the organization's providers stand: each model that was asked in the last five minutes or rests, and each provider that is checked.
    #[graphql(complexity = "rows(first) * child_complexity")]
    async fn provider_health(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<String, ProviderHealthView>> {
        let page = page_request(first, after.as_deref())?;
        let standings = provider_health::list(caller(ctx)?.ctx()).await?;
        Ok(connection(page_of(&standings, |standing| &standing.key, &page), |standing| standing.key.clone(), ProviderHealthView::from))
    }
}

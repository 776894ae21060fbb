//! The request log.

use async_graphql::connection::Connection;
use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::request_log::{Entity, Model as Row};
use policy::event::{LoggedFacts, UsageEvent};
use serde_json::Value;

use super::Result;
use super::caller::{caller, not_found};
use super::connection::{connection, page_request, rows};
use super::scalar::{NamedReference, Tag, UsdAmount, tags_of};
use crate::authz::Resource;
use crate::store;
use crate::store::request_log::{Wanted, cursor_key};

/// One request through the data plane.
#[derive(SimpleObject)]
#[graphql(name = "RequestLog")]
pub(super) struct RequestLogView {
    /// The request id that the caller was told.
    id: String,
    /// When it began.
    time: DateTime<Utc>,
    /// Its project.
    project: NamedReference,
    /// The key it came with.
    key: NamedReference,
    /// Which interface it came through.
    surface: String,
    /// The model as the caller wrote it.
    requested_model: String,
    /// The model that answered.
    model: Option<String>,
    /// The provider that answered.
    provider: Option<String>,
    /// HTTP status that the caller saw.
    status: i64,
    /// Code of the error that the caller saw.
    error_code: Option<String>,
    /// Whether the answer was streamed.
    stream: bool,
    /// On whose behalf the caller asked.
    end_user: Option<String>,
    /// The tags in force.
    tags: Vec<Tag>,
    /// What it cost.
    cost_usd: UsdAmount,
    /// Where the token counts come from: `provider`, `partial_estimate`, `reservation`, `none` where nothing was consumed, `unpriced` where nobody
    /// could tell what, or `cache` for a kept answer, which consumed nothing.
    usage_source: String,
    /// From the first byte in to the last byte out.
    latency_ms: f64,
    /// From the first byte in to the first byte out.
    first_byte_ms: Option<f64>,
    /// Tokens in disjoint buckets.
    usage: Usage,
    /// Agent run.
    trace_id: Option<String>,
    /// Thread.
    conversation_id: Option<String>,
    /// Every attempt upstream, in order.
    attempts: Value,
    /// Variant of the A/B test that led to the model that answered; of nested tests all of them, joined with `/`.
    ab_variant: Option<String>,
    /// What the response cache had: `hit`, `miss`, or `bypass` where it was not looked into; absent where the config has no cache.
    cache: Option<String>,
    /// What else rules could see of it.
    facts: Option<RequestFactsView>,
    /// The decision trace.
    trace: Option<Value>,
    /// Price line that was used.
    price_version: Option<String>,
    /// Which worker served it.
    worker_id: String,
    /// Under which bundle.
    bundle_revision: i64,
}

/// What rules could see of a request, beside what its log entry says anyway.
#[derive(SimpleObject)]
#[graphql(name = "RequestFacts")]
struct RequestFactsView {
    /// Likely input tokens, estimated before it was sent.
    input_tokens: i64,
    /// Input tokens at most.
    input_tokens_bound: i64,
    /// Output tokens at most, where the caller set a limit.
    max_output_tokens: Option<i64>,
    /// Answers that were asked for.
    choices: i64,
    /// Whether tools were declared.
    has_tools: bool,
    /// Whether an image was attached.
    has_images: bool,
    /// The client program, as its `User-Agent` names it.
    client: Option<String>,
    /// Address of the caller.
    peer: String,
    /// What was asked for where it was passed through, such as `POST /openai/v1/batches`.
    operation: Option<String>,
}

impl From<LoggedFacts> for RequestFactsView {
    fn from(facts: LoggedFacts) -> Self {
        let LoggedFacts {
            input_tokens,
            input_tokens_bound,
            max_output_tokens,
            choices,
            has_tools,
            has_images,
            client,
            peer,
            kept_input: _,
            provider_tool: _,
            findings: _,
            passthrough,
        } = facts;
        Self {
            input_tokens: count(input_tokens),
            input_tokens_bound: count(input_tokens_bound),
            max_output_tokens: max_output_tokens.map(count),
            choices: choices.into(),
            has_tools,
            has_images,
            client: client.as_deref().map(str::to_owned),
            peer: peer.to_string(),
            operation: passthrough.map(|passthrough| passthrough.operation.as_ref().to_owned()),
        }
    }
}

fn count(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

/// Tokens in disjoint buckets.
#[derive(SimpleObject)]
struct Usage {
    /// Input without cached and cache-write tokens.
    input_tokens: i64,
    /// Input read from the provider's cache.
    cached_input_tokens: i64,
    /// Input written to it.
    cache_write_tokens: i64,
    /// Output without reasoning tokens.
    output_tokens: i64,
    /// Reasoning tokens.
    reasoning_tokens: i64,
}

/// Times are kept in whole microseconds; nobody reckons with what is shown.
#[expect(clippy::cast_precision_loss, reason = "milliseconds for people: 2^53 µs are 285 years")]
fn milliseconds(microseconds: i64) -> f64 {
    microseconds as f64 / 1_000.0
}

impl From<Row> for RequestLogView {
    #[expect(clippy::too_many_lines, reason = "a table: each field once, destructured so that a new one is missed here")]
    fn from(row: Row) -> Self {
        let Row {
            id,
            org_id: _,
            time,
            project_id,
            project_name,
            key_id,
            key_name,
            surface,
            requested_model,
            model,
            provider,
            status,
            error_code,
            stream,
            end_user,
            tags,
            cost_nano,
            usage_source,
            latency_us,
            first_byte_us,
            input_tokens,
            cached_input_tokens,
            cache_write_tokens,
            output_tokens,
            reasoning_tokens,
            trace_id,
            conversation_id,
            ab_variant,
            cache,
            facts,
            trace,
            price_version,
            rates: _,
            attempts,
            worker_id,
            bundle_revision,
        } = row;
        Self {
            id,
            time,
            project: NamedReference { id: project_id, name: project_name },
            key: NamedReference { id: key_id, name: key_name },
            surface,
            requested_model,
            model,
            provider,
            status,
            error_code,
            stream,
            end_user,
            tags: tags_of(&tags),
            cost_usd: UsdAmount::from_nanos(cost_nano),
            usage_source,
            latency_ms: milliseconds(latency_us),
            first_byte_ms: first_byte_us.map(milliseconds),
            usage: Usage { input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens },
            trace_id,
            conversation_id,
            attempts,
            ab_variant,
            cache,
            facts: facts.and_then(|facts| serde_json::from_value::<LoggedFacts>(facts).ok()).map(Into::into),
            trace,
            price_version,
            worker_id,
            bundle_revision,
        }
    }
}

/// As it is booked, before it can be read from the log.
impl From<&UsageEvent> for RequestLogView {
    fn from(event: &UsageEvent) -> Self {
        let folded = event.tokens.folded();
        let word = |value: Value| value.as_str().unwrap_or_default().to_owned();
        let json = |value: serde_json::Result<Value>| value.unwrap_or_default();
        let named = |named: &policy::event::Named| NamedReference { id: named.id.to_string(), name: named.name.to_string() };
        Self {
            id: event.request_id.to_string(),
            time: event.time,
            project: named(&event.project),
            key: named(&event.key),
            surface: word(json(serde_json::to_value(event.surface))),
            requested_model: event.requested_model.to_string(),
            model: event.model.as_ref().map(ToString::to_string),
            provider: event.provider.as_ref().map(ToString::to_string),
            status: i64::from(event.status),
            error_code: event.error_code.as_ref().map(ToString::to_string),
            stream: event.stream,
            end_user: event.end_user.as_ref().map(ToString::to_string),
            tags: tags_of(&json(serde_json::to_value(&event.tags))),
            cost_usd: event.cost.into(),
            usage_source: event.usage_word().to_owned(),
            latency_ms: milliseconds(count(event.latency_us)),
            first_byte_ms: event.first_byte_us.map(|first| milliseconds(count(first))),
            usage: Usage {
                input_tokens: count(folded.input),
                cached_input_tokens: count(folded.cached_input),
                cache_write_tokens: count(folded.cache_write),
                output_tokens: count(folded.output),
                reasoning_tokens: count(folded.reasoning),
            },
            trace_id: event.trace_id.as_ref().map(ToString::to_string),
            conversation_id: event.conversation_id.as_ref().map(ToString::to_string),
            attempts: json(serde_json::to_value(&event.attempts)),
            ab_variant: event.ab_variant.as_ref().map(ToString::to_string),
            cache: event.cache.map(|outcome| outcome.as_str().to_owned()),
            facts: event.facts.clone().map(Into::into),
            trace: Some(event.trace.to_json()),
            price_version: Some(event.price_version.to_string()).filter(|version| !version.is_empty()),
            worker_id: event.worker_id.to_string(),
            bundle_revision: count(event.bundle_revision),
        }
    }
}

/// Which requests; all that is given must hold.
#[derive(InputObject, Default)]
pub(super) struct RequestLogFilter {
    /// Name or id of the project.
    project: Option<String>,
    /// Name, `project/name` or id of the key.
    key: Option<String>,
    /// As asked for, as answered, or `provider/model`.
    model: Option<String>,
    /// Name of the provider that answered.
    provider: Option<String>,
    /// On whose behalf.
    end_user: Option<String>,
    /// HTTP status that the caller saw.
    status: Option<i64>,
    /// Code of the error that the caller saw.
    error_code: Option<String>,
    /// A tag in force.
    tag: Option<TagFilter>,
    /// Agent run.
    trace_id: Option<String>,
    /// From this instant on.
    from: Option<DateTime<Utc>>,
    /// Before this instant.
    to: Option<DateTime<Utc>>,
}

/// A tag; with any value where none is given.
#[derive(InputObject)]
struct TagFilter {
    /// The tag.
    name: String,
    /// Its value.
    value: Option<String>,
}

impl From<RequestLogFilter> for Wanted {
    fn from(filter: RequestLogFilter) -> Self {
        let RequestLogFilter { project, key, model, provider, end_user, status, error_code, tag, trace_id, from, to } = filter;
        Self { project, key, model, provider, end_user, status, error_code, tag: tag.map(|tag| (tag.name, tag.value)), trace_id, from, to }
    }
}

#[derive(Default)]
pub(super) struct RequestLogQuery;

#[Object]
impl RequestLogQuery {
    /// Requests, newest first.
    #[graphql(complexity = "rows(first) * child_complexity")]
    async fn request_logs(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        filter: Option<RequestLogFilter>,
    ) -> Result<Connection<String, RequestLogView>> {
        let caller = caller(ctx)?;
        let scope = caller.reading(Resource::RequestLog)?;
        let wanted = filter.unwrap_or_default().into();
        let page = store::request_log::page(caller.database(), scope, &wanted, &page_request(first, after.as_deref())?).await??;
        Ok(connection(page, cursor_key, RequestLogView::from))
    }

    /// One request, by the id that the caller was told.
    async fn request_log(&self, ctx: &Context<'_>, id: ID) -> Result<RequestLogView> {
        let caller = caller(ctx)?;
        let scope = caller.reading(Resource::RequestLog)?;
        let row = store::find::<Entity>(caller.database(), scope, &id).await?;
        Ok(row.ok_or_else(|| not_found("request"))?.into())
    }
}

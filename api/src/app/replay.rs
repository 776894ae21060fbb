//! Logged requests, decided again: by the policy that is in force and by the one that a manifest would make.
//!
//! Nothing is sent anywhere and nothing is kept. The manifest is applied in a transaction that is taken back, so it needs the same rights as
//! applying it, and what could not be applied can't be replayed either. Both sides are decided by the same engine on the same facts: what
//! differs is what the manifest changes, not what has changed since the request was served.

use std::sync::Arc;

use entity::request_log::Model as Row;
use policy::compile::compile;
use policy::engine::Engine;
use policy::event::LoggedFacts;
use policy::facts::RequestFacts;
use policy::id::draw_of;
use policy::price::TokenBuckets;
use policy::replay::{Known, LoggedRequest, Outcome, replay};
use policy::source::Organization;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::manifest::ApplyManifest;
use super::{OperationError, foresee};
use crate::authz::{Action, Resource};
use crate::context::OpContext;
use crate::store::page::{CursorError, Page, PageRequest};
use crate::store::request_log::{self, Wanted};

/// One request with what was and would be made of it.
pub(crate) struct Replayed {
    pub(crate) row: Row,
    /// By the policy in force and by the manifest's; absent where too little of the request was recorded.
    pub(crate) outcomes: Option<(Outcome, Outcome)>,
}

/// Decides one page of the log again, newest first.
pub(crate) async fn replay_page(
    ctx: &OpContext,
    candidate: ApplyManifest,
    wanted: &Wanted,
    page: &PageRequest,
) -> Result<Result<Page<Replayed>, CursorError>, OperationError> {
    ctx.authorize(Action::Create, Resource::Replay)?;
    let scope = ctx.authorize_reading(Resource::RequestLog)?;
    let (now, then) = foresee(ctx, candidate).await?;
    let (now, then) = (engine(&now)?, engine(&then)?);
    let page = match request_log::page(ctx.state().database.read(), scope, wanted, page).await? {
        Ok(page) => page,
        Err(error) => return Ok(Err(error)),
    };
    let decide = |row: Row| {
        let logged = logged(&row);
        Replayed { outcomes: logged.map(|logged| (replay(&now, &logged), replay(&then, &logged))), row }
    };
    let Page { rows, has_next, has_previous } = page;
    Ok(Ok(Page { rows: rows.into_iter().map(decide).collect(), has_next, has_previous }))
}

fn engine(organization: &Organization) -> Result<Engine, OperationError> {
    let bundle = compile(organization).map_err(OperationError::Rejected)?;
    Engine::load(bundle).map_err(|error| OperationError::invalid("manifest", error.to_string()))
}

/// A log entry as the engine takes it; none where it was written before facts were recorded, or of a request that could not be read.
fn logged(row: &Row) -> Option<LoggedRequest> {
    let LoggedFacts {
        input_tokens,
        input_tokens_bound,
        max_output_tokens,
        choices,
        has_tools,
        has_images,
        client,
        peer,
        kept_input,
        provider_tool,
        findings,
        passthrough,
    } = read(row.facts.as_ref()?)?;
    let shared = |text: &Option<String>| text.as_deref().map(Arc::from);
    let facts = RequestFacts {
        model: Arc::from(row.requested_model.as_str()),
        surface: read(&Value::String(row.surface.clone()))?,
        passthrough,
        stream: row.stream,
        input_tokens,
        input_tokens_bound,
        kept_input: kept_input.then_some("what the provider keeps"),
        provider_tool,
        findings,
        max_output_tokens,
        choices,
        has_tools,
        has_images,
        time: row.time,
        peer,
        client,
        end_user: shared(&row.end_user),
        tags: read(&row.tags)?,
        trace_id: shared(&row.trace_id),
        conversation_id: shared(&row.conversation_id),
        draw: draw_of(&row.id)?,
    };
    let known = row.trace.as_ref().map(Known::of_trace).unwrap_or_default();
    Some(LoggedRequest { key_id: Arc::from(row.key_id.as_str()), facts, known, tokens: answered_tokens(row) })
}

/// What the answer consumed that the caller got: others that were asked before it or beside it are part of the request's cost, but not of
/// what one target would have charged.
fn answered_tokens(row: &Row) -> TokenBuckets {
    let attempts = row.attempts.as_array().map(Vec::as_slice).unwrap_or_default();
    let answered = attempts
        .iter()
        .rev()
        .find(|attempt| attempt.get("outcome").and_then(Value::as_str).is_some_and(|outcome| matches!(outcome, "ok" | "drained")));
    let counted = |count: i64| u64::try_from(count).unwrap_or(0);
    answered.and_then(|attempt| attempt.pointer("/priced/tokens")).and_then(read).unwrap_or_else(|| TokenBuckets {
        input: counted(row.input_tokens),
        cached_input: counted(row.cached_input_tokens),
        cache_write: counted(row.cache_write_tokens),
        output: counted(row.output_tokens),
        reasoning: counted(row.reasoning_tokens),
        ..TokenBuckets::default()
    })
}

fn read<T: DeserializeOwned>(stored: &Value) -> Option<T> {
    serde_json::from_value(stored.clone()).ok()
}

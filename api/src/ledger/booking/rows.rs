//! Events → values of rows, in the order of the columns.

use chrono::{DateTime, SubsecRound as _, Utc};
use policy::event::{CacheOutcome, EventKind, UsageEvent};
use policy::id::{IdKind, new_id};
use policy::money::NanoUsd;
use policy::price::TokenBuckets;
use sea_orm::Value;
use serde::Serialize;

use crate::ledger::bulk::{Insert, Kind};

pub(super) static LEDGER: Insert = Insert {
    table: "usage_ledger",
    columns: &[
        ("id", Kind::Text),
        ("org_id", Kind::Text),
        ("event_id", Kind::Text),
        ("request_id", Kind::Text),
        ("kind", Kind::Text),
        ("time", Kind::Time),
        ("project_id", Kind::Text),
        ("key_id", Kind::Text),
        ("provider", Kind::Text),
        ("model", Kind::Text),
        ("end_user", Kind::Text),
        ("cost_nano", Kind::Int),
        ("input_tokens", Kind::Int),
        ("cached_input_tokens", Kind::Int),
        ("cache_write_tokens", Kind::Int),
        ("output_tokens", Kind::Int),
        ("reasoning_tokens", Kind::Int),
        ("price_version", Kind::Text),
        ("rates", Kind::Json),
        ("attempts", Kind::Json),
    ],
    conflict: "ON CONFLICT (event_id) DO NOTHING",
};

pub(super) fn ledger_values(event: &UsageEvent) -> [Value; 20] {
    // What a kept answer consumed was booked when it was made.
    let folded = if event.is_hit() { TokenBuckets::default() } else { event.tokens.folded() };
    [
        new_id(IdKind::LedgerEntry).into(),
        text(&event.org_id),
        text(&event.id),
        text(&event.request_id),
        match event.kind {
            EventKind::UnknownOutcome => entity::usage_ledger::Kind::UnknownOutcome,
            EventKind::Settled | EventKind::Refused => entity::usage_ledger::Kind::Usage,
        }
        .into(),
        time(event),
        text(&event.project.id),
        text(&event.key.id),
        text(event.provider.as_deref().unwrap_or_default()),
        text(event.model.as_deref().unwrap_or_default()),
        optional(event.end_user.as_deref()),
        event.cost.nanos().into(),
        tokens(folded.input),
        tokens(folded.cached_input),
        tokens(folded.cache_write),
        tokens(folded.output),
        tokens(folded.reasoning),
        optional(Some(&*event.price_version).filter(|version| !version.is_empty())),
        rates(event),
        json(&event.attempts),
    ]
}

pub(super) static LOG: Insert = Insert {
    table: "request_log",
    columns: &[
        ("id", Kind::Text),
        ("org_id", Kind::Text),
        ("time", Kind::Time),
        ("project_id", Kind::Text),
        ("project_name", Kind::Text),
        ("key_id", Kind::Text),
        ("key_name", Kind::Text),
        ("surface", Kind::Text),
        ("requested_model", Kind::Text),
        ("model", Kind::Text),
        ("provider", Kind::Text),
        ("status", Kind::Int),
        ("error_code", Kind::Text),
        ("stream", Kind::Bool),
        ("end_user", Kind::Text),
        ("tags", Kind::Json),
        ("cost_nano", Kind::Int),
        ("usage_source", Kind::Text),
        ("latency_us", Kind::Int),
        ("first_byte_us", Kind::Int),
        ("input_tokens", Kind::Int),
        ("cached_input_tokens", Kind::Int),
        ("cache_write_tokens", Kind::Int),
        ("output_tokens", Kind::Int),
        ("reasoning_tokens", Kind::Int),
        ("trace_id", Kind::Text),
        ("conversation_id", Kind::Text),
        ("trace", Kind::Json),
        ("price_version", Kind::Text),
        ("rates", Kind::Json),
        ("attempts", Kind::Json),
        ("worker_id", Kind::Text),
        ("bundle_revision", Kind::Int),
        ("ab_variant", Kind::Text),
        ("cache", Kind::Text),
        ("facts", Kind::Json),
    ],
    conflict: "ON CONFLICT (id) DO NOTHING",
};

pub(super) fn log_values(event: &UsageEvent) -> [Value; 36] {
    let folded = event.tokens.folded();
    [
        text(&event.request_id),
        text(&event.org_id),
        time(event),
        text(&event.project.id),
        text(&event.project.name),
        text(&event.key.id),
        text(&event.key.name),
        text(event.surface.as_str()),
        text(&event.requested_model),
        optional(event.model.as_deref()),
        optional(event.provider.as_deref()),
        i64::from(event.status).into(),
        optional(event.error_code.as_deref()),
        event.stream.into(),
        optional(event.end_user.as_deref()),
        json(&event.tags),
        event.cost.nanos().into(),
        text(event.usage_word()),
        tokens(event.latency_us),
        event.first_byte_us.map(whole).into(),
        tokens(folded.input),
        tokens(folded.cached_input),
        tokens(folded.cache_write),
        tokens(folded.output),
        tokens(folded.reasoning),
        optional(event.trace_id.as_deref()),
        optional(event.conversation_id.as_deref()),
        without_nul(&event.trace.to_json().to_string()).into(),
        optional(Some(&*event.price_version).filter(|version| !version.is_empty())),
        rates(event),
        json(&event.attempts),
        text(&event.worker_id),
        i64::try_from(event.bundle_revision).unwrap_or(i64::MAX).into(),
        optional(event.ab_variant.as_deref()),
        optional(event.cache.map(CacheOutcome::as_str)),
        event.facts.as_ref().map_or(Value::String(None), json),
    ]
}

pub(super) static TAGS: Insert = Insert {
    table: "request_tags",
    columns: &[("org_id", Kind::Text), ("request_id", Kind::Text), ("name", Kind::Text), ("value", Kind::Text), ("time", Kind::Time)],
    conflict: "ON CONFLICT (org_id, request_id, name) DO NOTHING",
};

pub(super) fn tag_values(event: &UsageEvent) -> impl Iterator<Item = [Value; 5]> {
    event.tags.iter().map(|(name, value)| [text(&event.org_id), text(&event.request_id), text(name), text(value), time(event)])
}

pub(super) static ENTRIES: Insert = Insert {
    table: "budget_entries",
    columns: &[
        ("id", Kind::Text),
        ("org_id", Kind::Text),
        ("budget_period_id", Kind::Text),
        ("lease_id", Kind::Text),
        ("event_id", Kind::Text),
        ("amount_nano", Kind::Int),
        ("created_at", Kind::Time),
    ],
    conflict: "ON CONFLICT (event_id, budget_period_id) DO NOTHING",
};

/// What one event took from one account.
pub(super) struct Entry {
    pub(super) org_id: String,
    pub(super) budget_period_id: String,
    pub(super) lease_id: Option<String>,
    pub(super) event_id: String,
    pub(super) amount: NanoUsd,
}

pub(super) fn entry_values(entry: Entry, now: DateTime<Utc>) -> [Value; 7] {
    let Entry { org_id, budget_period_id, lease_id, event_id, amount } = entry;
    [
        new_id(IdKind::LedgerEntry).into(),
        org_id.into(),
        budget_period_id.into(),
        lease_id.into(),
        event_id.into(),
        amount.nanos().into(),
        now.into(),
    ]
}

/// Texts of callers may hold NUL, which PostgreSQL takes in no text at all; better a visible mark than a batch that can't be booked.
fn text(value: &str) -> Value {
    if value.contains('\0') { value.replace('\0', "\u{fffd}").into() } else { value.to_owned().into() }
}

fn optional(value: Option<&str>) -> Value {
    value.map_or(Value::String(None), text)
}

fn time(event: &UsageEvent) -> Value {
    event.time.trunc_subsecs(6).into()
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn tokens(count: u64) -> Value {
    whole(count).into()
}

fn rates(event: &UsageEvent) -> Value {
    event.rates.as_ref().map_or(Value::String(None), json)
}

/// As text. `\u0000` is the escape of NUL, which `jsonb` refuses.
fn json(value: &impl Serialize) -> Value {
    let written = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    without_nul(&written).into()
}

/// A backslash that is itself escaped (`\\\\u0000` in the text) would be hit too; the result is still JSON, with a mark in it.
fn without_nul(json: &str) -> String {
    json.replace("\\u0000", "\\ufffd")
}

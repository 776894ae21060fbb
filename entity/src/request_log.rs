//! One request through the data plane, as people look for it later. The token columns are disjoint.
//!
//! Names stand beside ids and nothing is a reference, so that a row still reads when its key is gone.

use sea_orm::entity::prelude::*;

/// One row of `request_log`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "request_log")]
pub struct Model {
    /// The request id that the caller was told.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The organization that owns the row.
    pub org_id: String,
    /// When it began, to the microsecond.
    pub time: DateTimeUtc,
    /// Its project.
    pub project_id: String,
    /// What the project was called then.
    pub project_name: String,
    /// The key it came with.
    pub key_id: String,
    /// What the key was called then.
    pub key_name: String,
    /// Which interface it came through.
    pub surface: String,
    /// The model as the caller wrote it.
    pub requested_model: String,
    /// The model that answered; none when none was asked.
    pub model: Option<String>,
    /// The provider that answered; none when none was asked.
    pub provider: Option<String>,
    /// HTTP status that the caller saw.
    pub status: i64,
    /// Code of the error that the caller saw.
    pub error_code: Option<String>,
    /// Whether the answer was streamed.
    pub stream: bool,
    /// On whose behalf the caller asked.
    pub end_user: Option<String>,
    /// Object of strings: the tags in force.
    #[sea_orm(column_type = "JsonBinary")]
    pub tags: Json,
    /// Cost, in nano-USD.
    pub cost_nano: i64,
    /// Where the token counts come from, in the words of the usage event; `cache` where they are those of an answer that was kept.
    pub usage_source: String,
    /// From the first byte in to the last byte out, in microseconds.
    pub latency_us: i64,
    /// From the first byte in to the first byte out, in microseconds; none when nothing was sent.
    pub first_byte_us: Option<i64>,
    /// Input tokens without cached and cache-write ones.
    pub input_tokens: i64,
    /// Input tokens read from the provider's cache.
    pub cached_input_tokens: i64,
    /// Input tokens written to it.
    pub cache_write_tokens: i64,
    /// Output tokens without reasoning ones.
    pub output_tokens: i64,
    /// Reasoning tokens.
    pub reasoning_tokens: i64,
    /// Agent run.
    pub trace_id: Option<String>,
    /// Thread.
    pub conversation_id: Option<String>,
    /// Variant of the A/B test that led to the model that answered.
    pub ab_variant: Option<String>,
    /// What the response cache had, in the words of the usage event; none where the config has none.
    pub cache: Option<String>,
    /// What else rules could see of it; none where it could not be read.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub facts: Option<Json>,
    /// The decision trace.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub trace: Option<Json>,
    /// Which price sheet was used.
    pub price_version: Option<String>,
    /// The rates that were used, in nano-USD per million tokens.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub rates: Option<Json>,
    /// Array: every attempt upstream, in order.
    #[sea_orm(column_type = "JsonBinary")]
    pub attempts: Json,
    /// Which worker served it.
    pub worker_id: String,
    /// Under which bundle.
    pub bundle_revision: i64,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

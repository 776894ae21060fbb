//! The policy source: what operators meant, before anything is compiled.
//!
//! [`Manifest`] is the declarative document of one organization, as people keep it in files: names instead of ids, secrets as
//! references or left out. [`Organization`] is the same with the ids, key hashes and sealed secrets that the control plane keeps in
//! rows; it is what [`crate::compile`] takes. Both are made of the same parts, so that a field added to a part is carried by both.
//!
//! Unknown fields are errors everywhere: a setting that is ignored is worse than one that is refused.

mod budget;
mod guardrails;
mod health_check;
mod manifest;
mod organization;
mod prices;
mod routing;

pub use budget::{AtCap, Budget, BudgetMode, Fraction, PeriodKind, Scope};
pub use guardrails::{
    DetectionAction, DetectionGuardrail, FailMode, GuardrailMode, Guardrails, ModelGuardrail, WebhookContent, WebhookGuardrail,
};
pub use health_check::HealthCheck;
pub use manifest::{
    Expiry, IpAllowlists, Key, Manifest, Member, Model, Payloads, Project, ProjectSettings, Provider, Role, RoutingConfig, Settings, Tier,
    UnpricedModels,
};
pub use organization::{
    BudgetRecord, KeyRecord, ModelRecord, Organization, ProjectRecord, ProviderRecord, RoutingConfigRecord, SealedSecret,
};
pub use prices::{FurtherPrices, LongContextPrices};
pub(crate) use prices::{NOT_A_PRICE, is_price};
pub use routing::{
    Aggregation, Attempt, CacheMode, CacheSettings, CascadeStep, EnsembleMember, OnDisconnect, Patience, RetryOn, RoutingDocument,
    RoutingRule, StickyBy, Strategy, Target, Variant,
};

//! Words of the contract as enums.

use async_graphql::Enum;
use serde::Serialize;

/// What somebody may do in an organization or project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[graphql(name = "Role", rename_items = "lowercase", remote = "policy::source::Role")]
pub(super) enum RoleName {
    /// Reads.
    Viewer,
    /// Edits routing configs and keys of own projects, reads payloads.
    Member,
    /// Runs the organization.
    Admin,
    /// May give it away.
    Owner,
}

/// How long a period of a budget lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[graphql(name = "BudgetPeriod", rename_items = "lowercase", remote = "policy::source::PeriodKind")]
pub(super) enum PeriodName {
    /// From midnight to midnight.
    Daily,
    /// Seven days from the anchor.
    Weekly,
    /// From the anchor day of each month.
    Monthly,
    /// From the anchor day of January, April, July, October.
    Quarterly,
    /// From the anchor day of January.
    Yearly,
    /// Without an end.
    Total,
}

/// Whether a budget acts or only watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[graphql(name = "BudgetMode", rename_items = "lowercase", remote = "policy::source::BudgetMode")]
pub(super) enum ModeName {
    /// Acts.
    Enforce,
    /// Records what it would have done.
    Shadow,
}

/// How close to its cap a budget is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "BudgetState", rename_items = "lowercase", remote = "crate::ledger::BudgetState")]
pub(super) enum StateName {
    /// Below every threshold.
    Ok,
    /// A threshold was reached.
    Warning,
    /// Requests are sent to a cheaper route.
    Downgraded,
    /// The cap was reached.
    Exhausted,
}

/// Quality class of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[graphql(name = "QualityTier", rename_items = "lowercase", remote = "policy::source::Tier")]
pub(super) enum TierName {
    /// Cheap.
    Economy,
    /// In the middle.
    Standard,
    /// Best.
    Premium,
}

/// Through what a change came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "Origin", rename_items = "lowercase", remote = "entity::audit_event::Origin")]
pub(super) enum OriginName {
    /// The web console.
    Console,
    /// This interface.
    Api,
    /// Directory synchronisation.
    Scim,
    /// Single sign-on.
    Sso,
    /// The command line.
    Cli,
    /// The control plane itself.
    System,
}

/// What happens to a model without a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[graphql(name = "UnpricedModels", rename_items = "lowercase", remote = "policy::source::UnpricedModels")]
pub(super) enum UnpricedName {
    /// Refused.
    Deny,
    /// Served and booked at a ceiling that no listed model exceeds.
    Ceiling,
    /// Served at cost zero where no blocking budget applies.
    Alert,
}

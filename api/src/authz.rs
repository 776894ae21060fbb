//! May they: role × kind of resource × action.
//!
//! casbin sees kinds, never rows: `authz/policy.csv` is small enough to read in one go, is loaded once at the start and is
//! turned into one [`PermissionSet`] a role, so that a check while a request runs tests one bit. Which rows a caller sees at all is
//! answered by the scoped queries of `store`, not here.
//!
//! Promises: what the policy does not name is refused. A key can never do more than its creator can at this moment.
//!
//! A special case in who may do what is a resource of its own in the policy ([`Resource::Owner`], [`Resource::OwnProxyKey`]), not a
//! condition in code.

mod matrix;
mod permissions;
mod scope;

use std::sync::Arc;

pub use matrix::{Matrix, MatrixError, role_name};
pub use permissions::{Grants, Permissions};
pub use scope::{KeyScope, KeyScopeError};

/// What is done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Look.
    Read,
    /// Make a new one.
    Create,
    /// Change one.
    Update,
    /// Remove or revoke one.
    Delete,
}

impl Action {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Read, Self::Create, Self::Update, Self::Delete];

    /// The word in the policy and in scopes of keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// A kind of thing in the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// The organization with its settings.
    Organization,
    /// People and their roles.
    Member,
    /// The role of owner: granting and removing it.
    Owner,
    /// Projects.
    Project,
    /// Providers with their credentials.
    Provider,
    /// Models and prices.
    Model,
    /// Routing configs and their versions.
    RoutingConfig,
    /// Budgets.
    Budget,
    /// Proxy keys of any project.
    ProxyKey,
    /// Proxy keys of projects that the caller has a grant for.
    OwnProxyKey,
    /// Management keys.
    ManagementKey,
    /// The audit chain.
    AuditEvent,
    /// Metadata of requests.
    RequestLog,
    /// Prompts and completions.
    Payload,
    /// Spend.
    Spend,
    /// The fleet.
    Worker,
    /// Replays.
    Replay,
    /// Webhooks.
    Webhook,
    /// Exports.
    Export,
    /// Single sign-on.
    SingleSignOn,
    /// Directory synchronisation.
    Directory,
}

impl Resource {
    /// All there are.
    pub const ALL: [Self; 21] = [
        Self::Organization,
        Self::Member,
        Self::Owner,
        Self::Project,
        Self::Provider,
        Self::Model,
        Self::RoutingConfig,
        Self::Budget,
        Self::ProxyKey,
        Self::OwnProxyKey,
        Self::ManagementKey,
        Self::AuditEvent,
        Self::RequestLog,
        Self::Payload,
        Self::Spend,
        Self::Worker,
        Self::Replay,
        Self::Webhook,
        Self::Export,
        Self::SingleSignOn,
        Self::Directory,
    ];

    /// The word in the policy, in scopes of keys, and in audit events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Member => "member",
            Self::Owner => "owner",
            Self::Project => "project",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::RoutingConfig => "routing_config",
            Self::Budget => "budget",
            Self::ProxyKey => "proxy_key",
            Self::OwnProxyKey => "own_proxy_key",
            Self::ManagementKey => "management_key",
            Self::AuditEvent => "audit_event",
            Self::RequestLog => "request_log",
            Self::Payload => "payload",
            Self::Spend => "spend",
            Self::Worker => "worker",
            Self::Replay => "replay",
            Self::Webhook => "webhook",
            Self::Export => "export",
            Self::SingleSignOn => "single_sign_on",
            Self::Directory => "directory",
        }
    }

    /// Whether a grant for one project reaches it.
    const fn is_of_project(self) -> bool {
        matches!(
            self,
            Self::Project
                | Self::RoutingConfig
                | Self::ProxyKey
                | Self::OwnProxyKey
                | Self::RequestLog
                | Self::Payload
                | Self::Spend
                | Self::Replay
        )
    }
}

/// Pairs of resource and action, one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PermissionSet(u128);

impl PermissionSet {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(u128::MAX);

    const fn bit(action: Action, resource: Resource) -> u128 {
        1 << ((resource as u32) * 4 + action as u32)
    }

    /// Whether the pair is in it.
    #[must_use]
    pub const fn contains(self, action: Action, resource: Resource) -> bool {
        self.0 & Self::bit(action, resource) != 0
    }

    /// This and one more pair.
    #[must_use]
    pub const fn with(self, action: Action, resource: Resource) -> Self {
        Self(self.0 | Self::bit(action, resource))
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of this is in `other`.
    #[must_use]
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The part that a grant for one project can give.
    #[must_use]
    pub fn of_project(self) -> Self {
        let mask = Resource::ALL
            .into_iter()
            .filter(|resource| resource.is_of_project())
            .fold(Self::NONE, |set, resource| Action::ALL.into_iter().fold(set, |set, action| set.with(action, resource)));
        self.and(mask)
    }

    /// The pairs in it, in the order of the enums.
    pub fn iter(self) -> impl Iterator<Item = (Resource, Action)> {
        Resource::ALL
            .into_iter()
            .flat_map(|resource| Action::ALL.into_iter().map(move |action| (resource, action)))
            .filter(move |(resource, action)| self.contains(*action, *resource))
    }
}

/// Which rows a caller may see: those of one organization, and where a caller has grants for projects only, those of these projects.
///
/// Invariant: made from an authenticated caller or by the control plane itself, never from what a request says.
#[derive(Debug, Clone)]
pub struct TenantScope {
    org_id: Arc<str>,
    projects: Option<Arc<[String]>>,
}

impl TenantScope {
    /// All rows of an organization.
    pub(crate) fn organization(org_id: &str) -> Self {
        Self { org_id: org_id.into(), projects: None }
    }

    /// Rows of an organization that belong to these projects.
    pub(crate) fn projects(org_id: &str, projects: Vec<String>) -> Self {
        Self { org_id: org_id.into(), projects: Some(projects.into()) }
    }

    /// The organization.
    #[must_use]
    pub fn org_id(&self) -> &str {
        &self.org_id
    }

    /// The projects it is limited to, if it is.
    #[must_use]
    pub fn limited_to(&self) -> Option<&[String]> {
        self.projects.as_deref()
    }
}

/// Proof that the caller may do `action` to rows of `resource` in one organization. Functions of `store` that write take it.
#[derive(Debug, Clone)]
pub struct Authorized {
    org_id: Arc<str>,
    resource: Resource,
    action: Action,
}

impl Authorized {
    /// Only [`crate::context::OpContext`] hands them out.
    pub(crate) fn new(scope: &TenantScope, action: Action, resource: Resource) -> Self {
        Self { org_id: Arc::clone(&scope.org_id), resource, action }
    }

    /// The organization.
    #[must_use]
    pub fn org_id(&self) -> &str {
        &self.org_id
    }

    /// What it is for.
    #[must_use]
    pub const fn what(&self) -> (Action, Resource) {
        (self.action, self.resource)
    }
}

/// The caller may not do this.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("your role does not allow `{}` on `{}`", action.as_str(), resource.as_str())]
pub struct Forbidden {
    /// What was wanted.
    pub action: Action,
    /// Of what.
    pub resource: Resource,
}

#[cfg(test)]
mod tests;

//! In whose name, and from where, something is done: the first argument of everything in `app`.
//!
//! Promises: made exactly once a request, in `http`, from an authenticated key, or by the control plane for work of its own. It
//! carries the only way to get an [`Authorized`], and with it the only way to write.
//!
//! Leaves out: the request. What was asked for are arguments.

use std::net::IpAddr;
use std::sync::Arc;

use entity::audit_event::Origin;

use crate::authz::{Action, Authorized, Forbidden, Permissions, Resource, TenantScope};
use crate::state::AppState;

/// What kind of actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    /// A person.
    User,
    /// A management key.
    Key,
    /// The control plane itself.
    System,
}

impl ActorKind {
    /// The word in audit events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Key => "key",
            Self::System => "system",
        }
    }
}

/// Who changes things in the control plane.
#[derive(Debug, Clone)]
pub struct Actor {
    /// What kind.
    pub kind: ActorKind,
    /// Prefixed id.
    pub id: String,
    /// What it is called now.
    pub name: String,
    /// The person behind it: itself, or who made the key.
    pub user_id: Option<String>,
    /// The highest role that it acts with, for people to read.
    pub role: Option<entity::membership::Role>,
}

impl Actor {
    /// The control plane itself.
    #[must_use]
    pub fn system() -> Self {
        Self { kind: ActorKind::System, id: "system".to_owned(), name: "system".to_owned(), user_id: None, role: None }
    }
}

/// Where a request came from, as far as it is known.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Through what.
    pub origin: Origin,
    /// From which address.
    pub ip: Option<IpAddr>,
    /// Under which id it is answered and logged.
    pub request_id: Option<String>,
    /// W3C trace it belongs to.
    pub trace_id: Option<String>,
}

impl Arrival {
    /// From nowhere: the control plane itself.
    #[must_use]
    pub const fn system() -> Self {
        Self { origin: Origin::System, ip: None, request_id: None, trace_id: None }
    }
}

/// Actor, tenant, rights and arrival of one request.
#[derive(Debug, Clone)]
pub struct OpContext {
    state: AppState,
    actor: Arc<Actor>,
    scope: TenantScope,
    permissions: Arc<Permissions>,
    arrival: Arrival,
}

impl OpContext {
    /// Of an authenticated caller. The rows it sees are those of the organization, or of its projects where it has rights there only.
    pub(crate) fn new(state: AppState, actor: Actor, org_id: &str, permissions: Permissions, arrival: Arrival) -> Self {
        let scope = match permissions.limited_to() {
            Some(projects) => TenantScope::projects(org_id, projects),
            None => TenantScope::organization(org_id),
        };
        Self { state, actor: Arc::new(actor), scope, permissions: Arc::new(permissions), arrival }
    }

    /// Of the control plane itself, in one organization.
    pub(crate) fn system(state: AppState, org_id: &str) -> Self {
        Self::new(state, Actor::system(), org_id, Permissions::all(), Arrival::system())
    }

    /// The same actor in an organization that it has just made.
    pub(crate) fn in_new_organization(&self, org_id: &str) -> Self {
        Self { scope: TenantScope::organization(org_id), permissions: Arc::new(Permissions::all()), ..self.clone() }
    }

    /// What the process shares.
    #[must_use]
    pub const fn state(&self) -> &AppState {
        &self.state
    }

    /// Who.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Which rows.
    #[must_use]
    pub const fn scope(&self) -> &TenantScope {
        &self.scope
    }

    /// What it may do.
    #[must_use]
    pub fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    /// From where.
    #[must_use]
    pub const fn arrival(&self) -> &Arrival {
        &self.arrival
    }

    /// Whether the actor may do this in the whole organization.
    ///
    /// # Errors
    /// When its rights do not cover it.
    pub fn authorize(&self, action: Action, resource: Resource) -> Result<Authorized, Forbidden> {
        if self.permissions.allow(action, resource) {
            return Ok(Authorized::new(&self.scope, action, resource));
        }
        Err(Forbidden { action, resource })
    }

    /// Whether the actor may do this to something of one project, or of the organization where there is no project.
    ///
    /// # Errors
    /// When its rights do not cover it.
    pub fn authorize_in(&self, action: Action, resource: Resource, project_id: Option<&str>) -> Result<Authorized, Forbidden> {
        match project_id {
            Some(project_id) if self.permissions.allow_in(action, resource, project_id) => {
                Ok(Authorized::new(&self.scope, action, resource))
            }
            Some(_) => Err(Forbidden { action, resource }),
            None => self.authorize(action, resource),
        }
    }

    /// Whether the actor may look at `resource`, in the whole organization or in some project; [`OpContext::scope`] then says which rows.
    ///
    /// # Errors
    /// When it may nowhere.
    pub fn authorize_reading(&self, resource: Resource) -> Result<&TenantScope, Forbidden> {
        if self.permissions.allow_anywhere(Action::Read, resource) {
            return Ok(&self.scope);
        }
        Err(Forbidden { action: Action::Read, resource })
    }
}

//! Who: a presented management key → the actor, its tenant and its rights at this moment.
//!
//! Promises: a key is found by the SHA-256 of all of it, so nothing of it is compared in steps. A revoked or expired key, and one whose
//! maker is gone, is worth nothing from the next request on: nothing is cached. What a key may do is never more than what its maker
//! may now, through all keys in between.
//!
//! Leaves out: may they (`authz`), and the console's sessions.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use entity::{management_key, membership::Role, organization};
use policy::source::Settings;
use sea_orm::{ConnectionTrait, DbErr};

use crate::authz::{KeyScope, Permissions};
use crate::context::{Actor, ActorKind, Arrival, OpContext};
use crate::secrets::hash_key;
use crate::state::AppState;
use crate::store;

/// How many keys may have made each other.
const MAX_CHAIN: u8 = 8;
/// `last_used_at` is kept this coarsely, so that reading does not become writing.
const TOUCH_EVERY: TimeDelta = TimeDelta::minutes(10);

/// Why nobody was recognised.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthnError {
    /// No key was presented.
    #[error("no key: send `Authorization: Bearer mlx_mk_…`")]
    Missing,
    /// Nobody has this key.
    #[error("the key is not known")]
    Unknown,
    /// The key was revoked.
    #[error("the key was revoked")]
    Revoked,
    /// The key's time is over.
    #[error("the key has expired")]
    Expired,
    /// The organization does not let this address in.
    #[error("your address is not on the organization's allowlist")]
    Address,
    /// The database.
    #[error("can't look up the key")]
    Database(#[from] DbErr),
}

impl AuthnError {
    /// Whether the key may have been a guess.
    pub(crate) const fn is_guess(&self) -> bool {
        matches!(self, Self::Unknown | Self::Revoked | Self::Expired)
    }
}

/// Recognises who presents `token`.
///
/// # Errors
/// When nobody does, or the address is not let in.
pub(crate) async fn authenticate(state: &AppState, token: Option<&str>, arrival: Arrival) -> Result<OpContext, AuthnError> {
    let token = token.ok_or(AuthnError::Missing)?;
    let connection = state.database.read();
    let key = store::caller::key_by_hash(connection, &hash_key(token)).await?.ok_or(AuthnError::Unknown)?;
    let now = state.clock.now();
    check_live(&key, now)?;
    let org = store::caller::organization(connection, &key.org_id).await?.ok_or(AuthnError::Unknown)?;
    check_address(&org, arrival.ip)?;
    let maker = Maker { state, connection, now };
    let rights = maker.rights_of(&key).await?;
    touch(state, &key, now).await;
    let actor = Actor { kind: ActorKind::Key, id: key.id, name: key.name, user_id: rights.user_id, role: rights.role };
    Ok(OpContext::new(state.clone(), actor, &key.org_id, rights.permissions, arrival))
}

fn check_live(key: &management_key::Model, now: DateTime<Utc>) -> Result<(), AuthnError> {
    if key.revoked_at.is_some_and(|at| at <= now) {
        return Err(AuthnError::Revoked);
    }
    if key.expires_at.is_some_and(|at| at <= now) {
        return Err(AuthnError::Expired);
    }
    Ok(())
}

/// An empty list lets everybody in. Where the address is not known, a list that is not empty lets nobody in.
fn check_address(org: &organization::Model, ip: Option<IpAddr>) -> Result<(), AuthnError> {
    let settings: Settings = serde_json::from_value(org.settings.clone()).map_err(|_| AuthnError::Address)?;
    let networks = settings.ip_allowlist.management;
    let ip = ip.map(|ip| ip.to_canonical());
    if networks.is_empty() || ip.is_some_and(|ip| networks.iter().any(|network| network.contains(&ip))) {
        return Ok(());
    }
    Err(AuthnError::Address)
}

/// What a key may do, in whose name.
struct Rights {
    permissions: Permissions,
    user_id: Option<String>,
    role: Option<Role>,
}

/// Follows keys back to the person who made the first of them.
struct Maker<'a, C> {
    state: &'a AppState,
    connection: &'a C,
    now: DateTime<Utc>,
}

impl<C: ConnectionTrait> Maker<'_, C> {
    async fn rights_of(&self, key: &management_key::Model) -> Result<Rights, DbErr> {
        let mut caps = vec![key.clone()];
        let mut oldest = key.clone();
        while let Some(parent) = &oldest.created_by_key {
            let parent = store::caller::key_by_id(self.connection, &key.org_id, parent).await?;
            match parent.filter(|parent| check_live(parent, self.now).is_ok()) {
                Some(parent) if caps.len() < usize::from(MAX_CHAIN) => {
                    caps.push(parent.clone());
                    oldest = parent;
                }
                _ => return Ok(Rights { permissions: Permissions::none(), user_id: None, role: None }),
            }
        }
        let person = self.rights_of_maker(&oldest).await?;
        Ok(caps.iter().rev().fold(person, |rights, key| self.cap(rights, key)))
    }

    async fn rights_of_maker(&self, key: &management_key::Model) -> Result<Rights, DbErr> {
        let Some(user_id) = &key.created_by_user else {
            return Ok(Rights { permissions: Permissions::all(), user_id: None, role: Some(Role::Owner) });
        };
        let Some((user, grants)) = store::caller::grants(self.connection, &key.org_id, user_id).await? else {
            return Ok(Rights { permissions: Permissions::none(), user_id: None, role: None });
        };
        let role = grants.organization.or_else(|| grants.projects.values().copied().min_by_key(|role| rank(*role)));
        Ok(Rights { permissions: Permissions::of_grants(&self.state.matrix, &grants), user_id: Some(user.id), role })
    }

    fn cap(&self, rights: Rights, key: &management_key::Model) -> Rights {
        let scopes = key.scopes.as_ref().map(read_scopes);
        Rights {
            permissions: rights.permissions.capped(self.state.matrix.of(key.role), scopes.as_deref()),
            role: rights.role.map(|role| if rank(role) < rank(key.role) { role } else { key.role }),
            ..rights
        }
    }
}

/// Scopes that can't be read cover nothing.
fn read_scopes(scopes: &serde_json::Value) -> Vec<KeyScope> {
    let texts = scopes.as_array().map(Vec::as_slice).unwrap_or_default();
    texts.iter().filter_map(|scope| scope.as_str()?.parse().ok()).collect()
}

const fn rank(role: Role) -> u8 {
    match role {
        Role::Viewer => 0,
        Role::Member => 1,
        Role::Admin => 2,
        Role::Owner => 3,
    }
}

/// Notes the use, coarsely; that it could not be noted is no reason to refuse.
async fn touch(state: &AppState, key: &management_key::Model, now: DateTime<Utc>) {
    if key.last_used_at.is_some_and(|at| now.signed_duration_since(at) < TOUCH_EVERY) {
        return;
    }
    let noted = async {
        let tx = state.database.begin().await?;
        store::caller::touch_key(&tx, &key.id, now).await?;
        tx.commit().await
    };
    if let Err(error) = noted.await {
        tracing::warn!(key.id = %key.id, error = &error as &dyn std::error::Error, "can't note the use of a key");
    }
}

/// Whether the key behind a long-lived connection is still what it was when the connection began.
pub(crate) async fn still_good(ctx: &OpContext) -> bool {
    let actor = ctx.actor();
    if actor.kind != ActorKind::Key {
        return true;
    }
    let state = ctx.state();
    let key = store::caller::key_by_id(state.database.read(), ctx.scope().org_id(), &actor.id).await;
    matches!(key, Ok(Some(key)) if check_live(&key, state.clock.now()).is_ok())
}

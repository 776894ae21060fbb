//! The first start: an organization with an owner, keys, and a demo project to try it with.
//!
//! Everything is made in one transaction, and the secrets are handed to who keeps them before it is committed: either there is an
//! organization and somebody knows its secrets, or there is neither. Later starts find the organization and do nothing.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use argon2::Argon2;
use argon2::password_hash::PasswordHasher as _;
use policy::source::Role;
use serde::Serialize;
use serde_json::json;

use crate::app::management_key::CreateManagementKey;
use crate::app::manifest::{ApplyManifest, read_manifest};
use crate::app::organization::CreateOrganization;
use crate::app::{Change, Command as _, OperationError, member, organization};
use crate::authz::{Action, Resource};
use crate::context::OpContext;
use crate::link::create_worker_token;
use crate::secrets::new_secret;
use crate::state::AppState;
use crate::store;

/// Slug of the first organization.
pub const FIRST_ORGANIZATION: &str = "default";
const OWNER_EMAIL: &str = "owner@localhost";

/// Secrets of the first organization, which can't be had again.
#[derive(Clone, Serialize)]
pub struct Credentials {
    /// Its slug.
    pub org: String,
    /// A management key of its owner.
    pub management_key: String,
    /// With which workers enrol.
    pub worker_token: String,
    /// The owner.
    pub owner_email: String,
    /// The owner's password.
    pub owner_password: String,
    /// The demo project, unless there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demo: Option<DemoCredentials>,
}

/// Secrets of the demo project.
#[derive(Clone, Serialize)]
pub struct DemoCredentials {
    /// Its name.
    pub project: String,
    /// A key of it.
    pub proxy_key: String,
}

impl Credentials {
    /// Writes them with both addresses as `credentials.json` has them, readable for its owner only. The file appears whole or not at all.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write(&self, path: &Path, api_url: &str, proxy_url: &str) -> std::io::Result<()> {
        let mut document = serde_json::to_value(self)?;
        if let Some(fields) = document.as_object_mut() {
            fields.insert("api_url".to_owned(), api_url.into());
            fields.insert("proxy_url".to_owned(), proxy_url.into());
        }
        let half = path.with_extension("json.half");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
        file.write_all(&serde_json::to_vec_pretty(&document)?)?;
        file.sync_all()?;
        std::fs::rename(&half, path)
    }
}

/// Why the first organization can't be made.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// A row can't be made.
    #[error("can't make the first organization")]
    Operation(#[from] OperationError),
    /// The password can't be hashed.
    #[error("can't hash the owner's password")]
    Password,
    /// The secrets can't be kept, so nothing was made.
    #[error("can't keep the first credentials")]
    Keep(#[source] std::io::Error),
}

/// Makes the first organization where there is none, and hands its secrets to `keep` before they become valid. None where there is one.
pub(crate) async fn bootstrap(
    state: &AppState,
    demo: bool,
    keep: impl FnOnce(&Credentials) -> std::io::Result<()> + Send,
) -> Result<Option<Credentials>, BootstrapError> {
    let existing = store::organization::by_slug(state.database.read(), FIRST_ORGANIZATION).await.map_err(OperationError::from)?;
    if existing.is_some() {
        return Ok(None);
    }
    let password = new_secret("");
    let password_hash = hash_password(password.clone()).await?;
    let tx = state.database.begin().await.map_err(OperationError::from)?;
    let new = CreateOrganization { slug: FIRST_ORGANIZATION.to_owned(), name: "Default".to_owned() };
    let org = organization::found(&tx, &OpContext::system(state.clone(), ""), &new).await?;
    let ctx = OpContext::system(state.clone(), &org.id);
    let change = Change::locked(&ctx, tx).await?;
    let management_key = make_owner(&change, password_hash).await?;
    let worker_token = create_worker_token(&change.tx, &state.clock, "first").await.map_err(OperationError::from)?;
    let manifest = read_manifest(first_manifest(demo))?;
    let mut edited = ApplyManifest { manifest, prune: false }.apply(&change).await?;
    edited.before = None;
    edited.unchanged = false;
    let proxy_key = edited.secrets.first().map(|(_, secret)| secret.clone());
    let credentials = Credentials {
        org: org.slug,
        management_key,
        worker_token,
        owner_email: OWNER_EMAIL.to_owned(),
        owner_password: password,
        demo: proxy_key.map(|proxy_key| DemoCredentials { project: "demo".to_owned(), proxy_key }),
    };
    keep(&credentials).map_err(BootstrapError::Keep)?;
    change.finish(CreateOrganization::NAME, edited, None).await?;
    Ok(Some(credentials))
}

/// The owner, and a key that acts in their name.
async fn make_owner(change: &Change<'_>, password_hash: String) -> Result<String, OperationError> {
    let proof = change.ctx.authorize(Action::Create, Resource::Member)?;
    let user = match store::member::user_by_email(&change.tx, OWNER_EMAIL).await? {
        Some(user) => user,
        None => store::member::insert_user(&change.tx, &proof, member::new_user(OWNER_EMAIL, Some(password_hash), change.now)).await?,
    };
    organization::grant_owner(change, &proof, &user.id).await?;
    let key = CreateManagementKey { name: "owner".to_owned(), role: Role::Owner, scopes: None, expires_at: None };
    organization::owner_key(change, &user.id, key).await
}

/// What the first organization is made of. The demo needs no account anywhere: its provider is inside of the worker.
fn first_manifest(demo: bool) -> serde_json::Value {
    if !demo {
        return json!({"org": FIRST_ORGANIZATION});
    }
    json!({
        "org": FIRST_ORGANIZATION,
        "providers": [{"name": "simulated", "vendor": "simulated"}],
        "projects": [{"name": "demo", "keys": [{"name": "demo"}]}],
        "budgets": [{"name": "demo-monthly", "scope": {"project": "demo"}, "period": "monthly", "cap_usd": "10.00"}],
    })
}

/// Argon2id takes its time on purpose, so not on a thread that serves.
async fn hash_password(password: String) -> Result<String, BootstrapError> {
    let hashing = tokio::task::spawn_blocking(move || Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()));
    hashing.await.map_err(|_| BootstrapError::Password)?.map_err(|_| BootstrapError::Password)
}

/// Where `address` can be reached from this machine: a listener on all addresses is asked on loopback.
#[must_use]
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_loopback() {
        assert_eq!(reachable("0.0.0.0:5100".parse().unwrap()), "127.0.0.1:5100".parse().unwrap());
        assert_eq!(reachable("[::]:1".parse().unwrap()), "[::1]:1".parse().unwrap());
        assert_eq!(reachable("10.1.2.3:1".parse().unwrap()), "10.1.2.3:1".parse().unwrap());
    }
}

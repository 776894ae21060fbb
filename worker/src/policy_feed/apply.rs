//! From an envelope to a policy in force.

use std::sync::Arc;

use policy::bundle::{BundleError, Envelope};
use policy::engine::{Engine, LoadError};
use policy::seal;
use policy::source::SealedSecret;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{Fleet, OrgPolicy, Policies};
use crate::budget::BudgetTable;
use crate::clock;
use crate::guard::webhook::Webhook;
use crate::link::Identity;
use crate::upstream::Reach;

/// Why a bundle was not put in force.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Digest, signature or format.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The engine can't use it.
    #[error("bundle of `{org_id}` revision {revision} can't be made ready")]
    Load {
        /// Whose.
        org_id: String,
        /// Which.
        revision: u64,
        /// Why.
        source: LoadError,
    },
    /// A secret is sealed with another key.
    #[error("secret of {resource} `{name}` can't be opened with this worker's pool key")]
    Secret {
        /// Kind of who has it.
        resource: &'static str,
        /// Who has it.
        name: Arc<str>,
    },
    /// Asked for one organization, got another.
    #[error("got a bundle of `{0}` instead")]
    WrongOrganization(String),
}

impl OrgPolicy {
    /// Checks `envelope` and makes it ready. Takes milliseconds: not for the request path.
    ///
    /// # Errors
    /// When it is not genuine, or this program can't use it.
    pub fn load(envelope: &Envelope, identity: &Identity) -> Result<Self, ApplyError> {
        let bundle = envelope.open(&identity.verifying_key)?;
        let mut reaches = Vec::with_capacity(bundle.providers.len());
        for provider in &bundle.providers {
            let opened = provider.api_key.as_ref().map(|sealed| open(identity, &provider.id, sealed)).transpose();
            let secret = opened.map_err(|Sealed| ApplyError::Secret { resource: "provider", name: Arc::clone(&provider.name) })?;
            reaches.push(Reach::of(provider, secret));
        }
        let mut webhooks = Vec::with_capacity(bundle.projects.len());
        for project in &bundle.projects {
            let webhook = project.guardrails.as_ref().and_then(|guardrails| guardrails.webhook.as_ref());
            let opened = webhook.and_then(|webhook| webhook.secret.as_ref()).map(|sealed| open(identity, &project.id, sealed)).transpose();
            let secret = opened.map_err(|Sealed| ApplyError::Secret { resource: "project", name: Arc::clone(&project.name) })?;
            webhooks.push(webhook.and_then(|webhook| Webhook::of(&webhook.url, secret)));
        }
        let budgets = BudgetTable::new(&bundle.budgets);
        let engine = Engine::load(bundle).map_err(|source| ApplyError::Load {
            org_id: envelope.org_id.clone(),
            revision: envelope.revision,
            source,
        })?;
        Ok(Self {
            engine,
            applied_revision: envelope.revision,
            applied_at: clock::now(),
            digest: envelope.digest.clone(),
            reaches,
            webhooks,
            budgets,
        })
    }

    /// SHA-256 of the bundle, lower-case hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// A secret that stays closed.
struct Sealed;

/// Opens a secret of who has this id.
fn open(identity: &Identity, id: &str, sealed: &SealedSecret) -> Result<SecretString, Sealed> {
    let bytes = seal::open(&identity.pool_key, id.as_bytes(), &sealed.0).map(Zeroizing::new).map_err(|_| Sealed)?;
    std::str::from_utf8(&bytes).map(SecretString::from).map_err(|_| Sealed)
}

impl Policies {
    /// Puts what an earlier start left in force.
    pub(super) fn apply_kept(&self) {
        let Some(identity) = self.enrolment.known() else { return };
        for envelope in self.kept.read_all() {
            match OrgPolicy::load(&envelope, &identity) {
                Ok(policy) => {
                    self.swap_in(policy);
                }
                Err(error) => tracing::warn!(org.id = %envelope.org_id, error = %error, "kept bundle is not used"),
            }
        }
    }

    /// Puts `policy` in force unless one as new is. Answers whether it did.
    pub(super) fn swap_in(&self, mut policy: OrgPolicy) -> bool {
        if let Some(older) = self.fleet.load().orgs.get(policy.org_id()) {
            policy.take_over(older);
        }
        let policy = Arc::new(policy);
        let org_id = policy.org_id().to_owned();
        let mut newer = false;
        self.fleet.rcu(|fleet| {
            newer = fleet.revision(&org_id).is_none_or(|have| have < policy.applied_revision);
            if !newer {
                return Arc::clone(fleet);
            }
            let mut orgs = fleet.orgs.clone();
            orgs.insert(org_id.clone(), Arc::clone(&policy));
            Arc::new(Fleet { orgs })
        });
        if newer {
            self.budgets.adopt(&policy);
            self.adopted.send_modify(|adoptions| *adoptions += 1);
        }
        newer
    }

    /// Takes organizations out of force.
    pub(super) fn forget(&self, gone: &[String]) {
        if gone.is_empty() {
            return;
        }
        self.fleet.rcu(|fleet| {
            let mut orgs = fleet.orgs.clone();
            orgs.retain(|org_id, _| !gone.contains(org_id));
            Fleet { orgs }
        });
        self.adopted.send_modify(|adoptions| *adoptions += 1);
        for org_id in gone {
            tracing::info!(org.id = %org_id, "organization is gone");
            if let Err(error) = self.kept.remove(org_id) {
                tracing::warn!(org.id = %org_id, error = %error, "kept bundle can't be removed");
            }
        }
    }
}

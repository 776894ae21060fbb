//! Secrets at rest: the master key, what is sealed under it, and the hashes and digests that stand for the rest.
//!
//! Envelope encryption: each provider secret has a random data key of its own, and the data key is wrapped with the master key. A
//! sealed secret is bound to the row it belongs to, so it can't be moved to another one. Each wrapping names the master key that
//! made it, so that master keys can be rotated: the old one stays readable until [`Secrets::rewrap_all`] has replaced it.
//!
//! The deployment has two keys of its own, made once and kept sealed in `deployment_keys`: the one that signs bundles and the one
//! that the worker pool opens provider secrets with.
//!
//! Promises: nothing here prints a secret; keys are wiped when dropped. Presented keys are never kept, only [`hash_key`] of them.

mod deployment;
mod envelope;
mod master;
mod random;

pub use envelope::{SealedEnvelope, SecretsError};
pub use master::{MasterKey, MasterKeyError};
pub use random::{hash_key, new_secret};

use policy::bundle::SigningKey;
use policy::seal::KEY_LEN;
use policy::source::SealedSecret;
use zeroize::Zeroizing;

/// The keys of the deployment, and everything done with them.
pub struct Secrets {
    master: MasterKey,
    previous: Vec<MasterKey>,
    signing: SigningKey,
    pool: Zeroizing<[u8; KEY_LEN]>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("master", &self.master).finish_non_exhaustive()
    }
}

impl Secrets {
    /// Signs bundles.
    #[must_use]
    pub const fn signing_key(&self) -> &SigningKey {
        &self.signing
    }

    /// What workers check bundles with, base 64.
    #[must_use]
    pub fn verifying_key(&self) -> String {
        self.signing.verifying_key().to_base64()
    }

    /// Seals a provider secret to the worker pool, bound to the provider's id.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn seal_to_pool(&self, provider_id: &str, secret: &str) -> Result<SealedSecret, SecretsError> {
        Ok(SealedSecret(policy::seal::seal(&self.pool, provider_id.as_bytes(), secret.as_bytes())?))
    }

    /// The pool key for the holder of `token`, sealed under a key that only the holder can derive.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn pool_key_for(&self, token: &str) -> Result<String, SecretsError> {
        let wrapping = Zeroizing::new(policy::seal::derive_pool_wrapping_key(token));
        Ok(policy::seal::seal(&wrapping, b"", self.pool.as_slice())?)
    }

    /// What stands for a secret in diffs: equal for equal secrets of this deployment, and useless for guessing elsewhere.
    #[must_use]
    pub fn digest(&self, secret: &str) -> String {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.pool.as_slice());
        let mut context = ring::hmac::Context::with_key(&key);
        context.update(b"modelux-secret-digest-v1\n");
        context.update(secret.as_bytes());
        let tag = random::hex(context.sign().as_ref());
        format!("sha256:{}", tag.get(..32).unwrap_or(&tag))
    }
}

#[cfg(test)]
mod tests;

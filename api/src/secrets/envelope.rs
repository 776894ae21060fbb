//! Sealing under a data key of its own, the data key wrapped with the master key.

use policy::seal::{KEY_LEN, SealError};
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use super::{MasterKey, Secrets};

/// Why a secret can't be sealed, opened or kept.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// Cryptography said no.
    #[error("can't seal or open a secret")]
    Seal(#[from] SealError),
    /// Wrapped with a master key that this process was not given.
    #[error("a secret is wrapped with master key `{key_id}`, which was not given")]
    UnknownMasterKey {
        /// Which.
        key_id: String,
    },
    /// What came out is not what was put in.
    #[error("a sealed secret has an unexpected form")]
    Malformed,
    /// The signing key can't be made or read.
    #[error("the bundle signing key can't be used")]
    SigningKey(#[source] policy::bundle::BundleError),
    /// The database.
    #[error("can't keep deployment keys")]
    Database(#[from] sea_orm::DbErr),
}

/// A sealed secret as the four `secret_*` columns of a provider keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedEnvelope {
    /// The secret under its data key.
    pub sealed: Vec<u8>,
    /// The data key under the master key.
    pub wrapped_key: Vec<u8>,
    /// Which master key.
    pub key_id: String,
    /// Stands for the secret in diffs.
    pub digest: String,
}

impl Secrets {
    /// Seals `secret`, bound to `owner_id` (the id of its row).
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn seal(&self, owner_id: &str, secret: &str) -> Result<SealedEnvelope, SecretsError> {
        let mut data_key = Zeroizing::new([0_u8; KEY_LEN]);
        SystemRandom::new().fill(data_key.as_mut_slice()).map_err(|_| SealError::Seal)?;
        let sealed = policy::seal::seal(&data_key, owner_id.as_bytes(), secret.as_bytes())?;
        let wrapped = policy::seal::seal(self.master.bytes(), owner_id.as_bytes(), data_key.as_slice())?;
        Ok(SealedEnvelope {
            sealed: sealed.into_bytes(),
            wrapped_key: wrapped.into_bytes(),
            key_id: self.master.id().to_owned(),
            digest: self.digest(secret),
        })
    }

    /// Opens what [`Secrets::seal`] gave for the same `owner_id`.
    ///
    /// # Errors
    /// When the master key is not known, or the bytes or the owner are not those of the seal.
    pub fn open_sealed(&self, owner_id: &str, sealed: &[u8], wrapped_key: &[u8], key_id: &str) -> Result<Zeroizing<String>, SecretsError> {
        let data_key = self.unwrap_key(owner_id, wrapped_key, key_id)?;
        let plain = policy::seal::open(&data_key, owner_id.as_bytes(), text(sealed)?)?;
        String::from_utf8(plain).map(Zeroizing::new).map_err(|_| SecretsError::Malformed)
    }

    /// The same data key wrapped with the present master key.
    pub(super) fn rewrap(&self, owner_id: &str, wrapped_key: &[u8], key_id: &str) -> Result<Vec<u8>, SecretsError> {
        let data_key = self.unwrap_key(owner_id, wrapped_key, key_id)?;
        Ok(policy::seal::seal(self.master.bytes(), owner_id.as_bytes(), data_key.as_slice())?.into_bytes())
    }

    fn unwrap_key(&self, owner_id: &str, wrapped_key: &[u8], key_id: &str) -> Result<Zeroizing<[u8; KEY_LEN]>, SecretsError> {
        let master = find_master(&self.master, &self.previous, key_id)?;
        open_key(master, owner_id, wrapped_key)
    }
}

pub(super) fn find_master<'a>(current: &'a MasterKey, previous: &'a [MasterKey], key_id: &str) -> Result<&'a MasterKey, SecretsError> {
    std::iter::once(current)
        .chain(previous)
        .find(|key| key.id() == key_id)
        .ok_or_else(|| SecretsError::UnknownMasterKey { key_id: key_id.to_owned() })
}

pub(super) fn open_key(master: &MasterKey, owner_id: &str, wrapped: &[u8]) -> Result<Zeroizing<[u8; KEY_LEN]>, SecretsError> {
    let plain = Zeroizing::new(policy::seal::open(master.bytes(), owner_id.as_bytes(), text(wrapped)?)?);
    let key: [u8; KEY_LEN] = plain.as_slice().try_into().map_err(|_| SecretsError::Malformed)?;
    Ok(Zeroizing::new(key))
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, SecretsError> {
    std::str::from_utf8(bytes).map_err(|_| SecretsError::Malformed)
}

//! Who this worker is to the control plane, and the keys it got for that.
//!
//! What enrolment gave is kept on disk, so that a worker that starts with the control plane away knows its id and can check and open the
//! bundles it has. The pool key is kept as it came, sealed under the worker token. Leases need a live enrolment: an incarnation is
//! never taken from disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use policy::bundle::VerifyingKey;
use policy::link::{Enrol, Enrolled};
use policy::seal;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::{ControlPlane, LinkError};
use crate::policy_feed::write_atomically;

const FILE: &str = "worker.json";

/// Who this worker is.
pub struct Identity {
    /// `wrk_…`
    pub worker_id: Arc<str>,
    /// Counts the starts; 0 where it was read from disk.
    pub incarnation: u64,
    /// Checks bundles.
    pub verifying_key: VerifyingKey,
    /// Opens provider secrets.
    pub pool_key: Zeroizing<[u8; seal::KEY_LEN]>,
    /// How long an exchange may last, as the control plane counts lost leases.
    pub exchange_limit: Duration,
}

/// Why what enrolment gave can't be used.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// The call failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The keys are not readable: most likely another token sealed them.
    #[error("keys from the control plane can't be opened with this worker token")]
    Keys,
}

/// The worker's standing with the control plane.
pub struct Enrolment {
    file: PathBuf,
    token: SecretString,
    /// From disk or live; what bundles are opened with.
    known: ArcSwapOption<Identity>,
    live: watch::Sender<Option<Arc<Identity>>>,
}

impl Enrolment {
    /// What an earlier start left in `data_dir`, if its keys open with `token`.
    #[must_use]
    pub fn load(data_dir: &Path, token: SecretString) -> Arc<Self> {
        let file = data_dir.join(FILE);
        let kept = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Enrolled>(&bytes).ok());
        let identity = kept.and_then(|mut enrolled| {
            enrolled.incarnation = 0;
            open(&enrolled, &token).ok()
        });
        Arc::new(Self { file, token, known: ArcSwapOption::from(identity.map(Arc::new)), live: watch::Sender::new(None) })
    }

    /// Who this worker is, from this start or an earlier one.
    #[must_use]
    pub fn known(&self) -> Option<Arc<Identity>> {
        self.known.load_full()
    }

    /// Who this worker is in this life; absent until the control plane was reached.
    #[must_use]
    pub fn live(&self) -> Option<Arc<Identity>> {
        self.live.borrow().clone()
    }

    /// Waits for the control plane to take this worker in.
    pub async fn wait_live(&self) -> Arc<Identity> {
        let mut changes = self.live.subscribe();
        loop {
            if let Some(identity) = changes.borrow_and_update().clone() {
                return identity;
            }
            if changes.changed().await.is_err() {
                // The sender lives in `self`; were it gone, nobody would be there to wait either.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Says hello, once.
    pub(crate) async fn enrol(&self, link: &dyn ControlPlane, name: &str) -> Result<Arc<Identity>, EnrolmentError> {
        let worker_id = self.known().map(|identity| identity.worker_id.to_string());
        let hello = Enrol { worker_id, name: name.to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
        let enrolled = link.enrol(&hello).await?;
        let identity = Arc::new(open(&enrolled, &self.token)?);
        if let Err(error) = self.keep(&enrolled) {
            tracing::warn!(file = %self.file.display(), error = %error, "enrolment can't be kept; a start without the control plane will not serve");
        }
        self.known.store(Some(Arc::clone(&identity)));
        self.live.send_replace(Some(Arc::clone(&identity)));
        Ok(identity)
    }

    /// The control plane does not know this life of the worker any more.
    pub(super) fn end_life(&self) {
        self.live.send_replace(None);
    }

    fn keep(&self, enrolled: &Enrolled) -> io::Result<()> {
        write_atomically(&self.file, &serde_json::to_vec_pretty(enrolled)?)
    }
}

fn open(enrolled: &Enrolled, token: &SecretString) -> Result<Identity, EnrolmentError> {
    let wrapping = Zeroizing::new(seal::derive_pool_wrapping_key(token.expose_secret()));
    let opened = seal::open(&wrapping, b"", &enrolled.sealed_pool_key).map(Zeroizing::new).map_err(|_| EnrolmentError::Keys)?;
    let pool_key: [u8; seal::KEY_LEN] = opened.as_slice().try_into().map_err(|_| EnrolmentError::Keys)?;
    Ok(Identity {
        worker_id: Arc::from(enrolled.worker_id.as_str()),
        incarnation: enrolled.incarnation,
        verifying_key: VerifyingKey::from_base64(&enrolled.verifying_key).map_err(|_| EnrolmentError::Keys)?,
        pool_key: Zeroizing::new(pool_key),
        exchange_limit: Duration::from_millis(enrolled.exchange_limit_ms),
    })
}

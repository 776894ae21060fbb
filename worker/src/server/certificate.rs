//! The certificate that callers are shown, read from two PEM files and again when these change.
//!
//! Promises: a pair that can't be used at the start is an error that names the file; one that can't be used later is logged, and the one
//! before it stays. Connections that are open keep what they began with.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_util::sync::CancellationToken;

use crate::config::TlsFiles;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Why a certificate can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Not there, or no PEM.
    #[error("`{}` can't be read", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// Nothing of what is wanted is in it.
    #[error("`{}` holds no certificate", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// The two don't belong together, or the key is of a kind that is not known.
    #[error("the key in `{}` can't be used with the certificate", path.display())]
    Unfit {
        /// The file of the key.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// What is shown now.
pub(super) struct Certificate {
    files: TlsFiles,
    shown: ArcSwap<CertifiedKey>,
}

impl Certificate {
    /// Reads the files. Blocks.
    pub(super) fn read(files: &TlsFiles) -> Result<Self, CertificateError> {
        Ok(Self { files: files.clone(), shown: ArcSwap::from_pointee(certified(files)?) })
    }

    /// Reads the files again whenever they have changed, until `stop`.
    pub(super) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut seen = stamps(&self.files).await;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => return,
            }
            let now = stamps(&self.files).await;
            if now == seen {
                continue;
            }
            seen = now;
            let files = self.files.clone();
            match tokio::task::spawn_blocking(move || certified(&files)).await {
                Ok(Ok(fresh)) => {
                    self.shown.store(Arc::new(fresh));
                    tracing::info!(tls.certificate = %self.files.certificate.display(), "the certificate has changed");
                }
                // Two files are not replaced at once: the second change is looked at as well.
                Ok(Err(error)) => tracing::warn!(error = %error, "the certificate has changed and can't be used; the one before it stays"),
                Err(error) => tracing::error!(error = %error, "the certificate can't be read again"),
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown.load_full())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("files", &self.files).finish_non_exhaustive()
    }
}

/// When each file was written; nothing of one that is not there.
async fn stamps(files: &TlsFiles) -> [Option<SystemTime>; 2] {
    let stamp = async |path: &PathBuf| tokio::fs::metadata(path).await.and_then(|file| file.modified()).ok();
    [stamp(&files.certificate).await, stamp(&files.key).await]
}

fn certified(files: &TlsFiles) -> Result<CertifiedKey, CertificateError> {
    let unreadable = |path: &PathBuf, source| CertificateError::Unreadable { path: path.clone(), source };
    let chain = CertificateDer::pem_file_iter(&files.certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|source| unreadable(&files.certificate, source))?;
    if chain.is_empty() {
        return Err(CertificateError::Empty { path: files.certificate.clone() });
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|source| unreadable(&files.key, source))?;
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map_err(|source| CertificateError::Unfit { path: files.key.clone(), source })
}

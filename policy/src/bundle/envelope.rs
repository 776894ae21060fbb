//! Digest and signature around the bytes of a bundle.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::v1::Bundle;

/// A signed bundle as it is stored and sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope {
    /// `org_…`
    pub org_id: String,
    /// Counts up by one with every change of the organization.
    pub revision: u64,
    /// SHA-256 of `body`, lower-case hex.
    pub digest: String,
    /// Ed25519 over organization, revision and digest, base 64.
    pub signature: String,
    /// The bundle's JSON, byte for byte as it was signed.
    pub body: Box<RawValue>,
}

/// Why a bundle can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It could not be written.
    #[error("bundle of `{org_id}` revision {revision} can't be encoded")]
    Encode {
        /// Whose.
        org_id: String,
        /// Which.
        revision: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// Bytes and digest differ.
    #[error("bundle of `{org_id}` revision {revision} does not match its digest")]
    Digest {
        /// Whose.
        org_id: String,
        /// Which.
        revision: u64,
    },
    /// The signature is not the control plane's.
    #[error("bundle of `{org_id}` revision {revision} is not signed by this control plane")]
    Signature {
        /// Whose.
        org_id: String,
        /// Which.
        revision: u64,
    },
    /// A format this program does not know.
    #[error("bundle of `{org_id}` revision {revision} has format {format}; this program reads format 1")]
    Format {
        /// Whose.
        org_id: String,
        /// Which.
        revision: u64,
        /// What it says.
        format: u32,
    },
    /// Not readable.
    #[error("bundle of `{org_id}` revision {revision} can't be read")]
    Decode {
        /// Whose.
        org_id: String,
        /// Which.
        revision: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// The body speaks of another organization or revision than the envelope.
    #[error("bundle of `{org_id}` revision {revision} holds another organization or revision")]
    Mismatch {
        /// Whose.
        org_id: String,
        /// Which.
        revision: u64,
    },
    /// A key that can't be read.
    #[error("bundle key can't be read")]
    Key,
}

/// The control plane's half of the key pair.
pub struct SigningKey(Ed25519KeyPair);

/// The half that workers get on enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey(Vec<u8>);

impl SigningKey {
    /// A new key pair as PKCS#8, to be kept sealed.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Vec<u8>, BundleError> {
        let document = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).map_err(|_| BundleError::Key)?;
        Ok(document.as_ref().to_vec())
    }

    /// Reads what [`SigningKey::generate`] gave.
    ///
    /// # Errors
    /// When the bytes are no such key.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, BundleError> {
        Ed25519KeyPair::from_pkcs8(bytes).map(Self).map_err(|_| BundleError::Key)
    }

    /// The other half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.public_key().as_ref().to_vec())
    }
}

impl VerifyingKey {
    /// Base 64, as sent on enrolment.
    #[must_use]
    pub fn to_base64(&self) -> String {
        BASE64.encode(&self.0)
    }

    /// Reads what [`VerifyingKey::to_base64`] gave.
    ///
    /// # Errors
    /// When the text is not base 64.
    pub fn from_base64(text: &str) -> Result<Self, BundleError> {
        BASE64.decode(text).map(Self).map_err(|_| BundleError::Key)
    }
}

impl Envelope {
    /// Encodes and signs `bundle`.
    ///
    /// # Errors
    /// When the bundle can't be encoded.
    pub fn seal(bundle: &Bundle, key: &SigningKey) -> Result<Self, BundleError> {
        let encode = |source| BundleError::Encode { org_id: bundle.org.id.to_string(), revision: bundle.revision, source };
        let body = serde_json::value::to_raw_value(bundle).map_err(encode)?;
        let digest = hex_digest(body.get().as_bytes());
        let signed = signed_text(&bundle.org.id, bundle.revision, &digest);
        let signature = BASE64.encode(key.0.sign(signed.as_bytes()).as_ref());
        Ok(Self { org_id: bundle.org.id.to_string(), revision: bundle.revision, digest, signature, body })
    }

    /// Checks digest and signature, then reads the bundle.
    ///
    /// # Errors
    /// When anything does not match or the format is unknown.
    pub fn open(&self, key: &VerifyingKey) -> Result<Bundle, BundleError> {
        let (org_id, revision) = (self.org_id.clone(), self.revision);
        if hex_digest(self.body.get().as_bytes()) != self.digest {
            return Err(BundleError::Digest { org_id, revision });
        }
        let signed = signed_text(&self.org_id, self.revision, &self.digest);
        let public = UnparsedPublicKey::new(&ED25519, &key.0);
        let genuine = BASE64.decode(&self.signature).is_ok_and(|signature| public.verify(signed.as_bytes(), &signature).is_ok());
        if !genuine {
            return Err(BundleError::Signature { org_id, revision });
        }
        self.read()
    }

    fn read(&self) -> Result<Bundle, BundleError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let (org_id, revision) = (self.org_id.clone(), self.revision);
        let head: Head =
            serde_json::from_str(self.body.get()).map_err(|source| BundleError::Decode { org_id: org_id.clone(), revision, source })?;
        if head.format != 1 {
            return Err(BundleError::Format { org_id, revision, format: head.format });
        }
        let bundle: Bundle =
            serde_json::from_str(self.body.get()).map_err(|source| BundleError::Decode { org_id: org_id.clone(), revision, source })?;
        if *bundle.org.id != *org_id || bundle.revision != revision {
            return Err(BundleError::Mismatch { org_id, revision });
        }
        Ok(bundle)
    }
}

fn signed_text(org_id: &str, revision: u64, digest: &str) -> String {
    format!("modelux-bundle-v1\n{org_id}\n{revision}\n{digest}")
}

/// SHA-256 in lower-case hex.
#[must_use]
pub(crate) fn hex_digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String can't fail.
        write!(hex, "{byte:02x}").unwrap_or_default();
        hex
    })
}

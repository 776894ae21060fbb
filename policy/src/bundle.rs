//! The policy bundle: the compiled, immutable, numbered artefact that control plane and workers exchange.
//!
//! A bundle is bytes (JSON of one format version), their SHA-256 digest, and an Ed25519 signature over organization, revision and
//! digest. [`Envelope::open`] is the only way from bytes to a [`v1::Bundle`], and it checks all three before it reads anything.
//! Old format versions stay readable: `testdata/bundle/` holds one of each.

mod envelope;
pub mod v1;

#[cfg(test)]
pub(crate) use envelope::hex_digest;
pub use envelope::{BundleError, Envelope, SigningKey, VerifyingKey};

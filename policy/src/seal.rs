//! Sealed secrets: what travels or rests encrypted between the planes.
//!
//! One format for everything: base 64 of `nonce (12 bytes) || AES-256-GCM ciphertext and tag`. The additional data binds a sealed
//! text to what it belongs to (a provider id), so that it can't be moved to another row.
//!
//! Two keys matter. The pool key opens the provider secrets of bundles. It reaches a worker on enrolment, itself sealed under the
//! wrapping key that both sides derive from the worker token; the additional data of that one is empty.
//!
//! From the pool key workers derive further ones for what they share among themselves, each for one purpose ([`derive_key`]).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use ring::rand::{SecureRandom, SystemRandom};

/// Length of every key here, in bytes.
pub const KEY_LEN: usize = 32;

/// Why something can't be sealed or opened. Deliberately says nothing of the content.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// The system has no randomness to give, or the key is unusable.
    #[error("can't seal: no randomness or unusable key")]
    Seal,
    /// Not in the format of sealed texts.
    #[error("not a sealed text")]
    Malformed,
    /// Another key, other additional data, or bytes were changed.
    #[error("sealed text does not open with this key")]
    Refused,
}

/// Seals `plain` under `key`, bound to `aad`, with a fresh random nonce.
///
/// # Errors
/// When the system has no randomness to give.
pub fn seal(key: &[u8; KEY_LEN], aad: &[u8], plain: &[u8]) -> Result<String, SealError> {
    seal_bytes(key, aad, plain).map(|sealed| BASE64.encode(sealed))
}

/// As [`seal`], without the base 64: for what is large and stands in no text.
///
/// # Errors
/// When the system has no randomness to give.
pub fn seal_bytes(key: &[u8; KEY_LEN], aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0_u8; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(|_| SealError::Seal)?;
    let mut sealed = plain.to_vec();
    cipher(key)
        .ok_or(SealError::Seal)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut sealed)
        .map_err(|_| SealError::Seal)?;
    let mut out = nonce.to_vec();
    out.append(&mut sealed);
    Ok(out)
}

/// Opens what [`seal`] gave.
///
/// # Errors
/// When the text is malformed, or key or `aad` are not those it was sealed with.
pub fn open(key: &[u8; KEY_LEN], aad: &[u8], sealed: &str) -> Result<Vec<u8>, SealError> {
    open_bytes(key, aad, &BASE64.decode(sealed).map_err(|_| SealError::Malformed)?)
}

/// Opens what [`seal_bytes`] gave.
///
/// # Errors
/// When the bytes are too few, or key or `aad` are not those they were sealed with.
pub fn open_bytes(key: &[u8; KEY_LEN], aad: &[u8], bytes: &[u8]) -> Result<Vec<u8>, SealError> {
    let (nonce, body) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Malformed)?;
    let mut body = body.to_vec();
    let plain = cipher(key)
        .ok_or(SealError::Refused)?
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut body)
        .map_err(|_| SealError::Refused)?;
    Ok(plain.to_vec())
}

/// The key under which the pool key travels to the holder of `token`.
#[must_use]
pub fn derive_pool_wrapping_key(token: &str) -> [u8; KEY_LEN] {
    derive_key(token.as_bytes(), &[b"pool-key-v1"])
}

/// A key for one purpose, which is all of its parts one behind the other; HKDF-SHA256. Nobody who has it gets at `secret` or at the key for
/// another purpose.
#[must_use]
pub fn derive_key(secret: &[u8], purpose: &[&[u8]]) -> [u8; KEY_LEN] {
    struct KeyLen;
    impl hkdf::KeyType for KeyLen {
        fn len(&self) -> usize {
            KEY_LEN
        }
    }
    let mut key = [0_u8; KEY_LEN];
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"modelux");
    // Expanding to 32 bytes of SHA-256 can't fail; were it to, the all-zero key would open nothing that was sealed for a token.
    let filled = salt.extract(secret).expand(purpose, KeyLen).and_then(|okm| okm.fill(&mut key));
    debug_assert!(filled.is_ok(), "expanding to one hash length is always possible");
    key
}

fn cipher(key: &[u8; KEY_LEN]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_with_the_same_key_and_binding_only() {
        let key = derive_pool_wrapping_key("mlx_wk_one");
        let sealed = seal(&key, b"prv_1", b"sk-upstream").unwrap();
        assert_eq!(open(&key, b"prv_1", &sealed).unwrap(), b"sk-upstream");
        assert_eq!(open(&key, b"prv_2", &sealed), Err(SealError::Refused));
        assert_eq!(open(&derive_pool_wrapping_key("mlx_wk_two"), b"prv_1", &sealed), Err(SealError::Refused));
    }

    #[test]
    fn a_changed_or_cut_text_is_refused() {
        let key = [7; KEY_LEN];
        let sealed = seal(&key, b"", b"secret").unwrap();
        for at in 0..sealed.len() {
            let cut: String = sealed.chars().take(at).collect();
            assert!(open(&key, b"", &cut).is_err());
        }
        assert_eq!(open(&key, b"", "not base 64!"), Err(SealError::Malformed));
    }

    #[test]
    fn two_seals_of_one_text_differ() {
        let key = [7; KEY_LEN];
        assert_ne!(seal(&key, b"", b"secret").unwrap(), seal(&key, b"", b"secret").unwrap());
    }

    #[test]
    fn the_wrapping_key_is_the_standard_derivation() {
        // HKDF-SHA256 (RFC 5869) written out: extract with the salt, one round of expand.
        use ring::hmac::{HMAC_SHA256, Key, sign};
        let prk = sign(&Key::new(HMAC_SHA256, b"modelux"), b"mlx_wk_token");
        let okm = sign(&Key::new(HMAC_SHA256, prk.as_ref()), b"pool-key-v1\x01");
        assert_eq!(derive_pool_wrapping_key("mlx_wk_token").as_slice(), okm.as_ref());
    }
}

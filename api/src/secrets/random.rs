//! Fresh secrets, and the hashes by which presented ones are found.

use rand::Rng as _;
use rand::distr::Alphanumeric;

/// 62⁴³ is just over 2²⁵⁶.
const SECRET_CHARS: usize = 43;

/// A new secret: `prefix` and 256 random bits in base 62.
#[must_use]
pub fn new_secret(prefix: &str) -> String {
    let mut secret = String::with_capacity(prefix.len().saturating_add(SECRET_CHARS));
    secret.push_str(prefix);
    secret.extend(rand::rng().sample_iter(Alphanumeric).take(SECRET_CHARS).map(char::from));
    secret
}

/// SHA-256 of a whole presented key, lower-case hex: the only thing of it that is kept. The keys are long and random, so a fast
/// hash is enough.
#[must_use]
pub fn hash_key(presented: &str) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, presented.as_bytes()).as_ref())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

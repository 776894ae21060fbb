//! Uploads that go on: the pieces of a file come to an address that the first request was given, and clients send no key with them.
//!
//! So the address has a ticket in it: which key began the upload, at which provider, until when, and a code that only who has that key's hash
//! can make. It opens this one upload and nothing else, and a key that is revoked, or has expired, opens nothing. No worker
//! has to remember anything: each knows the keys.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use policy::bundle::v1::Key;
use ring::hmac;

use super::Caller;
use crate::policy_feed::Policies;

/// How long an upload may take from its beginning.
const LASTS: TimeDelta = TimeDelta::hours(6);

/// A ticket for the upload that the provider knows by `query`.
pub(crate) fn issue(key: &Key, provider: &str, query: &str, now: DateTime<Utc>) -> String {
    let ends = now.checked_add_signed(LASTS).unwrap_or(now).timestamp();
    let named = format!("{}.{}.{ends}", key.id, URL_SAFE_NO_PAD.encode(provider));
    let code = hmac::sign(&secret(key), signed(&named, query).as_bytes());
    format!("{named}.{}", URL_SAFE_NO_PAD.encode(code))
}

/// Who began the upload that the provider knows by `query`, and the provider's name.
pub(crate) fn redeem(policies: &Policies, ticket: &str, query: &str, now: DateTime<Utc>) -> Option<(Caller, Arc<str>)> {
    let (named, code) = ticket.rsplit_once('.')?;
    let [key_id, provider, ends] = named.split('.').collect::<Vec<_>>().try_into().ok()?;
    if ends.parse::<i64>().ok()? < now.timestamp() {
        return None;
    }
    let code = URL_SAFE_NO_PAD.decode(code).ok()?;
    let provider = String::from_utf8(URL_SAFE_NO_PAD.decode(provider).ok()?).ok()?;
    let fleet = policies.peek();
    let found = fleet.iter().find_map(|policy| Some((policy, policy.engine.find_subject(key_id)?)));
    let (policy, subject) = found?;
    let key = policy.engine.key(subject.key)?;
    hmac::verify(&secret(key), signed(named, query).as_bytes(), &code).ok()?;
    Some((Caller { policy: Arc::clone(policy), subject }, Arc::from(provider)))
}

fn secret(key: &Key) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key.hash.as_bytes())
}

fn signed(named: &str, query: &str) -> String {
    format!("upload {named} {query}")
}

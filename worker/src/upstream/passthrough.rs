//! What is passed through, as it goes to a provider: the caller's method, path, query and body, with nothing but the name of a model and the
//! credential replaced.
//!
//! Promises: the path is one of the table's, with parts that can't lead elsewhere; no key of ours and no header but the listed ones goes along.

use std::sync::atomic::Ordering;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::HeaderValue;
use llm::operation::{Asked, Family, Found, Verb};
use secrecy::SecretString;

use super::reach::{Line, Reach};
use super::vendor::{Vendor, write_segment};
use super::{Connections, Reply, SendError, Way, token_for};
use crate::ingress::endpoint::dialect_of_family;
use crate::ingress::headers::Forwarded;
use crate::policy_feed::OrgPolicy;

/// What is sent.
pub(crate) struct Passed<'r> {
    /// The operation and its path.
    pub found: Found<'r>,
    /// What of the caller's query goes along.
    pub query: &'r str,
    /// The caller's body.
    pub body: &'r Bytes,
    /// What was read in it.
    pub asked: &'r Asked<'r>,
    /// The caller's words for what it sends and what it wants.
    pub content_type: Option<&'r HeaderValue>,
    pub accept: Option<&'r HeaderValue>,
    /// Header lines of the caller that go along.
    pub forwarded: &'r Forwarded,
    /// The caller's own upstream key for this one call.
    pub caller_key: Option<&'r SecretString>,
    /// The address at which the caller has reached us, where its upload goes on there.
    pub reached_at: Option<&'r str>,
}

/// Sends one admitted request and waits for the response head.
pub(crate) async fn send(
    connections: &Connections,
    policy: &OrgPolicy,
    way: &Way<'_, '_>,
    passed: &Passed<'_>,
) -> Result<Reply, SendError> {
    let target = way.admission.target();
    let unusable = |problem| SendError::Unusable { provider: target.provider_name.to_string(), problem };
    let line = match policy.reach(target.provider) {
        Some(Reach::Network(line)) => line,
        Some(Reach::Simulated) => return Err(unusable("it has nothing but models")),
        Some(Reach::Unusable(problem)) => return Err(unusable(problem)),
        None => return Err(unusable("it is not in the bundle")),
    };
    let token = token_for(line, passed.caller_key, &target.provider_name).await?;
    let path = passed.path_at(&line.vendor, &target.model).ok_or_else(|| unusable("it has another interface"))?;
    let request = passed.to_wire(&path, line, way, token.as_deref()).ok_or_else(|| unusable("its key can't be sent"))?;
    let addresses = connections.resolve(&line.site, policy.engine.bundle().deny_private_upstreams).await?;
    way.sent.store(true, Ordering::Relaxed);
    let reply = connections.exchange(&addresses, &request).await?;
    Ok(Reply { spoken: dialect_of_family(passed.found.operation.family), ..reply })
}

impl Passed<'_> {
    /// The path below the provider's base, with its query; `None` where the vendor has another interface.
    fn path_at(&self, vendor: &Vendor, model: &str) -> Option<BytesMut> {
        let mut path = BytesMut::with_capacity(128);
        let Found { operation, before, behind, .. } = self.found;
        match (vendor, operation.family) {
            // Bases of OpenAI's kind end with the version.
            (Vendor::OpenAi(_) | Vendor::Compatible(_), Family::OpenAi) => path.put_slice(before.strip_prefix("/v1")?.as_bytes()),
            (Vendor::Azure(azure), Family::OpenAi) => azure.write_operation(before.strip_prefix("/v1")?, model, &mut path),
            (Vendor::Anthropic, Family::Anthropic) | (Vendor::Google, Family::Gemini) => path.put_slice(before.as_bytes()),
            _ => return None,
        }
        if self.found.model.is_some() {
            write_segment(model, &mut path);
            path.put_slice(behind.as_bytes());
        }
        let versioned = path.contains(&b'?');
        for pair in self.query.split('&').filter(|pair| !pair.is_empty()) {
            // The version of an interface is the operator's to choose.
            if matches!(vendor, Vendor::Azure(_)) && pair.starts_with("api-version=") {
                continue;
            }
            path.put_u8(if versioned || path.contains(&b'?') { b'&' } else { b'?' });
            path.put_slice(pair.as_bytes());
        }
        Some(path)
    }

    /// Head and body; `None` when the key can't be put into a header.
    fn to_wire(&self, path: &[u8], line: &Line, way: &Way<'_, '_>, token: Option<&SecretString>) -> Option<Bytes> {
        let Line { vendor, site, .. } = line;
        let operation = self.found.operation;
        let forwarded = self.forwarded.lines_for(dialect_of_family(operation.family));
        let model = Some(&*way.admission.target().model).filter(|model| !model.is_empty());
        let edits = self.asked.edits(model);
        let length = edits.edited_length();
        let mut wire = BytesMut::with_capacity(length.saturating_add(forwarded.len()).saturating_add(1024));
        for part in
            [operation.verb.as_str().as_bytes(), b" ", site.path.as_bytes(), path, b" HTTP/1.1\r\nHost: ", site.authority.as_bytes()]
        {
            wire.put_slice(part);
        }
        let json = HeaderValue::from_static("application/json");
        if let Some(content_type) = self.content_type.or(self.asked.is_json.then_some(&json)).filter(|_| length > 0) {
            wire.put_slice(b"\r\nContent-Type: ");
            wire.put_slice(content_type.as_bytes());
        }
        wire.put_slice(b"\r\nAccept: ");
        wire.put_slice(self.accept.map_or(&b"*/*"[..], HeaderValue::as_bytes));
        wire.put_slice(b"\r\nAccept-Encoding: identity");
        // No vendor that wants signatures has anything here.
        let shown = line.write_credential((self.caller_key, token), &mut wire, |_, _| false);
        if !shown {
            return None;
        }
        vendor.write_version(&forwarded, &mut wire);
        way.write_trace(&mut wire);
        if length > 0 || matches!(operation.verb, Verb::Post | Verb::Patch) {
            wire.put_slice(b"\r\nContent-Length: ");
            wire.put_slice(length.to_string().as_bytes());
        }
        wire.put_slice(b"\r\n");
        wire.put_slice(&forwarded);
        wire.put_slice(b"\r\n");
        edits.write_to(self.body, &mut wire);
        Some(wire.freeze())
    }
}

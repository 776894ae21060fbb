//! An answer on its way to the caller, taken down so that it can be kept.
//!
//! Promises: no more bytes are held than an answer may have; one that is longer is given up. Only what is described is kept, and only
//! a status of 200 whose output nobody's budget cut short is.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use llm::convert::Dropped;
use policy::decision::ResolvedTarget;
use policy::money::NanoUsd;
use policy::price::TokenBuckets;

use super::Cache;
use super::kept::{Kept, Owner};
use super::key::Key;

/// Times the provider took for another request.
const NOT_THIS_REQUESTS: &str = "openai-processing-ms";

/// The place of an answer that is not there yet.
pub(crate) struct Recording {
    key: Key,
    owner: Owner,
    ttl: Duration,
    limit: usize,
    /// What of a stream has passed; nothing any more where it is too long.
    stream: Option<Vec<u8>>,
    about: Option<About>,
}

/// What is told beside an answer.
struct About {
    target: ResolvedTarget,
    passed: Vec<(HeaderName, HeaderValue)>,
    dropped: String,
}

/// Who gave an answer, and how.
#[derive(Clone, Copy)]
pub(crate) struct Given<'r> {
    pub status: u16,
    pub passed: &'r [(HeaderName, HeaderValue)],
    pub dropped: &'r Dropped,
    /// With the limit to which a budget lowered its output, where one did.
    pub served: Option<(&'r ResolvedTarget, Option<u32>)>,
}

impl Recording {
    pub(super) fn new(key: Key, owner: Owner, ttl: Duration, limit: usize) -> Self {
        Self { key, owner, ttl, limit, stream: Some(Vec::new()), about: None }
    }

    /// The answer begins. `None` where it is none that is kept.
    pub(crate) fn given(mut self: Box<Self>, given: Given<'_>) -> Option<Box<Self>> {
        let Given { status: 200, passed, dropped, served: Some((target, None)) } = given else { return None };
        let passed = passed.iter().filter(|(name, _)| name.as_str() != NOT_THIS_REQUESTS).cloned().collect();
        let dropped = if dropped.is_empty() { String::new() } else { dropped.header() };
        self.about = Some(About { target: target.clone(), passed, dropped });
        Some(self)
    }

    /// The next bytes of a stream.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let Some(stream) = &mut self.stream else { return };
        if stream.len().saturating_add(bytes.len()) > self.limit {
            self.stream = None;
        } else {
            stream.extend_from_slice(bytes);
        }
    }

    /// The stream has come to its end.
    pub(crate) fn keep_stream(mut self: Box<Self>, cache: &Cache, spent: (TokenBuckets, NanoUsd)) {
        if let Some(stream) = self.stream.take() {
            self.keep(cache, spent, Bytes::from(stream), HeaderValue::from_static("text/event-stream"));
        }
    }

    /// All of the answer is here.
    pub(crate) fn keep(self: Box<Self>, cache: &Cache, (tokens, cost): (TokenBuckets, NanoUsd), body: Bytes, content_type: HeaderValue) {
        let Self { key, owner, ttl, limit, stream: _, about } = *self;
        let Some(About { target, passed, dropped }) = about.filter(|_| body.len() <= limit) else { return };
        // A body may be a slice of something larger, which would be kept with it.
        let body = Bytes::copy_from_slice(&body);
        let (provider, model, variant) = (target.provider_name, target.model, target.variant);
        cache.keep(key, Kept { owner, lasts: ttl, provider, model, variant, content_type, passed, dropped, tokens, cost, body });
    }
}

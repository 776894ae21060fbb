//! An answer as it is kept: what the caller got, and what is told beside it.
//!
//! A stream is kept as its events, whether the caller wanted them as events or as an array, and without the event of ours that tells its
//! cost and trace: both are another request's. What goes into Redis is CBOR whose fields are numbers; a reader passes over numbers that it
//! does not know, and what it can't read is not there.
//!
//! Leaves out: the request. Nothing of it is kept anywhere.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use minicbor::{Decode, Encode};
use policy::money::NanoUsd;
use policy::price::TokenBuckets;

/// Bytes that an answer takes in memory beside its own.
const OVERHEAD: usize = 512;

/// Whose an answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// `org_…`
    pub org: Arc<str>,
    /// `prj_…`
    pub project: Arc<str>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub owner: Owner,
    /// For how long it may be given again, from when it came here.
    pub lasts: Duration,
    pub provider: Arc<str>,
    pub model: Arc<str>,
    /// The variant of an `ab_test` that led there.
    pub variant: Option<Arc<str>>,
    /// Of a whole answer.
    pub content_type: HeaderValue,
    /// The provider's headers that went on to the caller.
    pub passed: Vec<(HeaderName, HeaderValue)>,
    /// What of the request the provider could not be told, as the header names it; empty where nothing.
    pub dropped: String,
    /// What all attempts consumed that led to it.
    pub tokens: TokenBuckets,
    /// What they cost.
    pub cost: NanoUsd,
    /// In the caller's dialect.
    pub body: Bytes,
}

#[derive(Encode, Decode)]
struct Written {
    #[n(0)]
    org: String,
    #[n(1)]
    project: String,
    #[n(2)]
    provider: String,
    #[n(3)]
    model: String,
    #[n(4)]
    variant: Option<String>,
    #[cbor(n(5), with = "minicbor::bytes")]
    content_type: Vec<u8>,
    #[n(6)]
    passed: Vec<Line>,
    #[n(7)]
    dropped: String,
    #[n(8)]
    tokens: TokenBuckets,
    #[n(9)]
    cost: NanoUsd,
    #[cbor(n(10), with = "minicbor::bytes")]
    body: Vec<u8>,
}

#[derive(Encode, Decode)]
struct Line {
    #[n(0)]
    name: String,
    #[cbor(n(1), with = "minicbor::bytes")]
    value: Vec<u8>,
}

impl Kept {
    /// Bytes that it takes.
    pub(super) fn weight(&self) -> u32 {
        let headers: usize = self.passed.iter().map(|(name, value)| name.as_str().len().saturating_add(value.len())).sum();
        let bytes = [self.body.len(), headers, self.dropped.len(), OVERHEAD].into_iter().fold(0, usize::saturating_add);
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// As Redis keeps it; `None` where it can't be written, which memory never refuses.
    pub(super) fn write(&self) -> Option<Vec<u8>> {
        let Self { owner, lasts: _, provider, model, variant, content_type, passed, dropped, tokens, cost, body } = self;
        let written = Written {
            org: owner.org.to_string(),
            project: owner.project.to_string(),
            provider: provider.to_string(),
            model: model.to_string(),
            variant: variant.as_deref().map(str::to_owned),
            content_type: content_type.as_bytes().to_vec(),
            passed: passed.iter().map(|(name, value)| Line { name: name.to_string(), value: value.as_bytes().to_vec() }).collect(),
            dropped: dropped.clone(),
            tokens: *tokens,
            cost: *cost,
            body: body.to_vec(),
        };
        minicbor::to_vec(written).ok()
    }

    /// Reads what [`Kept::write`] gave; `None` where it is something else.
    pub(super) fn read(bytes: &[u8], lasts: Duration) -> Option<Self> {
        let Written { org, project, provider, model, variant, content_type, passed, dropped, tokens, cost, body } =
            minicbor::decode(bytes).ok()?;
        let line = |line: Line| Some((HeaderName::try_from(line.name).ok()?, HeaderValue::from_bytes(&line.value).ok()?));
        Some(Self {
            owner: Owner { org: Arc::from(org), project: Arc::from(project) },
            lasts,
            provider: Arc::from(provider),
            model: Arc::from(model),
            variant: variant.map(Arc::from),
            content_type: HeaderValue::from_bytes(&content_type).ok()?,
            passed: passed.into_iter().map(line).collect::<Option<_>>()?,
            dropped,
            tokens,
            cost,
            body: Bytes::from(body),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn kept(body: &'static str, lasts: Duration) -> Kept {
        Kept {
            owner: Owner { org: "org_1".into(), project: "prj_1".into() },
            lasts,
            provider: "openai".into(),
            model: "gpt-test".into(),
            variant: Some("b".into()),
            content_type: HeaderValue::from_static("application/json"),
            passed: vec![(HeaderName::from_static("x-request-id"), HeaderValue::from_static("r-1"))],
            dropped: "logit_bias".to_owned(),
            tokens: TokenBuckets { input: 3, output: 5, ..TokenBuckets::default() },
            cost: NanoUsd::from_nanos(7),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn an_answer_is_read_as_it_was_written_and_lasts_as_long_as_is_left() {
        let whole = kept("{\"a\":1}", Duration::from_secs(60));
        let left = Duration::from_secs(9);
        assert_eq!(Kept::read(&whole.write().unwrap(), left), Some(Kept { lasts: left, ..whole }));
    }

    #[test]
    fn bytes_that_are_no_answer_are_none() {
        let written = kept("x", Duration::from_secs(60)).write().unwrap();
        for cut in 0..written.len() {
            assert_eq!(Kept::read(&written[..cut], Duration::from_secs(1)), None, "{cut}");
        }
        assert_eq!(Kept::read(b"\xff\xff", Duration::from_secs(1)), None);
    }
}

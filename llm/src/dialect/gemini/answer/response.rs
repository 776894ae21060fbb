//! The outer shape of a reply, which a whole one and each event of a stream have in common.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{super::fields::Fields, usage::read_usage};
use crate::{request::ReadRequestError, usage::Usage};

/// A reply, with the contents of its candidates not yet read.
#[derive(Debug)]
pub(in crate::dialect::gemini) struct Response<'a> {
    /// The provider's id of it; empty in older versions.
    pub(in crate::dialect::gemini) id: Cow<'a, str>,
    /// The model that answers.
    pub(in crate::dialect::gemini) model: Cow<'a, str>,
    /// The answers.
    pub(in crate::dialect::gemini) candidates: Vec<Candidate<'a>>,
    /// What was consumed so far.
    pub(in crate::dialect::gemini) usage: Option<Usage>,
    /// Why the prompt was not answered at all.
    pub(in crate::dialect::gemini) blocked: Option<Cow<'a, str>>,
}

/// One of the answers.
#[derive(Debug)]
pub(in crate::dialect::gemini) struct Candidate<'a> {
    /// Which.
    pub(in crate::dialect::gemini) index: u32,
    /// What was said.
    pub(in crate::dialect::gemini) content: Option<Fields<'a>>,
    /// Why it ended, if it did.
    pub(in crate::dialect::gemini) finish: Option<Cow<'a, str>>,
    /// Log probabilities as written.
    pub(in crate::dialect::gemini) logprobs: Option<&'a RawValue>,
}

impl<'a> Response<'a> {
    /// Reads a reply.
    pub(in crate::dialect::gemini) fn read(body: &'a [u8]) -> Result<Self, ReadRequestError> {
        let mut fields = Fields::read_body(body)?;
        let mut candidates = Vec::new();
        for (number, candidate) in fields.list("candidates")?.into_iter().enumerate() {
            let mut candidate = Fields::read(&format!("candidates[{number}]"), candidate)?;
            candidates.push(Candidate {
                index: candidate.count("index")?.unwrap_or(u32::try_from(number).unwrap_or(u32::MAX)),
                content: candidate.object("content")?,
                finish: candidate.text("finishReason")?,
                logprobs: candidate.take("logprobsResult")?,
            });
        }
        Ok(Self {
            id: fields.text("responseId")?.unwrap_or_default(),
            model: fields.text("modelVersion")?.unwrap_or_default(),
            candidates,
            usage: fields.object("usageMetadata")?.map(read_usage),
            blocked: fields.object("promptFeedback")?.map(read_block).transpose()?.flatten(),
        })
    }
}

/// The feedback also comes without a block, with ratings only.
fn read_block(mut feedback: Fields<'_>) -> Result<Option<Cow<'_, str>>, ReadRequestError> {
    let message = feedback.text("blockReasonMessage")?.filter(|message| !message.is_empty());
    let reason = feedback.text("blockReason")?;
    Ok(reason.map(|reason| message.unwrap_or_else(|| Cow::Owned(format!("The prompt was blocked: {reason}.")))))
}

//! Whether what a provider sent is an answer: the one place that judges it, whichever route it came by and whether it is passed on as it is or
//! said again.
//!
//! An answer's head is a success and says that JSON or events follow. A whole body is a JSON object that can be said to the caller. A stream
//! begins with an event of an answer, not with an error, and is whole when its dialect's terminator has passed
//! ([`StreamOutcome::is_whole`](llm::stream::StreamOutcome::is_whole)). What is none fails its attempt, as long as nothing was sent to the caller.
//!
//! Promises: a body that passes through is looked at once, where its usage is read, and never copied.

use std::sync::Arc;

use bytes::Bytes;
use llm::convert::{self, embeddings, token_count};
use llm::response::is_answer;
use llm::stream::meter::{StreamMeter, UsageEvents, UsageVerdict};
use llm::stream::{Opening, StreamError};
use llm::tokens::{TokenEstimate, output_from_bytes};
use llm::usage::{ReadUsageError, Usage, UsageSource};

use crate::exchange::Context;
use crate::metering::{Consumption, consumption};
use crate::upstream::{Outgoing, Reply, WayBack};

/// A whole answer that is one.
pub(crate) struct WholeAnswer {
    /// As the provider wrote it.
    pub body: Bytes,
    /// As the caller gets it; the same bytes where both speak one dialect.
    pub said: Bytes,
    pub consumed: Consumption,
}

/// Judges the answer to one attempt.
pub(super) struct Judge<'j> {
    pub context: &'j Context,
    pub outgoing: &'j Outgoing<'j>,
    /// The request's tokens, where the answer does not say.
    pub estimate: TokenEstimate,
    /// `provider/model`
    pub target: &'j Arc<str>,
}

/// Whether the head of a reply lets an answer be expected: what follows is JSON or a stream, or nobody says what it is.
pub(super) fn promises(reply: &Reply) -> bool {
    let json = |value: &[u8]| value.windows(4).any(|part| part.eq_ignore_ascii_case(b"json"));
    reply.streams() || reply.content_type.as_ref().is_none_or(|value| json(value.as_bytes()))
}

impl Judge<'_> {
    /// A whole body: the answer that it is, or else what it is taken to have consumed all the same.
    pub(super) fn whole(&self, reply: &Reply, body: Bytes) -> Result<WholeAnswer, Consumption> {
        let reported = reply.spoken.read_usage(&body);
        let is_answer = is_answer(reply.spoken, &body, &reported);
        let consumed = self.consumed(reply.back, reported, body.len());
        if !is_answer {
            tracing::warn!(target.name = %self.target, reply.status, "what a provider sent is no answer");
            return Err(consumed);
        }
        match self.say_again(reply.back, &body) {
            Ok(said) => Ok(WholeAnswer { body, said, consumed }),
            Err(error) => {
                tracing::warn!(target.name = %self.target, error, "a provider's answer can't be read");
                Err(consumed)
            }
        }
    }

    /// What a reply is taken to have consumed whose body is not worth reading.
    pub(super) fn unread(&self, reply: &Reply) -> Consumption {
        self.consumed(reply.back, Ok(None), 0)
    }

    /// What a stream begins with, of which nothing follows where it has `ended`.
    pub(super) fn opening(&self, reply: &Reply, bytes: &[u8], ended: bool) -> Result<Opened, Objection> {
        let converted = matches!(reply.back, WayBack::Converted(_));
        match Opening::read(reply.spoken, bytes, ended, converted) {
            Opening::Begun => Ok(Opened::Begun),
            Opening::Nothing => Ok(Opened::Nothing),
            Opening::Failed(error) => Err(Objection::Error(error)),
            Opening::Unreadable => {
                tracing::warn!(target.name = %self.target, "what a provider streams is no answer");
                let mut meter = StreamMeter::new(reply.spoken, UsageEvents::Forward);
                meter.push(Bytes::copy_from_slice(bytes), &mut Vec::new());
                Err(Objection::Unreadable(consumption(self.context, &meter.finish().verdict(self.estimate))))
            }
        }
    }

    /// The usage of a whole reply: the provider's, by its body or else by its head; or what its length suggests.
    fn consumed(&self, back: WayBack, reported: Result<Option<Usage>, ReadUsageError>, length: usize) -> Consumption {
        let verdict = match reported.map(|usage| usage.or_else(|| back.told())) {
            Ok(Some(usage)) if usage.is_complete() => UsageVerdict { source: UsageSource::Provider, usage },
            reported => {
                if let Err(error) = reported {
                    tracing::warn!(%error, "a provider's usage report can't be read; estimated");
                }
                let embeds = self.outgoing.head.embeds;
                let bytes = if embeds { 0 } else { u64::try_from(length).unwrap_or(u64::MAX) };
                let output = output_from_bytes(bytes, u64::from(!embeds));
                let usage = Usage { input_tokens: Some(self.estimate.bound), output_tokens: Some(output), ..Usage::default() };
                UsageVerdict { source: UsageSource::PartialEstimate, usage }
            }
        };
        consumption(self.context, &verdict)
    }

    /// The answer in the caller's dialect.
    fn say_again(&self, back: WayBack, body: &Bytes) -> Result<Bytes, String> {
        let caller = self.outgoing.head.dialect;
        let id = || caller.reply_id(self.outgoing.request_id);
        match back {
            WayBack::Same => Ok(body.clone()),
            WayBack::Counted(spoken) => {
                let tokens = token_count::read_token_count(spoken, body);
                let said = tokens.and_then(|tokens| token_count::write_token_count(caller, tokens));
                said.map(Bytes::from).ok_or_else(|| "there is no count in it".to_owned())
            }
            WayBack::Converted(spoken) => {
                let said = convert::answer(spoken, body, caller, &self.outgoing.stamp(&id()));
                said.map(Bytes::from).map_err(|error| error.to_string())
            }
            WayBack::Embeddings(spoken, awaited) => {
                let said = embeddings::answer(spoken, body, caller, awaited, &self.outgoing.stamp(&id()));
                said.ok_or_else(|| "it makes no embeddings".to_owned())?.map(Bytes::from).map_err(|error| error.to_string())
            }
        }
    }
}

/// How far a stream has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opened {
    /// Nothing that says anything has come.
    Nothing,
    /// It is an answer.
    Begun,
}

/// Why a stream is none to pass on.
pub(super) enum Objection {
    /// It is an error.
    Error(StreamError),
    /// It can't be read; what it is taken to have consumed.
    Unreadable(Consumption),
}

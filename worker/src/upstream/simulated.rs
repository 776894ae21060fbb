//! The `simulated` vendor: a provider inside this process, for first steps, demonstrations and tests without an account.
//!
//! It answers any model name, always with the same text for the same request, as a stream or whole, within `max_tokens`. A word is a token;
//! input tokens are what the request's estimate says. Some model names make it misbehave on purpose:
//!
//! | model | behaviour |
//! | --- | --- |
//! | `error-NNN` | answers with status NNN and an error in OpenAI's shape |
//! | `slow`, `slow-NNN` | waits one second, or NNN milliseconds, before the head and a tenth of it before each piece |
//! | `words-NNN` | answers with NNN words |
//! | `cut` | breaks off in the middle of the body |
//! | `silent` | never answers |

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use llm::dialect::Dialect;
use llm::dialect::openai_chat::{Chunk, DONE, Delta, write_chunk, write_completion, write_usage_chunk};
use llm::error::{ErrorCode, ErrorReply};
use llm::response::Completion;
use llm::usage::Usage;
use smallvec::SmallVec;

use super::Outgoing;
use super::reply::{Reply, ReplyBody, ReplyCut};
use crate::enforce::Admission;

/// Words at most, whatever is asked for.
const MOST_WORDS: u64 = 100_000;
/// Words in a piece of a stream.
const PIECE: usize = 4;

/// A body made here.
pub(crate) struct Simulation {
    pieces: VecDeque<Bytes>,
    pause: Duration,
    cut: bool,
}

impl Simulation {
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ReplyCut> {
        if !self.pause.is_zero() && !self.pieces.is_empty() {
            tokio::time::sleep(self.pause).await;
        }
        match self.pieces.pop_front() {
            Some(piece) => Ok(Some(piece)),
            None if self.cut => Err(ReplyCut),
            None => Ok(None),
        }
    }
}

/// How a model name wants it to behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Plain,
    Error(u16),
    Slow(u64),
    Words(u64),
    Cut,
    Silent,
}

impl Behaviour {
    fn of(model: &str) -> Self {
        let number = |prefix: &str| model.strip_prefix(prefix).and_then(|rest| rest.parse::<u64>().ok());
        if let Some(status) = number("error-").and_then(|status| u16::try_from(status).ok()).filter(|status| (400..600).contains(status)) {
            return Self::Error(status);
        }
        match model {
            "slow" => Self::Slow(1000),
            "cut" => Self::Cut,
            "silent" => Self::Silent,
            _ => number("slow-").map(Self::Slow).or_else(|| number("words-").map(Self::Words)).unwrap_or(Self::Plain),
        }
    }
}

/// Answers.
pub(super) async fn answer(admission: &Admission<'_>, outgoing: &Outgoing<'_>) -> Reply {
    let model: &str = &admission.target().model;
    let behaviour = Behaviour::of(model);
    let mut pause = Duration::ZERO;
    match behaviour {
        Behaviour::Silent => std::future::pending::<()>().await,
        Behaviour::Slow(ms) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            pause = Duration::from_millis(ms / 10);
        }
        Behaviour::Error(status) => return error(status),
        Behaviour::Plain | Behaviour::Words(_) | Behaviour::Cut => {}
    }
    let limit = match (outgoing.chat.output_limit().map(u64::from), admission.output_limit().map(u64::from)) {
        (Some(asked), Some(held)) => asked.min(held),
        (asked, held) => asked.or(held).unwrap_or(MOST_WORDS),
    };
    let text = text(model, behaviour, outgoing);
    let whole = text.len();
    let words: Vec<&str> = text.iter().map(String::as_str).take(usize::try_from(limit).unwrap_or(usize::MAX)).collect();
    let reason = if words.len() < whole { "length" } else { "stop" };
    let usage = usage(outgoing, words.len());
    let cut = behaviour == Behaviour::Cut;
    let (content_type, mut pieces) = if outgoing.chat.stream {
        ("text/event-stream; charset=utf-8", stream(model, outgoing, &words, reason, &usage))
    } else {
        ("application/json", whole_reply(model, outgoing, &words.concat(), reason, usage))
    };
    if cut {
        pieces.truncate(pieces.len() / 2);
    }
    let body = ReplyBody::Simulated(Simulation { pieces, pause, cut });
    Reply { status: 200, content_type: Some(HeaderValue::from_static(content_type)), passed: SmallVec::new(), body, dropped: Vec::new() }
}

fn error(status: u16) -> Reply {
    let kind = if status == 429 { "rate_limit_error" } else { "simulated_error" };
    let message = format!("simulated error {status}, as the model name asks for");
    let reply = ErrorReply { message: &message, kind, code: Some(ErrorCode::Name("simulated")), param: None, budget: None };
    let body = Dialect::OpenAiChat.write_error(&reply);
    let body = ReplyBody::Simulated(Simulation { pieces: VecDeque::from([body]), pause: Duration::ZERO, cut: false });
    Reply { status, content_type: Some(HeaderValue::from_static("application/json")), passed: SmallVec::new(), body, dropped: Vec::new() }
}

/// Words with the blanks that follow them.
fn text(model: &str, behaviour: Behaviour, outgoing: &Outgoing<'_>) -> Vec<String> {
    if let Behaviour::Words(count) = behaviour {
        return (1..=count.min(MOST_WORDS)).map(|word| format!("{word} ")).collect();
    }
    let sizes = &outgoing.chat.sizes;
    let text = format!(
        "Hello from the simulated model {model}. Your request came through key, policy and budget with {} messages of about {} tokens, \
         and this answer is metered, booked and logged like one of a real provider.",
        sizes.messages,
        outgoing.chat.estimate().likely,
    );
    text.split_inclusive(' ').map(str::to_owned).collect()
}

fn usage(outgoing: &Outgoing<'_>, words: usize) -> Usage {
    let (input, output) = (outgoing.chat.estimate().likely.max(1), u64::try_from(words).unwrap_or(u64::MAX));
    Usage { input_tokens: Some(input), output_tokens: Some(output), total_tokens: Some(input.saturating_add(output)), ..Usage::default() }
}

fn reply_id(outgoing: &Outgoing<'_>) -> String {
    format!("chatcmpl-{}", outgoing.request_id)
}

fn whole_reply(model: &str, outgoing: &Outgoing<'_>, content: &str, finish_reason: &str, usage: Usage) -> VecDeque<Bytes> {
    let id = reply_id(outgoing);
    let completion = Completion { id: &id, created: outgoing.created, model, content, finish_reason, usage };
    let whole = write_completion(&completion);
    let middle = whole.len() / 2;
    VecDeque::from([whole.slice(..middle), whole.slice(middle..)])
}

fn stream(model: &str, outgoing: &Outgoing<'_>, words: &[&str], reason: &str, usage: &Usage) -> VecDeque<Bytes> {
    let id = reply_id(outgoing);
    let chunk = Chunk { id: &id, created: outgoing.created, model };
    let mut pieces = VecDeque::from([write_chunk(&chunk, Delta::Role)]);
    pieces.extend(words.chunks(PIECE).map(|piece| write_chunk(&chunk, Delta::Content(&piece.concat()))));
    pieces.push_back(write_chunk(&chunk, Delta::Finish(reason)));
    pieces.push_back(write_usage_chunk(&chunk, usage));
    pieces.push_back(DONE);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_names_say_how_to_misbehave() {
        let cases = [
            ("gpt-any", Behaviour::Plain),
            ("error-429", Behaviour::Error(429)),
            ("error-200", Behaviour::Plain),
            ("slow", Behaviour::Slow(1000)),
            ("slow-250", Behaviour::Slow(250)),
            ("words-12", Behaviour::Words(12)),
            ("cut", Behaviour::Cut),
            ("silent", Behaviour::Silent),
        ];
        for (model, behaviour) in cases {
            assert_eq!(Behaviour::of(model), behaviour, "{model}");
        }
    }
}

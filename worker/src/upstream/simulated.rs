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
use llm::convert::Dropped;
use llm::error::{ErrorCode, ErrorReply};
use llm::response::{Completion, Finish};
use llm::usage::Usage;
use policy::decision::ResolvedTarget;
use smallvec::SmallVec;

use super::reply::{Reply, ReplyBody, ReplyCut};
use super::{Outgoing, WayBack};
use crate::enforce::Admission;

/// Words at most, whatever is asked for.
const MOST_WORDS: u64 = 100_000;
/// Words in a piece of a stream.
const PIECE: usize = 4;

/// A body made here.
pub(crate) struct Simulation {
    pub(super) pieces: VecDeque<Bytes>,
    pub(super) pause: Duration,
    pub(super) cut: bool,
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
        Behaviour::Error(status) => return error(outgoing, status),
        Behaviour::Plain | Behaviour::Words(_) | Behaviour::Cut => {}
    }
    if outgoing.head.embeds {
        return embedded(admission.target(), outgoing);
    }
    let limit = match (outgoing.head.output_limit.map(u64::from), admission.output_limit().map(u64::from)) {
        (Some(asked), Some(held)) => asked.min(held),
        (asked, held) => asked.or(held).unwrap_or(MOST_WORDS),
    };
    let text = text(model, behaviour, outgoing);
    let words: Vec<&str> = text.iter().map(String::as_str).take(usize::try_from(limit).unwrap_or(usize::MAX)).collect();
    let (id, content) = (outgoing.head.dialect.reply_id(outgoing.request_id), words.concat());
    let finish = if words.len() < text.len() { Finish::Length } else { Finish::Stop };
    let usage = usage(outgoing, words.len());
    let completion = Completion { id: &id, created: outgoing.created, model, content: &content, finish, usage };
    let mut reply = if outgoing.head.stream {
        stream(outgoing, &completion, &words)
    } else {
        whole(outgoing, outgoing.head.dialect.write_completion(&completion))
    };
    if let ReplyBody::Simulated(simulation) = &mut reply.body {
        simulation.pause = pause;
        simulation.cut = behaviour == Behaviour::Cut;
        if simulation.cut {
            simulation.pieces.truncate(simulation.pieces.len() / 2);
        }
    }
    reply
}

fn error(outgoing: &Outgoing<'_>, status: u16) -> Reply {
    let kind = if status == 429 { "rate_limit_error" } else { "simulated_error" };
    let message = format!("simulated error {status}, as the model name asks for");
    let reply = ErrorReply { status, message: &message, kind, code: Some(ErrorCode::Name("simulated")), param: None, budget: None };
    let body = outgoing.head.dialect.write_error(&reply);
    Reply { status, ..answered(outgoing, "application/json", VecDeque::from([body])) }
}

/// An answer in one piece, which comes in two.
fn whole(outgoing: &Outgoing<'_>, body: Bytes) -> Reply {
    let middle = body.len() / 2;
    answered(outgoing, "application/json", VecDeque::from([body.slice(..middle), body.slice(middle..)]))
}

fn stream(outgoing: &Outgoing<'_>, completion: &Completion<'_>, words: &[&str]) -> Reply {
    let pieces: Vec<String> = words.chunks(PIECE).map(<[&str]>::concat).collect();
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let events = outgoing.head.dialect.write_completion_events(completion, &pieces);
    answered(outgoing, "text/event-stream; charset=utf-8", events.into())
}

fn answered(outgoing: &Outgoing<'_>, content_type: &'static str, pieces: VecDeque<Bytes>) -> Reply {
    Reply {
        status: 200,
        spoken: outgoing.head.dialect,
        back: WayBack::Same,
        dropped: Dropped::of(outgoing.head.dialect),
        content_type: Some(HeaderValue::from_static(content_type)),
        passed: SmallVec::new(),
        body: ReplyBody::Simulated(Simulation { pieces, pause: Duration::ZERO, cut: false }),
    }
}

fn embedded(target: &ResolvedTarget, outgoing: &Outgoing<'_>) -> Reply {
    let input = outgoing.head.estimate().likely.max(1);
    let usage = Usage { input_tokens: Some(input), total_tokens: Some(input), ..Usage::default() };
    let dialect = outgoing.head.dialect;
    match dialect.read_embedding_request(outgoing.body) {
        Ok(mut request) => {
            request.dimensions = target.dimensions.map(|said| said.number).or(request.dimensions);
            whole(outgoing, dialect.write_embeddings(&request.simulate(&target.model, usage)))
        }
        Err(error) => {
            let message = error.to_string();
            let code = Some(ErrorCode::Name("simulated"));
            let reply =
                ErrorReply { status: 400, message: &message, kind: "invalid_request_error", code, param: error.field(), budget: None };
            Reply { status: 400, ..whole(outgoing, dialect.write_error(&reply)) }
        }
    }
}

/// Words with the blanks that follow them.
fn text(model: &str, behaviour: Behaviour, outgoing: &Outgoing<'_>) -> Vec<String> {
    if let Behaviour::Words(count) = behaviour {
        return (1..=count.min(MOST_WORDS)).map(|word| format!("{word} ")).collect();
    }
    let sizes = &outgoing.head.sizes;
    let text = format!(
        "Hello from the simulated model {model}. Your request came through key, policy and budget with {} messages of about {} tokens, \
         and this answer is metered, booked and logged like one of a real provider.",
        sizes.messages,
        outgoing.head.estimate().likely,
    );
    text.split_inclusive(' ').map(str::to_owned).collect()
}

fn usage(outgoing: &Outgoing<'_>, words: usize) -> Usage {
    let (input, output) = (outgoing.head.estimate().likely.max(1), u64::try_from(words).unwrap_or(u64::MAX));
    Usage { input_tokens: Some(input), output_tokens: Some(output), total_tokens: Some(input.saturating_add(output)), ..Usage::default() }
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

//! Whole replies: the report of usage is found by both ways or by none, and an answer that is read can be said in every dialect.

use super::{STAMP, WRITTEN, json::is_json, shown};
use crate::{
    convert::{self, Answer, FinishReason, Part, embeddings},
    dialect::Dialect,
    error::ErrorReply,
    response::is_finished,
    usage::{
        Usage,
        report::{find, find_from_front},
    },
};

pub(super) fn holds(dialect: Dialect, reply: &[u8]) {
    let usage = dialect.read_usage(reply);
    // A report that stands at the end is believed without reading what stands before it, also if it is `null`.
    let may_be_null = reply.windows(5).any(|bytes| bytes == b"usage");
    assert!(is_json(reply) || usage != Ok(None) || may_be_null, "what is no JSON has an error and no absence");
    if let Ok(Some(usage)) = usage {
        adds_up(&usage);
    }
    is_found_both_ways(reply);
    drop(dialect.read_model(reply));
    assert!(dialect != Dialect::OpenAiResponses || !is_finished(dialect, reply) || reply.trim_ascii_start().starts_with(b"{"));
    if let Ok(answer) = convert::read(dialect, reply) {
        is_said_everywhere(&answer, reply);
    }
    is_embedded_everywhere(dialect, reply);
    if let Some((kind, message)) = convert::error(dialect, reply) {
        is_refused_everywhere(&kind, &message);
    }
}

/// Searching from the end finds what reading from the front does, in whatever is JSON.
fn is_found_both_ways(reply: &[u8]) {
    for name in ["usage", "usageMetadata"] {
        let (searched, read) = (find(reply, name), find_from_front(reply, name));
        let place = |found: Result<Option<crate::json::Value<'_>>, _>| found.map(|value| value.map(|value| value.raw().to_vec()));
        assert!(!is_json(reply) || place(searched) == place(read), "`{name}` of {}", shown(reply));
    }
}

/// Buckets are disjoint parts of the total; where there are none, what is settled at is not below any reading of the report.
fn adds_up(usage: &Usage) {
    let parts = usage.input_tokens.unwrap_or(0).saturating_add(usage.output_tokens.unwrap_or(0));
    let ceiling = usage.ceiling();
    assert!(ceiling.sum() >= parts.max(usage.total_tokens.unwrap_or(0)), "{usage:?}");
    assert!(ceiling.cache_write_1h <= ceiling.cache_write, "{usage:?}");
    if let Ok(buckets) = usage.buckets() {
        assert_eq!(buckets.sum(), usage.total_tokens.unwrap_or(parts), "{usage:?}");
        assert!(buckets.cache_write_1h <= buckets.cache_write && ceiling.sum() >= buckets.sum(), "{usage:?}");
    }
}

/// What an answer says in every dialect: the words of its first choice, in order, and what it calls.
pub(super) fn words_and_calls(answer: &Answer<'_>) -> (String, Vec<(String, String)>) {
    let parts = answer.choices.first().map(|choice| choice.parts.as_slice()).unwrap_or_default();
    let words = parts.iter().filter_map(|part| match part {
        Part::Text { text, .. } | Part::Refusal { text } => Some(text.as_ref()),
        _ => None,
    });
    let calls = parts.iter().filter_map(|part| match part {
        Part::ToolCall(call) => Some((call.id.to_string(), call.name.to_string())),
        _ => None,
    });
    (words.collect(), calls.collect())
}

fn is_said_everywhere(answer: &Answer<'_>, reply: &[u8]) {
    if answer.choices.iter().any(|choice| choice.finish == FinishReason::MalformedCall) {
        return;
    }
    let expected = words_and_calls(answer);
    for to in WRITTEN {
        let written = convert::write(answer, to, &STAMP).expect("a dialect of answers");
        assert!(is_json(&written), "no JSON in {}: {}", to.name(), shown(&written));
        let read = convert::read(to, &written).unwrap_or_else(|error| panic!("{} does not read {}: {error}", to.name(), shown(&written)));
        assert_eq!(words_and_calls(&read), expected, "{} of {}: {}", to.name(), shown(reply), shown(&written));
        let streamed = convert::replay(answer, to, &STAMP, true).expect("a dialect of answers");
        super::convert_stream::is_whole(to, &streamed);
    }
}

fn is_embedded_everywhere(dialect: Dialect, reply: &[u8]) {
    for to in [Dialect::OpenAiEmbeddings, Dialect::Gemini] {
        for shape in [embeddings::Shape::Numbers, embeddings::Shape::Base64, embeddings::Shape::Single] {
            let awaited = embeddings::Awaited { shape, input_tokens: None };
            if let Some(Ok(written)) = embeddings::answer(dialect, reply, to, awaited, &STAMP) {
                assert!(is_json(&written), "no JSON in {}: {}", to.name(), shown(&written));
                assert!(embeddings::answer(to, &written, to, awaited, &STAMP).is_some_and(|read| read.is_ok()), "{}", shown(&written));
            }
        }
    }
}

/// An error of a provider's is an error in every dialect, whole or at the end of a stream.
fn is_refused_everywhere(kind: &str, message: &str) {
    let error = ErrorReply { status: 502, message, kind, code: None, param: None, budget: None };
    for to in WRITTEN {
        let written = to.write_error(&error);
        assert!(is_json(&written), "no JSON in {}: {}", to.name(), shown(&written));
        assert!(convert::error(to, &written).is_some_and(|(_, read)| read == message), "{}: {}", to.name(), shown(&written));
        let event = to.write_error_event(&error, 3);
        let (_, outcome) = super::meter::metered(to, &event, crate::stream::UsageEvents::Forward, event.len(), event.len());
        assert!(outcome.failed && !outcome.done, "{}: {}", to.name(), shown(&event));
    }
}

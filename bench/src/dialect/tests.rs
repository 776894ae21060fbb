//! What the mock provider says is what the product's own readers take for a whole answer, and what a caller reads once it was converted ends as
//! the load generator expects: else a measurement would fail, or count what is none.

use bytes::Bytes;
use llm::convert::{self, Ask, Stamp, StreamConverter, embeddings};
use llm::stream::{StreamMeter, UsageEvents};

use super::*;

const STAMP: Stamp<'_> = Stamp { id: "1", created: 1_795_000_000, model: "m" };
/// What every answer says it consumed: tokens in, tokens out where there are any.
const INPUT: u64 = 210;

fn known(dialect: Dialect) -> llm::dialect::Dialect {
    match dialect {
        Dialect::Chat => llm::dialect::Dialect::OpenAiChat,
        Dialect::Responses => llm::dialect::Dialect::OpenAiResponses,
        Dialect::Messages => llm::dialect::Dialect::AnthropicMessages,
        Dialect::Gemini => llm::dialect::Dialect::Gemini,
        Dialect::Embeddings => llm::dialect::Dialect::OpenAiEmbeddings,
    }
}

/// Who is asked where `dialect` is converted.
fn other(dialect: Dialect) -> Dialect {
    match dialect.other_model() {
        "anthropic/claude-test" => Dialect::Messages,
        "openai/gpt-test" => Dialect::Chat,
        other => panic!("{other} is no conversation's"),
    }
}

fn conversations() -> impl Iterator<Item = Dialect> {
    Dialect::ALL.into_iter().filter(|dialect| dialect.streams())
}

#[test]
fn a_buffered_answer_has_its_length_its_end_and_its_usage() {
    for dialect in Dialect::ALL {
        let answer = dialect.answer();
        serde_json::from_str::<serde_json::Value>(&answer).unwrap();
        assert!(answer.contains(dialect.end(false)), "{answer}");
        let usage = known(dialect).read_usage(answer.as_bytes()).unwrap().expect("usage");
        assert_eq!(usage.input_tokens, Some(INPUT), "{dialect:?}");
        if dialect != Dialect::Embeddings {
            assert_eq!(answer.len(), ANSWER_BYTES, "{dialect:?}");
        }
    }
}

#[test]
fn a_stream_has_23_events_its_end_in_the_last_and_its_usage() {
    for dialect in conversations() {
        let events = dialect.events();
        assert_eq!(events.len(), EVENTS, "{dialect:?}");
        let (last, before) = events.split_last().unwrap();
        assert!(last.contains(dialect.end(true)), "{last}");
        assert!(!before.concat().contains(dialect.end(true)), "{dialect:?}");
        let mut meter = StreamMeter::new(known(dialect), UsageEvents::Forward);
        events.iter().for_each(|event| meter.push(Bytes::from(event.clone()), &mut Vec::new()));
        let outcome = meter.finish();
        assert!(outcome.done && outcome.report_stands && !outcome.failed, "{dialect:?}: {outcome:?}");
        assert_eq!(outcome.unread_events, 0);
        assert_eq!(outcome.reported.expect("usage").input_tokens, Some(INPUT));
    }
}

#[test]
fn chat_streams_have_the_size_the_figures_are_quoted_for() {
    let bytes: usize = Dialect::Chat.events().iter().map(String::len).sum();
    assert!((5_800..6_000).contains(&bytes), "{bytes} bytes");
}

#[test]
fn every_request_is_converted_without_loss_and_its_answer_ends_as_the_callers_do() {
    for dialect in conversations() {
        let (from, to) = (known(dialect), known(other(dialect)));
        let body = dialect.request("m", true, 1_024, 2);
        let ask = Ask { model: "m", output_limit: None, stream: Some(true) };
        let converted = convert::request(from, body.as_bytes(), to, &ask).unwrap();
        assert_eq!(converted.dropped.header(), "", "{dialect:?}");
        assert!(String::from_utf8_lossy(&converted.body).contains(r#""stream":true"#), "how the mock tells that it is to stream");
        let mut converter = StreamConverter::new(to, from, &STAMP, converted.include_usage).unwrap();
        let mut stream = Vec::new();
        other(dialect).events().iter().for_each(|event| converter.push(event.as_bytes(), &mut stream));
        converter.finish(&mut stream);
        assert!(!converter.failed());
        assert!(String::from_utf8_lossy(&stream).contains(dialect.end(true)), "{dialect:?}: {}", String::from_utf8_lossy(&stream));
        let whole = convert::answer(to, other(dialect).answer().as_bytes(), from, &STAMP).unwrap();
        assert!(String::from_utf8_lossy(&whole).contains(dialect.end(false)), "{dialect:?}: {}", String::from_utf8_lossy(&whole));
    }
}

#[test]
fn pictures_are_converted_without_loss() {
    let body = chat_with_pictures("m", 2_000);
    let ask = Ask { model: "m", output_limit: None, stream: None };
    let converted = convert::request(known(Dialect::Chat), body.as_bytes(), known(Dialect::Messages), &ask).unwrap();
    assert_eq!(converted.dropped.header(), "");
    assert!(converted.body.len() > 4_000);
}

#[test]
fn an_embedding_is_converted_and_its_answer_ends_as_the_callers_do() {
    let (openai, gemini) = (known(Dialect::Embeddings), known(Dialect::Gemini));
    let body = Dialect::Embeddings.request("m", false, 1_024, 1);
    let wanted = embeddings::Wanted { model: "m", dimensions: None };
    let converted = embeddings::request(openai, body.as_bytes(), gemini, wanted).unwrap().unwrap();
    let awaited = embeddings::Awaited { shape: converted.shape, input_tokens: None };
    let answer = embeddings::answer(gemini, gemini_embedding(true).as_bytes(), openai, awaited, &STAMP).unwrap().unwrap();
    assert!(String::from_utf8_lossy(&answer).contains(Dialect::Embeddings.end(false)));
}

//! Streams said in another dialect: in any cut the same, in order, ended as streams of that dialect end, and in all the whole answer.

use super::{PIECES, STAMP, WRITTEN, led_by_digits, one_of, reply::words_and_calls, shown};
use crate::{
    convert::{self, StreamConverter, accumulated::Accumulated},
    dialect::Dialect,
    stream::{Elements, UsageEvents},
};

/// Whoever can be read; Bedrock's frames arrive as events.
const READ: [Dialect; 5] =
    [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::AnthropicMessages, Dialect::Gemini, Dialect::BedrockConverse];

pub(super) fn holds(input: &[u8]) {
    let Some(([from, to, include_usage], stream)) = led_by_digits(input) else { return };
    let (from, to, include_usage) = (one_of(&READ, from), one_of(&WRITTEN, to), include_usage % 2 == 1);
    let (whole, failed) = converted(from, to, include_usage, stream, stream.len());
    for piece in PIECES {
        let cut = converted(from, to, include_usage, stream, piece);
        assert_eq!((shown(&cut.0), cut.1), (shown(&whole), failed), "in pieces of {piece}");
    }
    let heard = is_whole(to, &whole);
    assert_eq!(heard.failed(), failed, "an error is said: {}", shown(&whole));
    let said = Accumulated::of(from, stream);
    // A provider may send its events in any order; what is written of them is in order all the same.
    if !failed && said.is_finished() && said.disorder().is_none() {
        is_the_whole_answer(said, to, include_usage, heard);
    }
}

/// What is written, and whether it failed.
fn converted(from: Dialect, to: Dialect, include_usage: bool, stream: &[u8], piece: usize) -> (Vec<u8>, bool) {
    let mut converter = StreamConverter::new(from, to, &STAMP, include_usage).expect("two dialects of conversations");
    let mut out = Vec::new();
    stream.chunks(piece.max(1)).for_each(|piece| converter.push(piece, &mut out));
    converter.finish(&mut out);
    (out, converter.failed())
}

/// The stream is text, is read in order, and ends with either its dialect's terminator or an error.
pub(super) fn is_whole(dialect: Dialect, stream: &[u8]) -> Accumulated {
    assert!(std::str::from_utf8(stream).is_ok(), "no text: {}", shown(stream));
    let heard = Accumulated::of(dialect, stream);
    let (forwarded, outcome) = super::meter::metered(dialect, stream, UsageEvents::Forward, stream.len(), stream.len());
    assert_eq!(forwarded, stream);
    assert_eq!(heard.disorder(), None, "{}: {}", dialect.name(), shown(stream));
    assert_eq!((outcome.done, outcome.failed), (!heard.failed(), heard.failed()), "{}: {}", dialect.name(), shown(stream));
    assert_eq!(outcome.unread_events, 0, "{}: {}", dialect.name(), shown(stream));
    assert!(outcome.held.is_empty() && !outcome.mid_event, "{}: {}", dialect.name(), shown(stream));
    if dialect == Dialect::Gemini {
        let array = Elements::of(stream);
        assert!(super::json::is_json(&array), "no JSON: {}", shown(&array));
    }
    heard
}

/// The whole answer, said whole or as a stream of its own, says what was heard event by event.
fn is_the_whole_answer(said: Accumulated, to: Dialect, include_usage: bool, heard: Accumulated) {
    let answer = said.answer();
    let replayed = convert::replay(&answer, to, &STAMP, include_usage).expect("a dialect of answers");
    let replay = is_whole(to, &replayed).answer();
    let heard = heard.answer();
    assert_eq!(format!("{heard:?}"), format!("{replay:?}"), "as a stream of its own: {}", shown(&replayed));
    let written = convert::write(&answer, to, &STAMP).expect("a dialect of answers");
    let read = convert::read(to, &written).unwrap_or_else(|error| panic!("{error}: {}", shown(&written)));
    assert_eq!(words_and_calls(&read), words_and_calls(&heard), "said whole: {}", shown(&written));
    let finish = |answer: &convert::Answer<'_>| answer.choices.first().map(|choice| choice.finish);
    assert_eq!(finish(&read), finish(&heard), "said whole: {}", shown(&written));
}

//! Requests said in another dialect: the provider reads what the caller said, and no more is asked of it than was governed.

use super::{json, led_by_digits, one_of, shown};
use crate::{
    convert::{self, Ask, Conversation, ConvertError, Converted, Part, embeddings, read_conversation, token_count},
    dialect::Dialect,
    request::{Addressed, Extensions, Head},
};

/// Whoever can be read; embeddings are no conversation.
const READ: [Dialect; 5] =
    [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::AnthropicMessages, Dialect::Gemini, Dialect::OpenAiEmbeddings];
/// Limits of the output that are asked for.
const LIMITS: [Option<u32>; 3] = [None, Some(7), Some(5_000)];
/// Models that are asked for; what some take is known by their names.
const MODELS: [&str; 6] =
    ["upstream", "us.anthropic.claude-sonnet-4-5", "gemini-3-pro", "claude-opus-5", "amazon.titan-embed-text-v2:0", "cohere.embed-v4:0"];

pub(super) fn holds(input: &[u8]) {
    let Some(([from, to, limit, model], body)) = led_by_digits(input) else { return };
    let (from, to) = (one_of(&READ, from), one_of(&Dialect::ALL, to));
    let addressed = (from == Dialect::Gemini).then_some(Addressed { model: "by-path", stream: limit % 2 == 1 });
    let ask = Ask { model: one_of(&MODELS, model), output_limit: one_of(&LIMITS, limit), stream: addressed.map(|path| path.stream) };
    match convert::request(from, body, to, &ask) {
        Ok(converted) => {
            let head = is_read(&converted, to, &ask);
            if let Ok(caller) = from.read_head(body, addressed) {
                is_governed(&caller, &head, &converted.body);
            }
            says_the_same(from, body, to, &converted.body);
            is_understood_for_good(to, &converted, &ask);
        }
        Err(ConvertError::Pair { .. }) => assert!([from, to].contains(&Dialect::OpenAiEmbeddings), "{from:?} to {to:?}"),
        Err(_) => {}
    }
    is_embedded(from, body, to, ask.model);
    is_counted(from, body, to);
}

/// The provider's own reader reads the body, and finds what was asked for.
fn is_read<'c>(converted: &'c Converted, to: Dialect, ask: &Ask<'c>) -> Head<'c> {
    let body = &converted.body;
    assert!(json::is_text(body), "no JSON for {}: {}", to.name(), shown(body));
    let by_path = matches!(to, Dialect::Gemini | Dialect::BedrockConverse);
    let addressed = by_path.then_some(Addressed { model: ask.model, stream: converted.stream });
    let head = to.read_head(body, addressed).unwrap_or_else(|error| panic!("{error}, for {}: {}", to.name(), shown(body)));
    assert_eq!((&*head.model, head.stream), (ask.model, converted.stream), "{}", shown(body));
    assert!(ask.output_limit.is_none_or(|most| head.output_limit.is_some_and(|limit| limit <= most)), "{}", shown(body));
    assert_eq!(head.extensions, Extensions::default(), "{}", shown(body));
    assert!(!head.stream || head.include_usage, "the usage of a stream is always asked for: {}", shown(body));
    head
}

/// Whatever a rule may have looked at in the caller's request, the provider's has no more of it.
fn is_governed(caller: &Head<'_>, provider: &Head<'_>, body: &[u8]) {
    assert_eq!(provider.stream, caller.stream, "{}", shown(body));
    assert!(provider.choices <= caller.choices, "{}", shown(body));
    assert!(caller.output_limit.is_none_or(|most| provider.output_limit.is_some_and(|limit| limit <= most)), "{}", shown(body));
    // Data whose kind is not said may be either.
    let may_show = caller.has_images() || caller.sizes.files > 0;
    assert!(provider.sizes.images == 0 || may_show, "a picture from nowhere: {}", shown(body));
    assert!(provider.sizes.files == 0 || caller.sizes.files > 0 || caller.has_images(), "a file from nowhere: {}", shown(body));
    assert!(provider.provider_tool.is_none() || caller.provider_tool.is_some(), "a tool from nowhere: {}", shown(body));
    assert_eq!(provider.provider_state, None, "what a provider keeps can't be referred to from elsewhere: {}", shown(body));
}

/// Every text is found again in what the provider reads. Nobody here reads Bedrock's requests.
fn says_the_same(from: Dialect, body: &[u8], to: Dialect, converted: &[u8]) {
    let Some(Ok(written)) = read_conversation(to, converted) else {
        return assert_eq!(to, Dialect::BedrockConverse, "not read: {}", shown(converted));
    };
    let read = read_conversation(from, body).expect("a dialect of conversations").expect("what was converted is read");
    let all = texts(&written).join("\n");
    for text in texts(&read) {
        assert!(all.contains(text.trim()), "{text:?} is not in {}", shown(converted));
    }
}

fn texts<'c>(conversation: &'c Conversation<'_>) -> Vec<&'c str> {
    fn collect<'c>(parts: &'c [Part<'_>], texts: &mut Vec<&'c str>) {
        for part in parts {
            match part {
                Part::Text { text, .. } | Part::Refusal { text } => texts.push(text),
                Part::ToolResult(result) => collect(&result.parts, texts),
                _ => {}
            }
        }
    }
    let mut texts = Vec::new();
    collect(&conversation.system, &mut texts);
    conversation.turns.iter().for_each(|turn| collect(&turn.parts, &mut texts));
    texts
}

/// What was written is understood as it was meant: said once more, it is understood the same.
fn is_understood_for_good(to: Dialect, converted: &Converted, ask: &Ask<'_>) {
    let ask = Ask { stream: Some(converted.stream), ..*ask };
    if let Some(Ok(read)) = read_conversation(to, &converted.body) {
        let again = convert::request(to, &converted.body, to, &ask);
        let again = again.unwrap_or_else(|error| panic!("{error}: {}", shown(&converted.body)));
        let once_more = read_conversation(to, &again.body).expect("a dialect of conversations").expect("what was written is read");
        assert_eq!(understood(&once_more), understood(&read), "{} and {}", shown(&again.body), shown(&converted.body));
    }
}

/// What a conversation says, but for what only its own dialect has.
fn understood(conversation: &Conversation<'_>) -> String {
    let Conversation { system, turns, tools, tool_choice, output_limit, sampling, stop, format, reasoning, choices, .. } = conversation;
    // Where one turn ends and the next of the same role begins is not said in every dialect.
    let said: Vec<String> = turns
        .iter()
        .flat_map(|turn| {
            let part = |part: &Part<'_>| format!("{:?} {:?} says {part:?}", turn.role, turn.name);
            if turn.parts.is_empty() { vec![format!("{:?} says nothing", turn.role)] } else { turn.parts.iter().map(part).collect() }
        })
        .collect();
    format!("{system:?} {said:?} {tools:?} {tool_choice:?} {output_limit:?} {sampling:?} {stop:?} {format:?} {reasoning:?} {choices}")
}

fn is_embedded(from: Dialect, body: &[u8], to: Dialect, model: &str) {
    let wanted = embeddings::Wanted { model, dimensions: None };
    let Some(Ok(converted)) = embeddings::request(from, body, to, wanted) else { return };
    assert!(json::is_text(&converted.body), "no JSON: {}", shown(&converted.body));
    if to == Dialect::BedrockConverse {
        // Nobody here reads Bedrock's requests.
        return;
    }
    let addressed = Addressed { model, stream: false };
    let head = to.read_head(&converted.body, Some(addressed)).unwrap_or_else(|error| panic!("{error}: {}", shown(&converted.body)));
    assert!(head.embeds && !head.stream, "{}", shown(&converted.body));
    let again = embeddings::request(to, &converted.body, to, wanted).expect("a dialect of embeddings").expect("what was written is read");
    assert_eq!(shown(&again.body), shown(&converted.body), "said again it is the same");
}

/// Whatever can be read can be counted, by us or by a provider.
fn is_counted(from: Dialect, body: &[u8], to: Dialect) {
    let counted = token_count::tokens(from, body, |text| u64::try_from(text.len()).unwrap_or(u64::MAX));
    assert_eq!(counted.is_ok(), read_conversation(from, body).is_some_and(|read| read.is_ok()));
    if let Ok((asked, _)) = token_count::request(from, body, to, "model") {
        assert!(json::is_text(&asked), "no JSON: {}", shown(&asked));
        let wrapped = token_count::wrapped_for_gemini(asked.into(), "model");
        assert!(json::is_text(&wrapped), "no JSON: {}", shown(&wrapped));
    }
}

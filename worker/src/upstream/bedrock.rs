//! Amazon Bedrock: `Converse` for whoever speaks another dialect, `InvokeModel` for who speaks Anthropic's to a model of Anthropic's, because
//! then the body passes through, and for models that embed, which `Converse` does not take.
//!
//! Requests are signed (`signer`), or bear a Bedrock API key; streams come in AWS's framing (`frames`). Leaves out: models that neither
//! `Converse` takes nor a name says how to invoke.

mod frames;
mod signer;

use bytes::{BufMut as _, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use llm::convert::{Dropped, Feature};
use llm::dialect::{Dialect, bedrock_converse};

use super::WayBack;
use super::reply::Reply;
use super::vendor::{Call, write_segment};

pub(crate) use frames::Frames;
pub(crate) use signer::Signer;

/// What `anthropic_version` has to say.
pub(super) const ANTHROPIC_VERSION: &str = "bedrock-2023-05-31";
/// What streams are in.
pub(super) const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";
/// Says the class of an error.
const ERROR_TYPE: &str = "x-amzn-errortype";

/// Says how many tokens went in, where a model is invoked; not every one's body does.
const INPUT_TOKENS: &str = "x-amzn-bedrock-input-token-count";

/// The words of `anthropic-beta` that Bedrock knows; it refuses a request that has any other.
const BETAS: [&str; 11] = [
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "token-efficient-tools-2025-02-19",
    "interleaved-thinking-2025-05-14",
    "output-128k-2025-02-19",
    "dev-full-thinking-2025-05-14",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "effort-2025-11-24",
    "tool-search-tool-2025-10-19",
    "tool-examples-2025-10-29",
];

/// The dialect in which `model` is spoken to on behalf of a caller who speaks `caller`.
pub(super) fn spoken(caller: Dialect, model: &str) -> Dialect {
    // Names of profiles that customers make say nothing of the model; any of them takes `Converse`.
    match caller {
        Dialect::AnthropicMessages if model.contains("anthropic.") => Dialect::AnthropicMessages,
        _ => Dialect::BedrockConverse,
    }
}

/// The dialect in which `model` is asked for vectors; `None` where its name does not say that it makes any.
pub(super) fn spoken_for_vectors(model: &str) -> Option<Dialect> {
    bedrock_converse::embeds(model).then_some(Dialect::BedrockConverse)
}

/// Writes the path. A model may be an ARN, whose colons and slashes are no part of the path.
pub(super) fn write_path(dialect: Dialect, model: &str, call: Call, wire: &mut BytesMut) {
    wire.put_slice(b"/model/");
    write_segment(model, wire);
    wire.put_slice(match (dialect, call) {
        (_, Call::Embedding | Call::Embeddings) => b"/invoke",
        (Dialect::AnthropicMessages, Call::Streamed) => b"/invoke-with-response-stream",
        (Dialect::AnthropicMessages, _) => b"/invoke",
        (_, Call::Streamed) => b"/converse-stream",
        _ => b"/converse",
    });
}

/// Those of the caller's words that Bedrock knows; that others were left out is noted.
pub(super) fn betas<'c>(callers: impl Iterator<Item = &'c str>, dropped: &mut Dropped) -> Vec<&'c str> {
    let (known, unknown): (Vec<_>, Vec<_>) = callers.partition(|beta| BETAS.contains(beta));
    if !unknown.is_empty() {
        dropped.note(Feature::Betas);
    }
    known
}

/// An answer as the rest of this program knows answers: streams as server-sent events, errors as those of `Converse`, whose shape all have.
/// What the head says was consumed is kept for vectors, whose body may not say it.
pub(super) fn heard(mut reply: Reply) -> Reply {
    if reply.status >= 400 {
        return Reply { spoken: Dialect::BedrockConverse, ..reply };
    }
    if let WayBack::Embeddings(_, awaited) = &mut reply.back {
        awaited.input_tokens = reply.body.headers().and_then(input_tokens);
    }
    let framed = reply.content_type.as_ref().is_some_and(|value| value.as_bytes().starts_with(EVENT_STREAM.as_bytes()));
    if !framed {
        return reply;
    }
    let content_type = Some(HeaderValue::from_static("text/event-stream"));
    let body = reply.body.framed(Frames::new(reply.spoken));
    Reply { content_type, body, ..reply }
}

fn input_tokens(headers: &HeaderMap) -> Option<u64> {
    headers.get(INPUT_TOKENS)?.to_str().ok()?.trim().parse().ok()
}

/// The class of an error, which its body does not always say.
pub(crate) fn error_class(passed: &[(HeaderName, HeaderValue)]) -> Option<String> {
    let (_, value) = passed.iter().find(|(name, _)| name == ERROR_TYPE)?;
    let class = value.to_str().ok()?.split(':').next()?.rsplit('#').next()?;
    (!class.is_empty()).then(|| class.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(dialect: Dialect, model: &str, call: Call) -> String {
        let mut wire = BytesMut::new();
        write_path(dialect, model, call, &mut wire);
        String::from_utf8(wire.to_vec()).expect("text")
    }

    #[test]
    fn paths_say_what_is_asked_for_and_hold_any_name_in_one_segment() {
        let claude = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
        let escaped = "us.anthropic.claude-sonnet-4-5-20250929-v1%3A0";
        assert_eq!(path(Dialect::AnthropicMessages, claude, Call::Whole), format!("/model/{escaped}/invoke"));
        assert_eq!(path(Dialect::AnthropicMessages, claude, Call::Streamed), format!("/model/{escaped}/invoke-with-response-stream"));
        assert_eq!(path(Dialect::BedrockConverse, claude, Call::Whole), format!("/model/{escaped}/converse"));
        let arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/ab";
        let expected = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fab/converse-stream";
        assert_eq!(path(Dialect::BedrockConverse, arn, Call::Streamed), expected);
    }

    #[test]
    fn only_a_model_that_is_known_for_anthropics_is_spoken_to_as_one() {
        for (caller, model, expected) in [
            (Dialect::AnthropicMessages, "us.anthropic.claude-opus-5", Dialect::AnthropicMessages),
            (Dialect::AnthropicMessages, "amazon.nova-pro-v1:0", Dialect::BedrockConverse),
            (Dialect::AnthropicMessages, "arn:aws:bedrock:us-east-1:1:application-inference-profile/ab", Dialect::BedrockConverse),
            (Dialect::OpenAiChat, "us.anthropic.claude-opus-5", Dialect::BedrockConverse),
        ] {
            assert_eq!(spoken(caller, model), expected, "{caller:?} {model}");
        }
    }

    #[test]
    fn a_model_that_is_known_to_embed_is_invoked() {
        let titan = "amazon.titan-embed-text-v2:0";
        assert_eq!(path(Dialect::BedrockConverse, titan, Call::Embeddings), "/model/amazon.titan-embed-text-v2%3A0/invoke");
        for (model, expected) in [
            (titan, Some(Dialect::BedrockConverse)),
            ("eu.cohere.embed-v4:0", Some(Dialect::BedrockConverse)),
            ("arn:aws:bedrock:us-east-1::foundation-model/cohere.embed-english-v3", Some(Dialect::BedrockConverse)),
            ("amazon.nova-pro-v1:0", None),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/ab", None),
        ] {
            assert_eq!(spoken_for_vectors(model), expected, "{model}");
        }
    }

    #[test]
    fn tokens_are_read_from_the_head_where_it_has_a_number() {
        let said = |value: &'static str| {
            input_tokens(&HeaderMap::from_iter([(HeaderName::from_static(INPUT_TOKENS), HeaderValue::from_static(value))]))
        };
        assert_eq!([said("7"), said("0"), said("-1"), said("many")], [Some(7), Some(0), None, None]);
        assert_eq!(input_tokens(&HeaderMap::new()), None);
    }

    #[test]
    fn betas_that_would_be_refused_are_left_out_with_a_word() {
        let mut dropped = Dropped::of(Dialect::AnthropicMessages);
        let known = betas(["interleaved-thinking-2025-05-14", "claude-code-20250219"].into_iter(), &mut dropped);
        assert_eq!((known, &*dropped.header()), (vec!["interleaved-thinking-2025-05-14"], "anthropic-beta"));
    }

    #[test]
    fn the_class_of_an_error_is_read_without_what_surrounds_it() {
        let class = |value: &'static str| error_class(&[(HeaderName::from_static(ERROR_TYPE), HeaderValue::from_static(value))]);
        assert_eq!(class("ThrottlingException:http://internal.amazon.com/x/").as_deref(), Some("ThrottlingException"));
        assert_eq!(class("com.amazon.x#ValidationException").as_deref(), Some("ValidationException"));
        assert_eq!(class(""), None);
    }
}

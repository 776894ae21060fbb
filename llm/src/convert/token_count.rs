//! Counts of tokens, as callers who ask for them expect it: Gemini's `countTokens` and Anthropic's `count_tokens`.
//!
//! Leaves out: counting.

use super::{Conversation, hub, writing};
use crate::{
    dialect::{Dialect, gemini},
    request::ReadRequestError,
};

/// Reads what tokens are to be counted of; `None` in a dialect that is none of conversations.
#[must_use]
pub fn read_counted(dialect: Dialect, body: &[u8]) -> Option<Result<Conversation<'_>, ReadRequestError>> {
    if dialect == Dialect::Gemini {
        return Some(gemini::read_counted(body));
    }
    hub::read_conversation(dialect, body)
}

/// Writes a count; `None` in a dialect that has no such reply.
#[must_use]
pub fn write_token_count(dialect: Dialect, tokens: u64) -> Option<Vec<u8>> {
    let member = match dialect {
        Dialect::Gemini => "totalTokens",
        Dialect::AnthropicMessages => "input_tokens",
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::OpenAiEmbeddings | Dialect::BedrockConverse => return None,
    };
    let mut out = Vec::new();
    writing::object(&mut out, |body| {
        body.member(member, tokens);
    });
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_has_its_own_word() {
        let written = |dialect| write_token_count(dialect, 42).map(|body| String::from_utf8(body).unwrap());
        assert_eq!(written(Dialect::Gemini).unwrap(), r#"{"totalTokens":42}"#);
        assert_eq!(written(Dialect::AnthropicMessages).unwrap(), r#"{"input_tokens":42}"#);
        assert_eq!(written(Dialect::OpenAiChat), None);
    }
}

//! Counts of tokens that are made here, for providers that have no counter of their own.
//!
//! Exact for OpenAI's models, but for what its own template may add; models behind servers of OpenAI's kind have tokenizers of theirs and are
//! counted as near as the nearest of OpenAI's vocabularies comes.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use llm::convert::{Dropped, token_count};
use llm::dialect::Dialect;
use llm::error::{ErrorCode, ErrorReply};
use smallvec::SmallVec;

use super::simulated::Simulation;
use super::{Outgoing, Reply, ReplyBody, WayBack};
use crate::enforce::Admission;
use crate::tokenizer::{self, Vocabulary};

/// Until it is its turn; who asked for a count waits for it as for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers with the count.
pub(super) async fn answer(admission: &Admission<'_>, outgoing: &Outgoing<'_>) -> Reply {
    let (dialect, body) = (outgoing.head.dialect, outgoing.body.clone());
    let vocabulary = tokenizer::nearest(&admission.target().model);
    let (status, body) = match tokenizer::aside(PATIENCE, move || count(dialect, &body, vocabulary)).await {
        Some(Ok(body)) => (200, body),
        Some(Err(message)) => (400, refusal(dialect, 400, &message)),
        None => (500, refusal(dialect, 500, "the tokens could not be counted")),
    };
    Reply {
        status,
        spoken: dialect,
        back: WayBack::Same,
        dropped: Dropped::of(dialect),
        content_type: Some(HeaderValue::from_static("application/json")),
        passed: SmallVec::new(),
        body: ReplyBody::Simulated(Simulation { pieces: VecDeque::from([body]), pause: Duration::ZERO, cut: false }),
    }
}

fn count(dialect: Dialect, body: &[u8], vocabulary: Vocabulary) -> Result<Bytes, String> {
    let counter = vocabulary();
    let tokens = token_count::tokens(dialect, body, |text| tokenizer::tokens_of(counter, text)).map_err(|error| error.to_string())?;
    let written = token_count::write_token_count(dialect, tokens);
    written.map(Bytes::from).ok_or_else(|| format!("`{}` has no counts of tokens", dialect.name()))
}

fn refusal(dialect: Dialect, status: u16, message: &str) -> Bytes {
    let code = Some(ErrorCode::Name("not_countable"));
    dialect.write_error(&ErrorReply { status, message, kind: "invalid_request_error", code, param: None, budget: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_with_the_vocabulary_of_its_model() {
        let body = br#"{"model":"m","messages":[{"role":"user","content":"tiktoken is great!"}]}"#;
        let counted = |model| count(Dialect::AnthropicMessages, body, tokenizer::nearest(model)).expect("a count");
        // By the documentation of OpenAI's tokenizer these are 6 tokens; with the message's 3, its role and the 3 of the answer, 13.
        assert_eq!(counted("gpt-4o-mini"), r#"{"input_tokens":13}"#);
        assert_eq!(counted("openai/gpt-4"), r#"{"input_tokens":13}"#);
    }
}

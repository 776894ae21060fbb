//! Counts of tokens that are made here, for providers that have no counter of their own.
//!
//! OpenAI's vocabularies are public and count its models exactly, but for what its own template may add; other models behind servers of
//! OpenAI's kind have tokenizers of theirs and are counted as near as the newest of these comes. A vocabulary is loaded when the first
//! request asks for it, because it is large: 32 MB in the program and as much in memory for the newer, half of that for the older. The
//! tokenizer takes linear time whatever the text; even so it works on threads where it keeps nobody waiting, and on few of them, so that
//! counting never takes the machine from those who are served.

use std::collections::VecDeque;
use std::time::Duration;

use bpe_openai::Tokenizer;
use bytes::Bytes;
use http::HeaderValue;
use llm::convert::{Dropped, token_count};
use llm::dialect::Dialect;
use llm::error::{ErrorCode, ErrorReply};
use smallvec::SmallVec;
use tokio::sync::Semaphore;

use super::simulated::Simulation;
use super::{Outgoing, Reply, ReplyBody, WayBack};
use crate::enforce::Admission;

/// Counts at the same time at most.
const AT_ONCE: usize = 2;
static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Answers with the count.
pub(super) async fn answer(admission: &Admission<'_>, outgoing: &Outgoing<'_>) -> Reply {
    let (dialect, body) = (outgoing.head.dialect, outgoing.body.clone());
    let tokenizer = tokenizer_of(&admission.target().model);
    // Never closed, so there always is a turn.
    let turn = TURNS.acquire().await;
    let counted = tokio::task::spawn_blocking(move || {
        let counted = count(dialect, &body, tokenizer);
        // Not before: a caller who leaves does not end the counting.
        drop(turn);
        counted
    });
    let counted = counted.await;
    let (status, body) = match counted {
        Ok(Ok(body)) => (200, body),
        Ok(Err(message)) => (400, refusal(dialect, 400, &message)),
        Err(_) => (500, refusal(dialect, 500, "the tokens could not be counted")),
    };
    Reply {
        status,
        spoken: dialect,
        back: WayBack::Same,
        dropped: Dropped::default(),
        content_type: Some(HeaderValue::from_static("application/json")),
        passed: SmallVec::new(),
        body: ReplyBody::Simulated(Simulation { pieces: VecDeque::from([body]), pause: Duration::ZERO, cut: false }),
    }
}

fn count(dialect: Dialect, body: &[u8], tokenizer: fn() -> &'static Tokenizer) -> Result<Bytes, String> {
    let tokenizer = tokenizer();
    let of_text = |text: &str| u64::try_from(tokenizer.count(text)).unwrap_or(u64::MAX);
    let tokens = token_count::tokens(dialect, body, of_text).map_err(|error| error.to_string())?;
    let written = token_count::write_token_count(dialect, tokens);
    written.map(Bytes::from).ok_or_else(|| format!("`{}` has no counts of tokens", dialect.name()))
}

fn refusal(dialect: Dialect, status: u16, message: &str) -> Bytes {
    let code = Some(ErrorCode::Name("not_countable"));
    dialect.write_error(&ErrorReply { status, message, kind: "invalid_request_error", code, param: None, budget: None })
}

/// The older of OpenAI's two vocabularies is that of its models before `gpt-4o`.
fn tokenizer_of(model: &str) -> fn() -> &'static Tokenizer {
    let name = model.rsplit('/').next().unwrap_or(model);
    let older = name == "gpt-4" || ["gpt-4-", "gpt-3.5", "gpt-35", "text-embedding-"].iter().any(|prefix| name.starts_with(prefix));
    if older { bpe_openai::cl100k_base } else { bpe_openai::o200k_base }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_with_the_vocabulary_of_its_model() {
        let body = br#"{"model":"m","messages":[{"role":"user","content":"tiktoken is great!"}]}"#;
        let counted = |model| count(Dialect::AnthropicMessages, body, tokenizer_of(model)).expect("a count");
        // By the documentation of OpenAI's tokenizer these are 6 tokens; with the message's 3, its role and the 3 of the answer, 13.
        assert_eq!(counted("gpt-4o-mini"), r#"{"input_tokens":13}"#);
        assert_eq!(counted("openai/gpt-4"), r#"{"input_tokens":13}"#);
    }
}

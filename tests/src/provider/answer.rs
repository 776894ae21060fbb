//! What the provider answers to one request: status, headers, and the body as steps.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// Closed until the test opens it. A clone is the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Gate {
    /// Lets everybody through from now on.
    pub fn open(&self) {
        self.0.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    pub(super) async fn pass(&self) {
        drop(self.0.acquire().await.expect("a gate is never closed for good"));
    }
}

/// What an answer says was consumed, in OpenAI's words and sums.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// All of the input, cached parts too.
    pub prompt: u64,
    /// Of it read from the cache.
    pub cached: u64,
    /// All of the output, reasoning too.
    pub completion: u64,
    /// Of it reasoning.
    pub reasoning: u64,
}

impl Usage {
    /// In OpenAI's shape.
    pub fn json(self) -> Value {
        json!({
            "prompt_tokens": self.prompt, "completion_tokens": self.completion, "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        })
    }
}

/// One step of writing a body.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Send(Vec<u8>),
    Pause(Duration),
    Hold(Gate),
    /// Closes the connection, whatever was announced.
    Cut,
}

/// How an answer is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length,
    Chunked,
}

/// One answer. The default is a plain completion with a word for each token, as the request asks for it.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) before: Vec<Step>,
    pub(super) body: Option<Vec<Step>>,
    pub(super) framing: Framing,
    pub(super) usage: Option<Usage>,
    pub(super) cut_at: Option<usize>,
    pub(super) after_first: Option<Step>,
    pub(super) bill: i64,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            before: Vec::new(),
            body: None,
            framing: Framing::Length,
            usage: Some(Usage { prompt: 20, cached: 0, completion: 10, reasoning: 0 }),
            cut_at: None,
            after_first: None,
            bill: 0,
        }
    }
}

impl Answer {
    /// A completion that says it consumed this.
    pub fn of(usage: Usage) -> Self {
        Self { usage: Some(usage), ..Self::default() }
    }

    /// A whole completion that says `text` and that it consumed this, whatever was asked.
    pub fn saying(text: &str, usage: Usage) -> Self {
        Self::json(&completion("m", text, Some(usage)))
    }

    /// A completion that does not say what it consumed.
    pub fn without_usage() -> Self {
        Self { usage: None, ..Self::default() }
    }

    /// An error in OpenAI's shape.
    pub fn error(status: u16) -> Self {
        let body = json!({"error": {"message": format!("simulated {status}"), "type": "simulated", "param": null, "code": null}});
        Self { status, ..Self::json(&body) }
    }

    /// This JSON.
    pub fn json(body: &Value) -> Self {
        Self::bytes(body.to_string()).header("Content-Type", "application/json")
    }

    /// These bytes, with their length.
    pub fn bytes(body: impl Into<Vec<u8>>) -> Self {
        Self { body: Some(vec![Step::Send(body.into())]), ..Self::default() }
    }

    /// These pieces of an event stream, each written on its own.
    pub fn stream(pieces: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        Self::stream_of("text/event-stream", pieces)
    }

    /// These pieces of a stream of another kind.
    pub fn stream_of(content_type: &str, pieces: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        let steps = pieces.into_iter().map(|piece| Step::Send(piece.into())).collect();
        Self { body: Some(steps), framing: Framing::Chunked, ..Self::default() }.header("Content-Type", content_type)
    }

    /// With its length announced, in however many pieces it comes.
    #[must_use]
    pub fn sized(self) -> Self {
        Self { framing: Framing::Length, ..self }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this status.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// Adds a wait before the head.
    #[must_use]
    pub fn after(mut self, pause: Duration) -> Self {
        self.before.push(Step::Pause(pause));
        self
    }

    /// Keeps the head back until `gate` opens.
    #[must_use]
    pub fn held_by(mut self, gate: &Gate) -> Self {
        self.before.push(Step::Hold(gate.clone()));
        self
    }

    /// Keeps everything behind the first piece of the body back until `gate` opens.
    #[must_use]
    pub fn held_after_the_first_piece(mut self, gate: &Gate) -> Self {
        self.after_first = Some(Step::Hold(gate.clone()));
        self
    }

    /// Waits behind the first piece of the body.
    #[must_use]
    pub fn pausing_after_the_first_piece(mut self, pause: Duration) -> Self {
        self.after_first = Some(Step::Pause(pause));
        self
    }

    /// Closes the connection after so many bytes of the body.
    #[must_use]
    pub fn cut_at(mut self, bytes: usize) -> Self {
        self.cut_at = Some(bytes);
        self
    }

    /// Closes the connection without a head.
    pub fn hang_up() -> Self {
        Self { before: vec![Step::Cut], ..Self::default() }
    }

    /// Bills so many nano-USD.
    #[must_use]
    pub fn billing(mut self, nano_usd: i64) -> Self {
        self.bill = nano_usd;
        self
    }

    /// The answer to this request, its body made.
    pub(super) fn to(mut self, asked: &Value) -> Self {
        if self.body.is_none() {
            self.make_body(asked);
        }
        if let Some(step) = self.after_first.take() {
            let body = self.body.get_or_insert_default();
            body.insert(1.min(body.len()), step);
        }
        if let Some(bytes) = self.cut_at {
            self.body = self.body.map(|steps| cut(steps, bytes));
        }
        self
    }

    fn make_body(&mut self, asked: &Value) {
        let model = asked["model"].as_str().unwrap_or_default();
        let words: Vec<String> = (0..self.usage.map_or(10, |usage| usage.completion.min(10))).map(|word| format!("word{word} ")).collect();
        if asked["stream"] == true {
            let with_usage = asked["stream_options"]["include_usage"] == true;
            let pieces = stream_pieces(model, &words, self.usage.filter(|_| with_usage));
            self.body = Some(pieces.into_iter().map(Step::Send).collect());
            self.framing = Framing::Chunked;
            self.headers.push(("Content-Type".to_owned(), "text/event-stream".to_owned()));
            return;
        }
        let body = completion(model, &words.concat(), self.usage);
        self.body = Some(vec![Step::Send(body.to_string().into_bytes())]);
        self.headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    }
}

/// A whole completion as OpenAI sends it.
fn completion(model: &str, text: &str, usage: Option<Usage>) -> Value {
    let mut body = json!({
        "id": "chatcmpl-simulated", "object": "chat.completion", "created": 1_790_000_000, "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
    });
    if let Some(usage) = usage {
        body["usage"] = usage.json();
    }
    body
}

/// The pieces of a stream as OpenAI sends them: role, a piece for each word, the finish, the usage if wanted, the end.
pub fn stream_pieces(model: &str, words: &[String], usage: Option<Usage>) -> Vec<Vec<u8>> {
    let piece = |choices: Value, usage: Value| {
        let mut chunk = json!({"id": "chatcmpl-simulated", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": model, "choices": choices});
        if !usage.is_null() {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n").into_bytes()
    };
    let choice = |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
    let mut pieces = vec![piece(choice(json!({"role": "assistant", "content": ""}), Value::Null), Value::Null)];
    pieces.extend(words.iter().map(|word| piece(choice(json!({"content": word}), Value::Null), Value::Null)));
    pieces.push(piece(choice(json!({}), json!("stop")), Value::Null));
    pieces.extend(usage.map(|usage| piece(json!([]), usage.json())));
    pieces.push(b"data: [DONE]\n\n".to_vec());
    pieces
}

fn cut(steps: Vec<Step>, mut bytes: usize) -> Vec<Step> {
    let mut kept = Vec::new();
    for step in steps {
        let Step::Send(mut piece) = step else {
            kept.push(step);
            continue;
        };
        let whole = piece.len() <= bytes;
        piece.truncate(bytes);
        bytes -= piece.len();
        kept.push(Step::Send(piece));
        if !whole {
            break;
        }
    }
    kept.push(Step::Cut);
    kept
}

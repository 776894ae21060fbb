//! What a script said, in the words of the interface that was asked: written by hand from the vendors' references, with nothing of the product.

mod anthropic;
mod google;
mod openai;
mod responses;

use serde_json::{Value, json};

use super::answer::{Answer, Framing, Gate, Step};
use super::script::{Asked, Interface, Said};

/// What every answer says it consumed: tokens in, tokens out.
const CONSUMED: (u64, u64) = (20, 10);
/// Characters in a piece of a streamed text or of streamed arguments.
const PIECE: usize = 7;
/// What every text is embedded as, and the same as little-endian floats in base64.
const VECTOR: [f32; 4] = [0.5, -0.5, 0.25, 1.0];
const VECTOR_BASE64: &str = "AAAAPwAAAL8AAIA+AACAPw==";

/// A whole body, or the events of a stream: all of them, or those before the provider falls silent.
enum Body {
    Whole(Value),
    Events(Vec<String>),
    Unfinished(Vec<String>),
}

/// The answer to a request.
pub(super) fn answer(asked: &Asked, said: &Said) -> Answer {
    if let Said::Error(status, message) = said {
        return Answer { status: *status, ..Answer::json(&error(asked.interface, *status, message)) };
    }
    let body = match asked.interface {
        Interface::Chat => openai::chat(asked, said),
        Interface::Responses => responses::respond(asked, said),
        Interface::Messages => anthropic::messages(asked, said),
        Interface::Generate => google::generate(asked, said),
        Interface::Embeddings => Body::Whole(openai::embeddings(asked)),
        Interface::EmbedContent => Body::Whole(json!({"embedding": {"values": VECTOR}})),
        Interface::BatchEmbedContents => {
            let count = asked.body["requests"].as_array().map_or(0, Vec::len);
            Body::Whole(json!({"embeddings": vec![json!({"values": VECTOR}); count]}))
        }
    };
    match body {
        Body::Whole(body) => Answer::json(&body),
        Body::Events(events) => Answer::stream(events),
        Body::Unfinished(events) => {
            let steps = events.into_iter().map(|event| Step::Send(event.into_bytes())).chain([Step::Hold(Gate::default())]).collect();
            let answer = Answer { body: Some(steps), framing: Framing::Chunked, ..Answer::default() };
            answer.header("Content-Type", "text/event-stream")
        }
    }
}

fn error(interface: Interface, status: u16, message: &str) -> Value {
    match interface {
        Interface::Chat | Interface::Responses | Interface::Embeddings => {
            let kind = if status == 429 { "rate_limit_exceeded" } else { "invalid_request_error" };
            json!({"error": {"message": message, "type": kind, "param": null, "code": null}})
        }
        Interface::Messages => {
            let kind = match status {
                404 => "not_found_error",
                429 => "rate_limit_error",
                _ => "invalid_request_error",
            };
            json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_simulated"})
        }
        Interface::Generate | Interface::EmbedContent | Interface::BatchEmbedContents => {
            let name = match status {
                404 => "NOT_FOUND",
                429 => "RESOURCE_EXHAUSTED",
                _ => "INVALID_ARGUMENT",
            };
            json!({"error": {"code": status, "message": message, "status": name}})
        }
    }
}

/// A text in pieces of a few characters.
fn pieces(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(PIECE).map(|piece| piece.iter().collect()).collect()
}

/// An event without a name.
fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// An event that is named by its `type`.
fn typed(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().expect("a type"))
}

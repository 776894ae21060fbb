//! A provider that answers what is asked instead of what was laid out before: a script reads the request, whichever vendor's interface it came
//! to, and what it says is said in that vendor's words.
//!
//! Requests are read here with nothing of the product, so that what the product wrote is judged by somebody else.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::Recorded;

/// What is said to a request.
#[derive(Clone)]
pub(super) struct Script(Arc<dyn Fn(&Asked) -> Said + Send + Sync>);

impl Script {
    pub(super) fn new(script: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        Self(Arc::new(script))
    }

    pub(super) fn say(&self, asked: &Asked) -> Said {
        (self.0)(asked)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Script")
    }
}

/// An answer before it is put in anybody's words.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// This text, in pieces where it is streamed.
    Text(String),
    /// Calls of these tools with these arguments, all at once; streamed, their arguments come in pieces.
    Calls(Vec<(String, Value)>),
    /// The beginning of a text, and then nothing until the caller has gone.
    Unfinished(String),
    /// An error of this status.
    Error(u16, String),
}

/// Whose interface a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// `/chat/completions`
    Chat,
    /// `/responses`
    Responses,
    /// `/embeddings`
    Embeddings,
    /// `/v1/messages`
    Messages,
    /// `:generateContent`, `:streamGenerateContent`
    Generate,
    /// `:embedContent`
    EmbedContent,
    /// `:batchEmbedContents`
    BatchEmbedContents,
}

/// A request, as far as scripts want to know it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Where it came to.
    pub interface: Interface,
    /// The model, out of the body or the path.
    pub model: String,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether a schema for the answer came along.
    pub schema: bool,
    /// Names of the functions that may be called.
    pub tools: Vec<String>,
    /// What tools have said so far, as text, in order.
    pub results: Vec<String>,
    /// The whole body.
    pub body: Value,
}

impl Asked {
    /// Reads a request; `None` where it came to no interface of a vendor.
    pub(super) fn read(request: &Recorded) -> Option<Self> {
        let body: Value = serde_json::from_slice(&request.body).ok()?;
        let path = request.target.split(' ').nth(1)?.split('?').next()?;
        let (interface, model) = interface(path, &body)?;
        let stream = body["stream"] == true || path.ends_with(":streamGenerateContent");
        let schema = [
            "/response_format/json_schema/schema",
            "/text/format/schema",
            "/output_format/schema",
            "/output_config/format/schema",
            "/generationConfig/responseJsonSchema",
            "/generationConfig/responseSchema",
        ];
        let schema = schema.iter().any(|place| body.pointer(place).is_some_and(Value::is_object));
        Some(Self { interface, model, stream, schema, tools: tools(&body), results: results(interface, &body), body })
    }
}

fn interface(path: &str, body: &Value) -> Option<(Interface, String)> {
    if let Some((model, method)) = path.rsplit_once("/models/").and_then(|(_, rest)| rest.rsplit_once(':')) {
        let interface = match method {
            "generateContent" | "streamGenerateContent" => Interface::Generate,
            "embedContent" => Interface::EmbedContent,
            "batchEmbedContents" => Interface::BatchEmbedContents,
            _ => return None,
        };
        return Some((interface, model.to_owned()));
    }
    let interface = match path.rsplit('/').next()? {
        "completions" => Interface::Chat,
        "responses" => Interface::Responses,
        "embeddings" => Interface::Embeddings,
        "messages" => Interface::Messages,
        _ => return None,
    };
    Some((interface, body["model"].as_str()?.to_owned()))
}

/// Functions stand in a list, as members of one, or below a group.
fn tools(body: &Value) -> Vec<String> {
    let listed = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let name = |tool: &Value| tool["function"]["name"].as_str().or_else(|| tool["name"].as_str()).map(str::to_owned);
    let inner = |tool: &Value| ["functionDeclarations", "tools"].iter().flat_map(|member| listed(&tool[*member])).collect::<Vec<_>>();
    listed(&body["tools"])
        .iter()
        .flat_map(|tool| name(tool).into_iter().chain(inner(tool).iter().filter_map(name)).collect::<Vec<_>>())
        .collect()
}

fn results(interface: Interface, body: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let of_turns = |turns: &str, parts: &str| list(&body[turns]).iter().flat_map(|turn| list(&turn[parts])).collect::<Vec<_>>();
    match interface {
        Interface::Chat => {
            let turns = list(&body["messages"]);
            turns.iter().filter(|turn| turn["role"] == "tool").map(|turn| plain(&turn["content"])).collect()
        }
        Interface::Responses => {
            let is_result = |item: &&Value| item["type"].as_str().is_some_and(|kind| kind.ends_with("call_output"));
            list(&body["input"]).iter().filter(is_result).map(|item| plain(&item["output"])).collect()
        }
        Interface::Messages => {
            let parts = of_turns("messages", "content");
            parts.iter().filter(|part| part["type"] == "tool_result").map(|part| plain(&part["content"])).collect()
        }
        Interface::Generate => {
            let parts = of_turns("contents", "parts");
            parts.iter().map(|part| &part["functionResponse"]["response"]).filter(|said| said.is_object()).map(plain).collect()
        }
        Interface::Embeddings | Interface::EmbedContent | Interface::BatchEmbedContents => Vec::new(),
    }
}

/// A text, the texts of parts, or else the JSON.
fn plain(content: &Value) -> String {
    let parts = || content.as_array().map(|parts| parts.iter().filter_map(|part| part["text"].as_str()).collect::<String>());
    content.as_str().map(str::to_owned).or_else(parts).unwrap_or_else(|| content.to_string())
}

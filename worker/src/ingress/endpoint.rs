//! Which endpoint a method and a path name. A table: a new surface is a line here and an arm in `exchange`.

use http::Method;
use llm::dialect::Dialect;
use llm::request::Addressed;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint<'a> {
    /// A model is asked, in this dialect; model and method stand in the path where the dialect says them there.
    Call(Dialect, Option<Addressed<'a>>),
    /// The tokens of such a request are counted.
    Count(Dialect, Option<Addressed<'a>>),
    /// `GET /v1/models`
    Models,
    /// `GET /v1/models/{id}`
    Model(&'a str),
    /// `GET /healthz`
    Healthz,
    /// `GET /readyz`
    Readyz,
    /// `GET /metrics`
    Metrics,
    /// `HEAD /` or `GET /`: somebody asks whether anything is here.
    Root,
    /// A known path with a method it does not take; the method it does take.
    WrongMethod(&'static str),
    /// Nothing we know.
    Unknown,
}

impl<'a> Endpoint<'a> {
    /// Finds the endpoint.
    pub(crate) fn find(method: &Method, path: &'a str) -> Self {
        let (takes, endpoint) = match below(path, "/openai", "/v1/") {
            "/v1/chat/completions" => (Method::POST, Self::Call(Dialect::OpenAiChat, None)),
            "/v1/responses" => (Method::POST, Self::Call(Dialect::OpenAiResponses, None)),
            "/v1/embeddings" => (Method::POST, Self::Call(Dialect::OpenAiEmbeddings, None)),
            "/v1/models" => (Method::GET, Self::Models),
            "/healthz" if path == "/healthz" => (Method::GET, Self::Healthz),
            "/readyz" => (Method::GET, Self::Readyz),
            "/metrics" => (Method::GET, Self::Metrics),
            "/" | "" => (Method::GET, Self::Root),
            openai => match openai.strip_prefix("/v1/models/") {
                Some(id) if !id.is_empty() => (Method::GET, Self::Model(id)),
                _ => match Self::of_others(path) {
                    Some(call) => (Method::POST, call),
                    None => return Self::Unknown,
                },
            },
        };
        if *method == takes || (*method == Method::HEAD && takes == Method::GET) {
            return endpoint;
        }
        Self::WrongMethod(if takes == Method::POST { "POST" } else { "GET" })
    }

    /// Anthropic's and Gemini's.
    fn of_others(path: &'a str) -> Option<Self> {
        match below(path, "/anthropic", "/v1/") {
            "/v1/messages" => return Some(Self::Call(Dialect::AnthropicMessages, None)),
            "/v1/messages/count_tokens" => return Some(Self::Count(Dialect::AnthropicMessages, None)),
            _ => {}
        }
        let (model, method) = below(path, "/gemini", "/v1beta/").strip_prefix("/v1beta/models/")?.rsplit_once(':')?;
        let addressed = |stream| (!model.is_empty()).then_some(Addressed { model, stream });
        match method {
            "generateContent" | "embedContent" | "batchEmbedContents" => Some(Self::Call(Dialect::Gemini, Some(addressed(false)?))),
            "streamGenerateContent" => Some(Self::Call(Dialect::Gemini, Some(addressed(true)?))),
            "countTokens" => Some(Self::Count(Dialect::Gemini, Some(addressed(false)?))),
            _ => None,
        }
    }

    /// The surface's name for metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Call(dialect, _) => dialect.name(),
            Self::Count(..) => "count_tokens",
            Self::Models | Self::Model(_) => "models",
            Self::Healthz | Self::Readyz | Self::Metrics | Self::Root => "operations",
            Self::WrongMethod(_) | Self::Unknown => "none",
        }
    }
}

/// The dialect in which a caller who came to this path expects to be refused.
pub(crate) fn dialect_of(path: &str) -> Dialect {
    let starts = |prefix: &str| path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
    if starts("/v1/messages") || starts("/anthropic") {
        Dialect::AnthropicMessages
    } else if starts("/v1beta") || starts("/gemini") {
        Dialect::Gemini
    } else {
        Dialect::OpenAiChat
    }
}

/// The path without the name of its surface, where that stands before what is the surface's own.
fn below<'p>(path: &'p str, surface: &str, own: &str) -> &'p str {
    path.strip_prefix(surface).filter(|rest| rest.starts_with(own)).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_name_endpoints() {
        let gemini = |model, stream| Endpoint::Call(Dialect::Gemini, Some(Addressed { model, stream }));
        let cases = [
            (Method::POST, "/v1/chat/completions", Endpoint::Call(Dialect::OpenAiChat, None)),
            (Method::POST, "/openai/v1/chat/completions", Endpoint::Call(Dialect::OpenAiChat, None)),
            (Method::POST, "/v1/responses", Endpoint::Call(Dialect::OpenAiResponses, None)),
            (Method::POST, "/openai/v1/embeddings", Endpoint::Call(Dialect::OpenAiEmbeddings, None)),
            (Method::POST, "/v1/messages", Endpoint::Call(Dialect::AnthropicMessages, None)),
            (Method::POST, "/anthropic/v1/messages", Endpoint::Call(Dialect::AnthropicMessages, None)),
            (Method::POST, "/v1beta/models/gemini-2:generateContent", gemini("gemini-2", false)),
            (Method::POST, "/gemini/v1beta/models/google/gemini-2:streamGenerateContent", gemini("google/gemini-2", true)),
            (Method::POST, "/v1beta/models/text-1:embedContent", gemini("text-1", false)),
            (Method::GET, "/v1/messages", Endpoint::WrongMethod("POST")),
            (Method::POST, "/openai/v1/messages", Endpoint::Unknown),
            (Method::GET, "/v1/chat/completions", Endpoint::WrongMethod("POST")),
            (Method::GET, "/v1/models", Endpoint::Models),
            (Method::GET, "/openai/v1/models/openai/gpt-4o", Endpoint::Model("openai/gpt-4o")),
            (Method::GET, "/v1/models/", Endpoint::Unknown),
            (Method::POST, "/v1/messages/count_tokens", Endpoint::Count(Dialect::AnthropicMessages, None)),
            (
                Method::POST,
                "/v1beta/models/gemini-2:countTokens",
                Endpoint::Count(Dialect::Gemini, Some(Addressed { model: "gemini-2", stream: false })),
            ),
            (Method::GET, "/healthz", Endpoint::Healthz),
            (Method::HEAD, "/readyz", Endpoint::Readyz),
            (Method::HEAD, "/", Endpoint::Root),
            (Method::GET, "/openai/healthz", Endpoint::Unknown),
            (Method::GET, "/v1/unknown", Endpoint::Unknown),
        ];
        for (method, path, endpoint) in cases {
            assert_eq!(Endpoint::find(&method, path), endpoint, "{method} {path}");
        }
    }
}

//! Which endpoint a method and a path name. A table: a new surface is a line here and an arm in `exchange`. What is passed through has a table
//! of its own, in `llm::operation`; what is in neither is not there.

use http::{HeaderMap, Method};
use llm::dialect::Dialect;
use llm::operation::{self, Family, Found, Lookup, Verb, Verbs};
use llm::request::Addressed;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint<'a> {
    /// A model is asked, in this dialect; model and method stand in the path where the dialect says them there.
    Call(Dialect, Option<Addressed<'a>>),
    /// The tokens of such a request are counted.
    Count(Dialect, Option<Addressed<'a>>),
    /// What a vendor has besides is asked for, and passed through.
    Passthrough(Found<'a>),
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
    /// A known path with a method it does not take; the methods it does take.
    WrongMethod(Verbs),
    /// Nothing we know.
    Unknown,
}

impl<'a> Endpoint<'a> {
    /// Finds the endpoint.
    pub(crate) fn find(method: &Method, path: &'a str, headers: &HeaderMap) -> Self {
        let known = Self::known(method, path);
        // Whoever asks a model does not wait for a look into the longer table.
        if !matches!(known, Self::Unknown | Self::WrongMethod(_)) {
            return known;
        }
        match (known, operation::find(method.as_str(), path, headers.contains_key("anthropic-version"))) {
            (_, Lookup::Operation(found)) => Self::Passthrough(found),
            (Self::Unknown, Lookup::Other(verbs)) => Self::WrongMethod(verbs),
            (known, _) => known,
        }
    }

    /// Of the surfaces that we speak and of our own.
    fn known(method: &Method, path: &'a str) -> Self {
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
        Self::WrongMethod(Verbs::from(if takes == Method::POST { Verb::Post } else { Verb::Get }))
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
            Self::Passthrough(_) => "passthrough",
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
    } else if ["/v1beta", "/gemini", "/upload", "/download"].into_iter().any(starts) {
        Dialect::Gemini
    } else {
        Dialect::OpenAiChat
    }
}

/// The dialect in which callers of a family's operations expect to be refused.
pub(crate) fn dialect_of_family(family: Family) -> Dialect {
    match family {
        Family::OpenAi => Dialect::OpenAiChat,
        Family::Anthropic => Dialect::AnthropicMessages,
        Family::Gemini => Dialect::Gemini,
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
        let (get, post) = (Endpoint::WrongMethod(Verb::Get.into()), Endpoint::WrongMethod(Verb::Post.into()));
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
            (Method::GET, "/v1/messages", post),
            (Method::POST, "/openai/v1/messages", Endpoint::Unknown),
            (Method::GET, "/v1/chat/completions", post),
            (Method::DELETE, "/v1/models", get),
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
            assert_eq!(Endpoint::find(&method, path, &HeaderMap::new()), endpoint, "{method} {path}");
        }
    }

    #[test]
    fn operations_are_found_beside_the_surfaces_and_never_in_their_place() {
        let none = HeaderMap::new();
        for (method, path, name) in [
            (Method::GET, "/v1/files", "GET /openai/v1/files"),
            (Method::GET, "/v1/responses/resp_1", "GET /openai/v1/responses/{id}"),
            (Method::POST, "/gemini/v1beta/models/google/imagen:predict", "POST /gemini/v1beta/models/{model}:predict"),
            (Method::POST, "/upload/v1beta/files", "POST /gemini/upload/v1beta/files"),
        ] {
            let Endpoint::Passthrough(found) = Endpoint::find(&method, path, &none) else { panic!("{method} {path}") };
            assert_eq!(found.operation.name(), name);
        }
        for operation in operation::all() {
            let path = operation.path.replace("{id}", "id").replace("{model}", "m");
            let method = Method::from_bytes(operation.verb.as_str().as_bytes()).expect("a method");
            let known = Endpoint::known(&method, &path);
            assert!(matches!(known, Endpoint::Unknown | Endpoint::WrongMethod(_)), "{method} {path} is {known:?}");
        }
        assert_eq!(Endpoint::find(&Method::PUT, "/v1/files", &none).name(), "none");
        assert_eq!(Endpoint::find(&Method::GET, "/v1/realtime", &none), Endpoint::Unknown);
    }
}

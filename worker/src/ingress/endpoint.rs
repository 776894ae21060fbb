//! Which endpoint a method and a path name. A table: a new surface is a line here and an arm in `exchange`.

use http::Method;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint<'a> {
    /// `POST /v1/chat/completions`
    ChatCompletions,
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
    /// A surface that this version does not serve.
    NotServed(&'static str),
    /// A known path with a method it does not take; the method it does take.
    WrongMethod(&'static str),
    /// Nothing we know.
    Unknown,
}

impl<'a> Endpoint<'a> {
    /// Finds the endpoint.
    pub(crate) fn find(method: &Method, path: &'a str) -> Self {
        let openai = path.strip_prefix("/openai").filter(|rest| rest.starts_with("/v1/")).unwrap_or(path);
        let (takes, endpoint) = match openai {
            "/v1/chat/completions" => (Method::POST, Self::ChatCompletions),
            "/v1/models" => (Method::GET, Self::Models),
            "/healthz" if openai.len() == path.len() => (Method::GET, Self::Healthz),
            "/readyz" => (Method::GET, Self::Readyz),
            "/metrics" => (Method::GET, Self::Metrics),
            "/" | "" => (Method::GET, Self::Root),
            _ => match openai.strip_prefix("/v1/models/") {
                Some(id) if !id.is_empty() => (Method::GET, Self::Model(id)),
                _ => return later(path).map_or(Self::Unknown, Self::NotServed),
            },
        };
        if *method == takes || (*method == Method::HEAD && takes == Method::GET) {
            return endpoint;
        }
        Self::WrongMethod(if takes == Method::POST { "POST" } else { "GET" })
    }

    /// The surface's name for metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ChatCompletions => "openai_chat",
            Self::Models | Self::Model(_) => "models",
            Self::Healthz | Self::Readyz | Self::Metrics | Self::Root => "operations",
            Self::NotServed(_) | Self::WrongMethod(_) | Self::Unknown => "none",
        }
    }
}

/// The surfaces of the contract that are not served yet, so that the answer can say so.
fn later(path: &str) -> Option<&'static str> {
    let below = |prefix: &'static str| path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
    if below("/v1/responses") || below("/openai/v1/responses") {
        return Some("OpenAI responses");
    }
    if below("/v1/embeddings") || below("/openai/v1/embeddings") {
        return Some("OpenAI embeddings");
    }
    if below("/v1/messages") || below("/anthropic") {
        return Some("Anthropic messages");
    }
    if below("/v1beta") || below("/gemini") {
        return Some("Gemini");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_name_endpoints() {
        let cases = [
            (Method::POST, "/v1/chat/completions", Endpoint::ChatCompletions),
            (Method::POST, "/openai/v1/chat/completions", Endpoint::ChatCompletions),
            (Method::GET, "/v1/chat/completions", Endpoint::WrongMethod("POST")),
            (Method::GET, "/v1/models", Endpoint::Models),
            (Method::GET, "/openai/v1/models/openai/gpt-4o", Endpoint::Model("openai/gpt-4o")),
            (Method::GET, "/v1/models/", Endpoint::Unknown),
            (Method::POST, "/v1/responses", Endpoint::NotServed("OpenAI responses")),
            (Method::POST, "/anthropic/v1/messages", Endpoint::NotServed("Anthropic messages")),
            (Method::POST, "/v1beta/models/gemini-2:generateContent", Endpoint::NotServed("Gemini")),
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

//! The headers that mean something to us, read in one pass, and the few that go on to the provider.
//!
//! Everything not named here stays here: cookies, forwarding headers, keys and our own headers never reach a provider.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use llm::dialect::Dialect;
use llm::stream::Framing;
use secrecy::SecretString;

use super::{ReadFailure, percent_decoded};
use crate::telemetry::trace_context::TraceContext;

/// More tags than this are a mistake.
pub(crate) const TAG_LIMIT: usize = 64;
/// Bytes of a tag's name or value, an end user or an id at most.
pub(crate) const TEXT_LIMIT: usize = 256;

/// The name in a query under which an upload that has begun is known again.
pub(crate) const TICKET: &str = "mlx_ticket";

/// Header lines that go on to the provider, each with its line end. Those of one vendor's interface go to who speaks its dialect only.
#[derive(Default)]
pub(crate) struct Forwarded {
    any: Vec<u8>,
    openai: Vec<u8>,
    anthropic: Vec<u8>,
    google: Vec<u8>,
}

impl Forwarded {
    /// The lines for a provider who is spoken to in `dialect`.
    pub(crate) fn lines_for(&self, dialect: Dialect) -> Cow<'_, [u8]> {
        let own = match dialect {
            Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::OpenAiEmbeddings => &self.openai,
            Dialect::AnthropicMessages => &self.anthropic,
            Dialect::Gemini => &self.google,
            Dialect::BedrockConverse => return Cow::Borrowed(&self.any),
        };
        if own.is_empty() { Cow::Borrowed(&self.any) } else { Cow::Owned([&self.any[..], own].concat()) }
    }

    /// All lines that may change an answer, whoever gives it.
    pub(crate) fn that_matter(&self) -> [&[u8]; 2] {
        [&self.openai, &self.anthropic]
    }

    /// The words of the caller's `anthropic-beta`.
    pub(crate) fn betas(&self) -> impl Iterator<Item = &str> {
        let lines = self.anthropic.split(|byte| *byte == b'\n');
        let words = lines.filter_map(|line| std::str::from_utf8(line.strip_prefix(b"anthropic-beta: ")?).ok());
        words.flat_map(|words| words.split(',')).map(str::trim).filter(|word| !word.is_empty())
    }
}

/// What a caller wants of the response cache, in the order of how much it forbids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CacheWish {
    /// Nothing in particular.
    #[default]
    Usual,
    /// `no-cache`: an answer of now, which may be kept.
    Fresh,
    /// `no-store`: an answer of now, which is not kept.
    Unkept,
}

impl CacheWish {
    /// Other words are about caches on the way, and mean nothing here.
    fn read(value: &HeaderValue) -> Self {
        let word = |word: &[u8]| match word.trim_ascii() {
            word if word.eq_ignore_ascii_case(b"no-store") => Self::Unkept,
            word if word.eq_ignore_ascii_case(b"no-cache") => Self::Fresh,
            _ => Self::Usual,
        };
        value.as_bytes().split(|byte| *byte == b',').map(word).max().unwrap_or_default()
    }
}

/// What the headers of one request say (contract 2.2).
#[derive(Default)]
pub(crate) struct CallerHeaders {
    /// `X-Modelux-User-Id`
    pub end_user: Option<Arc<str>>,
    /// `X-Modelux-User-Tags`, in the caller's order.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// `X-Modelux-Trace-Id`
    pub trace_id: Option<Arc<str>>,
    /// `X-Modelux-Conversation-Id`
    pub conversation_id: Option<Arc<str>>,
    /// `X-Modelux-Dry-Run: true`
    pub dry_run: bool,
    /// `Cache-Control`
    pub cache: CacheWish,
    /// `X-Modelux-Provider`
    pub provider: Option<Arc<str>>,
    /// `X-Modelux-Provider-Key`
    pub provider_key: Option<SecretString>,
    /// Product of the `User-Agent`.
    pub client: Option<Arc<str>>,
    /// `traceparent`
    pub trace: Option<TraceContext>,
    /// What goes on to the provider.
    pub forwarded: Forwarded,
}

impl CallerHeaders {
    /// Reads them.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, ReadFailure> {
        let mut read = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "user-agent" => {
                    read.client = product(value);
                    forward(&mut read.forwarded.any, "User-Agent", value);
                }
                "openai-beta" => forward(&mut read.forwarded.openai, "OpenAI-Beta", value),
                "anthropic-version" => forward(&mut read.forwarded.anthropic, "anthropic-version", value),
                "anthropic-beta" => forward(&mut read.forwarded.anthropic, "anthropic-beta", value),
                // How files are uploaded to Gemini.
                upload if upload.starts_with("x-goog-upload-") => forward(&mut read.forwarded.google, upload, value),
                "idempotency-key" => forward(&mut read.forwarded.any, "Idempotency-Key", value),
                "x-client-request-id" => forward(&mut read.forwarded.any, "X-Client-Request-Id", value),
                "tracestate" => forward(&mut read.forwarded.any, "tracestate", value),
                "traceparent" => read.trace = TraceContext::read(value.as_bytes()),
                "cache-control" => read.cache = read.cache.max(CacheWish::read(value)),
                "x-modelux-user-id" => read.end_user = Some(text("X-Modelux-User-Id", value)?),
                "x-modelux-trace-id" => read.trace_id = Some(text("X-Modelux-Trace-Id", value)?),
                "x-modelux-conversation-id" => read.conversation_id = Some(text("X-Modelux-Conversation-Id", value)?),
                "x-modelux-user-tags" => read_tags(value, &mut read.tags)?,
                "x-modelux-dry-run" => read.dry_run = flag("X-Modelux-Dry-Run", value)?,
                "x-modelux-provider" => read.provider = Some(text("X-Modelux-Provider", value)?),
                "x-modelux-provider-key" => read.provider_key = Some(provider_key(value)?),
                _ => {}
            }
        }
        Ok(read)
    }
}

fn forward(lines: &mut Vec<u8>, name: &str, value: &HeaderValue) {
    lines.extend_from_slice(name.as_bytes());
    lines.extend_from_slice(b": ");
    lines.extend_from_slice(value.as_bytes());
    lines.extend_from_slice(b"\r\n");
}

/// The key a caller presents in the path of Gemini's surface, as its oldest clients do: `?key=`.
pub(crate) fn key_in_query(query: &str) -> Option<&[u8]> {
    query.split('&').find_map(|pair| pair.strip_prefix("key=")).filter(|key| !key.is_empty()).map(str::as_bytes)
}

/// How Gemini's streams are framed: as events where `alt=sse` (or `$alt=sse`) asks for them, else as one array.
pub(crate) fn framing_in_query(query: Option<&str>) -> Framing {
    let events = query.unwrap_or_default().split('&').any(|pair| matches!(pair, "alt=sse" | "$alt=sse" | "%24alt=sse"));
    if events { Framing::Events } else { Framing::Array }
}

/// The key a caller presents: `Authorization: Bearer`, `x-api-key` or `x-goog-api-key`, in this order.
pub(crate) fn presented_key(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(http::header::AUTHORIZATION).and_then(|value| {
        let (scheme, rest) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
    });
    let plain = |name: &str| headers.get(name).map(|value| value.as_bytes().trim_ascii());
    bearer.or_else(|| plain("x-api-key")).or_else(|| plain("x-goog-api-key")).filter(|key| !key.is_empty())
}

/// What of a query goes on to a provider: all but keys, and words by which a query could say what only a head may (Google's `$httpMethod`).
/// `None` where it is no query that could be passed on.
pub(crate) fn passed_query(query: &str) -> Option<String> {
    if !query.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let passes = |pair: &&str| {
        let Some(decoded) = percent_decoded(pair) else { return false };
        let name = decoded.split('=').next().unwrap_or_default().to_ascii_lowercase();
        let secret = matches!(name.as_str(), "key" | "api_key" | "api-key" | "access_token" | "oauth_token" | TICKET);
        !secret && (!name.starts_with('$') || name == "$alt") && !decoded.contains("mlx_")
    };
    Some(query.split('&').filter(|pair| !pair.is_empty()).filter(passes).collect::<Vec<_>>().join("&"))
}

/// The ticket in a query, if there is one.
pub(crate) fn ticket_in_query(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix(TICKET)?.strip_prefix('='))
}

fn product(agent: &HeaderValue) -> Option<Arc<str>> {
    let agent = agent.to_str().ok()?;
    let end = agent.find(['/', ' ', '(']).unwrap_or(agent.len()).min(64);
    agent.get(..end).filter(|product| !product.is_empty()).map(Arc::from)
}

fn utf8<'v>(name: &'static str, value: &'v HeaderValue) -> Result<&'v str, ReadFailure> {
    std::str::from_utf8(value.as_bytes()).map_err(|_| ReadFailure::Header { name, problem: "is not valid UTF-8" })
}

fn text(name: &'static str, value: &HeaderValue) -> Result<Arc<str>, ReadFailure> {
    let value = utf8(name, value)?.trim();
    match value.len() {
        0 => Err(ReadFailure::Header { name, problem: "is empty" }),
        1..=TEXT_LIMIT => Ok(Arc::from(value)),
        _ => Err(ReadFailure::Header { name, problem: "is longer than 256 bytes" }),
    }
}

fn flag(name: &'static str, value: &HeaderValue) -> Result<bool, ReadFailure> {
    match value.as_bytes().trim_ascii() {
        b"true" | b"1" => Ok(true),
        b"false" | b"0" | b"" => Ok(false),
        _ => Err(ReadFailure::Header { name, problem: "must be `true` or `false`" }),
    }
}

fn provider_key(value: &HeaderValue) -> Result<SecretString, ReadFailure> {
    let name = "X-Modelux-Provider-Key";
    match value.to_str() {
        Ok(key) if !key.trim().is_empty() => Ok(SecretString::from(key.trim())),
        _ => Err(ReadFailure::Header { name, problem: "must be a key in plain ASCII" }),
    }
}

/// Reads the tags of one header and adds them to those there are.
pub(crate) fn read_tags(value: &HeaderValue, tags: &mut Vec<(Arc<str>, Arc<str>)>) -> Result<(), ReadFailure> {
    let name = "X-Modelux-User-Tags";
    let refuse = |problem| Err(ReadFailure::Header { name, problem });
    for pair in utf8(name, value)?.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else { return refuse("must be `name=value` pairs, separated by commas") };
        let (Some(key), Some(value)) = (percent_decoded(key.trim()), percent_decoded(value.trim())) else {
            return refuse("has a percent escape that is no UTF-8 text");
        };
        if key.is_empty() || key.len() > TEXT_LIMIT || value.len() > TEXT_LIMIT {
            return refuse("has a tag with an empty name or more than 256 bytes");
        }
        if tags.len() >= TAG_LIMIT {
            return refuse("has more than 64 tags");
        }
        tags.push((Arc::from(key), Arc::from(value)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn tags_of(value: &'static str) -> Result<Vec<(String, String)>, ReadFailure> {
        let read = CallerHeaders::read(&headers(&[("x-modelux-user-tags", value)]))?;
        Ok(read.tags.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    #[test]
    fn tags_are_split_at_commas_then_at_the_first_equals_sign_and_decoded() {
        let tags = tags_of("team=support, note=a%2Cb=c,%74=%C3%A4").expect("tags");
        let pairs = [("team", "support"), ("note", "a,b=c"), ("t", "ä")];
        assert_eq!(tags, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn tags_that_can_not_be_read_are_refused() {
        for value in ["team", "=x", "a=%zz", "a=%ff", "a=%4"] {
            assert!(tags_of(value).is_err(), "{value}");
        }
    }

    #[test]
    fn only_listed_headers_go_on_to_the_provider() {
        let sent = [
            ("user-agent", "OpenAI/Python 3.5"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "1.2.3.4"),
            ("openai-beta", "x=v2"),
            ("anthropic-beta", "y"),
        ];
        let read = CallerHeaders::read(&headers(&sent)).expect("headers");
        let lines = |dialect| String::from_utf8(read.forwarded.lines_for(dialect).to_vec()).expect("text");
        assert_eq!(lines(Dialect::OpenAiChat), "User-Agent: OpenAI/Python 3.5\r\nOpenAI-Beta: x=v2\r\n");
        assert_eq!(lines(Dialect::AnthropicMessages), "User-Agent: OpenAI/Python 3.5\r\nanthropic-beta: y\r\n");
        assert_eq!(lines(Dialect::Gemini), "User-Agent: OpenAI/Python 3.5\r\n");
        assert_eq!(read.client.as_deref(), Some("OpenAI"));
    }

    #[test]
    fn the_cache_is_passed_by_as_far_as_the_strictest_word_says() {
        for (lines, wish) in [
            (&["max-age=0"][..], CacheWish::Usual),
            (&["no-cache"], CacheWish::Fresh),
            (&["max-age=0, No-Cache"], CacheWish::Fresh),
            (&["no-cache", "no-store"], CacheWish::Unkept),
            (&["no-store,no-cache"], CacheWish::Unkept),
            (&["no-storage"], CacheWish::Usual),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| ("cache-control", *line)).collect();
            let mut map = HeaderMap::new();
            for (name, value) in lines {
                map.append(name, HeaderValue::from_static(value));
            }
            assert_eq!(CallerHeaders::read(&map).expect("headers").cache, wish, "{map:?}");
        }
    }

    #[test]
    fn a_query_goes_on_without_keys_however_they_are_written() {
        let passed = |query| passed_query(query).expect("a query");
        assert_eq!(passed("limit=2&key=abc&after=file_1"), "limit=2&after=file_1");
        assert_eq!(passed("%6bEy=abc&access%5Ftoken=x&mlx_ticket=t&alt=media&$alt=sse"), "alt=media&$alt=sse");
        assert_eq!(passed("order=mlx_sk_abc&x=%6dlx_sk_abc&$httpMethod=DELETE&%24httpHeaders=a&a"), "a");
        assert_eq!(passed("a=%zz&&b"), "b");
        assert_eq!(passed_query("a=b\u{7f}"), None);
    }

    #[test]
    fn the_key_is_taken_from_any_of_its_three_headers() {
        assert_eq!(presented_key(&headers(&[("authorization", "bearer  mlx_sk_a ")])), Some(&b"mlx_sk_a"[..]));
        assert_eq!(presented_key(&headers(&[("x-api-key", "mlx_sk_b")])), Some(&b"mlx_sk_b"[..]));
        assert_eq!(presented_key(&headers(&[("x-goog-api-key", "mlx_sk_c")])), Some(&b"mlx_sk_c"[..]));
        assert_eq!(presented_key(&headers(&[("authorization", "Basic abc")])), None);
    }
}

//! How each vendor is spoken to: in which dialect, under which path, with which header for the key.
//!
//! A caller's own dialect is kept wherever the vendor speaks it, because then the body passes through as it is. Leaves out:
//! what is shown or signed with a credential (`access`), and addresses (`site`).

use bytes::{BufMut as _, BytesMut};
use llm::dialect::Dialect;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use policy::catalogue::{AzureAddress, Quirks, find_vendor};
use secrecy::{ExposeSecret as _, SecretString};

use super::azure::Azure;
use super::bedrock;
use super::vertex;

/// Sent where an Anthropic provider is asked by somebody who does not say which version of its interface is meant.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// How one vendor takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Vendor {
    /// OpenAI: chat, responses, embeddings.
    OpenAi(Quirks),
    /// Servers that speak OpenAI's chat and embeddings, more or less.
    Compatible(Quirks),
    /// Azure OpenAI: what OpenAI has, under paths of its own.
    Azure(Azure),
    /// Anthropic: messages.
    Anthropic,
    /// Google's Gemini API.
    Google,
    /// Amazon Bedrock.
    Bedrock,
    /// Google's Vertex AI.
    Vertex,
}

impl Vendor {
    /// The vendor of this name in a bundle, as `base_url` says that it is spoken to.
    ///
    /// # Errors
    /// Why it can't be reached over the network.
    pub(crate) fn at(name: &str, base_url: &str) -> Result<Self, &'static str> {
        let unknown = "this version does not speak to its vendor";
        Ok(match (name, find_vendor(name).ok_or(unknown)?.quirks) {
            ("openai", Some(quirks)) => Self::OpenAi(quirks),
            ("azure", Some(quirks)) => Self::Azure(Azure::at(&AzureAddress::read(base_url)?, quirks)),
            (_, Some(quirks)) => Self::Compatible(quirks),
            ("anthropic", None) => Self::Anthropic,
            ("google", None) => Self::Google,
            ("bedrock", None) => Self::Bedrock,
            ("vertex", None) => Self::Vertex,
            (_, None) => return Err(unknown),
        })
    }

    /// How its chat differs from OpenAI's; absent where it speaks none.
    pub(crate) fn quirks(&self) -> Option<Quirks> {
        match self {
            Self::OpenAi(quirks) | Self::Compatible(quirks) | Self::Azure(Azure { quirks, .. }) => Some(*quirks),
            Self::Anthropic | Self::Google | Self::Bedrock | Self::Vertex => None,
        }
    }

    /// The dialect to speak to its `model` on behalf of a caller who speaks `caller`; `None` where it has nothing of that kind.
    pub(crate) fn speaks(&self, caller: Dialect, model: &str, embeds: bool) -> Option<Dialect> {
        match (self, embeds) {
            (Self::OpenAi(_) | Self::Compatible(_) | Self::Azure(_), true) => Some(Dialect::OpenAiEmbeddings),
            (Self::Google, _) => Some(Dialect::Gemini),
            (Self::Bedrock, true) => bedrock::spoken_for_vectors(model),
            (Self::Anthropic | Self::Vertex, true) => None,
            (Self::Vertex, false) => Some(vertex::spoken(model)),
            (Self::Bedrock, false) => Some(bedrock::spoken(caller, model)),
            (Self::Anthropic, false) => Some(Dialect::AnthropicMessages),
            (Self::OpenAi(_) | Self::Azure(_), false) if caller == Dialect::OpenAiResponses => Some(Dialect::OpenAiResponses),
            (Self::OpenAi(_) | Self::Compatible(_) | Self::Azure(_), false) => Some(Dialect::OpenAiChat),
        }
    }

    /// Whether it counts tokens itself.
    pub(crate) fn counts(&self) -> bool {
        matches!(self, Self::Anthropic | Self::Google)
    }

    /// Writes the path below the provider's base; `call` is what is asked for, where the path says it.
    pub(crate) fn write_path(&self, dialect: Dialect, model: &str, call: Call, wire: &mut BytesMut) {
        let fixed: &str = match dialect {
            _ if matches!(self, Self::Bedrock | Self::Vertex) => "",
            Dialect::OpenAiChat | Dialect::BedrockConverse => "/chat/completions",
            Dialect::OpenAiResponses => "/responses",
            Dialect::OpenAiEmbeddings => "/embeddings",
            Dialect::AnthropicMessages if call == Call::Count => "/v1/messages/count_tokens",
            Dialect::AnthropicMessages => "/v1/messages",
            Dialect::Gemini => {
                wire.put_slice(b"/v1beta/models/");
                write_segment(model, wire);
                match call {
                    Call::Whole => ":generateContent",
                    Call::Streamed => ":streamGenerateContent?alt=sse",
                    Call::Embedding => ":embedContent",
                    Call::Embeddings => ":batchEmbedContents",
                    Call::Count => ":countTokens",
                }
            }
        };
        match self {
            Self::Azure(azure) => azure.write_path(fixed, dialect, model, wire),
            Self::Bedrock => bedrock::write_path(dialect, model, call, wire),
            Self::Vertex => vertex::write_path(dialect, model, call, wire),
            _ => wire.put_slice(fixed.as_bytes()),
        }
    }

    /// The dialect whose header lines of the caller's it takes, where it is spoken to in `spoken`.
    pub(crate) fn takes_headers_of(&self, spoken: Dialect) -> Dialect {
        // What Anthropic has in headers, it has in the body.
        if *self == Self::Bedrock { Dialect::BedrockConverse } else { spoken }
    }

    /// What streams come in.
    pub(crate) fn event_stream(&self) -> &'static str {
        if *self == Self::Bedrock { bedrock::EVENT_STREAM } else { "text/event-stream" }
    }

    /// Writes the header with the key; `false` when the key can't be put into a header.
    pub(crate) fn write_key(&self, key: &SecretString, wire: &mut BytesMut) -> bool {
        match self {
            Self::OpenAi(_) | Self::Compatible(_) | Self::Bedrock | Self::Vertex => write_bearer(key, wire),
            Self::Azure(_) => write_secret(b"\r\napi-key: ", key, wire),
            Self::Anthropic => write_secret(b"\r\nx-api-key: ", key, wire),
            Self::Google => write_secret(b"\r\nx-goog-api-key: ", key, wire),
        }
    }

    /// Writes the version of the interface, where the vendor wants one and the caller named none.
    pub(crate) fn write_version(&self, callers: &[u8], wire: &mut BytesMut) {
        let named = || callers.windows(VERSION.len()).any(|window| window.eq_ignore_ascii_case(VERSION));
        if *self == Self::Anthropic && !named() {
            wire.put_slice(b"\r\nanthropic-version: ");
            wire.put_slice(ANTHROPIC_VERSION.as_bytes());
        }
    }
}

/// Writes the header of a key or token that whoever has it may use; `false` when it can't be put into a header.
pub(super) fn write_bearer(token: &SecretString, wire: &mut BytesMut) -> bool {
    write_secret(b"\r\nAuthorization: Bearer ", token, wire)
}

fn write_secret(header: &[u8], secret: &SecretString, wire: &mut BytesMut) -> bool {
    let secret = secret.expose_secret();
    let fits = secret.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        wire.put_slice(header);
        wire.put_slice(secret.as_bytes());
    }
    fits
}

const VERSION: &[u8] = b"anthropic-version:";

/// What is asked for, as far as a path says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// An answer in one piece.
    Whole,
    /// A stream.
    Streamed,
    /// One embedding.
    Embedding,
    /// Embeddings, in a list.
    Embeddings,
    /// A count of tokens.
    Count,
}

/// What stays as it is in a model's name; anything else can't lead to another path, or to another request.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Writes a model's name as one segment of a path.
pub(super) fn write_segment(name: &str, wire: &mut BytesMut) {
    utf8_percent_encode(name, ESCAPED).for_each(|part| wire.put_slice(part.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(vendor: &Vendor, dialect: Dialect, call: Call) -> String {
        let mut wire = BytesMut::new();
        vendor.write_path(dialect, "m-1", call, &mut wire);
        String::from_utf8(wire.to_vec()).expect("text")
    }

    #[test]
    fn a_vendor_is_spoken_to_in_the_callers_dialect_where_it_speaks_it() {
        use Dialect::{AnthropicMessages, BedrockConverse, Gemini, OpenAiChat, OpenAiEmbeddings, OpenAiResponses};
        let vendor = |name| Vendor::at(name, "https://x.example").expect("a vendor");
        for (name, caller, embeds, spoken) in [
            ("openai", OpenAiResponses, false, Some(OpenAiResponses)),
            ("openai", AnthropicMessages, false, Some(OpenAiChat)),
            ("groq", OpenAiResponses, false, Some(OpenAiChat)),
            ("groq", Gemini, true, Some(OpenAiEmbeddings)),
            ("anthropic", OpenAiChat, false, Some(AnthropicMessages)),
            ("anthropic", OpenAiEmbeddings, true, None),
            ("google", OpenAiChat, false, Some(Gemini)),
            ("bedrock", OpenAiChat, false, Some(BedrockConverse)),
            ("bedrock", OpenAiEmbeddings, true, None),
            ("vertex", AnthropicMessages, false, Some(Gemini)),
            ("vertex", Gemini, true, None),
        ] {
            assert_eq!(vendor(name).speaks(caller, "m", embeds), spoken, "{name} {caller:?}");
        }
    }

    #[test]
    fn every_vendor_but_the_simulated_one_is_spoken_to_over_the_network() {
        for vendor in policy::catalogue::VENDORS {
            let known = Vendor::at(vendor.name, "https://x.example");
            assert_eq!(known.is_ok(), vendor.name != "simulated", "{}", vendor.name);
        }
    }

    #[test]
    fn paths_name_what_is_asked_for() {
        assert_eq!(path(&Vendor::Google, Dialect::OpenAiResponses, Call::Streamed), "/responses");
        assert_eq!(path(&Vendor::Anthropic, Dialect::AnthropicMessages, Call::Whole), "/v1/messages");
        assert_eq!(path(&Vendor::Google, Dialect::Gemini, Call::Streamed), "/v1beta/models/m-1:streamGenerateContent?alt=sse");
        assert_eq!(path(&Vendor::Google, Dialect::Gemini, Call::Embeddings), "/v1beta/models/m-1:batchEmbedContents");
        assert_eq!(path(&Vendor::Anthropic, Dialect::AnthropicMessages, Call::Count), "/v1/messages/count_tokens");
    }

    #[test]
    fn no_name_of_a_model_leads_elsewhere_or_to_another_request() {
        let mut wire = BytesMut::new();
        Vendor::Google.write_path(Dialect::Gemini, "a/../b?c HTTP/1.1\r\nX: y", Call::Whole, &mut wire);
        assert_eq!(wire, "/v1beta/models/a%2F..%2Fb%3Fc%20HTTP%2F1.1%0D%0AX%3A%20y:generateContent");
    }

    #[test]
    fn anthropic_is_told_a_version_only_where_the_caller_names_none() {
        let written = |callers: &[u8]| {
            let mut wire = BytesMut::new();
            Vendor::Anthropic.write_version(callers, &mut wire);
            wire.len()
        };
        assert_eq!(written(b"anthropic-version: 2026-10-21\r\n"), 0);
        assert!(written(b"User-Agent: x\r\n") > 0);
    }
}

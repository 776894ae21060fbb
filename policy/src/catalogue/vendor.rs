//! The vendors: where they are, and how those that speak OpenAI's chat dialect differ from it.
//!
//! The differences are data. What a vendor ignores is not listed; what it answers with an error is, because a caller who moves from one
//! vendor to another by policy did not write the request for it. What only some models of a vendor refuse is left to the vendor to say.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::AzureAddress;
use crate::facts::Surface;

/// The interfaces that have more than answers of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Interface {
    /// OpenAI's, which many have more or less of.
    #[n(0)]
    Openai,
    /// Anthropic's own.
    #[n(1)]
    Anthropic,
    /// The Gemini API.
    #[n(2)]
    Gemini,
}

impl Interface {
    /// Whose it is, in words.
    #[must_use]
    pub const fn owner(self) -> &'static str {
        match self {
            Self::Openai => "OpenAI",
            Self::Anthropic => "Anthropic",
            Self::Gemini => "Gemini",
        }
    }
}

/// A vendor this program knows by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vendor {
    /// The word in `vendor:`.
    pub name: &'static str,
    /// Where it is served by default; absent where every customer has an address of their own.
    pub base_url: Option<&'static str>,
    /// How its chat completions differ from OpenAI's; absent where it has another dialect.
    pub quirks: Option<Quirks>,
    /// Whether customers name its models themselves, so that there need not be one of the catalogue's name.
    pub named_by_customers: bool,
}

impl Vendor {
    /// Whether a request on `surface` reaches it as the caller wrote it, so that what is the vendor's own in it (its tools, what it keeps)
    /// takes effect. Elsewhere that is left out or refused.
    #[must_use]
    pub fn takes_as_written(&self, surface: Surface) -> bool {
        match surface {
            Surface::OpenaiChat | Surface::OpenaiEmbeddings => self.quirks.is_some(),
            Surface::OpenaiResponses => matches!(self.name, "openai" | "azure"),
            Surface::AnthropicMessages => matches!(self.name, "anthropic" | "bedrock" | "vertex"),
            Surface::Gemini => matches!(self.name, "google" | "vertex"),
            Surface::Passthrough => true,
        }
    }

    /// Where its models are listed, below [`Vendor::place`] of its `base_url`; none where that address lists none.
    #[must_use]
    pub fn models_path(&self, base_url: &str) -> Option<String> {
        Some(match self.name {
            "simulated" | "bedrock" => return None,
            "azure" => AzureAddress::read(base_url).ok()?.models_path(),
            "anthropic" => "/v1/models".to_owned(),
            "google" => "/v1beta/models".to_owned(),
            // What Google offers there is not listed below a project; its endpoints are, and are read with the same credential.
            "vertex" => "/endpoints".to_owned(),
            _ => "/models".to_owned(),
        })
    }

    /// The interface of which it has what is passed through; none where it has paths of its own for that, or nothing.
    #[must_use]
    pub fn interface(&self) -> Option<Interface> {
        match self.name {
            "anthropic" => Some(Interface::Anthropic),
            "google" => Some(Interface::Gemini),
            _ => self.quirks.map(|_| Interface::Openai),
        }
    }

    /// Whether the interface comes from this vendor.
    #[must_use]
    pub fn is_owner_of(&self, interface: Interface) -> bool {
        matches!((self.name, interface), ("openai", Interface::Openai)) || self.quirks.is_none() && self.interface() == Some(interface)
    }

    /// The part of `base_url` that is an address like any other; the rest says how the vendor is spoken to.
    ///
    /// # Errors
    /// What is wrong with it and what to write instead.
    pub fn place<'a>(&self, base_url: &'a str) -> Result<&'a str, &'static str> {
        match self.name {
            "azure" => AzureAddress::read(base_url).map(|address| address.resource),
            "vertex" if !names_a_project(base_url) => Err(PROJECT_WANTED),
            _ => Ok(base_url),
        }
    }
}

/// What to say where an address names no project to be billed.
const PROJECT_WANTED: &str = "end the address of a `vertex` provider with project and location, as in `https://us-central1-aiplatform.googleapis.com/v1/projects/PROJECT/locations/us-central1`";

fn names_a_project(base_url: &str) -> bool {
    let mut behind = base_url.trim_end_matches('/').rsplit('/');
    let mut next = || behind.next().unwrap_or_default();
    let (location, locations, project, projects) = (next(), next(), next(), next());
    !location.is_empty() && locations == "locations" && !project.is_empty() && projects == "projects"
}

/// How a vendor's chat completions differ from OpenAI's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirks {
    /// Which limit of the output it takes.
    pub output_limit: OutputMember,
    /// How usage comes to be in a stream.
    pub stream_usage: StreamUsage,
    /// Top-level members that it answers with an error.
    pub refuses: &'static [&'static str],
    /// The member by which its embeddings take the length of vectors; absent where they take none.
    pub dimensions: Option<&'static str>,
    /// Whether it knows the role `developer`; who does not is told the same as `system`.
    pub developer: bool,
    /// Whether it can be asked for JSON of a schema (`json_schema`), and not only for some JSON (`json_object`).
    pub schemas: bool,
}

/// The two names of the limit of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputMember {
    /// `max_tokens`, and `max_completion_tokens` is refused or ignored.
    MaxTokens,
    /// `max_completion_tokens`, and `max_tokens` is refused, ignored or on its way out.
    MaxCompletionTokens,
    /// Either; `max_tokens` is the one that more servers know.
    Either,
}

/// How usage comes to be in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamUsage {
    /// By `stream_options.include_usage`.
    OnRequest,
    /// It always is, and there is no need to ask.
    Always,
}

const LIKE_OPENAI: Quirks = Quirks {
    output_limit: OutputMember::MaxCompletionTokens,
    stream_usage: StreamUsage::OnRequest,
    refuses: &[],
    dimensions: Some("dimensions"),
    developer: true,
    schemas: true,
};
/// Which roles such a server knows is its model's template's affair, and many templates refuse `developer`; all know `system`.
const LIKE_VLLM: Quirks = Quirks { output_limit: OutputMember::Either, developer: false, ..LIKE_OPENAI };
/// Its interface's description has the roles `system`, `user`, `assistant` and `tool` (from memory, as for Fireworks).
const TOGETHER: Quirks = Quirks { dimensions: None, ..LIKE_VLLM };

/// The types of its own client have no role `developer`, and the role tells which type a message is.
const GROQ: Quirks = Quirks { refuses: &["logprobs", "top_logprobs", "logit_bias"], developer: false, ..LIKE_OPENAI };
/// Documents `developer` among its roles.
const CEREBRAS: Quirks = Quirks { refuses: &["frequency_penalty", "presence_penalty", "logit_bias"], ..LIKE_OPENAI };
/// Refuses every member that it does not know; these are the ones that OpenAI's clients send. Its roles are `system`, `user`, `assistant` and
/// `tool` (from memory).
const MISTRAL: Quirks = Quirks {
    output_limit: OutputMember::MaxTokens,
    stream_usage: StreamUsage::Always,
    refuses: &[
        "stream_options",
        "seed",
        "user",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "store",
        "service_tier",
        "verbosity",
        "modalities",
        "audio",
        "web_search_options",
        "prompt_cache_retention",
        "safety_identifier",
    ],
    dimensions: Some("output_dimension"),
    developer: false,
    schemas: true,
};
/// Its guide to this interface gives instructions as `developer` (from memory).
const COHERE: Quirks = Quirks {
    output_limit: OutputMember::MaxTokens,
    stream_usage: StreamUsage::Always,
    refuses: &[
        "stream_options",
        "store",
        "metadata",
        "logit_bias",
        "top_logprobs",
        "n",
        "modalities",
        "prediction",
        "audio",
        "service_tier",
        "parallel_tool_calls",
    ],
    dimensions: None,
    developer: true,
    schemas: true,
};
/// Its list of roles is `system`, `user`, `assistant` and `tool`.
const PERPLEXITY: Quirks =
    Quirks { output_limit: OutputMember::MaxTokens, stream_usage: StreamUsage::Always, developer: false, ..LIKE_OPENAI };
/// Says what its providers understand (from memory).
const OPENROUTER: Quirks = Quirks { output_limit: OutputMember::Either, stream_usage: StreamUsage::Always, ..LIKE_OPENAI };
/// Answers `developer` with "unknown variant", and `json_schema` with an error too (the latter from memory).
const DEEPSEEK: Quirks = Quirks { output_limit: OutputMember::MaxTokens, developer: false, schemas: false, ..LIKE_OPENAI };

const fn chat(name: &'static str, base_url: Option<&'static str>, quirks: Quirks) -> Vendor {
    Vendor { name, base_url, quirks: Some(quirks), named_by_customers: false }
}

const fn other(name: &'static str, base_url: Option<&'static str>) -> Vendor {
    Vendor { name, base_url, quirks: None, named_by_customers: false }
}

/// All vendors.
pub const VENDORS: [Vendor; 18] = [
    chat("openai", Some("https://api.openai.com/v1"), LIKE_OPENAI),
    chat("openai_compatible", None, LIKE_VLLM),
    other("simulated", None),
    other("anthropic", Some("https://api.anthropic.com")),
    other("google", Some("https://generativelanguage.googleapis.com")),
    Vendor { named_by_customers: true, ..chat("azure", None, LIKE_OPENAI) },
    other("bedrock", None),
    other("vertex", None),
    chat("groq", Some("https://api.groq.com/openai/v1"), GROQ),
    chat("mistral", Some("https://api.mistral.ai/v1"), MISTRAL),
    chat("deepseek", Some("https://api.deepseek.com/v1"), DEEPSEEK),
    // Its guide calls `developer` another name of `system` (from memory).
    chat("xai", Some("https://api.x.ai/v1"), LIKE_OPENAI),
    chat("together", Some("https://api.together.xyz/v1"), TOGETHER),
    chat("fireworks", Some("https://api.fireworks.ai/inference/v1"), LIKE_VLLM),
    chat("cerebras", Some("https://api.cerebras.ai/v1"), CEREBRAS),
    chat("perplexity", Some("https://api.perplexity.ai"), PERPLEXITY),
    chat("cohere", Some("https://api.cohere.ai/compatibility/v1"), COHERE),
    chat("openrouter", Some("https://openrouter.ai/api/v1"), OPENROUTER),
];

/// The vendor of that name.
#[must_use]
pub fn find_vendor(name: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.name == name)
}

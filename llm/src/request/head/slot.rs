//! Which member of which dialect means what: one table a dialect.

use crate::{dialect::Dialect, json::Kind};

/// What a top-level member is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// The model's name.
    Model,
    /// Whether to stream.
    Stream,
    /// Chat's options of a stream.
    StreamOptions,
    /// The limit of the output.
    Limit,
    /// Chat's newer limit of the output.
    CompletionLimit,
    /// An object that has the limit of the output among others.
    Config,
    /// How many answers.
    Choices,
    /// The end user.
    User,
    /// The end user by its newer name.
    SafetyIdentifier,
    /// The caller's own members.
    Metadata,
    /// What was said.
    Prompt(Prompt),
    /// What may be called.
    Tools,
    /// How much to think.
    Thinking,
    /// A reference to something the provider keeps, which becomes part of the prompt; by this name.
    State(&'static str),
    /// A tool that the provider runs, which is not among the tools; by this name.
    ProviderTool(&'static str),
    /// Whether the provider keeps the answer.
    Store,
    /// Whether the provider works on though nobody listens.
    Background,
    /// What the answer must look like, where the provider explains that to the model in words of its own.
    Format,
    /// Never reaches the model.
    Silent,
    /// Anything else; may reach the model.
    Other,
}

/// The forms in which dialects take what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prompt {
    /// An array of messages.
    Messages,
    /// Text, or an array of items.
    Items,
    /// Text or texts to embed.
    Texts,
    /// Gemini's contents; its parser takes a single one for an array of one.
    Contents,
    /// Gemini's one content to embed.
    Content,
    /// Gemini's batch of contents to embed, each with its model.
    Batch,
}

impl Prompt {
    /// What it must be, in words.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Messages | Self::Contents | Self::Batch => "an array",
            Self::Items | Self::Texts => "a string or an array",
            Self::Content => "an object",
        }
    }

    /// Whether it is embedded: there is no template around it, and no output.
    pub(super) fn embeds(self) -> bool {
        matches!(self, Self::Texts | Self::Content | Self::Batch)
    }

    /// Whether a value of this kind can be it.
    pub(super) fn takes(self, kind: Kind) -> bool {
        match self {
            Self::Messages | Self::Batch => kind == Kind::Array,
            Self::Items | Self::Texts => matches!(kind, Kind::String | Kind::Array),
            Self::Contents => matches!(kind, Kind::Array | Kind::Object),
            Self::Content => kind == Kind::Object,
        }
    }
}

impl Slot {
    /// The slot of a member of a request's body.
    pub(super) fn of(dialect: Dialect, name: &[u8]) -> Self {
        match dialect {
            Dialect::OpenAiChat => chat(name),
            Dialect::OpenAiResponses => responses(name),
            Dialect::OpenAiEmbeddings => embeddings(name),
            Dialect::AnthropicMessages => messages(name),
            Dialect::Gemini => gemini(name),
            Dialect::BedrockConverse => converse(name),
        }
    }
}

/// The member that must be there, and what it must be.
pub(super) fn required_prompt(dialect: Dialect) -> (&'static str, Prompt) {
    match dialect {
        Dialect::OpenAiChat | Dialect::AnthropicMessages | Dialect::BedrockConverse => ("messages", Prompt::Messages),
        Dialect::OpenAiResponses => ("input", Prompt::Items),
        Dialect::OpenAiEmbeddings => ("input", Prompt::Texts),
        Dialect::Gemini => ("contents", Prompt::Contents),
    }
}

fn chat(name: &[u8]) -> Slot {
    match name {
        b"model" => Slot::Model,
        b"stream" => Slot::Stream,
        b"stream_options" => Slot::StreamOptions,
        b"max_tokens" => Slot::Limit,
        b"max_completion_tokens" => Slot::CompletionLimit,
        b"n" => Slot::Choices,
        b"user" => Slot::User,
        b"metadata" => Slot::Metadata,
        b"messages" => Slot::Prompt(Prompt::Messages),
        b"tools" | b"functions" => Slot::Tools,
        b"store" => Slot::Store,
        b"web_search_options" => Slot::ProviderTool("web_search_options"),
        b"plugins" => Slot::ProviderTool("plugins"),
        b"logit_bias" | b"stop" => Slot::Silent,
        _ => Slot::Other,
    }
}

fn responses(name: &[u8]) -> Slot {
    match name {
        b"model" => Slot::Model,
        b"stream" => Slot::Stream,
        b"max_output_tokens" => Slot::Limit,
        b"user" => Slot::User,
        b"safety_identifier" => Slot::SafetyIdentifier,
        b"metadata" => Slot::Metadata,
        b"input" => Slot::Prompt(Prompt::Items),
        b"tools" => Slot::Tools,
        b"store" => Slot::Store,
        b"background" => Slot::Background,
        b"previous_response_id" => Slot::State("previous_response_id"),
        b"conversation" => Slot::State("conversation"),
        b"prompt" => Slot::State("prompt"),
        b"stream_options" | b"include" | b"client_metadata" | b"prompt_cache_key" => Slot::Silent,
        _ => Slot::Other,
    }
}

fn embeddings(name: &[u8]) -> Slot {
    match name {
        b"model" => Slot::Model,
        b"user" => Slot::User,
        b"metadata" => Slot::Metadata,
        b"input" => Slot::Prompt(Prompt::Texts),
        b"encoding_format" => Slot::Silent,
        _ => Slot::Other,
    }
}

fn messages(name: &[u8]) -> Slot {
    match name {
        b"model" => Slot::Model,
        b"stream" => Slot::Stream,
        b"max_tokens" => Slot::Limit,
        b"metadata" => Slot::Metadata,
        b"messages" => Slot::Prompt(Prompt::Messages),
        b"tools" => Slot::Tools,
        b"thinking" => Slot::Thinking,
        b"container" => Slot::State("container"),
        b"mcp_servers" => Slot::ProviderTool("mcp_servers"),
        b"output_format" | b"output_config" => Slot::Format,
        b"stop_sequences" => Slot::Silent,
        _ => Slot::Other,
    }
}

fn gemini(name: &[u8]) -> Slot {
    match name {
        b"model" => Slot::Model,
        b"contents" => Slot::Prompt(Prompt::Contents),
        b"content" => Slot::Prompt(Prompt::Content),
        b"requests" => Slot::Prompt(Prompt::Batch),
        b"tools" => Slot::Tools,
        b"generationConfig" | b"generation_config" => Slot::Config,
        b"cachedContent" | b"cached_content" => Slot::State("cachedContent"),
        b"safetySettings" | b"safety_settings" | b"labels" => Slot::Silent,
        _ => Slot::Other,
    }
}

fn converse(name: &[u8]) -> Slot {
    match name {
        b"messages" => Slot::Prompt(Prompt::Messages),
        b"toolConfig" => Slot::Tools,
        b"inferenceConfig" => Slot::Config,
        b"outputConfig" => Slot::Format,
        b"requestMetadata" => Slot::Silent,
        _ => Slot::Other,
    }
}

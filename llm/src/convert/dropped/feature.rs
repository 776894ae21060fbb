//! What a request can ask for and a target can lack, and the field by which each dialect asks for it.
//!
//! Promises: a feature has one name in a dialect, whichever target lacks it, and a new feature has a name in every dialect or says that the
//! dialect has no such field. Names are dotted, without the places in lists; a part of a message is named by what it is and its member
//! (`image_url.detail`, `tool_result.is_error`), and one that goes as a whole by what it is.
//!
//! Leaves out: members that only their own dialect knows, which are named as they were written.

use crate::{convert::ImageSource, dialect::Dialect};

/// A dialect has no such field.
const NONE: &str = "";

/// Makes the enum and the table of its names out of one list, so that neither can lack what the other has.
macro_rules! features {
    ($($(#[$doc:meta])* $feature:ident: $chat:expr, $responses:expr, $messages:expr, $gemini:expr;)*) => {
        /// What a request can ask for and a target can lack.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Feature {
            $($(#[$doc])* $feature,)*
        }

        impl Feature {
            /// All of them.
            #[cfg(test)]
            pub(super) const ALL: &'static [Self] = &[$(Self::$feature,)*];

            /// The fields in OpenAI's chat, OpenAI's responses, Anthropic's messages and Gemini.
            const fn fields(self) -> [&'static str; 4] {
                match self {
                    $(Self::$feature => [$chat, $responses, $messages, $gemini],)*
                }
            }
        }
    };
}

features! {
    /// Words for what is not yet in Anthropic's interface; a header.
    Betas: NONE, NONE, "anthropic-beta", NONE;
    /// A mark that the prompt may be cached up to here.
    CacheMark: "cache_control", NONE, "cache_control", NONE;
    /// The provider's proof of a call.
    CallSignature: "messages.tool_calls.extra_content.google.thought_signature", "reasoning.encrypted_content", "thinking.signature",
        "contents.parts.thoughtSignature";
    /// How many answers.
    Choices: "n", NONE, NONE, "generationConfig.candidateCount";
    /// How long vectors shall be.
    Dimensions: "dimensions", NONE, NONE, "outputDimensionality";
    /// How much to think, in words.
    Effort: "reasoning_effort", "reasoning.effort", "output_config.effort", "generationConfig.thinkingConfig";
    /// Who the end user is.
    EndUser: "user", "user", "metadata.user_id", NONE;
    /// The name of a file.
    FileName: "file.filename", "input_file.filename", "document.title", "contents.parts.inlineData.displayName";
    /// `frequency_penalty`
    FrequencyPenalty: "frequency_penalty", NONE, NONE, "generationConfig.frequencyPenalty";
    /// How closely to look at a picture.
    ImageDetail: "image_url.detail", "input_image.detail", NONE, NONE;
    /// A file within the request.
    InlineFile: "file", "input_file", "document", "contents.parts.inlineData";
    /// A picture within the request.
    InlineImage: "image_url", "input_image", "image", "contents.parts.inlineData";
    /// A sound within the request.
    InlineSound: "input_audio", "input_audio", "document", "contents.parts.inlineData";
    /// An answer of some JSON.
    JsonFormat: "response_format", "text.format", NONE, "generationConfig.responseMimeType";
    /// A file at an address.
    LinkedFile: "file", "input_file.file_url", "document", "contents.parts.fileData";
    /// A picture at an address.
    LinkedImage: "image_url", "input_image", "image", "contents.parts.fileData";
    /// Log probabilities.
    Logprobs: "logprobs", "top_logprobs", NONE, "generationConfig.responseLogprobs";
    /// Whether several tools may be called at once.
    ParallelToolCalls: "parallel_tool_calls", "parallel_tool_calls", "tool_choice.disable_parallel_tool_use", NONE;
    /// `presence_penalty`
    PresencePenalty: "presence_penalty", NONE, NONE, "generationConfig.presencePenalty";
    /// What a schema of the answer is for.
    SchemaDescription: "response_format.json_schema.description", "text.format.description", NONE, NONE;
    /// An answer of JSON of a schema.
    SchemaFormat: "response_format", "text.format", "output_config.format", "generationConfig.responseSchema";
    /// `seed`
    Seed: "seed", NONE, NONE, "generationConfig.seed";
    /// Texts that end the answer.
    Stop: "stop", NONE, "stop_sequences", "generationConfig.stopSequences";
    /// What is no text among the instructions.
    SystemContent: "messages.content", "input.content", "system", "systemInstruction.parts";
    /// `temperature`
    Temperature: "temperature", "temperature", "temperature", "generationConfig.temperature";
    /// How much to think in tokens, and whether thoughts are shown.
    Thinking: NONE, "reasoning.summary", "thinking", "generationConfig.thinkingConfig";
    /// What the model thought, without a proof.
    Thought: "messages.reasoning_content", "input.reasoning", "messages.content.thinking", "contents.parts.thought";
    /// The provider's proof of a thought.
    ThoughtSignature: "messages.reasoning_details", "reasoning.encrypted_content", "thinking.signature", "contents.parts.thoughtSignature";
    /// A call where none has a place.
    ToolCall: "messages.tool_calls", "input.function_call", "tool_use", "contents.parts.functionCall";
    /// Whether a tool must be called.
    ToolChoice: "tool_choice", "tool_choice", "tool_choice", "toolConfig.functionCallingConfig";
    /// The result of a call where none has a place.
    ToolResult: "messages.tool_call_id", "input.function_call_output", "tool_result", "contents.parts.functionResponse";
    /// That a tool failed.
    ToolResultError: NONE, NONE, "tool_result.is_error", "contents.parts.functionResponse.response.error";
    /// Whether arguments must keep to their schema.
    ToolStrict: "tools.function.strict", "tools.strict", "tools.strict", NONE;
    /// `top_k`
    TopK: "top_k", NONE, "top_k", "generationConfig.topK";
    /// How many alternatives to each token.
    TopLogprobs: "top_logprobs", "top_logprobs", NONE, "generationConfig.logprobs";
    /// `top_p`
    TopP: "top_p", "top_p", "top_p", "generationConfig.topP";
    /// A participant's name.
    TurnName: "messages.name", NONE, NONE, NONE;
    /// A file that lies at the provider.
    UploadedFile: "file.file_id", "input_file.file_id", "document", "contents.parts.fileData";
    /// A picture that lies at the provider.
    UploadedImage: NONE, "input_image.file_id", "image", "contents.parts.fileData";
}

impl Feature {
    /// The field that asks for it in a dialect, where there is one.
    pub(super) fn field_in(self, dialect: Dialect) -> Option<&'static str> {
        let [chat, responses, messages, gemini] = self.fields();
        let own = match dialect {
            // Nobody asks in Converse; and of what vectors need, chat's word is that of the embeddings.
            Dialect::OpenAiChat | Dialect::OpenAiEmbeddings | Dialect::BedrockConverse => chat,
            Dialect::OpenAiResponses => responses,
            Dialect::AnthropicMessages => messages,
            Dialect::Gemini => gemini,
        };
        (own != NONE).then_some(own)
    }

    /// Its name to a caller of this dialect. Should one be told of what there is no field for, it is better said in another's words than not.
    pub(super) fn name_in(self, dialect: Dialect) -> &'static str {
        let anyones = || self.fields().into_iter().find(|field| *field != NONE);
        self.field_in(dialect).or_else(anyones).unwrap_or_default()
    }

    /// What a top-level member of a chat's body asks for.
    pub(super) fn of_chat_member(member: &str) -> Option<Self> {
        Some(match member {
            "frequency_penalty" => Self::FrequencyPenalty,
            "logprobs" => Self::Logprobs,
            "n" => Self::Choices,
            "parallel_tool_calls" => Self::ParallelToolCalls,
            "presence_penalty" => Self::PresencePenalty,
            "reasoning_effort" => Self::Effort,
            "response_format" => Self::SchemaFormat,
            "seed" => Self::Seed,
            "stop" => Self::Stop,
            "temperature" => Self::Temperature,
            "tool_choice" => Self::ToolChoice,
            "top_logprobs" => Self::TopLogprobs,
            "top_p" => Self::TopP,
            "user" => Self::EndUser,
            _ => return None,
        })
    }

    /// A picture by where it is.
    pub(crate) fn of_image(source: &ImageSource<'_>) -> Self {
        match source {
            ImageSource::Inline { .. } => Self::InlineImage,
            ImageSource::Url(_) => Self::LinkedImage,
            ImageSource::File(_) => Self::UploadedImage,
        }
    }

    /// A file or a sound by where it is.
    pub(crate) fn of_media(source: &ImageSource<'_>) -> Self {
        match source {
            ImageSource::Inline { media_type, .. } if media_type.starts_with("audio/") => Self::InlineSound,
            ImageSource::Inline { .. } => Self::InlineFile,
            ImageSource::Url(_) => Self::LinkedFile,
            ImageSource::File(_) => Self::UploadedFile,
        }
    }
}

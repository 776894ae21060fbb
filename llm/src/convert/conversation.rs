//! A request in the middle: what was asked for, whichever dialect asked.
//!
//! Everything borrows from the body it was read from where it can. Numbers and JSON are kept as they were written; nothing goes
//! through a float.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Dropped, Feature};
use crate::dialect::Dialect;

/// JSON as it was written.
pub type Json<'a> = Cow<'a, RawValue>;

/// A request for a completion.
#[derive(Debug, Clone, Default)]
pub struct Conversation<'a> {
    /// Instructions above all turns, in order: `system` and `developer` messages that lead, `instructions`, `systemInstruction`.
    pub system: Vec<Part<'a>>,
    /// What was said so far.
    pub turns: Vec<Turn<'a>>,
    /// What the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Whether it must.
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether it may call several at once; absent is the provider's default.
    pub parallel_tool_calls: Option<bool>,
    /// The most tokens of one answer, reasoning included.
    pub output_limit: Option<u32>,
    /// How tokens are drawn.
    pub sampling: Sampling<'a>,
    /// Texts that end the answer.
    pub stop: Vec<Cow<'a, str>>,
    /// What the answer must look like.
    pub format: Format<'a>,
    /// How much to think.
    pub reasoning: Reasoning,
    /// Whether log probabilities are wanted, and how many alternatives of each token.
    pub logprobs: Option<u32>,
    /// How many answers; 1 where nothing was said.
    pub choices: u32,
    /// The provider's name for the end user (`user`, `metadata.user_id`, `safety_identifier`).
    pub end_user: Option<Cow<'a, str>>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether the caller asked for the usage of a stream (where that is a choice).
    pub include_usage: bool,
    /// The dialect it was read from; set by [`super::request`], so that dialects of one family may share members.
    pub origin: Option<Dialect>,
    /// The member by which the request builds on what the provider keeps (`previous_response_id`): nobody else has that, so the
    /// request can't be converted without losing what was said before.
    pub state: Option<&'static str>,
    /// Features that the caller asked for by another name than the usual one of the dialect (`safety_identifier`).
    pub written_as: Vec<(Feature, &'static str)>,
    /// Members that have no place in the middle, in order, by their dotted names. A writer of the same dialect may take them as they
    /// are; every other one names them as dropped.
    pub others: Vec<(Cow<'a, str>, Json<'a>)>,
}

impl<'a> Conversation<'a> {
    /// The tools that can be defined in `dialect`: functions, and its own opaque ones. The others are named.
    pub(crate) fn tools_in(&self, dialect: Dialect, dropped: &mut Dropped) -> Vec<&Tool<'a>> {
        let kept = |tool: &&Tool<'_>| match tool {
            Tool::Opaque { dialect: of, name, .. } if *of != dialect => {
                dropped.note_tool(name);
                false
            }
            Tool::Function { .. } | Tool::Opaque { .. } => true,
        };
        self.tools.iter().filter(kept).collect()
    }

    /// Takes out what lies in files at the provider that `origin` speaks of: another provider's ids mean nothing.
    pub(super) fn forget_files(&mut self, dropped: &mut Dropped) {
        let turns = self.turns.iter_mut().map(|turn| &mut turn.parts);
        for parts in turns.chain([&mut self.system]) {
            forget_files(parts, dropped);
        }
    }
}

fn forget_files(parts: &mut Vec<Part<'_>>, dropped: &mut Dropped) {
    parts.retain_mut(|part| {
        let (source, feature) = match part {
            Part::Image(image) => (&image.source, Feature::of_image(&image.source)),
            Part::Media(media) => (&media.source, Feature::of_media(&media.source)),
            Part::ToolResult(result) => {
                forget_files(&mut result.parts, dropped);
                return true;
            }
            _ => return true,
        };
        let keeps = !matches!(source, ImageSource::File(_));
        if !keeps {
            dropped.note(feature);
        }
        keeps
    });
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The caller's side, results of tools included.
    User,
    /// The model.
    Assistant,
    /// Instructions in the middle of a conversation.
    System,
}

/// One turn.
#[derive(Debug, Clone)]
pub struct Turn<'a> {
    /// Whose.
    pub role: Role,
    /// A participant's name.
    pub name: Option<Cow<'a, str>>,
    /// What was said, in order.
    pub parts: Vec<Part<'a>>,
}

/// A piece of a turn, of an answer, or of a tool's result.
#[derive(Debug, Clone)]
pub enum Part<'a> {
    /// Text.
    Text {
        /// The text.
        text: Cow<'a, str>,
        /// The prompt may be cached up to here (Anthropic's `cache_control`, as written).
        cache: Option<Json<'a>>,
    },
    /// A picture.
    Image(Image<'a>),
    /// A file or a sound.
    Media(Media<'a>),
    /// The model calls a tool.
    ToolCall(ToolCall<'a>),
    /// What a tool said.
    ToolResult(ToolResult<'a>),
    /// What the model thought, as far as it shows it.
    Thinking {
        /// The text or its summary; empty where only the signature is given.
        text: Cow<'a, str>,
        /// The provider's proof or its encrypted form, without which it must not be sent back.
        signature: Option<Signature<'a>>,
    },
    /// The model declines.
    Refusal {
        /// In its words.
        text: Cow<'a, str>,
    },
    /// Something only one dialect knows. Written as it is in that dialect, named as dropped in every other.
    Opaque {
        /// Whose.
        dialect: Dialect,
        /// The whole part.
        json: Json<'a>,
    },
}

/// Opaque state of a provider, bound to who made it: it goes back byte for byte to the same dialect, and to nobody else.
///
/// Towards a caller of another dialect it travels in whatever field of that dialect is opaque too, in a wrapping that names its origin
/// ([`Signature::wrapped`]), so that it is known again when it comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature<'a> {
    /// Who made it.
    pub origin: Dialect,
    /// What it is, unchanged.
    pub value: Cow<'a, str>,
}

impl<'a> Signature<'a> {
    /// What leads a signature on its way through a dialect that is not its own.
    const WRAPPING: &'static str = "mlx1.";

    /// As it travels through a field of another dialect: `mlx1.<origin>.<value>`.
    #[must_use]
    pub fn wrapped(&self) -> String {
        format!("{}{}.{}", Self::WRAPPING, self.origin.name(), self.value)
    }

    /// Reads a signature out of a field of `dialect`: one that was wrapped is unwrapped, any other is that dialect's own.
    #[must_use]
    pub fn read(dialect: Dialect, text: Cow<'a, str>) -> Self {
        let wrapped = text.strip_prefix(Self::WRAPPING).and_then(|rest| rest.split_once('.'));
        match wrapped.and_then(|(origin, value)| Some((Dialect::named(origin)?, value.to_owned()))) {
            Some((origin, value)) => Self { origin, value: Cow::Owned(value) },
            None => Self { origin: dialect, value: text },
        }
    }

    /// As it is written into a field of `dialect`.
    #[must_use]
    pub fn written_in(&self, dialect: Dialect) -> Cow<'_, str> {
        if self.origin == dialect { Cow::Borrowed(&self.value) } else { Cow::Owned(self.wrapped()) }
    }
}

/// A picture.
#[derive(Debug, Clone)]
pub struct Image<'a> {
    /// Where it is.
    pub source: ImageSource<'a>,
    /// OpenAI's `detail`: `low`, `high`, `auto`, `original`.
    pub detail: Option<Cow<'a, str>>,
    /// As in [`Part::Text`].
    pub cache: Option<Json<'a>>,
}

/// Where a picture is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource<'a> {
    /// At an address.
    Url(Cow<'a, str>),
    /// Here.
    Inline {
        /// `image/png`, …
        media_type: Cow<'a, str>,
        /// Base64.
        data: Cow<'a, str>,
    },
    /// Uploaded to the provider before; the id is the provider's own.
    File(Cow<'a, str>),
}

impl<'a> ImageSource<'a> {
    /// Takes a data URL apart; any other stays an address.
    #[must_use]
    pub fn from_url(url: Cow<'a, str>) -> Self {
        let split = |url: &'a str| url.strip_prefix("data:")?.split_once(";base64,");
        match &url {
            Cow::Borrowed(text) => match split(text) {
                Some((media_type, data)) => Self::Inline { media_type: media_type.into(), data: data.into() },
                None => Self::Url(url),
            },
            Cow::Owned(text) => match text.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
                Some((media_type, data)) => Self::Inline { media_type: media_type.to_owned().into(), data: data.to_owned().into() },
                None => Self::Url(url),
            },
        }
    }

    /// As a URL; `None` for what was uploaded before.
    #[must_use]
    pub fn url(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Url(url) => Some(Cow::Borrowed(url)),
            Self::Inline { media_type, data } => Some(Cow::Owned(format!("data:{media_type};base64,{data}"))),
            Self::File(_) => None,
        }
    }
}

/// A file or a sound.
#[derive(Debug, Clone)]
pub struct Media<'a> {
    /// Where it is; a data URL is taken apart.
    pub source: ImageSource<'a>,
    /// Its name.
    pub name: Option<Cow<'a, str>>,
    /// As in [`Part::Text`].
    pub cache: Option<Json<'a>>,
}

/// The model calls a tool.
#[derive(Debug, Clone)]
pub struct ToolCall<'a> {
    /// Which call, for its result.
    pub id: Cow<'a, str>,
    /// Which tool.
    pub name: Cow<'a, str>,
    /// The arguments as the model wrote them: a JSON text for function tools, though a model may write it wrongly; any text for
    /// custom tools.
    pub arguments: Cow<'a, str>,
    /// Gemini's `thoughtSignature` and its like.
    pub signature: Option<Signature<'a>>,
    /// As in [`Part::Text`].
    pub cache: Option<Json<'a>>,
}

/// What a tool said.
#[derive(Debug, Clone)]
pub struct ToolResult<'a> {
    /// Of which call.
    pub call_id: Cow<'a, str>,
    /// Of which tool, where the dialect says (Gemini does, and needs it).
    pub name: Option<Cow<'a, str>>,
    /// The result: text and pictures.
    pub parts: Vec<Part<'a>>,
    /// The tool failed.
    pub is_error: bool,
    /// As in [`Part::Text`].
    pub cache: Option<Json<'a>>,
}

/// A tool.
#[derive(Debug, Clone)]
pub enum Tool<'a> {
    /// A function with a schema.
    Function {
        /// Its name.
        name: Cow<'a, str>,
        /// What it is for.
        description: Option<Cow<'a, str>>,
        /// JSON schema of its arguments.
        parameters: Option<Json<'a>>,
        /// Whether arguments must keep to the schema.
        strict: Option<bool>,
        /// As in [`Part::Text`].
        cache: Option<Json<'a>>,
    },
    /// Something only one dialect has: hosted tools, custom tools, name spaces.
    Opaque {
        /// Whose.
        dialect: Dialect,
        /// What it is called, for the list of what was dropped.
        name: Cow<'a, str>,
        /// The whole definition.
        json: Json<'a>,
    },
}

/// Whether a tool must be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice<'a> {
    /// As the model likes.
    Auto,
    /// None.
    None,
    /// Any.
    Required,
    /// This one.
    Function(Cow<'a, str>),
}

/// How tokens are drawn; numbers as written.
#[derive(Debug, Clone, Default)]
pub struct Sampling<'a> {
    /// `temperature`
    pub temperature: Option<Json<'a>>,
    /// `top_p`
    pub top_p: Option<Json<'a>>,
    /// `top_k`
    pub top_k: Option<Json<'a>>,
    /// `seed`
    pub seed: Option<Json<'a>>,
    /// `presence_penalty`
    pub presence_penalty: Option<Json<'a>>,
    /// `frequency_penalty`
    pub frequency_penalty: Option<Json<'a>>,
}

/// What the answer must look like.
#[derive(Debug, Clone, Default)]
pub enum Format<'a> {
    /// Anything.
    #[default]
    Text,
    /// Some JSON object.
    Json,
    /// JSON of this schema.
    Schema(Schema<'a>),
}

/// A schema for the answer.
#[derive(Debug, Clone)]
pub struct Schema<'a> {
    /// Its name; dialects that need one get `response` where none was given.
    pub name: Option<Cow<'a, str>>,
    /// What it is for.
    pub description: Option<Cow<'a, str>>,
    /// The schema.
    pub schema: Json<'a>,
    /// Whether the answer must keep to it.
    pub strict: Option<bool>,
}

/// How much to think.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// In words.
    pub effort: Option<Effort>,
    /// In tokens; 0 is none at all.
    pub budget_tokens: Option<u32>,
    /// Whether thoughts or their summary are to be shown.
    pub shown: Option<bool>,
}

/// How much to think, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// `minimal`
    Minimal,
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
    /// `xhigh` and `max`
    Highest,
}

impl Effort {
    const NAMED: [(Self, &'static str); 7] = [
        (Self::None, "none"),
        (Self::Minimal, "minimal"),
        (Self::Low, "low"),
        (Self::Medium, "medium"),
        (Self::High, "high"),
        (Self::Highest, "xhigh"),
        (Self::Highest, "max"),
    ];

    /// The effort of this name in OpenAI's or Anthropic's words.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find_map(|(effort, known)| (known == name).then_some(effort))
    }

    /// Its name in OpenAI's words.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMED.into_iter().find_map(|(effort, name)| (effort == self).then_some(name)).unwrap_or("medium")
    }
}

impl Reasoning {
    /// The effort in words; where only a budget was given, the word whose usual budget is nearest.
    #[must_use]
    pub fn effort_in_words(&self) -> Option<Effort> {
        self.effort.or_else(|| {
            self.budget_tokens.map(|tokens| match tokens {
                0 => Effort::None,
                1..=4_095 => Effort::Low,
                4_096..=16_383 => Effort::Medium,
                _ => Effort::High,
            })
        })
    }
}

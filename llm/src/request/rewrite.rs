//! Making the upstream's body out of the caller's, in the same dialect: the fewest bytes changed, all others as they came.

use std::borrow::Cow;

use bytes::Bytes;

use super::{
    Layout, dimensions,
    layout::{LimitMember, Place, StreamOptions},
};
use crate::{dialect::Dialect, splice::Edits};

/// What the upstream shall see otherwise than the caller wrote it. Our own members are always taken out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rewrite<'r> {
    /// The model as the upstream calls it; `None` leaves it. Where the path names the model, only bodies that name it too are changed.
    pub model: Option<&'r str>,
    /// Ask for usage in a stream even if the caller did not, so that it is always known. Does nothing without `stream`, and nothing
    /// in dialects whose streams always report it.
    pub force_usage: bool,
    /// Lower the limit of the output to this, or set it where there is none. Does nothing where there is no output (embeddings).
    pub output_limit: Option<OutputLimit>,
    /// How many numbers a vector shall have where the request does not say. Does nothing where nothing is embedded.
    pub dimensions: Option<u32>,
}

/// A limit of the output of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimit {
    /// The most that may be generated.
    pub tokens: u32,
    /// The member to add in chat where the caller gave neither. Every other dialect has but one.
    pub field: OutputField,
}

/// Servers of chat differ in which of the two they know; OpenAI's reasoning models refuse the older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputField {
    /// `max_tokens`
    MaxTokens,
    /// `max_completion_tokens`
    MaxCompletionTokens,
}

/// The least that Anthropic takes for a thinking budget.
const LEAST_THINKING: u32 = 1024;

/// Where a limit of the output belongs that is not there yet.
enum Home<'l> {
    /// A member of the body; the one there is `null`, if there is any.
    Member(&'static str, &'l Option<LimitMember>),
    /// A member of this object of the body.
    Within(&'static str, &'static str),
    /// There is no output to limit.
    Nowhere,
}

impl Layout {
    /// The upstream's body. With nothing to change it is `body` itself, not a copy.
    #[must_use]
    pub fn upstream_body(&self, body: &Bytes, rewrite: &Rewrite<'_>) -> Bytes {
        self.edits(body, rewrite).apply(body)
    }

    /// The changes as edits, for writing head and body into one buffer with [`Edits::write_to`].
    #[must_use]
    pub fn edits(&self, body: &[u8], rewrite: &Rewrite<'_>) -> Edits<'static> {
        let mut edits = Edits::new(self.length);
        if rewrite.force_usage && self.reports_on_request() {
            self.force_usage(&mut edits);
        }
        if let Some(limit) = rewrite.output_limit {
            self.limit_output(&mut edits, limit);
        }
        if let Some(number) = rewrite.dimensions.filter(|_| self.embeds) {
            dimensions::say(self.dialect, body, number, &mut edits);
        }
        for range in &self.removals {
            edits.remove(range.clone());
        }
        if let Some(model) = rewrite.model {
            self.name_model(&mut edits, body, model);
        }
        edits
    }

    /// Whether `rewrite` with [`Rewrite::force_usage`] changes what the caller asked for.
    #[must_use]
    pub fn forces_usage(&self) -> bool {
        self.reports_on_request() && self.stream_options != StreamOptions::On
    }

    /// Only chat reports the usage of a stream when it is asked to, and not else.
    fn reports_on_request(&self) -> bool {
        self.streams && self.dialect == Dialect::OpenAiChat
    }

    fn name_model(&self, edits: &mut Edits<'static>, body: &[u8], model: &str) {
        let places = self.model.iter().chain(&self.more_models);
        let quoted = match self.dialect {
            Dialect::Gemini => quote(&format!("models/{model}")),
            _ => quote(model),
        };
        for place in places {
            if body.get(place.clone()) != Some(&quoted[..]) {
                edits.replace(place.clone(), quoted.clone());
            }
        }
    }

    fn force_usage(&self, edits: &mut Edits<'static>) {
        match &self.stream_options {
            StreamOptions::On => {}
            StreamOptions::Off(range) => drop(edits.replace(range.clone(), &b"true"[..])),
            StreamOptions::Add(place) => self.add_within(edits, place, "stream_options", "\"include_usage\":true"),
        }
    }

    fn limit_output(&self, edits: &mut Edits<'static>, limit: OutputLimit) {
        let given = [&self.limit, &self.completion_limit];
        for member in given.into_iter().flatten() {
            lower(edits, member, limit.tokens);
        }
        if !given.into_iter().flatten().any(|member| member.tokens.is_some()) {
            self.add_limit(edits, limit);
        }
        if let Some(thinking) = &self.thinking {
            leave_room(edits, thinking, limit.tokens);
        }
    }

    fn add_limit(&self, edits: &mut Edits<'static>, limit: OutputLimit) {
        match self.home(limit.field) {
            Home::Member(_, Some(null)) => drop(edits.replace(null.range.clone(), number(limit.tokens))),
            Home::Member(name, None) => drop(edits.insert(self.open, format!("\"{name}\":{},", limit.tokens).into_bytes())),
            Home::Within(parent, name) => match &self.limit {
                Some(null) => drop(edits.replace(null.range.clone(), number(limit.tokens))),
                None => self.add_within(edits, &self.config, parent, &format!("\"{name}\":{}", limit.tokens)),
            },
            Home::Nowhere => {}
        }
    }

    fn home(&self, field: OutputField) -> Home<'_> {
        match (self.dialect, field) {
            _ if self.embeds => Home::Nowhere,
            (Dialect::OpenAiChat, OutputField::MaxTokens) | (Dialect::AnthropicMessages, _) => Home::Member("max_tokens", &self.limit),
            (Dialect::OpenAiChat, OutputField::MaxCompletionTokens) => Home::Member("max_completion_tokens", &self.completion_limit),
            (Dialect::OpenAiResponses, _) => Home::Member("max_output_tokens", &self.limit),
            (Dialect::Gemini, _) => Home::Within("generationConfig", "maxOutputTokens"),
            (Dialect::BedrockConverse, _) => Home::Within("inferenceConfig", "maxTokens"),
            (Dialect::OpenAiEmbeddings, _) => Home::Nowhere,
        }
    }

    /// Adds `member` to the object `name` of the body, which may not be there yet.
    fn add_within(&self, edits: &mut Edits<'static>, place: &Place, name: &str, member: &str) {
        match place {
            Place::Object { inside, empty: true } => edits.insert(*inside, member.as_bytes().to_vec()),
            Place::Object { inside, empty: false } => edits.insert(*inside, format!("{member},").into_bytes()),
            Place::Null(range) => edits.replace(range.clone(), format!("{{{member}}}").into_bytes()),
            // The prompt is there, so that something follows the comma.
            Place::Absent => edits.insert(self.open, format!("\"{name}\":{{{member}}},").into_bytes()),
        };
    }
}

fn lower(edits: &mut Edits<'static>, member: &LimitMember, tokens: u32) {
    if member.tokens.is_some_and(|given| given > tokens) {
        edits.replace(member.range.clone(), number(tokens));
    }
}

/// A thinking budget must be below the limit that contains it, or the request is refused: it is lowered to three quarters of the
/// limit. A limit that is too low for any thinking is left to the provider to refuse.
fn leave_room(edits: &mut Edits<'static>, thinking: &LimitMember, limit: u32) {
    if thinking.tokens.is_some_and(|budget| budget >= limit) && limit > LEAST_THINKING {
        let budget = limit.saturating_sub(limit / 4).max(LEAST_THINKING);
        edits.replace(thinking.range.clone(), number(budget));
    }
}

fn number(tokens: u32) -> Cow<'static, [u8]> {
    Cow::Owned(tokens.to_string().into_bytes())
}

fn quote(text: &str) -> Vec<u8> {
    serde_json::Value::from(text).to_string().into_bytes()
}

#[cfg(test)]
mod tests;

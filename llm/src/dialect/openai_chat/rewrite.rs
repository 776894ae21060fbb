//! Making the upstream's body out of the caller's: the fewest bytes changed, all others as they came (R-45).

use std::borrow::Cow;

use bytes::Bytes;

use super::head::{Layout, OutputMember, StreamOptions};
use crate::splice::Edits;

/// What the upstream shall see otherwise than the caller wrote it. Our own members are always taken out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rewrite<'r> {
    /// The model as the upstream calls it; `None` leaves it.
    pub model: Option<&'r str>,
    /// Ask for usage in a stream even if the caller did not, so that it is always known. Does nothing without `stream`.
    pub force_usage: bool,
    /// Lower the limit of the output to this, or set it where there is none.
    pub output_limit: Option<OutputLimit>,
}

/// A limit of the output of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimit {
    /// The most that may be generated.
    pub tokens: u32,
    /// The member to add where the caller gave neither.
    pub field: OutputField,
}

/// Servers differ in which of the two they know; OpenAI's reasoning models refuse the older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputField {
    /// `max_tokens`
    MaxTokens,
    /// `max_completion_tokens`
    MaxCompletionTokens,
}

impl OutputField {
    fn name(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
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
        if rewrite.force_usage && self.streams {
            self.force_usage(&mut edits);
        }
        if let Some(limit) = rewrite.output_limit {
            self.limit_output(&mut edits, limit);
        }
        for range in &self.removals {
            edits.remove(range.clone());
        }
        if let Some(model) = rewrite.model {
            let quoted = quote(model);
            if body.get(self.model.clone()) != Some(&quoted[..]) {
                edits.replace(self.model.clone(), quoted);
            }
        }
        edits
    }

    /// Whether `rewrite` with [`Rewrite::force_usage`] changes what the caller asked for.
    #[must_use]
    pub fn forces_usage(&self) -> bool {
        self.streams && self.stream_options != StreamOptions::On
    }

    fn force_usage(&self, edits: &mut Edits<'static>) {
        match &self.stream_options {
            StreamOptions::On => false,
            StreamOptions::Off(range) => edits.replace(range.clone(), &b"true"[..]),
            StreamOptions::Null(range) => edits.replace(range.clone(), &br#"{"include_usage":true}"#[..]),
            StreamOptions::Object { inside, empty: true } => edits.insert(*inside, &br#""include_usage":true"#[..]),
            StreamOptions::Object { inside, empty: false } => edits.insert(*inside, &br#""include_usage":true,"#[..]),
            // `model` and `messages` are there, so that something follows the comma.
            StreamOptions::Absent => edits.insert(self.open, &br#""stream_options":{"include_usage":true},"#[..]),
        };
    }

    fn limit_output(&self, edits: &mut Edits<'static>, limit: OutputLimit) {
        let given = [&self.max_tokens, &self.max_completion_tokens];
        let set = given.iter().any(|member| matches!(member, Some(OutputMember { tokens: Some(_), .. })));
        for member in given.into_iter().flatten() {
            if member.tokens.is_some_and(|tokens| tokens > limit.tokens) {
                edits.replace(member.range.clone(), number(limit.tokens));
            }
        }
        if set {
            return;
        }
        let same_name = match limit.field {
            OutputField::MaxTokens => &self.max_tokens,
            OutputField::MaxCompletionTokens => &self.max_completion_tokens,
        };
        match same_name {
            Some(null) => edits.replace(null.range.clone(), number(limit.tokens)),
            None => edits.insert(self.open, format!("\"{}\":{},", limit.field.name(), limit.tokens).into_bytes()),
        };
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

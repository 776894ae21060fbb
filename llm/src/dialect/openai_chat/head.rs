//! Reading a chat request: one pass over the body, which validates all of it and keeps the members that decide something.

use std::{borrow::Cow, ops::Range};

use crate::{
    request::{Extensions, Metadata, ReadRequestError},
    tokens::{self, PromptSizes, TokenEstimate},
};

mod messages;
mod reader;

/// What a chat request says about itself, borrowed from its body. The messages are checked and measured, not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatHead<'a> {
    /// `model`, as the caller wrote it.
    pub model: Cow<'a, str>,
    /// `stream`; absent is false.
    pub stream: bool,
    /// `stream_options.include_usage`: the caller wants the usage chunk. If not, and it was forced, it must be withheld.
    pub include_usage: bool,
    /// `max_tokens`
    pub max_tokens: Option<u32>,
    /// `max_completion_tokens`
    pub max_completion_tokens: Option<u32>,
    /// `n`, how many answers are asked for; absent is 1.
    pub choices: u32,
    /// `user`
    pub user: Option<Cow<'a, str>>,
    /// The fall-backs in `metadata`.
    pub metadata: Metadata<'a>,
    /// Whether `tools` or `functions` has any.
    pub has_tools: bool,
    /// The `mlx:` members.
    pub extensions: Extensions<'a>,
    /// Lengths of what makes the prompt.
    pub sizes: PromptSizes,
    /// Where things stand, for [`Layout::upstream_body`]. Borrows nothing.
    pub layout: Layout,
}

/// Where the members of one body stand that may have to be replaced or taken out.
///
/// Invariant: ranges are those of the body of `length` bytes that was read; using it on another body gives that body back with the
/// wrong bytes replaced, never a panic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    pub(super) length: usize,
    /// Offset behind the opening brace.
    pub(super) open: usize,
    pub(super) model: Range<usize>,
    pub(super) streams: bool,
    pub(super) stream_options: StreamOptions,
    pub(super) max_tokens: Option<OutputMember>,
    pub(super) max_completion_tokens: Option<OutputMember>,
    /// Our own members, each with the one comma that goes with it.
    pub(super) removals: Vec<Range<usize>>,
}

/// A limit of the output as it stands in the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OutputMember {
    pub(super) range: Range<usize>,
    /// `None` is `null`.
    pub(super) tokens: Option<u32>,
}

/// What has to be done to make `stream_options.include_usage` true.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum StreamOptions {
    /// There are none.
    #[default]
    Absent,
    /// They stand here and can be replaced whole (`null`).
    Null(Range<usize>),
    /// An object without `include_usage`; `inside` is the offset behind its brace.
    Object { inside: usize, empty: bool },
    /// `include_usage` stands here and is not true.
    Off(Range<usize>),
    /// It is true already.
    On,
}

impl<'a> ChatHead<'a> {
    /// Reads a request body.
    ///
    /// Refused, by name: anything that is not UTF-8 or not JSON, duplicate members, members of the wrong type, a missing `model` or
    /// `messages`, an unknown `mlx:` member, nesting beyond [`crate::json::MAX_DEPTH`].
    pub fn read(body: &'a [u8]) -> Result<Self, ReadRequestError> {
        reader::read(body)
    }

    /// The limit of the output of one answer, if the caller set one; the greater one if it set both.
    #[must_use]
    pub fn output_limit(&self) -> Option<u32> {
        self.max_completion_tokens.max(self.max_tokens)
    }

    /// How many input tokens this will be.
    #[must_use]
    pub fn estimate(&self) -> TokenEstimate {
        tokens::estimate(&self.sizes)
    }

    /// Whether there are pictures in the messages.
    #[must_use]
    pub fn has_images(&self) -> bool {
        self.sizes.images > 0
    }
}

#[cfg(test)]
mod tests;

//! Where the members of one body stand that may have to be replaced or taken out.

use std::ops::Range;

use crate::dialect::Dialect;

/// The places of one body.
///
/// Invariant: ranges are those of the body of `length` bytes that was read; using it on another body gives that body back with the
/// wrong bytes replaced, never a panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    pub(super) dialect: Dialect,
    pub(super) length: usize,
    /// Offset behind the opening brace.
    pub(super) open: usize,
    pub(super) model: Option<Range<usize>>,
    /// Where the model is named again (each of Gemini's batched requests does).
    pub(super) more_models: Vec<Range<usize>>,
    pub(super) streams: bool,
    /// There is no output: texts are embedded.
    pub(super) embeds: bool,
    pub(super) stream_options: StreamOptions,
    /// The dialect's limit of the output; in chat `max_tokens`.
    pub(super) limit: Option<LimitMember>,
    /// Chat's `max_completion_tokens`.
    pub(super) completion_limit: Option<LimitMember>,
    /// The object that has the limit in dialects where it is no member of the body.
    pub(super) config: Place,
    /// Anthropic's `thinking.budget_tokens`.
    pub(super) thinking: Option<LimitMember>,
    /// Our own members, each with the one comma that goes with it.
    pub(super) removals: Vec<Range<usize>>,
}

/// A number of tokens as it stands in the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LimitMember {
    pub(super) range: Range<usize>,
    /// `None` is `null`.
    pub(super) tokens: Option<u32>,
}

/// Where an object is to which a member may have to be added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// There is none.
    #[default]
    Absent,
    /// It stands here and can be replaced whole (`null`).
    Null(Range<usize>),
    /// An object; `inside` is the offset behind its brace.
    Object { inside: usize, empty: bool },
}

/// What has to be done to make `stream_options.include_usage` true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StreamOptions {
    /// It has to be added here.
    Add(Place),
    /// `include_usage` stands here and is not true.
    Off(Range<usize>),
    /// It is true already.
    On,
}

impl Layout {
    /// Whether several requests stand in this one, each with its model (Gemini's `batchEmbedContents`).
    #[must_use]
    pub fn is_batch(&self) -> bool {
        !self.more_models.is_empty()
    }

    pub(super) fn new(dialect: Dialect, length: usize, open: usize) -> Self {
        Self {
            dialect,
            length,
            open,
            model: None,
            more_models: Vec::new(),
            streams: false,
            embeds: false,
            stream_options: StreamOptions::Add(Place::Absent),
            limit: None,
            completion_limit: None,
            config: Place::Absent,
            thinking: None,
            removals: Vec::new(),
        }
    }
}

//! Reading a request: one pass over the body, which validates all of it and keeps the members that decide something.
//!
//! One reader for every dialect: `slot` says which of a dialect's members means what, `reader` does the pass, `prompt` measures what
//! was said, and `counted` does so again where lengths are not near enough. What a dialect says elsewhere than in its body (Gemini's model
//! and method stand in the path) is handed in as [`Addressed`].

use std::borrow::Cow;

use super::{Extensions, Layout, Metadata, ReadRequestError};
use crate::{
    dialect::Dialect,
    tokens::{self, PromptSizes, TokenEstimate},
};

mod counted;
mod prompt;
mod reader;
mod slot;

pub use counted::counted_bound;

/// What a request says about itself, borrowed from its body. What was said is checked and measured, not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head<'a> {
    /// The dialect it was read in.
    pub dialect: Dialect,
    /// The model, as the caller wrote it.
    pub model: Cow<'a, str>,
    /// Whether the answer is to be streamed; absent is false.
    pub stream: bool,
    /// Whether texts are to be embedded, so that there is no output.
    pub embeds: bool,
    /// Whether the caller gets the usage of a stream: in chat if it asked for it (`stream_options.include_usage`; a report that was
    /// forced must else be withheld), in every other dialect always.
    pub include_usage: bool,
    /// The limit of the output of one answer, if the caller set one; the greater one of chat's two.
    pub output_limit: Option<u32>,
    /// Anthropic's `thinking.budget_tokens`, which the limit of the output contains.
    pub thinking_budget: Option<u32>,
    /// How many answers are asked for; absent is 1.
    pub choices: u32,
    /// The provider's own member for the end user: `user`, else `safety_identifier`.
    pub user: Option<Cow<'a, str>>,
    /// The fall-backs in `metadata`.
    pub metadata: Metadata<'a>,
    /// Whether the model may call any tools.
    pub has_tools: bool,
    /// The member by which something that the provider keeps becomes part of the prompt (an earlier response, a conversation, a stored
    /// prompt, cached content, a container): no length tells how much, and [`Head::estimate`] does not contain it.
    pub provider_state: Option<&'static str>,
    /// A tool that the provider itself runs, as often as the model likes: what it finds is input again, and the calls may have a price.
    /// Tools that the caller runs are not meant, even if the provider describes them.
    pub provider_tool: Option<Cow<'a, str>>,
    /// Whether asking twice does no more than asking once, but for the cost: the provider keeps nothing of it, it refers to nothing that the
    /// provider keeps, and no tool of the provider's own runs. OpenAI's responses are kept unless `store` is false.
    pub repeatable: bool,
    /// The `mlx:` members.
    pub extensions: Extensions<'a>,
    /// Lengths of what makes the prompt.
    pub sizes: PromptSizes,
    /// Where things stand, for [`Layout::upstream_body`]. Borrows nothing.
    pub layout: Layout,
}

/// What the path says of a request, in dialects whose bodies don't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addressed<'a> {
    /// The model, as the caller wrote it.
    pub model: &'a str,
    /// Whether the method streams.
    pub stream: bool,
}

impl<'a> Head<'a> {
    /// Reads a request body of `dialect`. What is `addressed` goes before what the body says.
    ///
    /// Refused, by name: anything that is not UTF-8 or not JSON, duplicate members, members of the wrong type, a missing model or
    /// prompt, an unknown `mlx:` member, nesting beyond [`crate::json::MAX_DEPTH`].
    pub(crate) fn read(dialect: Dialect, body: &'a [u8], addressed: Option<Addressed<'a>>) -> Result<Self, ReadRequestError> {
        reader::read(dialect, body, addressed)
    }

    /// How many input tokens this will be.
    #[must_use]
    pub fn estimate(&self) -> TokenEstimate {
        tokens::estimate(&self.sizes)
    }

    /// Whether there are pictures in the prompt.
    #[must_use]
    pub fn has_images(&self) -> bool {
        self.sizes.images > 0
    }
}

#[cfg(test)]
mod tests;

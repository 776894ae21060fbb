//! From one dialect to another, by way of one typed form in the middle.
//!
//! A caller who speaks one dialect is served by a provider who speaks another: the request is read into a [`Conversation`], written
//! in the provider's dialect, and what comes back is read as an [`Answer`] (buffered) or as [`Delta`]s (streamed) and written in the
//! caller's. With *n* dialects there are *n* readers and *n* writers and no pairs.
//!
//! Promises: nothing is dropped silently. What the target has no place for is named in [`Dropped`], and what must not be lost (opaque
//! state of a provider) goes along byte for byte or is named there too. A stream that was read and accumulated equals the buffered
//! answer of the same content. Text is never cut inside a character.
//!
//! Leaves out: traffic within one dialect, which passes through without any of this; sockets; and what the worker makes of a field
//! that was dropped (a header, or a refusal under `strict_capabilities`).

mod answer;
mod conversation;
mod delta;
mod dropped;
mod members;

pub use answer::{Answer, Choice, FinishReason, ReadAnswerError, Stamp};
pub use conversation::{
    Conversation, Effort, Format, Image, ImageSource, Json, Media, Part, Reasoning, Role, Sampling, Schema, Signature, Tool, ToolCall,
    ToolChoice, ToolResult, Turn,
};
pub use delta::{Block, Delta};
pub use dropped::Dropped;
pub(crate) use members::{Members, text_of};

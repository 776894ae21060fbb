//! Requests to and from the typed form in the middle.
//!
//! Taken as they come, beside OpenAI's own members: `reasoning_content` and `reasoning` of the many reasoning servers,
//! `reasoning_details` (thoughts with their signatures), `cache_control` on parts, and Google's `extra_content` on tool calls.
//!
//! Leaves out: the legacy `functions` and `function_call`; they are named as dropped.

mod message;
mod read;
mod write;

pub(super) use message::{nameless_call, read_assistant};
pub(crate) use read::read_conversation;
pub(crate) use write::write_conversation;

/// The member of a tool call that carries Google's signature, and the way to it.
pub(super) const SIGNATURE_PATH: [&str; 3] = ["extra_content", "google", "thought_signature"];

/// The name in the responses dialect of a member that both of OpenAI's dialects have and the middle has no place for.
pub(crate) fn shared_with_responses(name: &str) -> Option<&'static str> {
    SHARED.into_iter().find_map(|(chat, responses)| (chat == name).then_some(responses))
}

/// The name here of a member of the responses dialect, likewise.
pub(super) fn shared_by_responses(name: &str) -> Option<&'static str> {
    SHARED.into_iter().find_map(|(chat, responses)| (responses == name).then_some(chat))
}

/// Members of the same meaning: the name here and the name in the responses dialect.
const SHARED: [(&str, &str); 6] = [
    ("metadata", "metadata"),
    ("service_tier", "service_tier"),
    ("store", "store"),
    ("prompt_cache_key", "prompt_cache_key"),
    ("prompt_cache_retention", "prompt_cache_retention"),
    ("verbosity", "text.verbosity"),
];

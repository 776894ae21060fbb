//! Requests to and from the typed form in the middle.
//!
//! What refers to state at the provider is read and said in [`crate::convert::Conversation::state`]: `previous_response_id`,
//! `conversation`, stored prompts, item references and encrypted compactions. `store` is only a wish: it is named as dropped.

mod read;
mod write;

pub(crate) use read::read_conversation;
pub(crate) use write::write_conversation;

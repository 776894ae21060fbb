//! What is asked of a provider beside its models' answers (files, batches, pictures …), as far as a decision has to do with it.

use std::sync::Arc;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::catalogue::Interface;

/// One request that is passed through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Passthrough {
    /// The operation's name, such as `POST /openai/v1/batches`.
    #[cbor(n(0), with = "crate::cbor::text")]
    pub operation: Arc<str>,
    /// Whose interface it is part of: only who has that can do it.
    #[n(1)]
    pub interface: Interface,
    /// What is known of its cost.
    #[n(2)]
    pub spends: Spends,
    /// The provider that the caller names, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cbor(n(3), with = "crate::cbor::optional_text", has_nil)]
    pub provider: Option<Arc<str>>,
}

/// What is known of the cost of an operation before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Spends {
    /// It costs nothing.
    #[n(0)]
    Nothing,
    /// It costs nothing where the interface comes from, and tokens elsewhere.
    #[n(1)]
    NothingAtItsVendor,
    /// It costs tokens of the model that it names.
    #[n(2)]
    Tokens,
    /// Nothing in the request tells.
    #[n(3)]
    Unknown,
}

impl Spends {
    /// The word for traces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::NothingAtItsVendor => "nothing_at_its_vendor",
            Self::Tokens => "tokens",
            Self::Unknown => "unknown",
        }
    }
}

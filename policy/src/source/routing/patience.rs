//! How long a config waits for answers, when it asks somebody else as well, and what becomes of an answer whose caller has left.

use serde::{Deserialize, Serialize};

/// What becomes of an answer whose caller leaves before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDisconnect {
    /// The provider's work is ended; what it consumed is estimated.
    Cancel,
    /// It is heard to its end, so that what it consumed is known.
    Drain,
}

/// What a config says of the answers that are asked for through it; where it says nothing, the config around it, then the worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// Milliseconds from asking to the first piece of a stream, or to the head of a whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_timeout_ms: Option<u32>,
    /// Milliseconds between two pieces of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout_ms: Option<u32>,
    /// Milliseconds from asking without such a sign of life until another one is asked as well; nobody where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedge_after_ms: Option<u32>,
    /// Cancelled where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_disconnect: Option<OnDisconnect>,
}

impl Patience {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        *self == Self::default()
    }

    /// What is said here, and `outer` where nothing is.
    #[must_use]
    pub fn or(self, outer: Self) -> Self {
        Self {
            first_byte_timeout_ms: self.first_byte_timeout_ms.or(outer.first_byte_timeout_ms),
            idle_timeout_ms: self.idle_timeout_ms.or(outer.idle_timeout_ms),
            hedge_after_ms: self.hedge_after_ms.or(outer.hedge_after_ms),
            on_disconnect: self.on_disconnect.or(outer.on_disconnect),
        }
    }

    /// Whether an answer is heard to its end for a caller who has left.
    #[must_use]
    pub fn drains(&self) -> bool {
        self.on_disconnect == Some(OnDisconnect::Drain)
    }
}

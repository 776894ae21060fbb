//! What was booked, as it is booked, for whoever is watching live.
//!
//! Promises: booking never waits for a watcher; one that is too slow is told how many events it missed. A watcher sees what the
//! control plane it is connected to books; the ledger is where everything is.

use std::sync::Arc;

use policy::event::UsageEvent;
use tokio::sync::broadcast;

/// An event that was booked just now.
pub type BookedEvent = Arc<UsageEvent>;

/// Events a watcher may be behind.
const BACKLOG: usize = 4096;

/// Passes booked events on; cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed {
    sender: broadcast::Sender<BookedEvent>,
}

impl Default for Feed {
    fn default() -> Self {
        Self::new()
    }
}

impl Feed {
    /// With nobody watching yet.
    #[must_use]
    pub fn new() -> Self {
        Self { sender: broadcast::Sender::new(BACKLOG) }
    }

    /// Everything that is booked from now on, of all organizations: the watcher picks its own.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<BookedEvent> {
        self.sender.subscribe()
    }

    pub(super) fn send(&self, events: impl IntoIterator<Item = UsageEvent>) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        for event in events {
            // The last watcher may leave at any time; then there is nobody to tell.
            drop(self.sender.send(Arc::new(event)));
        }
    }
}

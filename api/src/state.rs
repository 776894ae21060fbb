//! What all requests of the process share: one field a concern, cheap to clone.

use std::sync::Arc;

use crate::authz::Matrix;
use crate::clock::Clock;
use crate::database::Database;
use crate::ledger::{Feed, Ledger};
use crate::publish::Publisher;
use crate::secrets::Secrets;

/// The concerns of the control plane.
#[derive(Debug, Clone)]
pub struct AppState {
    /// Rows.
    pub database: Database,
    /// Time.
    pub clock: Clock,
    /// Keys of the deployment.
    pub secrets: Arc<Secrets>,
    /// Tells workers of new bundles.
    pub publisher: Publisher,
    /// What each role may do.
    pub matrix: Arc<Matrix>,
    /// What was spent and what may be.
    pub ledger: Arc<Ledger>,
    /// What was booked, as it is booked.
    pub feed: Feed,
}

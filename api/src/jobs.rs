//! What goes on in the background, and how it ends.
//!
//! Promises: every task is started through a [`Supervisor`], which starts it again when it fails or panics and which shutdown waits
//! for. Every job may run on several control planes at once, and twice: each step is one statement or transaction whose repetition
//! changes nothing.
//!
//! Leaves out: timers of the data plane.

mod retention;
mod supervisor;

pub use retention::Retention;
pub use supervisor::Supervisor;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::database::Database;
use crate::ledger::Ledger;
use crate::publish::Publisher;

/// How often leases of lost workers are looked at.
const LEASES: Duration = Duration::from_secs(1);
/// How often old rows are looked for.
const RETENTION: Duration = Duration::from_secs(600);

/// Starts all of them.
pub fn start(supervisor: &Supervisor, database: &Database, clock: &Clock, publisher: &Publisher, ledger: &Arc<Ledger>) {
    let task = publisher.clone();
    supervisor.spawn("publisher", move |stop| {
        let publisher = task.clone();
        async move {
            publisher.run(stop).await;
            Ok(())
        }
    });
    let task = Arc::clone(ledger);
    supervisor.every("lease-expiry", LEASES, move || {
        let ledger = Arc::clone(&task);
        async move { Ok(ledger.close_lost_leases().await?) }
    });
    let retention = Retention::new(database.clone(), clock.clone());
    supervisor.every("retention", RETENTION, move || {
        let retention = retention.clone();
        async move { Ok(retention.run().await?) }
    });
}

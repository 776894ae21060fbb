//! The one place of this crate that asks what time it is.
//!
//! [`now`] is calendar time, for events and budget periods; [`instant`] only ever moves forward, for time-outs and latencies.

use std::time::Instant;

use chrono::{DateTime, Utc};

/// Calendar time.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock that everything else takes")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Time that only moves forward.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock that everything else takes")]
pub fn instant() -> Instant {
    Instant::now()
}

//! The worker's side of the link to the control plane.
//!
//! [`ControlPlane`] is what can be asked of it, as messages of `policy::link`; [`Control`] asks over HTTP. [`attach`] starts everything
//! that lives on the link: enrolment, the policy feed, heartbeats, leases and the shipping of events.
//!
//! Promises: every call has a time limit; nothing here is on a request's path, except that a request whose lease is short waits for one
//! shared call.
//!
//! Leaves out: retries of single calls. Whoever calls knows whether asking again makes sense.

mod attach;
mod control;
mod enrolment;
#[cfg(test)]
pub(crate) mod fake;
mod heartbeat;

use async_trait::async_trait;
use bytes::Bytes;
use policy::bundle::Envelope;
use policy::link::{Ack, Booked, Enrol, Enrolled, Feed, FeedQuery, Heartbeat, HeartbeatReply, LeaseCall, LeaseReply};

pub use attach::{AttachError, Attached, attach, attach_to};
pub use control::Control;
pub use enrolment::{Enrolment, EnrolmentError, Identity};

/// Why a call to the control plane gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No connection, or no answer in time.
    #[error("control plane can't be reached for `{call}`")]
    Unreachable {
        /// Which call.
        call: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It answered with something else than success.
    #[error("control plane answered `{call}` with status {status}: {detail}")]
    Refused {
        /// Which call.
        call: &'static str,
        /// Status.
        status: u16,
        /// First characters of its answer.
        detail: String,
    },
    /// It answered something unreadable.
    #[error("control plane's answer to `{call}` can't be read")]
    Unreadable {
        /// Which call.
        call: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// This worker has not been taken in yet.
    #[error("worker is not enrolled yet")]
    NotEnrolled,
}

impl LinkError {
    /// Whether the message itself was found bad, so that sending it again as it is makes no sense.
    #[must_use]
    pub fn is_about_the_message(&self) -> bool {
        matches!(self, Self::Refused { status: 400 | 413 | 422, .. })
    }
}

/// What can be asked of the control plane.
#[async_trait]
pub trait ControlPlane: Send + Sync + 'static {
    /// Says hello.
    async fn enrol(&self, message: &Enrol) -> Result<Enrolled, LinkError>;
    /// Asks which bundles are newer; may be held back for `query.wait_ms`.
    async fn feed(&self, query: &FeedQuery) -> Result<Feed, LinkError>;
    /// Fetches the newest bundle of an organization.
    async fn bundle(&self, org_id: &str) -> Result<Envelope, LinkError>;
    /// Reports what was applied.
    async fn acknowledge(&self, ack: &Ack) -> Result<(), LinkError>;
    /// Asks for money.
    async fn lease(&self, call: &LeaseCall) -> Result<LeaseReply, LinkError>;
    /// Says what is in use.
    async fn heartbeat(&self, message: &Heartbeat) -> Result<HeartbeatReply, LinkError>;
    /// Ships newline-separated usage events.
    async fn ship(&self, events: Bytes) -> Result<Booked, LinkError>;
}

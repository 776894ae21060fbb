//! From a request that was read to one that is permitted: the stages that an answer and what is passed through have in common, in their order.
//!
//! Promises: guardrails look before the decision is made; what they replaced is what goes on; a dry run stops where the decision is.
//!
//! Leaves out: reading the request, and what is done with the permit.

use std::sync::OnceLock;

use bytes::Bytes;
use pingora_core::protocols::http::ServerSession;
use policy::decision::{DenialReason, Permit, Route, Trace};
use policy::facts::RequestFacts;

use super::call::Exchange;
use super::{Failure, dry_run};
use crate::guard::{Guarded, guard, guard_opaque};
use crate::ingress::headers::CallerHeaders;
use crate::metering::Booking;
use crate::policy_feed::OrgPolicy;
use crate::respond::head::Sent;

/// A request that was read, whatever it asks for.
pub(super) trait Readable<'r> {
    /// What rules may know of it.
    fn facts(&mut self) -> &mut RequestFacts;

    /// What its head says.
    fn headers(&self) -> &CallerHeaders;

    /// What guardrails can look into.
    fn content(&self) -> Content<'r>;

    /// Why it can't be answered along this route, though the policy permits it.
    fn objection(&self, _policy: &OrgPolicy, _route: &Route) -> Option<Failure> {
        None
    }

    /// Goes on with another body, in which something was replaced: places and lengths are other ones, what the caller said of itself is not.
    fn go_on_with(&mut self, body: &'r Bytes) -> Result<(), Failure>;
}

/// A body as guardrails see it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content<'r> {
    /// There is none.
    Nothing,
    /// JSON, whose texts can be told apart.
    Json(&'r Bytes),
    /// A file, a form: nobody here can look into it.
    Opaque,
}

/// A request that may be answered, or what went out instead.
pub(super) type Permitted<'c> = Result<(Booking<'c>, Permit, Trace), Sent>;

/// Asks guardrails and policy about `asked`; `redacted` keeps the body that guardrails put in the place of the caller's.
pub(super) async fn permit<'c, 'r>(
    exchange: Exchange<'c>,
    session: &mut ServerSession,
    mut booking: Booking<'c>,
    asked: &mut impl Readable<'r>,
    redacted: &'r OnceLock<Bytes>,
    mut trace: Trace,
) -> Permitted<'c> {
    let callers = asked.headers().trace;
    booking.describe(asked.facts(), callers);
    let guarded = match asked.content() {
        Content::Nothing => Ok(Guarded::default()),
        Content::Json(body) => guard(exchange, body, asked.facts(), &mut trace).await,
        Content::Opaque => Ok(guard_opaque(exchange, asked.facts(), &mut trace)),
    };
    let guarded = match guarded {
        Ok(guarded) => guarded,
        Err(failure) => return Err(exchange.refuse(session, booking, failure, trace).await),
    };
    asked.facts().findings = guarded.findings;
    booking.found(guarded.findings);
    if let Some(body) = guarded.body
        && let Err(failure) = asked.go_on_with(redacted.get_or_init(|| body))
    {
        return Err(exchange.refuse(session, booking, failure, trace).await);
    }
    let decided = match guarded.denial {
        Some(message) => Err((Failure::Denied { reason: DenialReason::Policy, message }, trace)),
        None => exchange.decide(asked.facts(), trace).await,
    };
    let decided = decided.and_then(|(permit, trace)| match asked.objection(&exchange.caller.policy, permit.route()) {
        Some(failure) => Err((failure, trace)),
        None => Ok((permit, trace)),
    });
    match decided {
        Ok((permit, trace)) => Ok((booking, permit, trace)),
        Err((failure, trace)) if asked.headers().dry_run => {
            Err(dry_run::answer_denial(exchange, session, asked.facts(), &failure, &trace).await)
        }
        Err((failure, trace)) => Err(exchange.refuse(session, booking, failure, trace).await),
    }
}

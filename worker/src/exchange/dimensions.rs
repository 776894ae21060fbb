//! Vectors of one length: a request can't ask a config that says how long they are for others.
//!
//! Refused is the request, before anything is held or looked up: whichever target served it, the answer would not be what was asked for, and
//! what is asked for does not fit what others were given. A number that says the same is as good as none.

use llm::request::{Head, dimensions_member, other_dimensions};
use policy::decision::{Dimensions, Route};

use super::Failure;
use crate::ingress::ReadFailure;
use crate::policy_feed::OrgPolicy;

/// Why this request can't be answered along this route; nothing where it can.
pub(super) fn conflict(policy: &OrgPolicy, head: &Head<'_>, body: &[u8], route: &Route) -> Option<Failure> {
    if !head.embeds {
        return None;
    }
    let mut found = None;
    route.each_target(&mut |target| {
        let Some(said) = target.dimensions.filter(|_| found.is_none()) else { return };
        found = other_dimensions(head.dialect, body, said.number).map(|other| other.map(|asked| (asked, said))).transpose();
    });
    Some(match found? {
        Err(error) => Failure::Read(ReadFailure::from(error)),
        Ok((asked, Dimensions { number, config })) => {
            let configs = &policy.engine.bundle().configs;
            let config = usize::try_from(config).ok().and_then(|at| configs.get(at)).map(|config| format!("@{}", config.slug));
            let member = dimensions_member(head.dialect);
            Failure::OtherDimensions { member, asked, config: config.unwrap_or_default(), number }
        }
    })
}

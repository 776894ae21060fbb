//! How often the management interface may be called: with one key, and from one address with keys that nobody has.
//!
//! Behaviour: GCRA. An allowance refills evenly and lets a burst through. A request counts once, a subscription too, and so does each
//! operation over a socket. A good key is never refused for the bad ones of others: an office or a proxy has one address, and a
//! forgotten script behind it must not lock everybody out. Keys are too long to be guessed; what is over the allowance of failures is
//! told so and to come back later.
//!
//! Memory: a key counts once it is recognised, so there are no more entries than keys. Failures are kept apart for [`MAX_ADDRESSES`]
//! addresses, more of them share one allowance; IPv6 addresses count by the network that one caller has. What is full again is
//! forgotten every [`FORGET`].
//!
//! Leaves out: health, metrics and the workers' link, which are never limited. Each control plane counts for itself.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::config::RateConfig;

/// How often what is full again is forgotten.
pub(crate) const FORGET: Duration = Duration::from_secs(60);
const MAX_ADDRESSES: usize = 10_000;
/// Where addresses are counted that are too many, or not known.
const ALL_OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Come back after this long.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("too many requests: try again in {} s", .retry_after.as_secs())]
pub(crate) struct RateLimited {
    /// In whole seconds, at least one.
    pub(crate) retry_after: Duration,
}

type Allowances<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock>;

/// What is left to whom; none where nothing is limited.
pub(crate) struct RateLimits {
    keys: Option<Allowances<String>>,
    failures: Option<Allowances<IpAddr>>,
}

impl RateLimits {
    /// With everything still allowed.
    pub(crate) fn new(config: RateConfig) -> Self {
        let per_minute = |count: u32| NonZeroU32::new(count).map(Quota::per_minute);
        let burst = NonZeroU32::new(config.key_burst).unwrap_or(NonZeroU32::MIN);
        let keys = per_minute(config.key_per_minute).map(|quota| RateLimiter::hashmap(quota.allow_burst(burst)));
        Self { keys, failures: per_minute(config.failures_per_minute).map(RateLimiter::hashmap) }
    }

    /// Takes one from the allowance of a management key.
    pub(crate) fn take(&self, key_id: &str) -> Result<(), RateLimited> {
        self.keys.as_ref().map_or(Ok(()), |keys| take_one(keys, &key_id.to_owned()))
    }

    /// A key from this address was nobody's: takes one from the address's allowance.
    pub(crate) fn failed(&self, address: Option<IpAddr>) -> Result<(), RateLimited> {
        let Some(failures) = &self.failures else { return Ok(()) };
        let counted_as = if failures.len() < MAX_ADDRESSES { network(address) } else { ALL_OTHERS };
        take_one(failures, &counted_as)
    }

    /// Forgets what is full again.
    pub(crate) fn forget(&self) {
        if let Some(keys) = &self.keys {
            keys.retain_recent();
        }
        if let Some(failures) = &self.failures {
            failures.retain_recent();
        }
    }
}

fn take_one<K: std::hash::Hash + Eq + Clone>(allowances: &Allowances<K>, whose: &K) -> Result<(), RateLimited> {
    allowances.check_key(whose).map_err(|refused| {
        let wait = refused.wait_time_from(DefaultClock::default().now());
        RateLimited { retry_after: Duration::from_secs(wait.as_secs().saturating_add(1)) }
    })
}

/// What counts as one caller: an IPv4 address, or the first half of an IPv6 address.
fn network(address: Option<IpAddr>) -> IpAddr {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V6(address)) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        Some(v4) => v4,
        None => ALL_OTHERS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(key_per_minute: u32, key_burst: u32, failures_per_minute: u32) -> RateLimits {
        RateLimits::new(RateConfig { key_per_minute, key_burst, failures_per_minute })
    }

    #[test]
    fn a_key_has_its_burst_and_takes_nothing_from_another() {
        let limits = limits(1, 3, 0);
        for _ in 0..3 {
            limits.take("one").unwrap();
        }
        let wait = limits.take("one").unwrap_err().retry_after;
        assert!((50..=61).contains(&wait.as_secs()), "{wait:?}");
        limits.take("two").unwrap();
    }

    #[test]
    fn failures_are_counted_by_network() {
        let limits = limits(0, 0, 2);
        let [caller, neighbour, stranger] = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(|text| Some(text.parse().unwrap()));
        limits.failed(caller).unwrap();
        limits.failed(neighbour).unwrap();
        assert!(limits.failed(caller).is_err() && limits.failed(neighbour).is_err());
        limits.failed(stranger).unwrap();
    }

    #[test]
    fn addresses_beyond_the_most_share_one_allowance() {
        let limits = limits(0, 0, 2);
        let refused = (0..10_010_u32).filter(|number| limits.failed(Some(IpAddr::V4((*number).into()))).is_err()).count();
        assert!(refused >= 1, "none of the addresses that are too many was refused");
        assert!(limits.failures.as_ref().unwrap().len() <= MAX_ADDRESSES + 1);
    }

    #[test]
    fn zero_is_no_limit() {
        let limits = limits(0, 0, 0);
        for _ in 0..1000 {
            limits.take("one").unwrap();
            limits.failed(None).unwrap();
        }
    }
}

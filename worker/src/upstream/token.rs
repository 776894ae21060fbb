//! Access tokens that a provider's credential is exchanged for: fetched ahead of need, kept for whoever calls the provider.
//!
//! # Behaviour
//!
//! - A request only looks at the token that is there. Fetching is the [`Keeper`]'s, a task of its own: at once for a provider that is new, a
//!   tenth of a token's life (at least [`AHEAD`]) before it ends, and after a failure again with back-off, up to [`PATIENCE`].
//! - A provider whose credential a new bundle leaves as it is keeps its token ([`Slot::is_same`]).
//! - Cold start: a request that comes before the first outcome waits for it, [`FETCH_TIME`] at most.
//! - While a refresh fails the token that is there serves until it ends. Then requests fail, and say that it is for the token.
//!
//! Promises: no request takes a lock or asks a token endpoint; endpoints are under the same rules about addresses as providers.

mod grant;
mod keeper;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::sync::Notify;

use crate::clock;

pub(crate) use grant::Grant;
pub(crate) use keeper::Keeper;

/// How long before its end a token is replaced at least.
const AHEAD: Duration = Duration::from_secs(120);
/// Between two tries after failures at most.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one exchange may take, and so how long the first request waits.
const FETCH_TIME: Duration = Duration::from_secs(10);

/// Where a provider's token is kept.
pub(crate) struct Slot {
    grant: Grant,
    held: ArcSwap<Held>,
    settled: Notify,
    /// The keeper's own; no request looks at it.
    schedule: Mutex<Schedule>,
}

/// What there is of a token.
enum Held {
    /// Nobody has asked yet.
    Nothing,
    /// A token and its end.
    Token(Arc<SecretString>, Instant),
    /// There is none, for this reason.
    Problem(Arc<str>),
}

/// When to fetch next.
struct Schedule {
    due: Instant,
    failures: u32,
    fetching: bool,
}

/// A token as it was granted.
struct Granted {
    token: SecretString,
    lasts: Duration,
}

impl Slot {
    /// For this grant; to be fetched at once.
    pub(crate) fn new(grant: Grant) -> Self {
        let schedule = Schedule { due: clock::instant(), failures: 0, fetching: false };
        Self { grant, held: ArcSwap::from_pointee(Held::Nothing), settled: Notify::new(), schedule: Mutex::new(schedule) }
    }

    /// Whether both stand for the same credential, so that one's token is the other's.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.grant == other.grant
    }

    /// The token, or why there is none.
    pub(crate) async fn token(&self) -> Result<Arc<SecretString>, Arc<str>> {
        let mut settled = std::pin::pin!(self.settled.notified());
        settled.as_mut().enable();
        if let Some(outcome) = self.outcome() {
            return outcome;
        }
        let late = || Arc::from("the token endpoint has not answered yet");
        tokio::time::timeout(FETCH_TIME, settled).await.map_err(|_| late())?;
        self.outcome().unwrap_or_else(|| Err(late()))
    }

    fn outcome(&self) -> Option<Result<Arc<SecretString>, Arc<str>>> {
        match &**self.held.load() {
            Held::Nothing => None,
            Held::Token(token, end) if clock::instant() < *end => Some(Ok(Arc::clone(token))),
            Held::Token(..) => Some(Err(Arc::from("it has ended and no other could be had"))),
            Held::Problem(problem) => Some(Err(Arc::clone(problem))),
        }
    }

    /// Whether it is time to fetch; who is told so has to say how it went.
    fn begin(&self, now: Instant) -> bool {
        let mut schedule = self.schedule.lock();
        let begins = !schedule.fetching && schedule.due <= now;
        schedule.fetching |= begins;
        begins
    }

    /// When to look again, where nobody is fetching.
    fn due(&self) -> Option<Instant> {
        let schedule = self.schedule.lock();
        (!schedule.fetching).then_some(schedule.due)
    }

    /// Notes how it went.
    fn end(&self, fetched: Result<Granted, String>) {
        let now = clock::instant();
        let mut schedule = self.schedule.lock();
        schedule.fetching = false;
        match fetched {
            Ok(Granted { token, lasts }) => {
                schedule.failures = 0;
                schedule.due = now + lasts.saturating_sub(AHEAD.max(lasts / 10)).max(Duration::from_secs(1));
                self.held.store(Arc::new(Held::Token(Arc::new(token), now + lasts)));
            }
            Err(problem) => {
                tracing::warn!(token.endpoint = %self.grant.origin(), problem, "no access token for a provider");
                schedule.due = now + back_off(schedule.failures);
                schedule.failures = schedule.failures.saturating_add(1);
                if !matches!(self.outcome(), Some(Ok(_))) {
                    self.held.store(Arc::new(Held::Problem(problem.into())));
                }
            }
        }
        drop(schedule);
        self.settled.notify_waiters();
    }
}

/// How long to wait after so many failures before this one.
fn back_off(failures: u32) -> Duration {
    Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(failures)).min(PATIENCE)
}

#[cfg(test)]
mod tests {
    use policy::catalogue::Credential;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn slot(secret: &str) -> Slot {
        let written = format!(r#"{{"tenant_id":"t","client_id":"c","client_secret":"{secret}"}}"#);
        let Ok(Credential::Entra(client)) = Credential::read("azure", &written) else { panic!("a client") };
        Slot::new(Grant::of_client(&client).expect("a grant"))
    }

    fn granted(token: &str, lasts: u64) -> Result<Granted, String> {
        Ok(Granted { token: SecretString::from(token), lasts: Duration::from_secs(lasts) })
    }

    #[tokio::test]
    async fn the_token_that_is_there_serves_while_a_refresh_fails() {
        let slot = slot("s");
        assert!(slot.begin(clock::instant()) && !slot.begin(clock::instant()), "only one fetches");
        slot.end(granted("one", 3600));
        assert!(!slot.begin(clock::instant()), "it lasts");
        assert!(slot.begin(clock::instant() + Duration::from_secs(3400)), "it is fetched ahead of its end");
        slot.end(Err("away".to_owned()));
        assert_eq!(slot.token().await.map(|token| token.expose_secret().to_owned()).as_deref(), Ok("one"));
    }

    #[tokio::test]
    async fn without_a_token_it_says_why_and_tries_again_with_back_off() {
        let slot = slot("s");
        for failures in [1_u64, 2, 4, 8, 16, 32, 60, 60] {
            let due = slot.due().expect("a time");
            assert!(slot.begin(due));
            slot.end(Err("away".to_owned()));
            let wait = slot.due().expect("a time").saturating_duration_since(clock::instant());
            assert!(wait <= Duration::from_secs(failures) && wait > Duration::from_secs(failures - 1), "{wait:?}");
        }
        assert_eq!(slot.token().await.map(drop), Err(Arc::from("away")));
    }

    #[test]
    fn a_token_is_kept_for_the_same_credential_only() {
        assert!(slot("s").is_same(&slot("s")));
        assert!(!slot("s").is_same(&slot("other")));
    }
}

//! Walking a route: which target is tried next, and how long it may take.
//!
//! A route is a tree of fallbacks with targets at its leaves. [`Walk`] hands out the leaves in order; after a failure it looks outward for
//! the first fallback that goes on after this kind of failure, still has an attempt left and has time. Pure; no clock is read here.

use std::time::{Duration, Instant};

use policy::decision::{ResolvedTarget, Route, RouteAttempt};
use policy::source::RetryOn;
use smallvec::SmallVec;

/// How an attempt failed, as `retry_on` sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureClass {
    /// One of the kinds that can be listed.
    Retryable(RetryOn),
    /// The money or the address was refused before anything was sent: the next one may be affordable.
    NotAdmitted,
    /// The provider refused the request itself; another one would be asked the same.
    Final,
}

/// A target and its time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Leaf<'r> {
    /// Where.
    pub target: &'r ResolvedTarget,
    /// How long until the response head, where the policy says.
    pub timeout: Option<Duration>,
    /// When all attempts together must be done.
    pub deadline: Option<Instant>,
}

#[derive(Clone)]
struct Frame<'r> {
    attempts: &'r [RouteAttempt],
    next: usize,
    retry_on: &'r [RetryOn],
    timeout: Option<Duration>,
    deadline: Option<Instant>,
}

/// A walk through one route.
#[derive(Clone)]
pub(crate) struct Walk<'r> {
    frames: SmallVec<[Frame<'r>; 2]>,
}

impl<'r> Walk<'r> {
    /// Begins at `now`; the first target, where the route has any.
    pub(crate) fn begin(route: &'r Route, now: Instant) -> (Self, Option<Leaf<'r>>) {
        let mut walk = Self { frames: SmallVec::new() };
        let first = walk.descend(route, None, None, now);
        (walk, first)
    }

    /// The target to try after a failure at `now`, if any.
    pub(crate) fn after(&mut self, class: FailureClass, now: Instant) -> Option<Leaf<'r>> {
        while let Some(frame) = self.frames.last_mut() {
            let goes_on = match class {
                FailureClass::Retryable(kind) => frame.retry_on.contains(&kind),
                FailureClass::NotAdmitted => true,
                FailureClass::Final => return None,
            };
            let in_time = frame.deadline.is_none_or(|deadline| now < deadline);
            match frame.attempts.get(frame.next).filter(|_| goes_on && in_time) {
                Some(attempt) => {
                    frame.next = frame.next.saturating_add(1);
                    let (timeout, deadline) = (least(frame.timeout, millis(attempt.timeout_ms)), frame.deadline);
                    if let Some(leaf) = self.descend(&attempt.route, timeout, deadline, now) {
                        return Some(leaf);
                    }
                }
                None => drop(self.frames.pop()),
            }
        }
        None
    }

    fn descend(
        &mut self,
        mut route: &'r Route,
        mut timeout: Option<Duration>,
        mut deadline: Option<Instant>,
        now: Instant,
    ) -> Option<Leaf<'r>> {
        loop {
            match route {
                Route::Target(target) => return Some(Leaf { target, timeout, deadline }),
                Route::Fallback { attempts, retry_on, total_budget_ms } => {
                    deadline = least(deadline, millis(*total_budget_ms).and_then(|total| now.checked_add(total)));
                    self.frames.push(Frame { attempts, next: 1, retry_on, timeout, deadline });
                    let first = attempts.first()?;
                    timeout = least(timeout, millis(first.timeout_ms));
                    route = &first.route;
                }
                // Where answers are judged nobody walks, unless only tokens are counted: then who is asked first stands for all.
                Route::Ensemble(ensemble) => route = &ensemble.members.first()?.route,
                Route::Cascade(cascade) => route = &cascade.steps.first()?.route,
            }
        }
    }
}

fn millis(ms: Option<u64>) -> Option<Duration> {
    ms.map(Duration::from_millis)
}

fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use smallvec::smallvec;

    use super::*;
    use crate::clock;

    fn target(name: &str) -> Route {
        Route::Target(ResolvedTarget {
            provider: 0,
            provider_name: Arc::from("p"),
            model: Arc::from(name),
            label: Arc::from(format!("p/{name}")),
            prices: None,
            price_version: Arc::from(""),
            context_tokens: None,
            max_output_tokens: None,
            claims: SmallVec::new(),
            variant: None,
            patience: policy::source::Patience::default(),
            dimensions: None,
        })
    }

    fn fallback(attempts: Vec<(Route, Option<u64>)>, retry_on: SmallVec<[RetryOn; 4]>, total_budget_ms: Option<u64>) -> Route {
        let attempts = attempts.into_iter().map(|(route, timeout_ms)| RouteAttempt { route, timeout_ms }).collect();
        Route::Fallback { attempts, retry_on, total_budget_ms }
    }

    fn name(leaf: Option<Leaf<'_>>) -> Option<String> {
        leaf.map(|leaf| leaf.target.model.to_string())
    }

    const CONNECT: FailureClass = FailureClass::Retryable(RetryOn::Connect);
    const TIMEOUT: FailureClass = FailureClass::Retryable(RetryOn::Timeout);

    #[test]
    fn a_failure_that_is_not_listed_ends_the_walk() {
        let route = fallback(vec![(target("a"), None), (target("b"), None)], smallvec![RetryOn::Connect], None);
        let now = clock::instant();
        let (mut walk, first) = Walk::begin(&route, now);
        assert_eq!(name(first).as_deref(), Some("a"));
        assert_eq!(name(walk.after(TIMEOUT, now)), None);
        let (mut walk, _) = Walk::begin(&route, now);
        assert_eq!(name(walk.after(CONNECT, now)).as_deref(), Some("b"));
        assert_eq!(name(walk.after(CONNECT, now)), None);
    }

    #[test]
    fn an_inner_fallback_that_gives_up_hands_over_to_the_outer_one() {
        let inner = fallback(vec![(target("a"), None), (target("b"), None)], smallvec![RetryOn::Connect], None);
        let route = fallback(vec![(inner, Some(900)), (target("c"), None)], RetryOn::ALL.into_iter().collect(), None);
        let now = clock::instant();
        let (mut walk, first) = Walk::begin(&route, now);
        assert_eq!(first.and_then(|leaf| leaf.timeout), Some(Duration::from_millis(900)));
        assert_eq!(name(walk.after(TIMEOUT, now)).as_deref(), Some("c"));
        assert_eq!(name(walk.after(TIMEOUT, now)), None);
    }

    #[test]
    fn nothing_is_tried_after_the_total_budget_and_nothing_after_a_refusal_of_the_request() {
        let route = fallback(vec![(target("a"), None), (target("b"), None)], RetryOn::ALL.into_iter().collect(), Some(100));
        let now = clock::instant();
        let (mut walk, first) = Walk::begin(&route, now);
        assert_eq!(first.and_then(|leaf| leaf.deadline), now.checked_add(Duration::from_millis(100)));
        assert_eq!(name(walk.after(CONNECT, now + Duration::from_millis(100))), None);
        let (mut walk, _) = Walk::begin(&route, now);
        assert_eq!(name(walk.after(FailureClass::Final, now)), None);
        let (mut walk, _) = Walk::begin(&route, now);
        assert_eq!(name(walk.after(FailureClass::NotAdmitted, now)).as_deref(), Some("b"));
    }
}

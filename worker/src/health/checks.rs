//! Checks of our own: each provider that wants them is asked now and then, beside the path of any request.
//!
//! Behaviour: one task for each provider that is checked. The first check comes within half an interval (five seconds at most), each further one an
//! interval after the last, a tenth sooner or later by chance, so that workers that got a bundle together do not ask together. A failed check rests all
//! models of the provider until the next one has had its time; a good one lets a request find out.
//!
//! A new bundle leaves the tasks alone whose check it leaves as it is. What it says of credential and address counts from the next check
//! on, and what it does not check any more is forgotten.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use policy::bundle::v1;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::exchange::Context;
use crate::policy_feed::OrgPolicy;
use crate::upstream::check::check;

/// How long the first check waits at most.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// Keeps checks going.
pub(crate) struct Checker {
    context: Arc<Context>,
    tasks: TaskTracker,
}

/// What is checked: a provider of an organization, as it is to be checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Checked {
    org_id: String,
    provider_id: String,
    name: Arc<str>,
    base_url: Option<String>,
    interval: Duration,
    timeout: Duration,
    path: String,
}

impl Checker {
    /// For the policies of `context`; checks run among `tasks`.
    pub(crate) fn new(context: Arc<Context>, tasks: TaskTracker) -> Self {
        Self { context, tasks }
    }

    /// Runs until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut adoptions = self.context.policies.adoptions();
        let mut running: HashMap<Checked, DropGuard> = HashMap::new();
        loop {
            self.follow(&mut running, &stop);
            tokio::select! {
                () = stop.cancelled() => return,
                changed = adoptions.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Begins and ends checks as the policies in force say.
    fn follow(&self, running: &mut HashMap<Checked, DropGuard>, stop: &CancellationToken) {
        let wanted: Vec<Checked> = self.context.policies.current().iter().flat_map(checked_by).collect();
        let still = |checked: &Checked| wanted.iter().any(|wanted| wanted.org_id == checked.org_id && wanted.name == checked.name);
        running.retain(|checked, _| {
            let stays = wanted.contains(checked);
            if !still(checked) {
                self.context.health.of_org(&checked.org_id).forget_checks(&checked.name);
            }
            stays
        });
        for checked in wanted {
            let begin = |checked: &Checked| {
                let ends = stop.child_token();
                self.tasks.spawn(keep_checking(Arc::clone(&self.context), checked.clone(), ends.clone()));
                ends.drop_guard()
            };
            running.entry(checked).or_insert_with_key(begin);
        }
    }
}

/// The providers of a policy that are checked.
fn checked_by(policy: &Arc<OrgPolicy>) -> impl Iterator<Item = Checked> {
    let bundle = policy.engine.bundle();
    bundle.providers.iter().filter_map(|provider| {
        let v1::HealthCheck { interval_seconds, timeout_ms, path } = provider.health_check.as_ref()?;
        Some(Checked {
            org_id: bundle.org.id.to_string(),
            provider_id: provider.id.clone(),
            name: Arc::clone(&provider.name),
            base_url: provider.base_url.clone(),
            interval: Duration::from_secs(u64::from(*interval_seconds).max(1)),
            timeout: Duration::from_millis(u64::from(*timeout_ms).max(1)),
            path: path.clone(),
        })
    })
}

/// Checks one provider until `ends`.
async fn keep_checking(context: Arc<Context>, checked: Checked, ends: CancellationToken) {
    let mut pause = (checked.interval / 2).min(FIRST_WAIT).mul_f64(rand::random());
    loop {
        // What has ended says nothing any more, even if its answer has just come.
        tokio::select! {
            biased;
            () = ends.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        tokio::select! {
            biased;
            () = ends.cancelled() => return,
            () = check_once(&context, &checked) => {}
        }
        pause = checked.interval.mul_f64(0.9 + 0.2 * rand::random::<f64>());
    }
}

async fn check_once(context: &Context, checked: &Checked) {
    let fleet = context.policies.current();
    let Some(policy) = fleet.iter().find(|policy| *policy.engine.bundle().org.id == *checked.org_id) else { return };
    let at = policy.engine.bundle().providers.iter().position(|provider| provider.id == checked.provider_id);
    let Some(provider) = at.and_then(|at| u32::try_from(at).ok()) else { return };
    let Some(outcome) = check(&context.connections, policy, provider, &checked.path, checked.timeout).await else { return };
    let health = context.health.of_org(&checked.org_id);
    context.metrics.checked(&policy.engine.bundle().org.slug, &checked.name, outcome.word);
    if outcome.good {
        health.check_passed(&checked.name, outcome.word);
    } else {
        // Until the next check is sure to have spoken.
        health.check_failed(&checked.name, outcome.word, checked.interval.mul_f64(1.1).saturating_add(checked.timeout * 2));
    }
}

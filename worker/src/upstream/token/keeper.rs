//! The task that fetches tokens.
//!
//! It looks at the policies in force: whose slots are in none is never fetched again. Each fetch is a task, so that an endpoint that hangs
//! keeps nobody else waiting.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{FETCH_TIME, Grant, Granted, Slot};
use crate::clock;
use crate::exchange::Context;
use crate::policy_feed::OrgPolicy;

/// Bytes of an endpoint's answer at most.
const ANSWER_LIMIT: usize = 64 << 10;
/// Between two looks at most.
const LOOK: Duration = Duration::from_secs(30);
/// Between two looks while tokens are being fetched.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Keeps tokens fresh.
pub(crate) struct Keeper {
    context: Arc<Context>,
    tasks: TaskTracker,
}

impl Keeper {
    /// For the policies of `context`; fetches run among `tasks`.
    pub(crate) fn new(context: Arc<Context>, tasks: TaskTracker) -> Self {
        Self { context, tasks }
    }

    /// Runs until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut adoptions = self.context.policies.adoptions();
        loop {
            let wait = self.fetch_what_is_due(&stop);
            tokio::select! {
                () = stop.cancelled() => return,
                changed = adoptions.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Begins to fetch what is due; how long until something is again.
    fn fetch_what_is_due(&self, stop: &CancellationToken) -> Duration {
        let (now, mut wait) = (clock::instant(), LOOK);
        for policy in self.context.policies.current().iter() {
            for slot in policy.token_slots() {
                if slot.begin(now) {
                    self.fetch(policy, slot, stop);
                }
                wait = wait.min(slot.due().map_or(LOOK_AGAIN, |due| due.saturating_duration_since(now)));
            }
        }
        wait
    }

    fn fetch(&self, policy: &Arc<OrgPolicy>, slot: &Arc<Slot>, stop: &CancellationToken) {
        let (context, slot, stop) = (Arc::clone(&self.context), Arc::clone(slot), stop.clone());
        let deny_private = policy.engine.bundle().deny_private_upstreams;
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                fetched = tokio::time::timeout(FETCH_TIME, exchange(&context, &slot.grant, deny_private)) => {
                    let late = || Err(format!("the token endpoint did not answer within {} s", FETCH_TIME.as_secs()));
                    slot.end(fetched.unwrap_or_else(|_| late()));
                }
            }
        });
    }
}

async fn exchange(context: &Context, grant: &Grant, deny_private: bool) -> Result<Granted, String> {
    let request = Bytes::from(grant.request()?);
    let addresses = context.connections.resolve(grant.site(), deny_private).await.map_err(|error| error.to_string())?;
    let unsent = |error| format!("the token endpoint can't be asked: {error}");
    let mut reply = context.connections.exchange(&addresses, &request).await.map_err(unsent)?;
    match reply.body.collect(ANSWER_LIMIT).await {
        Ok(Some(body)) => Grant::read(reply.status, &body),
        Ok(None) => Err("the token endpoint's answer is too large".to_owned()),
        Err(_) => Err("the token endpoint's answer broke off".to_owned()),
    }
}

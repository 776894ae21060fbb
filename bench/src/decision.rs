//! What governing a request costs inside the worker, in nanoseconds: the worker's own code, attached to the running control
//! plane like any worker, with the policy and the leases it gets there. No socket, no request; one thread.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use policy::decision::{Claim, Decision, Trace};
use policy::facts::{HealthFacts, HealthView, RequestFacts, Subject, Surface};
use policy::money::NanoUsd;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use worker::budget::Budgets;
use worker::config::WorkerConfig;
use worker::policy_feed::OrgPolicy;

use crate::clock;
use crate::statistics::Spread;

const BATCHES: usize = 200;
const IN_A_BATCH: u32 = 2_000;
const ATTACH_LIMIT: Duration = Duration::from_secs(60);

#[derive(Args)]
pub(crate) struct DecisionOptions {
    #[arg(long)]
    control_url: String,
    /// `mlx_wk_…`; an argument because this is a throw-away fleet.
    #[arg(long)]
    worker_token: String,
    /// The key on whose behalf is decided.
    #[arg(long)]
    key: String,
    /// The model that is asked for.
    #[arg(long)]
    model: String,
    /// Directory of the worker's own.
    #[arg(long)]
    data_dir: PathBuf,
}

/// Nanoseconds, the best batch and the median one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) best_ns: f64,
    pub(crate) median_ns: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DecisionReport {
    pub(crate) budgets: usize,
    pub(crate) identify: Cost,
    pub(crate) decide: Cost,
    pub(crate) reserve_and_settle: Cost,
}

/// Measures and prints the report as one line of JSON.
pub(crate) fn run(options: DecisionOptions) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(measure(options))?;
    crate::print(&serde_json::to_string(&report)?)
}

async fn measure(options: DecisionOptions) -> anyhow::Result<DecisionReport> {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = WorkerConfig::new(options.control_url.parse()?, options.worker_token.into(), nowhere, options.data_dir);
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let attached = worker::link::attach(&config, &tasks, &stop)?;
    let hash = Sha256::digest(&options.key);
    let found = async {
        loop {
            if let Some(found) = attached.policies.current().find(&hash) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (policy, subject) = tokio::time::timeout(ATTACH_LIMIT, found).await.context("the key is in no bundle")?;
    let identify = cost(|| drop(black_box(attached.policies.peek().find(black_box(&hash)))));
    let facts = facts(&options.model);
    let claims = claims(&policy, &subject, &facts, &attached.budgets)?;
    // Leases are there before anything is timed.
    attached.budgets.learn(&policy, &claims, worker::clock::now()).await;
    let decide = cost(|| drop(black_box(decision(&policy, &subject, &facts, &attached.budgets))));
    let reserve_and_settle = reserve_and_settle(&policy, &claims, &attached.budgets).await?;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(DecisionReport { budgets: claims.len(), identify, decide, reserve_and_settle })
}

fn decision(policy: &Arc<OrgPolicy>, subject: &Subject, facts: &RequestFacts, budgets: &Budgets) -> Decision {
    policy.engine.decide(subject, facts, &budgets.view(policy, facts.time), &Unmeasured, Trace::default())
}

fn claims(policy: &Arc<OrgPolicy>, subject: &Subject, facts: &RequestFacts, budgets: &Budgets) -> anyhow::Result<Vec<Claim>> {
    match decision(policy, subject, facts, budgets) {
        Decision::Permit(permit) => Ok(permit.claims().to_vec()),
        Decision::Deny(denial) => anyhow::bail!("denied: {denial:?}"),
    }
}

async fn reserve_and_settle(policy: &Arc<OrgPolicy>, claims: &[Claim], budgets: &Budgets) -> anyhow::Result<Cost> {
    let (worst, actual, now) = (NanoUsd::from_nanos(900_000), NanoUsd::from_nanos(400_000), worker::clock::now());
    let mut batches = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let started = clock::now();
        for _ in 0..IN_A_BATCH {
            let reserved = budgets.reserve(policy, black_box(claims), worst, now).await;
            let reservation = reserved.map_err(|refused| anyhow::anyhow!("refused: {refused:?}"))?;
            black_box(reservation).settle(actual);
        }
        batches.push(per_operation(clock::since(started)));
        // The tasks that renew leases share this thread.
        tokio::task::yield_now().await;
    }
    Ok(summary(batches.into_iter()))
}

fn cost(mut operation: impl FnMut()) -> Cost {
    let batches = (0..BATCHES).map(|_| {
        let started = clock::now();
        for _ in 0..IN_A_BATCH {
            operation();
        }
        per_operation(clock::since(started))
    });
    summary(batches)
}

fn per_operation(batch: Duration) -> f64 {
    batch.as_secs_f64() * 1e9 / f64::from(IN_A_BATCH)
}

fn summary(batches: impl Iterator<Item = f64>) -> Cost {
    Spread::of(batches)
        .map_or(Cost { best_ns: f64::NAN, median_ns: f64::NAN }, |spread| Cost { best_ns: spread.least, median_ns: spread.median })
}

fn facts(model: &str) -> RequestFacts {
    RequestFacts {
        model: model.into(),
        surface: Surface::OpenaiChat,
        passthrough: None,
        stream: false,
        input_tokens: 220,
        input_tokens_bound: 1_024,
        kept_input: None,
        provider_tool: None,
        max_output_tokens: Some(256),
        choices: 1,
        has_tools: false,
        has_images: false,
        findings: policy::guardrail::Findings::default(),
        time: worker::clock::now(),
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        client: Some("modelux-bench".into()),
        end_user: None,
        tags: [("team", "platform")].into_iter().collect(),
        trace_id: None,
        conversation_id: None,
        draw: 0,
    }
}

/// Nothing was measured of any target.
struct Unmeasured;

impl HealthView for Unmeasured {
    fn health(&self, _target: &str) -> Option<HealthFacts> {
        None
    }
}

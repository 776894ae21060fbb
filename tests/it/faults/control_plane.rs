//! The control plane goes away, and comes back.

use serde_json::json;
use tests::fleet::{Fleet, manifest, nano};
use tests::provider::{Answer, Usage};
use tests::wait::SOON;

const CENT: i64 = 10_000_000;

/// with the control plane away a worker serves, starts again from its disk, and ships everything once when it is back.
#[tokio::test]
async fn a_worker_serves_and_starts_without_the_control_plane_and_books_everything_later() {
    let (mut fleet, key) = Fleet::governed().await;
    fleet.provider.always("cents", Answer::of(Usage { completion: 100, ..Usage::default() }).billing(CENT));
    fleet.api.kill();
    for _ in 0..10 {
        fleet.chat(&key, "sim/cents").ok().await;
    }
    fleet.workers[0].restart().await;
    for _ in 0..10 {
        fleet.chat(&key, "sim/cents").ok().await;
    }
    assert_eq!(fleet.worker().get("/readyz").await.status(), 200);
    fleet.api.restart().await;
    let log = fleet.logged(20, "model: \"cents\"").await;
    assert_eq!(log.len(), 20, "each once");
    let spend = fleet.owner().query("{ spend(groupBy: [KEY]) { totalUsd requests } }").await;
    assert_eq!(nano(&spend["spend"]["totalUsd"]), 20 * CENT);
    assert_eq!(spend["spend"]["requests"], 20);
}

/// ADR 3: a blocking budget spends what is leased and then refuses with 503, which clients may try again.
#[tokio::test]
async fn a_blocking_budget_without_the_control_plane_spends_its_lease_and_then_says_503() {
    let mut fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["budgets"] = json!([{"name": "leased", "scope": "organization", "period": "monthly", "cap_usd": "1000", "at_cap": "block"}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    fleet.provider.always("cents", Answer::of(Usage { completion: 100, ..Usage::default() }).billing(CENT));
    fleet.chat(&key, "sim/cents").ok().await;
    fleet.api.kill();
    let mut last = 200;
    for _ in 0..400 {
        let reply = fleet.chat(&key, "sim/cents").with("max_tokens", 4000).send().await;
        last = reply.status();
        if last != 200 {
            assert_eq!(last, 503, "{}", reply.text());
            assert_eq!(reply.json()["error"]["code"], "budget_unavailable");
            assert!(reply.header("retry-after").is_some());
            break;
        }
    }
    assert_eq!(last, 503, "a lease is bounded");
    fleet.api.restart().await;
    tests::wait::until("money again", SOON, || async { (fleet.chat(&key, "sim/cents").send().await.status() == 200).then_some(()) }).await;
    fleet.settled("leased", fleet.provider.billed()).await;
}

/// A change made while a worker was away is what it starts with.
#[tokio::test]
async fn a_worker_that_was_away_starts_with_what_changed_meanwhile() {
    let (mut fleet, key) = Fleet::governed().await;
    fleet.workers[0].kill();
    let change = json!({"org": "default", "settings": {"entry_policy": "@closed"},
        "routing_configs": [{"slug": "closed", "strategy": "custom_rules", "rules": [{"else": {"deny": "closed for today"}}]}]});
    let applied = fleet.apply(&change).await;
    fleet.workers[0].restart().await;
    fleet.enforced(&applied).await;
    assert_eq!(fleet.chat(&key, "sim/free").send().await.status(), 403);
}

//! A policy is written once and enforced; a key is revoked; a change reaches every worker.

use std::time::Duration;

use serde_json::json;
use tests::fleet::{Fleet, manifest};
use tests::provider::{Answer, Usage};
use tests::wait::{SOON, until};

/// The seed example of contract 3, as it stands, applied by manifest and enforced.
#[tokio::test]
async fn the_seed_policy_is_applied_by_manifest_and_enforced() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    let model = |name: &str| {
        let output = if name == "cheap" { 0 } else { 100 };
        json!({"model": format!("sim/{name}"), "input_usd_per_mtok": 0, "output_usd_per_mtok": output, "max_output_tokens": 4096})
    };
    for name in ["support", "safe", "cheap", "production"] {
        wanted["models"].as_array_mut().unwrap().push(model(name));
    }
    wanted["settings"] = json!({"entry_policy": "@company-policy"});
    wanted["routing_configs"] = json!([
        {"slug": "company-policy", "strategy": "custom_rules", "rules": [
            {"if": "tags.team == 'support'", "then": "@support-allowed"},
            {"if": "tags.sensitivity == 'pii'", "then": "@pii-safe-providers"},
            {"if": "budget.used_pct >= 0.9", "then": "@cheap"},
            {"else": "@production"}]},
        {"slug": "support-allowed", "strategy": "single", "model": "sim/support"},
        {"slug": "pii-safe-providers", "strategy": "single", "model": "sim/safe"},
        {"slug": "cheap", "strategy": "single", "model": "sim/cheap"},
        {"slug": "production", "strategy": "single", "model": "sim/production"}]);
    wanted["budgets"] = json!([{"name": "company", "scope": "organization", "period": "monthly", "cap_usd": "0.10", "at_cap": "block"}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    fleet.provider.always("production", Answer::of(Usage { completion: 90, ..Usage::default() }));

    let served = async |tags: &str| {
        let reply = fleet.chat(&key, "sim/gpt-test").with("max_tokens", 90).header("X-Modelux-User-Tags", tags).ok().await;
        reply.header("x-modelux-model-used").map(str::to_owned)
    };
    assert_eq!(served("team=support").await.as_deref(), Some("support"));
    assert_eq!(served("sensitivity=pii").await.as_deref(), Some("safe"));
    assert_eq!(served("team=support,sensitivity=pii").await.as_deref(), Some("support"), "the first rule that holds decides");
    // Ten tokens each for the three before.
    let mut spent = 3 * 1_000_000;
    while spent < 90_000_000 {
        assert_eq!(served("team=sales").await.as_deref(), Some("production"), "{spent} nano-USD are spent");
        spent += 9_000_000;
    }
    assert_eq!(served("team=sales").await.as_deref(), Some("cheap"), "at 90 % everyone is downgraded");
}

/// Contract 4: spend a budget to the last cent, one after the other; the provider's bill and the ledger agree.
#[tokio::test]
async fn a_budget_is_spent_to_the_last_cent_and_not_beyond() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["budgets"] = json!([{"name": "dime", "scope": {"key": "app/main"}, "period": "monthly", "cap_usd": "0.10", "at_cap": "block"}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    fleet.provider.always("cents", Answer::of(Usage { completion: 100, ..Usage::default() }).billing(10_000_000));
    for cent in 1..=10 {
        assert_eq!(fleet.chat(&key, "sim/cents").send().await.status(), 200, "cent {cent}");
    }
    let reply = fleet.chat(&key, "sim/cents").send().await;
    assert_eq!(reply.status(), 402, "{}", reply.text());
    assert_eq!(fleet.provider.billed(), 100_000_000);
    let budget = fleet.settled("dime", 100_000_000).await;
    assert_eq!(budget["state"].as_str().map(str::to_lowercase).as_deref(), Some("exhausted"), "{budget}");
    // the sum over keys is the total.
    let spend = fleet.owner().query("{ spend(groupBy: [KEY]) { totalUsd requests rows { costUsd group { name value } } } }").await;
    assert_eq!(tests::fleet::nano(&spend["spend"]["totalUsd"]), 100_000_000, "{spend}");
}

/// R-31 on one worker: what is accepted after the mutation answered is nothing.
#[tokio::test]
async fn a_revoked_key_is_refused_at_once() {
    let (fleet, key) = Fleet::governed().await;
    assert_eq!(fleet.chat(&key, "sim/free").send().await.status(), 200);
    let keys = fleet.owner().query("{ proxyKeys(first: 10) { nodes { id name } } }").await;
    let id = keys["proxyKeys"]["nodes"][0]["id"].as_str().unwrap().to_owned();
    fleet.owner().run("mutation($id: ID!) { revokeProxyKey(id: $id) { id revision } }", json!({"id": id})).await;
    until("the key is refused", Duration::from_secs(2), || async {
        (fleet.chat(&key, "sim/free").send().await.status() == 401).then_some(())
    })
    .await;
}

/// R-33 in part: after a rotation the old secret is refused and the new one works.
#[tokio::test]
async fn a_rotated_key_works_with_its_new_secret_only() {
    let (fleet, key) = Fleet::governed().await;
    let keys = fleet.owner().query("{ proxyKeys(first: 10) { nodes { id } } }").await;
    let id = keys["proxyKeys"]["nodes"][0]["id"].clone();
    let rotated = fleet.owner().run("mutation($id: ID!) { rotateProxyKey(id: $id) { secret revision } }", json!({"id": id})).await;
    let secret = rotated["rotateProxyKey"]["secret"].as_str().unwrap().to_owned();
    fleet.reached(rotated["rotateProxyKey"]["revision"].as_u64().unwrap(), SOON).await;
    assert_eq!(fleet.chat(&secret, "sim/free").send().await.status(), 200);
    assert_eq!(fleet.chat(&key, "sim/free").send().await.status(), 401);
}

/// a mutation answers with a revision, and the list of workers says who has applied it.
#[tokio::test]
async fn every_worker_says_which_revision_it_enforces() {
    let mut fleet = Fleet::start().await;
    fleet.join(fleet.worker_options()).await;
    let applied = fleet.enforce(&manifest(&fleet.provider)).await;
    let workers = fleet.owner().query("{ workers(first: 10) { nodes { id version revision appliedAt lagMs state } } }").await;
    let nodes = workers["workers"]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 2);
    for worker in nodes {
        assert!(worker["revision"].as_u64() >= Some(applied.revision), "{worker}");
        assert!(worker["appliedAt"].is_string() && worker["lagMs"].is_number() && worker["state"].is_string(), "{worker}");
    }
    let key = applied.key("app/main");
    for worker in &fleet.workers {
        assert_eq!(worker.chat(&key, "sim/free").send().await.status(), 200);
    }
}

/// requests that run while a policy changes back and forth see one whole revision or the other.
#[tokio::test]
async fn no_request_sees_half_of_a_change() {
    let fleet = Fleet::start().await;
    let version = |deny: bool| {
        let mut wanted = manifest(&fleet.provider);
        let rules = if deny { json!([{"else": {"deny": "closed"}}]) } else { json!([{"else": "@inner"}]) };
        wanted["settings"] = json!({"entry_policy": "@outer"});
        wanted["routing_configs"] = json!([
            {"slug": "outer", "strategy": "custom_rules", "rules": rules},
            {"slug": "inner", "strategy": "single", "model": if deny { "sim/cents" } else { "sim/free" }}]);
        wanted
    };
    let key = fleet.enforce(&version(false)).await.key("app/main");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let ask = async {
        let mut seen = [0, 0];
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            let reply = fleet.chat(&key, "sim/gpt-test").send().await;
            match (reply.status(), reply.header("x-modelux-model-used")) {
                (200, Some("free")) => seen[0] += 1,
                (403, None) => seen[1] += 1,
                other => panic!("half of a change: {other:?} {}", reply.text()),
            }
        }
        seen
    };
    let change = async {
        for round in 0..6 {
            fleet.enforce(&version(round % 2 == 0)).await;
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let (seen, ()) = tokio::join!(ask, change);
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

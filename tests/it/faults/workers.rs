//! Workers that are killed or frozen, and the money they held.

use std::time::Duration;

use serde_json::json;
use tests::fleet::{Fleet, manifest, nano};
use tests::provider::{Answer, Gate, Usage};
use tests::wait::{SOON, until};

const CENT: i64 = 10_000_000;

async fn with_budget(cap_usd: &str) -> (Fleet, String) {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["budgets"] = json!([{"name": "held", "scope": "organization", "period": "total", "cap_usd": cap_usd, "at_cap": "block"}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    (fleet, key)
}

/// killed between reserve and settle. After the restart the ledger has the reserved amount as `unknown_outcome`, sum(ledger) is what
/// the budget has settled, and the lease is free again.
#[tokio::test]
async fn a_killed_worker_leaves_its_reservation_in_the_ledger_and_frees_its_lease() {
    let (mut fleet, key) = with_budget("1.00").await;
    fleet.provider.always("cents", Answer::of(Usage { completion: 100, ..Usage::default() }).billing(CENT));
    fleet.chat(&key, "sim/cents").ok().await;
    let gate = Gate::default();
    fleet.provider.next(Answer::of(Usage { completion: 500, ..Usage::default() }).billing(5 * CENT).held_by(&gate));
    let open = fleet.chat(&key, "sim/cents").with("max_tokens", 500).open().await;
    until("the provider is asked", SOON, || async { (fleet.provider.count() == 2).then_some(()) }).await;
    fleet.workers[0].kill();
    drop(open);
    fleet.workers[0].restart().await;
    let budget = fleet.settled("held", 6 * CENT).await;
    assert_eq!(nano(&budget["settledUsd"]), fleet.provider.billed());
    let log = fleet.logged(2, "model: \"cents\"").await;
    let lost = log.iter().find(|row| nano(&row["costUsd"]) == 5 * CENT).expect("the request that was lost has a row");
    assert_eq!(lost["usageSource"].as_str().map(str::to_lowercase).as_deref(), Some("reservation"), "{lost}");
    let spend = fleet.owner().query("{ spend(groupBy: [KEY]) { totalUsd requests } }").await;
    assert_eq!(nano(&spend["spend"]["totalUsd"]), 6 * CENT, "sum(ledger) is what the budget has settled");
    // What is left can be spent to the last cent: nothing of the dead life's lease is held.
    for cent in 0..94 {
        let reply = fleet.chat(&key, "sim/cents").send().await;
        assert_eq!(reply.status(), 200, "cent {cent}: {}", reply.text());
    }
    assert_eq!(fleet.chat(&key, "sim/cents").send().await.status(), 402);
    fleet.settled("held", 100 * CENT).await;
}

/// R-4 with many requests in flight: nothing that was billed is missing, nothing is counted twice.
#[tokio::test]
async fn a_worker_killed_under_load_loses_nothing_and_counts_nothing_twice() {
    let (mut fleet, key) = with_budget("100.00").await;
    fleet.provider.always("cents", Answer::of(Usage { completion: 100, ..Usage::default() }).billing(CENT).after(Duration::from_millis(5)));
    for round in 0..3 {
        let asking: Vec<_> = (0..20)
            .map(|_| {
                let chat = fleet.chat(&key, "sim/cents");
                tokio::spawn(async move { while chat.try_send().await.is_ok_and(|reply| reply.status() == 200) {} })
            })
            .collect();
        let target = 150 * (round + 1);
        until("traffic", SOON, || async { (fleet.provider.count() >= target).then_some(()) }).await;
        fleet.workers[0].kill();
        futures::future::join_all(asking).await;
        fleet.workers[0].restart().await;
    }
    fleet.chat(&key, "sim/cents").ok().await;
    // Requests that were journaled and never sent are booked too: the ledger may be above the bill by what was in flight, never below.
    let billed = fleet.provider.billed();
    let in_flight = 3 * 20 * CENT;
    let settled = until("all of it is booked", SOON, || async {
        let budget = fleet.budget("held").await;
        let settled = nano(&budget["settledUsd"]);
        (settled >= billed && nano(&budget["reservedUsd"]) == 0).then_some(settled)
    })
    .await;
    assert!(settled <= billed + in_flight, "settled {settled}, billed {billed}");
    let spend = fleet.owner().query("{ spend(groupBy: [KEY]) { totalUsd requests } }").await;
    assert_eq!(nano(&spend["spend"]["totalUsd"]), settled, "ledger and budget agree");
}

/// A frozen worker's lease counts as spent, and nobody else can pass the cap meanwhile.
#[tokio::test]
async fn a_frozen_worker_keeps_its_lease_and_the_cap_holds() {
    let (mut fleet, key) = with_budget("0.20").await;
    fleet.join(fleet.worker_options()).await;
    fleet.reached(1, SOON).await;
    fleet.provider.always("cents", Answer::of(Usage { completion: 100, ..Usage::default() }).billing(CENT));
    let gate = Gate::default();
    fleet.provider.next(Answer::of(Usage { completion: 1000, ..Usage::default() }).billing(10 * CENT).held_by(&gate));
    let open = fleet.workers[0].chat(&key, "sim/cents").with("max_tokens", 1000).open().await;
    until("the provider is asked", SOON, || async { (fleet.provider.count() == 1).then_some(()) }).await;
    fleet.workers[0].process().freeze();
    let mut served = 0;
    while fleet.workers[1].chat(&key, "sim/cents").send().await.status() == 200 {
        served += 1;
        assert!(served <= 10, "ten cents are held by the worker that is frozen");
    }
    fleet.workers[0].process().thaw();
    gate.open();
    drop(open);
    assert!(fleet.provider.billed() <= 20 * CENT, "{}", fleet.provider.billed());
}

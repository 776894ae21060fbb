//! Many callers, many workers, one budget.

use futures::StreamExt;
use serde_json::json;
use tests::api::ApiOptions;
use tests::database::Kind;
use tests::fleet::{Fleet, manifest, nano};
use tests::provider::{Answer, Usage};
use tests::wait::{SOON, until};

const CENT: i64 = 10_000_000;

/// 4 workers, 500 concurrent requests of five cents, one dollar. Never beyond the cap, at least 95 % of it used, the ledger equal to
/// what the provider bills.
async fn concurrent_callers_spend_a_dollar(kind: Kind) {
    let options = ApiOptions { database: kind, ..ApiOptions::default() };
    let fleet = Fleet::start_with(options, 4).await;
    let mut wanted = manifest(&fleet.provider);
    wanted["budgets"] = json!([{"name": "dollar", "scope": "organization", "period": "monthly", "cap_usd": 1, "at_cap": "block"}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    fleet.provider.always("cents", Answer::of(Usage { completion: 500, ..Usage::default() }).billing(5 * CENT));

    let ask = |number: usize| {
        let chat = fleet.workers[number % 4].chat(&key, "sim/cents").with("max_tokens", 500);
        async move { chat.send().await }
    };
    let replies: Vec<_> = futures::stream::iter(0..500).map(ask).buffer_unordered(500).collect().await;
    let count = |status: u16| replies.iter().filter(|reply| reply.status() == status).count();
    let strange: Vec<_> = replies.iter().filter(|reply| ![200, 402].contains(&reply.status())).map(|reply| reply.text()).collect();
    assert!(strange.is_empty(), "{} strange answers: {:?}", strange.len(), &strange[..strange.len().min(3)]);

    let served = i64::try_from(count(200)).unwrap();
    assert_eq!(fleet.provider.billed(), served * 5 * CENT, "each that was served was billed once");
    assert!(fleet.provider.billed() <= 100 * CENT, "the cap holds");
    assert!(fleet.provider.billed() >= 95 * CENT, "only {served} of 20 were served: money lies idle in leases");
    let budget = fleet.settled("dollar", fleet.provider.billed()).await;
    assert!(nano(&budget["settledUsd"]) + nano(&budget["leasedUsd"]) <= 100 * CENT, "{budget}");
    let spend = fleet.owner().query("{ spend(groupBy: [KEY]) { totalUsd requests } }").await;
    assert_eq!(nano(&spend["spend"]["totalUsd"]), fleet.provider.billed(), "the ledger says what the provider says");
}

///
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_callers_spend_a_dollar_and_no_more_on_sqlite() {
    concurrent_callers_spend_a_dollar(Kind::Sqlite).await;
}

///
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_callers_spend_a_dollar_and_no_more_on_postgres() {
    concurrent_callers_spend_a_dollar(Kind::Postgres).await;
}

/// R-1 for requests that cost less than they reserve: what is given back is spent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_was_reserved_and_not_used_is_spent_by_others() {
    let fleet = Fleet::start_with(ApiOptions::default(), 2).await;
    let mut wanted = manifest(&fleet.provider);
    wanted["budgets"] = json!([{"name": "half", "scope": {"project": "app"}, "period": "monthly", "cap_usd": "0.50", "at_cap": "block"}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    // Ten cents are held, one is spent.
    fleet.provider.always("cents", Answer::of(Usage { completion: 100, ..Usage::default() }).billing(CENT));
    for number in 0..41 {
        let chat = fleet.workers[number % 2].chat(&key, "sim/cents").with("max_tokens", 1000);
        // What the other worker holds beyond its needs is asked back, which may take a moment.
        let what = format!("request {number}, {} cents are left", 50 - number);
        until(&what, SOON, || async { (chat.send().await.status() == 200).then_some(()) }).await;
    }
    let billed = fleet.provider.billed();
    assert!(billed <= 50 * CENT, "{billed}");
    fleet.settled("half", billed).await;
}

//! Live spend and requests, over server-sent events.

use serde_json::json;
use tests::fleet::{Fleet, nano};
use tests::provider::{Answer, Usage};
use tests::wait::{SOON, within};

#[tokio::test]
async fn a_watcher_sees_requests_and_spend_as_they_are_booked() {
    let (fleet, key) = Fleet::governed().await;
    let mut requests = fleet.owner().subscribe("subscription { requestBooked { id status model } }").await;
    let mut spend = fleet.owner().subscribe("subscription { spendChanged { costUsd project { name } key { name } } }").await;
    fleet.provider.always("cents", Answer::of(Usage { completion: 100, ..Usage::default() }));
    fleet.chat(&key, "sim/cents").ok().await;
    let booked = within("the request", SOON, requests.next()).await;
    assert_eq!(
        (booked["requestBooked"]["status"].as_i64(), booked["requestBooked"]["model"].as_str()),
        (Some(200), Some("cents")),
        "{booked}"
    );
    let changed = within("the spend", SOON, spend.next()).await;
    assert_eq!(nano(&changed["spendChanged"]["costUsd"]), 10_000_000);
    assert_eq!(changed["spendChanged"]["key"]["name"], "main");
}

/// Another tenant's watcher sees nothing of it.
#[tokio::test]
async fn a_watcher_sees_only_its_own_organization() {
    let (fleet, key) = Fleet::governed().await;
    let founded = fleet
        .owner()
        .run("mutation($i: CreateOrganizationInput!) { createOrganization(input: $i) { managementKey } }", json!({"i": {"slug": "other"}}))
        .await;
    let foreign = fleet.owner().with_key(founded["createOrganization"]["managementKey"].as_str().unwrap());
    let mut theirs = foreign.subscribe("subscription { requestBooked { id } }").await;
    let mut ours = fleet.owner().subscribe("subscription { requestBooked { id } }").await;
    for _ in 0..3 {
        fleet.chat(&key, "sim/free").ok().await;
        within("our own", SOON, ours.next()).await;
    }
    let nothing = tokio::time::timeout(std::time::Duration::from_millis(200), theirs.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

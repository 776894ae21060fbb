//! A Redis that is more than one server.

use serde_json::json;
use tests::api::ApiOptions;
use tests::fleet::{Fleet, manifest};
use tests::redis::{RedisCluster, SentinelRedis};
use tests::wait::{SOON, until};

async fn over(url: String) -> Fleet {
    let options = ApiOptions { redis_url: Some(url.clone()), ..ApiOptions::default() };
    let mut fleet = Fleet::start_with(options, 0).await;
    let mut options = fleet.worker_options();
    options.redis_url = Some(url);
    fleet.join(options).await;
    fleet
}

async fn change(fleet: &Fleet, cap: u64) {
    fleet
        .enforce(&json!({"org": "default", "budgets": [{"name": "b", "scope": "organization", "period": "monthly", "cap_usd": cap}]}))
        .await;
}

#[tokio::test]
async fn a_change_is_announced_through_a_cluster() {
    let cluster = RedisCluster::start().await;
    let fleet = over(cluster.url()).await;
    until("a worker listens", SOON, || async { (cluster.listeners() == 1).then_some(()) }).await;
    fleet.enforce(&manifest(&fleet.provider)).await;
    change(&fleet, 1).await;
    assert!(cluster.bundles() >= 1, "the cluster keeps no bundle");
}

/// The master is killed: the replica is announced to and listened to from then on.
#[tokio::test]
async fn after_a_fail_over_changes_are_announced_through_the_new_master() {
    let mut sentinel = SentinelRedis::start().await;
    let fleet = over(sentinel.url()).await;
    fleet.enforce(&manifest(&fleet.provider)).await;
    assert_eq!(sentinel.listeners_on_the_replica(), 0, "the replica is listened to");
    sentinel.fail_over().await;
    until("the worker listens to the new master", SOON, || async { (sentinel.listeners_on_the_replica() == 1).then_some(()) }).await;
    change(&fleet, 1).await;
    change(&fleet, 2).await;
    until("the new master keeps a bundle", SOON, || async { (sentinel.bundles_on_the_replica() > 1).then_some(()) }).await;
}

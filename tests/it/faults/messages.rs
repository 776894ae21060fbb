//! Messages that get lost, and a Redis that goes away.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::api::ApiOptions;
use tests::fleet::{Fleet, manifest};
use tests::redis::{LossyLine, TestRedis};

async fn over_redis(redis: &TestRedis, workers_redis: String) -> (Fleet, String) {
    let options = ApiOptions { redis_url: Some(redis.url()), ..ApiOptions::default() };
    let mut fleet = Fleet::start_with(options, 0).await;
    let mut options = fleet.worker_options();
    options.redis_url = Some(workers_redis);
    fleet.join(options).await;
    let key = fleet.enforce(&manifest(&fleet.provider)).await.key("app/main");
    (fleet, key)
}

/// Makes `count` changes, each of which must be enforced within `limit`; the slowest.
async fn change_and_measure(fleet: &Fleet, count: u64, limit: Duration) -> Duration {
    let mut slowest = Duration::ZERO;
    for number in 0..count {
        let cap = number + 1;
        let change = json!({"org": "default", "budgets": [{"name": "b", "scope": "organization", "period": "monthly", "cap_usd": cap}]});
        let applied = fleet.apply(&change).await;
        let answered = Instant::now();
        fleet.reached(applied.revision, limit).await;
        slowest = slowest.max(answered.elapsed());
    }
    slowest
}

/// nearly a third of the doorbells are lost, and each gap is repaired within five seconds.
#[tokio::test]
async fn lost_doorbells_are_repaired_within_five_seconds() {
    let redis = TestRedis::start().await;
    let line = LossyLine::to(redis.address(), |number| number % 3 == 0).await;
    let (fleet, _) = over_redis(&redis, line.url()).await;
    change_and_measure(&fleet, 9, Duration::from_secs(5)).await;
    assert!(line.lost() > 0, "the line was meant to lose messages");
}

/// R-28 at its worst: every doorbell is lost.
#[tokio::test]
async fn with_every_doorbell_lost_a_change_still_arrives_within_five_seconds() {
    let redis = TestRedis::start().await;
    let line = LossyLine::to(redis.address(), |_| true).await;
    let (fleet, _) = over_redis(&redis, line.url()).await;
    change_and_measure(&fleet, 2, Duration::from_secs(5)).await;
}

/// R-26 in part: with Redis frozen requests are served as before, and changes arrive over the link.
#[tokio::test]
async fn a_frozen_redis_delays_neither_requests_nor_changes_for_long() {
    let redis = TestRedis::start().await;
    let (fleet, key) = over_redis(&redis, redis.url()).await;
    redis.freeze();
    for _ in 0..20 {
        let started = Instant::now();
        assert_eq!(fleet.chat(&key, "sim/free").send().await.status(), 200);
        assert!(started.elapsed() < Duration::from_secs(1), "a request waited {:?}", started.elapsed());
    }
    change_and_measure(&fleet, 1, Duration::from_secs(10)).await;
    redis.thaw();
    change_and_measure(&fleet, 1, Duration::from_secs(5)).await;
}

/// Redis killed and started again, empty.
#[tokio::test]
async fn a_redis_that_comes_back_empty_is_used_again() {
    let mut redis = TestRedis::start().await;
    let (fleet, key) = over_redis(&redis, redis.url()).await;
    redis.kill();
    change_and_measure(&fleet, 1, Duration::from_secs(10)).await;
    assert_eq!(fleet.chat(&key, "sim/free").send().await.status(), 200);
    redis.restart().await;
    change_and_measure(&fleet, 2, Duration::from_secs(5)).await;
}

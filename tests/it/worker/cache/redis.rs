//! Answers that workers share: what one has asked for, the others give again; and what becomes of it when Redis is away.

use std::time::Duration;

use serde_json::json;
use tests::api::ApiOptions;
use tests::caller::Chat;
use tests::fleet::Fleet;
use tests::redis::TestRedis;
use tests::wait::{SOON, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{asked, keeping, steps};

/// After the first moment nobody waits for a Redis that hangs; a moment is 50 ms.
const PATIENCE: Duration = Duration::from_secs(30);

async fn sharing(redis: &TestRedis, workers: usize) -> (Fleet, String) {
    let mut fleet = Fleet::start_with(ApiOptions::default(), 0).await;
    for _ in 0..workers {
        let mut options = fleet.worker_options();
        options.redis_url = Some(redis.url());
        fleet.join(options).await;
    }
    let key = fleet.enforce(&keeping(&fleet, 300)).await.key("app/main");
    for worker in &fleet.workers {
        until("answers are shared", SOON, || async {
            worker.get("/metrics").await.text().contains("modelux_cache_redis_connected 1").then_some(())
        })
        .await;
    }
    (fleet, key)
}

fn chat(fleet: &Fleet, worker: usize, key: &str, seed: u64) -> Chat {
    let turns = json!([{"role": "user", "content": "prompt-canary-7c1d"}]);
    fleet.workers[worker].chat(key, "@kept").with("temperature", 0).with("seed", seed).with("messages", turns)
}

/// Asks one worker and then the other, with ever new requests, until what the one got is found by the other.
async fn found_by_the_other(fleet: &Fleet, key: &str, seeds: std::ops::Range<u64>) -> u64 {
    let mut seeds = seeds;
    until("one worker's answer is the other's", PATIENCE, || {
        let seed = seeds.next().expect("more seeds");
        async move {
            chat(fleet, 0, key, seed).ok().await;
            // It is sent behind the answer, and may be on its way yet; a busy Redis may be too slow for the other.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let before = fleet.provider.count();
            (asked(&chat(fleet, 1, key, seed)).await == "HIT" && fleet.provider.count() == before).then_some(seed)
        }
    })
    .await
}

/// How often the first worker has asked Redis in vain.
async fn unanswered(fleet: &Fleet) -> u64 {
    let metrics = fleet.workers[0].get("/metrics").await.text();
    let line = metrics.lines().find_map(|line| line.strip_prefix("modelux_cache_redis_failures_total{what=\"read\"} "));
    line.map_or(0, |count| count.parse().expect("a number"))
}

/// Everything that a Redis has, as it stands on the wire.
async fn everything_in(redis: &TestRedis) -> String {
    let mut stream = TcpStream::connect(redis.address()).await.expect("Redis");
    let ask = "EVAL \"local all = {} for _, key in ipairs(redis.call('KEYS', '*')) do all[#all + 1] = key .. ' ' .. redis.call('TYPE', key).ok .. ' ' .. redis.call('PTTL', key) .. ' ' .. (redis.call('GET', key) or '') end return all\" 0\r\nPING\r\n";
    stream.write_all(ask.as_bytes()).await.expect("a question");
    let mut seen = Vec::new();
    while !seen.ends_with(b"+PONG\r\n") {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.expect("an answer");
        assert!(count > 0, "Redis has closed");
        seen.extend_from_slice(&piece[..count]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

/// Issue 3, point 8: shared through Redis, where nobody can read it and nothing stays longer than it may.
#[tokio::test]
async fn two_workers_share_answers_through_redis_that_nobody_can_read_there() {
    let redis = TestRedis::start().await;
    let (fleet, key) = sharing(&redis, 2).await;
    let seed = found_by_the_other(&fleet, &key, 0..1_000).await;
    let traced = chat(&fleet, 1, &key, seed).with("mlx:trace", true).ok().await.json();
    assert_eq!(steps(&traced["mlx:trace"])[0]["detail"], "memory", "what Redis had is kept nearer: {traced}");
    let metrics = fleet.workers[1].get("/metrics").await.text();
    assert!(metrics.contains("modelux_cache_requests_total{outcome=\"hit_redis\"}"), "{metrics}");

    let all = everything_in(&redis).await;
    assert!(all.contains("modelux:cache:"), "{all}");
    for canary in ["prompt-canary", "word0", "gpt-test", "org_", "prj_", "chat.completion"] {
        assert!(!all.contains(canary), "{canary} can be read in Redis: {all}");
    }
    let times = all.split("modelux:cache:").skip(1).map(|entry| entry.split(' ').nth(2).and_then(|left| left.parse::<i64>().ok()));
    for left in times {
        assert!(left.is_some_and(|left| (1..=300_000).contains(&left)), "{left:?} ms");
    }
}

/// a Redis that hangs delays nobody for more than a moment, is never an error, and shows in a metric; when it goes on, answers are shared
/// again.
#[tokio::test]
async fn a_redis_that_hangs_costs_a_moment_and_no_request() {
    let redis = TestRedis::start().await;
    let (fleet, key) = sharing(&redis, 2).await;
    found_by_the_other(&fleet, &key, 0..1_000).await;
    redis.freeze();
    // The first request may wait its moment; from then on nobody asks.
    assert_eq!(asked(&chat(&fleet, 0, &key, 5_000)).await, "MISS");
    until("nobody asks any more", SOON, || async {
        fleet.workers[0].get("/metrics").await.text().contains("modelux_cache_redis_connected 0").then_some(())
    })
    .await;
    let waited = unanswered(&fleet).await;
    assert!(waited >= 1, "the first one asked");
    for seed in 5_001..5_021 {
        assert_eq!(asked(&chat(&fleet, 0, &key, seed)).await, "MISS");
    }
    assert_eq!(unanswered(&fleet).await, waited, "nobody has waited since");
    assert_eq!(asked(&chat(&fleet, 0, &key, 5_001)).await, "HIT", "memory is asked first");
    redis.thaw();
    found_by_the_other(&fleet, &key, 10_000..20_000).await;
}

/// A Redis that is killed and comes back empty is used again.
#[tokio::test]
async fn a_redis_that_comes_back_is_used_again() {
    let mut redis = TestRedis::start().await;
    let (fleet, key) = sharing(&redis, 2).await;
    redis.kill();
    for seed in 0..5 {
        assert_eq!(asked(&chat(&fleet, 0, &key, seed)).await, "MISS");
    }
    redis.restart().await;
    found_by_the_other(&fleet, &key, 10_000..20_000).await;
}

/// A Redis that is full takes nothing, which is nobody's error.
#[tokio::test]
async fn a_redis_that_is_full_changes_nothing_for_callers() {
    let redis = TestRedis::start().await;
    let (fleet, key) = sharing(&redis, 1).await;
    let mut stream = TcpStream::connect(redis.address()).await.expect("Redis");
    stream.write_all(b"CONFIG SET maxmemory 1\r\n").await.expect("a question");
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"+OK\r\n");
    for seed in 0..5 {
        let chat = chat(&fleet, 0, &key, seed);
        assert_eq!((asked(&chat).await, asked(&chat).await), ("MISS".to_owned(), "HIT".to_owned()));
    }
    until("what was not taken is counted", SOON, || async {
        let metrics = fleet.worker().get("/metrics").await.text();
        (metrics.contains("modelux_cache_redis_failures_total{what=\"write\"}") && metrics.contains("modelux_cache_redis_connected 1"))
            .then_some(())
    })
    .await;
}

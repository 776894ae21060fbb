//! Strategies that select, and the circuit breakers below them: what callers and providers see of it.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tests::api::ApiOptions;
use tests::fleet::{Applied, Fleet, manifest};
use tests::http::Reply;
use tests::provider::{Answer, Gate};
use tests::wait::until;

/// The longest that a breaker rests at first, and some.
const REST: Duration = Duration::from_secs(30);

async fn with_configs(workers: usize, configs: Value) -> (Fleet, Applied) {
    let fleet = Fleet::start_with(ApiOptions::default(), workers).await;
    let mut wanted = manifest(&fleet.provider);
    let model = |name: &str, input: f64, output: f64| json!({"model": format!("sim/{name}"), "input_usd_per_mtok": input, "output_usd_per_mtok": output, "quality_tier": "standard", "max_output_tokens": 4096});
    wanted["models"].as_array_mut().unwrap().extend([model("first", 1.0, 2.0), model("second", 2.0, 4.0), model("third", 3.0, 6.0)]);
    wanted["routing_configs"] = configs;
    let applied = fleet.enforce(&wanted).await;
    (fleet, applied)
}

fn model_of(reply: &Reply) -> String {
    reply.header("x-modelux-model-used").unwrap_or_else(|| panic!("nobody answered: {}", reply.text())).to_owned()
}

/// How often the provider was asked for a model.
fn asked(fleet: &Fleet, model: &str) -> usize {
    fleet.provider.requests().iter().filter(|request| request.model() == model).count()
}

/// Issue 3, point 4: sticky by hash over workers, shares by weight, variant in header and log.
#[tokio::test]
async fn an_end_user_meets_the_same_variant_at_every_worker() {
    let configs = json!([{"slug": "test", "strategy": "ab_test", "sticky_by": "end_user", "variants": [
        {"name": "control", "weight": 80, "config": "sim/first"}, {"name": "b", "weight": 20, "config": "sim/second"}]}]);
    let (fleet, applied) = with_configs(2, configs).await;
    let key = applied.key("app/main");
    let mut counts: HashMap<String, usize> = HashMap::new();
    for user in 0..60 {
        let mut met = Vec::new();
        for worker in &fleet.workers {
            let reply = worker.chat(&key, "@test").header("X-Modelux-User-Id", &format!("user-{user}")).ok().await;
            let variant = reply.header("x-modelux-ab-variant").expect("a variant").to_owned();
            assert_eq!(model_of(&reply), if variant == "b" { "second" } else { "first" });
            met.push(variant);
        }
        assert_eq!(met[0], met[1], "user-{user}");
        *counts.entry(met.remove(0)).or_default() += 1;
    }
    // These are fixed people and a fixed hash, so that this never differs from run to run.
    assert!((4..=20).contains(&counts["b"]), "{counts:?}");
    let query = "{ requestLogs(first: 1, filter: {status: 200}) { nodes { abVariant model trace } } }";
    let logged = until("the variant is in the log", Duration::from_secs(15), || async {
        let logs = fleet.owner().query(query).await;
        logs["requestLogs"]["nodes"].get(0).cloned()
    })
    .await;
    let variant = logged["abVariant"].as_str().expect("a variant");
    assert_eq!(logged["model"], if variant == "b" { "second" } else { "first" });
    assert!(logged["trace"].to_string().contains("\"sticky_by\":\"end_user\""), "{logged}");
    let plain = fleet.chat(&key, "sim/first").ok().await;
    assert_eq!(plain.header("x-modelux-ab-variant"), None);
}

/// Issue 3, point 4: the likely cheapest of the tier, then the next one.
#[tokio::test]
async fn the_cheapest_model_is_asked_first_and_the_next_one_where_it_fails() {
    let (fleet, applied) =
        with_configs(1, json!([{"slug": "cheap", "strategy": "cost_optimized", "quality_tier": "standard", "allowed_models": ["first", "second", "third"]}]))
            .await;
    let key = applied.key("app/main");
    assert_eq!(model_of(&fleet.chat(&key, "@cheap").ok().await), "first");
    fleet.provider.always("first", Answer::error(503));
    assert_eq!(model_of(&fleet.chat(&key, "@cheap").ok().await), "second");
    let dry = fleet.chat(&key, "@cheap").header("X-Modelux-Dry-Run", "true").ok().await.json();
    assert!(dry["trace"].to_string().contains("\"by\":\"cost\""), "{dry}");
}

/// Issue 3, point 4: what has answered fastest comes first once all have been measured.
#[tokio::test]
async fn the_fastest_model_is_asked_first_once_all_are_measured() {
    let (fleet, applied) =
        with_configs(1, json!([{"slug": "fast", "strategy": "latency_optimized", "models": ["sim/first", "sim/second", "sim/third"]}]))
            .await;
    let key = applied.key("app/main");
    for (model, ms) in [("first", 400), ("second", 5), ("third", 400)] {
        fleet.provider.always(model, Answer::default().after(Duration::from_millis(ms)));
    }
    // Measured by whoever asks for them.
    for model in ["first", "second", "third"] {
        fleet.chat(&key, &format!("sim/{model}")).ok().await;
    }
    for _ in 0..5 {
        assert_eq!(model_of(&fleet.chat(&key, "@fast").ok().await), "second");
    }
}

/// Contract 3: `health[…]` in rules is live, and a target that nobody has asked yet is healthy.
#[tokio::test]
async fn rules_see_live_health_and_take_unknown_targets_for_healthy() {
    let configs = json!([{"slug": "healthy", "strategy": "custom_rules", "rules": [
        {"if": "!health['sim/nobody'].ok || health['sim/nobody'].p50_ms > 0.0", "then": {"deny": "unknown is not healthy"}},
        {"if": "health['sim/first'].ok && health['sim/first'].p50_ms < 200.0", "then": "sim/first"}, {"else": "sim/second"}]}]);
    let (fleet, applied) = with_configs(1, configs).await;
    let key = applied.key("app/main");
    assert_eq!(model_of(&fleet.chat(&key, "@healthy").ok().await), "first");
    fleet.provider.always("first", Answer::error(500));
    for _ in 0..5 {
        assert_eq!(fleet.chat(&key, "@healthy").send().await.status(), 502);
    }
    assert_eq!(model_of(&fleet.chat(&key, "@healthy").ok().await), "second");
}

/// Issue 3, point 5: open after failures in a row, passed over while it rests, one probe after it, closed by its success.
#[tokio::test]
async fn a_broken_target_is_passed_over_until_a_probe_succeeds() {
    let configs = json!([{"slug": "both", "strategy": "fallback", "attempts": [{"model": "sim/first"}, {"model": "sim/second"}]}]);
    let (fleet, applied) = with_configs(1, configs).await;
    let key = applied.key("app/main");
    fleet.provider.always("first", Answer::error(500));
    for _ in 0..5 {
        assert_eq!(model_of(&fleet.chat(&key, "@both").ok().await), "second");
    }
    assert_eq!(asked(&fleet, "first"), 5);
    let reply = fleet.chat(&key, "@both").with("mlx:trace", true).ok().await;
    assert_eq!(asked(&fleet, "first"), 5, "it rests");
    assert!(reply.text().contains("\"by\":\"breaker\""), "{}", reply.text());
    let metrics = fleet.worker().get("/metrics").await.text();
    assert!(metrics.contains("modelux_breaker_state{org=\"default\",target=\"sim/first\"} 2"), "{metrics}");

    // The probe is held, so that those beside it can be seen to go elsewhere.
    let gate = Gate::default();
    fleet.provider.always("first", Answer::default().held_by(&gate));
    let probe = until("a probe goes through", REST, || async {
        let mut chat = tokio::spawn({
            let chat = fleet.chat(&key, "@both");
            async move { chat.ok().await }
        });
        let served = tokio::time::timeout(Duration::from_millis(500), &mut chat).await;
        match served {
            Ok(reply) => {
                assert_eq!(model_of(&reply.expect("no panic")), "second");
                None
            }
            Err(_) => Some(chat),
        }
    })
    .await;
    assert_eq!(asked(&fleet, "first"), 6);
    assert_eq!(model_of(&fleet.chat(&key, "@both").ok().await), "second", "one probe at a time");
    assert_eq!(asked(&fleet, "first"), 6);
    gate.open();
    assert_eq!(model_of(&probe.await.expect("no panic")), "first");
    assert_eq!(model_of(&fleet.chat(&key, "@both").ok().await), "first", "closed again");
}

/// Issue 3, point 5: where every target rests, a request is tried all the same.
#[tokio::test]
async fn a_request_is_tried_where_every_target_rests() {
    let configs = json!([{"slug": "both", "strategy": "fallback", "attempts": [{"model": "sim/first"}, {"model": "sim/second"}]}]);
    let (fleet, applied) = with_configs(1, configs).await;
    let key = applied.key("app/main");
    for model in ["first", "second"] {
        fleet.provider.always(model, Answer::error(500));
    }
    for _ in 0..5 {
        assert_eq!(fleet.chat(&key, "@both").send().await.status(), 502);
    }
    fleet.provider.always("second", Answer::default());
    assert_eq!(model_of(&fleet.chat(&key, "@both").ok().await), "second");
}

/// Issue 3, point 4: the same target is asked again, not before its `Retry-After`, and not at all where that is too far away.
#[tokio::test]
async fn the_same_target_is_asked_again_after_its_retry_after() {
    let configs = json!([{"slug": "twice", "strategy": "fallback", "attempts": [{"model": "sim/first"}, {"model": "sim/first"}, {"model": "sim/second"}]}]);
    let (fleet, applied) = with_configs(1, configs).await;
    let key = applied.key("app/main");
    fleet.provider.next(Answer::error(429).header("Retry-After", "1"));
    let started = std::time::Instant::now();
    assert_eq!(model_of(&fleet.chat(&key, "@twice").ok().await), "first");
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    fleet.provider.next(Answer::error(429).header("Retry-After", "3600"));
    assert_eq!(model_of(&fleet.chat(&key, "@twice").ok().await), "second");
}

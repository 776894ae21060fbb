//! The response cache: what is given again, to whom, for how long, and what of it is in the books.

mod limits;
mod owners;
mod redis;
mod streams;

use std::time::Duration;

use serde_json::{Value, json};
use tests::caller::Chat;
use tests::fleet::{Applied, Fleet, manifest, nano};
use tests::http::{Reply, Request};
use tests::provider::{Answer, Usage};
use tests::wait::{SOON, until};

/// What 20 and 10 tokens cost at `sim/gpt-test`.
const COST: i64 = 40_000;

/// `@kept`, whose answers are kept for `seconds`, and `@plain` beside it.
fn keeping(fleet: &Fleet, seconds: u32) -> Value {
    let mut wanted = manifest(&fleet.provider);
    wanted["routing_configs"] = json!([
        {"slug": "kept", "strategy": "single", "model": "sim/gpt-test", "cache": {"mode": "exact", "ttl_seconds": seconds, "include_sampled": false}},
        {"slug": "sampled", "strategy": "single", "model": "sim/gpt-test", "cache": {"mode": "exact", "ttl_seconds": seconds, "include_sampled": true}},
        {"slug": "plain", "strategy": "single", "model": "sim/gpt-test"},
    ]);
    wanted
}

async fn kept_for(seconds: u32) -> (Fleet, Applied) {
    let fleet = Fleet::start().await;
    let applied = fleet.enforce(&keeping(&fleet, seconds)).await;
    (fleet, applied)
}

fn cold(fleet: &Fleet, key: &str, model: &str) -> Chat {
    fleet.chat(key, model).with("temperature", 0)
}

/// What an answer's head says of the cache.
fn outcome(reply: &Reply) -> String {
    assert_eq!(reply.status(), 200, "{}", reply.text());
    reply.header("x-modelux-cache").unwrap_or_else(|| panic!("nothing is said of the cache: {:?}", reply.head)).to_owned()
}

/// One request, and what its answer's head says of the cache.
async fn asked(chat: &Chat) -> String {
    outcome(&chat.send().await)
}

/// The steps of a trace that are about the cache.
fn steps(trace: &Value) -> Vec<Value> {
    let steps = trace["steps"].as_array().cloned().unwrap_or_default();
    steps.into_iter().filter(|step| step["step"] == "cache").collect()
}

/// Waits for `count` requests in the log, newest first.
async fn log(fleet: &Fleet, count: usize) -> Vec<Value> {
    let fields = "status costUsd cache usageSource provider model surface attempts trace usage { inputTokens outputTokens }";
    let query = format!("{{ requestLogs(first: 100) {{ nodes {{ {fields} }} }} }}");
    until(&format!("{count} requests in the log"), SOON, || async {
        let nodes = fleet.owner().query(&query).await["requestLogs"]["nodes"].as_array().cloned().unwrap_or_default();
        (nodes.len() >= count).then_some(nodes)
    })
    .await
}

/// Issue 3, point 8: a hit asks nobody and costs nothing, in the head, in the log, in what was spent and in every budget.
#[tokio::test]
async fn what_was_answered_is_given_again_for_nothing() {
    let fleet = Fleet::start().await;
    let mut wanted = keeping(&fleet, 300);
    wanted["budgets"] = json!([{"name": "all", "scope": "organization", "period": "total", "cap_usd": "1"}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    let chat = cold(&fleet, &key, "@kept");
    let first = chat.ok().await;
    let again = chat.ok().await;
    assert_eq!((outcome(&first), outcome(&again)), ("MISS".to_owned(), "HIT".to_owned()));
    assert_eq!(first.body, again.body);
    assert_eq!((first.header("x-modelux-cost-usd"), again.header("x-modelux-cost-usd")), (Some("0.00004"), Some("0.00")));
    for name in ["content-type", "x-modelux-provider-used", "x-modelux-model-used", "x-modelux-budget-name"] {
        assert!(again.header(name).is_some(), "{name}: {:?}", again.head);
        assert_eq!(first.header(name), again.header(name), "{name}");
    }
    assert_ne!(first.header("x-modelux-request-id"), again.header("x-modelux-request-id"));
    assert_eq!(fleet.provider.count(), 1, "the second answer was nobody's work");

    fleet.settled("all", COST).await;
    let logs = log(&fleet, 2).await;
    let (hit, miss) = (&logs[0], &logs[1]);
    assert_eq!((&hit["cache"], &miss["cache"]), (&json!("hit"), &json!("miss")));
    assert_eq!((nano(&hit["costUsd"]), nano(&miss["costUsd"])), (0, COST));
    assert_eq!((&hit["usageSource"], &miss["usageSource"]), (&json!("cache"), &json!("provider")));
    assert_eq!((&hit["usage"], &hit["model"], &hit["provider"]), (&miss["usage"], &miss["model"], &miss["provider"]));
    assert_eq!((&hit["status"], &hit["attempts"]), (&json!(200), &json!([])));
    assert_eq!(steps(&hit["trace"]), [json!({"step": "cache", "config": "@kept", "outcome": "hit", "detail": "memory"})]);
    assert_eq!(steps(&miss["trace"]), [json!({"step": "cache", "config": "@kept", "outcome": "miss"})]);
    assert!(!hit["trace"].to_string().contains("reserved"), "nothing was held: {}", hit["trace"]);

    let spend =
        fleet.owner().query("{ spend(groupBy: [MODEL]) { totalUsd requests rows { costUsd requests inputTokens outputTokens } } }").await;
    assert_eq!((nano(&spend["spend"]["totalUsd"]), &spend["spend"]["requests"]), (COST, &json!(2)), "{spend}");
    let row = &spend["spend"]["rows"][0];
    assert_eq!((&row["inputTokens"], &row["outputTokens"]), (&json!(20), &json!(10)), "tokens are consumed once: {spend}");
    let metrics = fleet.worker().get("/metrics").await.text();
    for figure in [
        "modelux_cache_requests_total{outcome=\"hit_memory\"} 1",
        "modelux_cache_requests_total{outcome=\"miss\"} 1",
        "modelux_cache_saved_nano_usd_total 40000",
        "modelux_cache_entries 1",
        "modelux_upstream_attempts_total{outcome=\"ok\",provider=\"sim\"} 1",
    ] {
        assert!(metrics.contains(figure), "{figure}: {metrics}");
    }
}

fn post(key: &str, body: &str) -> Request {
    let request = Request::new("POST", "/v1/chat/completions").header("Authorization", &format!("Bearer {key}"));
    request.header("Content-Type", "application/json").body(body)
}

/// Issue 3, point 8: the key is the canonical request.
#[tokio::test]
async fn requests_that_say_the_same_have_one_answer() {
    let (fleet, applied) = kept_for(300).await;
    let (key, address) = (applied.key("app/main"), fleet.worker().address());
    let first = r#"{"model":"@kept","temperature":0,"max_tokens":9,"messages":[{"role":"user","content":"a \u00fc"}]}"#;
    assert_eq!(outcome(&post(&key, first).send(address).await), "MISS");
    for same in [
        "{\"messages\" : [ {\"content\": \"a ü\",\n \"role\":\"user\"} ], \"max_tokens\":9, \"temperature\":0, \"model\":\"@kept\", \"stream\":false}",
        r#"{"model":"@kept","temperature":0,"max_tokens":9,"messages":[{"role":"user","content":"a \u00fc"}],"user":"anna","metadata":{"a":"b"}}"#,
        r#"{"mlx:tags":{"team":"x"},"model":"@kept","temperature":0,"max_tokens":9,"messages":[{"role":"user","content":"a \u00fc"}],"mlx:end_user":"ben"}"#,
    ] {
        assert_eq!(outcome(&post(&key, same).header("X-Modelux-User-Id", "anna").send(address).await), "HIT", "{same}");
    }
    assert_eq!(fleet.provider.count(), 1);
}

/// Issue 3, point 8: whatever may change the answer is another request.
#[tokio::test]
async fn requests_that_differ_in_anything_that_counts_are_asked_for_on_their_own() {
    let (fleet, applied) = kept_for(300).await;
    let key = applied.key("app/main");
    let plain = || cold(&fleet, &key, "@kept");
    let turns = |text: &str| json!([{"role": "user", "content": text}]);
    let different = [
        plain(),
        plain().with("messages", turns("What is a budget? ")),
        plain().with("messages", json!([{"role": "system", "content": "What is a budget?"}])),
        plain().with("max_tokens", 99),
        plain().with("n", 2),
        plain().with("seed", 7),
        plain().with("stop", "x"),
        plain().with("response_format", json!({"type": "json_object"})),
        plain().with("tools", json!([{"type": "function", "function": {"name": "f", "parameters": {}}}])),
        plain().with("temperature", json!(0.0)),
        cold(&fleet, &key, "@sampled"),
        plain().header("OpenAI-Beta", "x=v2"),
        plain().streamed(),
        plain().with("stream", true),
    ];
    for (position, chat) in different.iter().enumerate() {
        assert_eq!(asked(chat).await, "MISS", "request {position}");
    }
    for (position, chat) in different.iter().enumerate() {
        assert_eq!(asked(chat).await, "HIT", "request {position}");
    }
    assert_eq!(fleet.provider.count(), different.len());
}

/// Contract 2.2: `no-cache` asks for an answer of now and keeps it, `no-store` and `mlx:cache` leave nothing behind.
#[tokio::test]
async fn a_caller_can_pass_the_cache_by() {
    let (fleet, applied) = kept_for(300).await;
    let key = applied.key("app/main");
    let chat = cold(&fleet, &key, "@kept");
    let usage = Usage { prompt: 20, completion: 10, ..Usage::default() };
    let say = |text: &str| fleet.provider.next(Answer::saying(text, usage));
    let text = |reply: &Reply| reply.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();

    for unkept in [chat.clone().header("Cache-Control", "no-store"), chat.clone().with("mlx:cache", json!({"skip": true}))] {
        assert_eq!((asked(&unkept).await, asked(&unkept).await), ("BYPASS".to_owned(), "BYPASS".to_owned()));
    }
    assert_eq!(fleet.provider.count(), 4);
    say("one");
    assert_eq!(asked(&chat).await, "MISS", "nothing of it was kept");
    say("two");
    let fresh = chat.clone().header("Cache-Control", "max-age=0, no-cache").send().await;
    assert_eq!((outcome(&fresh), text(&fresh)), ("BYPASS".to_owned(), "two".to_owned()));
    let after = chat.send().await;
    assert_eq!((outcome(&after), text(&after)), ("HIT".to_owned(), "two".to_owned()), "the newer answer was kept");
    say("three");
    assert_eq!(asked(&chat.clone().header("Cache-Control", "no-store")).await, "BYPASS");
    assert_eq!(text(&chat.ok().await), "two", "what was not to be kept replaced nothing");
    let details: Vec<_> = log(&fleet, 9).await.iter().flat_map(|entry| steps(&entry["trace"])).map(|step| step["detail"].clone()).collect();
    assert!(details.contains(&json!("no_cache")) && details.contains(&json!("no_store")), "{details:?}");
}

/// Answers that may be other ones the next time are not kept unless the config says so; where a config has no cache, nothing is.
#[tokio::test]
async fn sampled_answers_are_kept_only_where_the_config_says_so() {
    let (fleet, applied) = kept_for(300).await;
    let key = applied.key("app/main");
    for temperature in [Value::Null, json!(0.7)] {
        let chat = |model: &str| fleet.chat(&key, model).with("temperature", temperature.clone());
        assert_eq!((asked(&chat("@kept")).await, asked(&chat("@kept")).await), ("BYPASS".to_owned(), "BYPASS".to_owned()));
        assert_eq!((asked(&chat("@sampled")).await, asked(&chat("@sampled")).await), ("MISS".to_owned(), "HIT".to_owned()));
    }
    let before = fleet.provider.count();
    let plain = cold(&fleet, &key, "@plain");
    assert_eq!((asked(&plain).await, asked(&plain).await), ("BYPASS".to_owned(), "BYPASS".to_owned()));
    assert_eq!(fleet.provider.count(), before + 2);
    let logs = log(&fleet, 10).await;
    assert_eq!((&logs[0]["cache"], steps(&logs[0]["trace"]).len()), (&Value::Null, 0), "there is no cache to speak of");
    assert_eq!(steps(&logs[9]["trace"]), [json!({"step": "cache", "config": "@kept", "outcome": "bypass", "detail": "sampled"})]);
}

/// What hangs on something beside the request is nobody else's answer.
#[tokio::test]
async fn answers_that_hang_on_more_than_the_request_are_not_kept() {
    let (fleet, applied) = kept_for(300).await;
    let key = applied.key("app/main");
    let own_key = cold(&fleet, &key, "@kept").header("X-Modelux-Provider-Key", "sk-callers-own-key");
    let searches = cold(&fleet, &key, "@kept").with("web_search_options", json!({}));
    for (chat, why) in [(own_key, "provider_key"), (searches, "provider_tool")] {
        assert_eq!((asked(&chat).await, asked(&chat).await), ("BYPASS".to_owned(), "BYPASS".to_owned()), "{why}");
    }
    let conversation = json!({"model": "@kept", "temperature": 0, "input": "x", "previous_response_id": "resp_1"});
    let request = Request::new("POST", "/v1/responses").header("x-api-key", &key).header("Content-Type", "application/json");
    fleet.provider.next(Answer::json(&json!({"id": "r", "object": "response", "status": "completed", "output": []})));
    assert_eq!(outcome(&request.body(conversation.to_string()).send(fleet.worker().address()).await), "BYPASS");
    let whys: Vec<_> = log(&fleet, 5).await.iter().flat_map(|entry| steps(&entry["trace"])).map(|step| step["detail"].clone()).collect();
    for why in ["provider_key", "provider_tool", "provider_state"] {
        assert!(whys.contains(&json!(why)), "{why}: {whys:?}");
    }
}

/// Issue 3, point 8: an answer is gone when its time is over.
#[tokio::test]
async fn an_answer_outlives_its_time_by_nothing() {
    let (fleet, applied) = kept_for(1).await;
    let chat = cold(&fleet, &applied.key("app/main"), "@kept");
    assert_eq!(asked(&chat).await, "MISS");
    let kept = std::time::Instant::now();
    until("the answer is gone", SOON, || async { (asked(&chat).await == "MISS").then_some(()) }).await;
    assert!(kept.elapsed() >= Duration::from_millis(950), "{:?}", kept.elapsed());
    assert_eq!(fleet.provider.count(), 2);
}

/// A new version of a config, or of one that it leads to, has answers of its own.
#[tokio::test]
async fn a_change_of_the_config_forgets_its_answers() {
    let fleet = Fleet::start().await;
    let wanted = |seconds: u32, timeout_ms: u32| {
        let mut wanted = keeping(&fleet, 300);
        wanted["routing_configs"] = json!([
            {"slug": "kept", "strategy": "single", "model": "@inner", "cache": {"mode": "exact", "ttl_seconds": seconds}},
            {"slug": "inner", "strategy": "single", "model": "sim/gpt-test", "idle_timeout_ms": timeout_ms},
        ]);
        wanted
    };
    let key = fleet.enforce(&wanted(300, 50_000)).await.key("app/main");
    let chat = cold(&fleet, &key, "@kept");
    assert_eq!((asked(&chat).await, asked(&chat).await), ("MISS".to_owned(), "HIT".to_owned()));
    fleet.enforce(&wanted(301, 50_000)).await;
    assert_eq!((asked(&chat).await, asked(&chat).await), ("MISS".to_owned(), "HIT".to_owned()));
    fleet.enforce(&wanted(301, 50_001)).await;
    assert_eq!((asked(&chat).await, asked(&chat).await), ("MISS".to_owned(), "HIT".to_owned()));
    // Something else changes: the answers stay.
    let mut more = wanted(301, 50_001);
    more["projects"][0]["keys"] = json!([{"name": "main"}, {"name": "other"}]);
    let other = fleet.enforce(&more).await.key("app/other");
    assert_eq!((asked(&chat).await, asked(&cold(&fleet, &other, "@kept")).await), ("HIT".to_owned(), "HIT".to_owned()));
    // The decision comes first: who may not ask gets nothing.
    more["projects"][0]["keys"] = json!([{"name": "main", "allowed_models": ["sim/cents"]}, {"name": "other"}]);
    fleet.enforce(&more).await;
    let refused = chat.send().await;
    assert_eq!(refused.error(403)["code"], "policy_denied");
    assert_eq!(fleet.provider.count(), 3);
}

/// A dry run says what would be found, and neither counts nor keeps.
#[tokio::test]
async fn a_dry_run_says_what_the_cache_has() {
    let (fleet, applied) = kept_for(300).await;
    let chat = cold(&fleet, &applied.key("app/main"), "@kept");
    let dry = chat.clone().header("X-Modelux-Dry-Run", "true");
    let found = |reply: &Reply| steps(&reply.json()["trace"])[0]["outcome"].clone();
    assert_eq!(found(&dry.ok().await), "miss");
    assert_eq!(asked(&chat).await, "MISS");
    assert_eq!(found(&dry.ok().await), "hit");
    assert_eq!(found(&dry.clone().with("temperature", 1).ok().await), "bypass");
}

/// Of an ensemble what was decided is kept, and of a fallback what its last attempt said.
#[tokio::test]
async fn the_answer_that_the_caller_got_is_the_one_that_is_kept() {
    let fleet = Fleet::start().await;
    let mut wanted = keeping(&fleet, 300);
    let cache = json!({"mode": "exact", "ttl_seconds": 300});
    wanted["routing_configs"] = json!([
        {"slug": "both", "strategy": "ensemble", "aggregation": "weighted_average", "cache": cache,
         "members": [{"model": "sim/gpt-test"}, {"model": "sim/free"}]},
        {"slug": "either", "strategy": "fallback", "cache": cache, "attempts": [{"model": "sim/cents"}, {"model": "sim/gpt-test"}]},
    ]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    let usage = Usage { prompt: 20, completion: 10, ..Usage::default() };
    fleet.provider.always("gpt-test", Answer::saying("1", usage));
    fleet.provider.always("free", Answer::saying("4", usage));
    fleet.provider.always("cents", Answer::error(500));
    for chat in [cold(&fleet, &key, "@both"), cold(&fleet, &key, "@both").streamed(), cold(&fleet, &key, "@either")] {
        let before = fleet.provider.count();
        let (first, again) = (chat.ok().await, chat.ok().await);
        assert_eq!((outcome(&first), outcome(&again)), ("MISS".to_owned(), "HIT".to_owned()));
        assert_eq!(fleet.provider.count(), before + 2);
        for name in ["x-modelux-model-used", "content-type"] {
            assert_eq!(first.header(name), again.header(name), "{name}");
        }
        // Only the event of ours differs, which tells of the cost.
        let plain = |reply: &Reply| reply.text().lines().filter(|line| !line.contains("mlx:cost_usd")).collect::<Vec<_>>().join("\n");
        assert_eq!(plain(&first), plain(&again));
    }
    assert!(cold(&fleet, &key, "@both").ok().await.text().contains("2.5"));
}

/// Embeddings are the same each time, so that they are kept without a temperature.
#[tokio::test]
async fn embeddings_are_kept() {
    let fleet = Fleet::start().await;
    let mut wanted = keeping(&fleet, 300);
    wanted["routing_configs"][0]["model"] = json!("sim/embed");
    wanted["models"].as_array_mut().unwrap().push(tests::fleet::priced_model("embed", 1.0, 0.0));
    let key = fleet.enforce(&wanted).await.key("app/main");
    fleet.provider.play("embed", |_| tests::provider::Said::Text(String::new()));
    let ask = |input: &str| {
        let request = Request::new("POST", "/v1/embeddings").header("x-api-key", &key).header("Content-Type", "application/json");
        request.body(json!({"model": "@kept", "input": input}).to_string())
    };
    let address = fleet.worker().address();
    let (first, again) = (ask("a").send(address).await, ask("a").send(address).await);
    assert_eq!((outcome(&first), outcome(&again)), ("MISS".to_owned(), "HIT".to_owned()));
    assert_eq!(first.body, again.body);
    assert_eq!(outcome(&ask("b").send(address).await), "MISS");
}

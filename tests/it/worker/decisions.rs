//! Rules, allowlists, downgrades, and the dry run that shows them.

use serde_json::json;
use tests::fleet::{Fleet, manifest};
use tests::provider::{Answer, Usage};

/// Contract 2.2: the whole decision, no upstream call, nothing spent.
#[tokio::test]
async fn a_dry_run_shows_the_decision_and_spends_nothing() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["settings"] = json!({"entry_policy": "@company"});
    wanted["routing_configs"] = json!([
        {"slug": "company", "strategy": "custom_rules", "rules": [
            {"if": "tags.team == 'banned'", "then": {"deny": "no"}}, {"if": "tags.team == 'support'", "then": "@cheap"}, {"else": "pass"}]},
        {"slug": "cheap", "strategy": "single", "model": "sim/free"}]);
    wanted["budgets"] = json!([{"name": "all", "scope": "organization", "period": "monthly", "cap_usd": 5}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    let dry = |tags: &str| fleet.chat(&key, "sim/gpt-test").header("X-Modelux-Dry-Run", "true").header("X-Modelux-User-Tags", tags);
    let report = dry("team=support").ok().await.json();
    assert_eq!(report["decision"], "permit");
    assert!(report["route"].to_string().contains("sim/free"), "{report}");
    assert!(report["trace"].to_string().contains("tags.team == 'support'"), "{report}");
    let report = dry("team=banned").ok().await.json();
    assert_eq!(report["decision"], "deny");
    assert_eq!(report["denial"]["status"], 403, "{report}");
    assert_eq!(fleet.provider.count(), 0);
    let budget = fleet.budget("all").await;
    assert_eq!(tests::fleet::nano(&budget["settledUsd"]), 0);
    assert_eq!(tests::fleet::nano(&budget["reservedUsd"]), 0);
}

/// Contract 3: an allowlist lets its patterns through and sends the rest to `otherwise`.
#[tokio::test]
async fn an_allowlist_passes_its_models_and_redirects_the_rest() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["settings"] = json!({"entry_policy": "@listed"});
    wanted["routing_configs"] = json!([{"slug": "listed", "strategy": "allowlist", "models": ["sim/gpt-*"], "otherwise": "sim/free"}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    assert_eq!(fleet.chat(&key, "sim/gpt-test").ok().await.header("x-modelux-model-used"), Some("gpt-test"));
    assert_eq!(fleet.chat(&key, "sim/cents").ok().await.header("x-modelux-model-used"), Some("free"));
}

/// Contract 4: from `downgrade_at` on, everybody is sent to the cheaper config.
#[tokio::test]
async fn a_budget_that_is_nearly_spent_downgrades() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["routing_configs"] = json!([{"slug": "cheap", "strategy": "single", "model": "sim/free"}]);
    wanted["budgets"] = json!([{"name": "slide", "scope": {"project": "app"}, "period": "total", "cap_usd": "0.02",
        "at_cap": {"downgrade": "@cheap"}, "downgrade_at": 0.5}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    fleet.provider.always("cents", Answer::of(Usage { completion: 100, ..Usage::default() }));
    let reply = fleet.chat(&key, "sim/cents").ok().await;
    assert_eq!(reply.header("x-modelux-model-used"), Some("cents"));
    let reply = fleet.chat(&key, "sim/cents").ok().await;
    assert_eq!(reply.header("x-modelux-model-used"), Some("free"), "half of the budget is spent");
    assert_eq!(reply.header("x-modelux-budget-action"), Some("downgrade"));
}

/// Contract 4: a budget on a model or on a provider holds for what goes there, and for nothing else.
#[tokio::test]
async fn budgets_on_models_and_providers_hold_for_what_goes_there() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    let priced = json!({"model": "other/cents", "input_usd_per_mtok": 0, "output_usd_per_mtok": 100, "max_output_tokens": 4096});
    wanted["models"].as_array_mut().unwrap().push(priced);
    wanted["routing_configs"] = json!([{"slug": "cheap", "strategy": "single", "model": "sim/free"}]);
    wanted["budgets"] = json!([
        {"name": "slide", "scope": {"model": "sim/cen*"}, "period": "total", "cap_usd": "0.01", "at_cap": {"downgrade": "@cheap"}},
        {"name": "stop", "scope": {"provider": "other"}, "period": "total", "cap_usd": "0.01", "at_cap": "block"}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    fleet.provider.always("cents", Answer::of(Usage { completion: 100, ..Usage::default() }));
    assert_eq!(fleet.chat(&key, "sim/cents").ok().await.header("x-modelux-model-used"), Some("cents"));
    let reply = fleet.chat(&key, "sim/cents").ok().await;
    assert_eq!(reply.header("x-modelux-model-used"), Some("free"), "the model's budget is spent");
    assert_eq!(fleet.chat(&key, "other/cents").send().await.status(), 200, "another budget");
    let refused = fleet.chat(&key, "other/cents").send().await;
    assert_eq!(refused.error(402)["budget"]["name"], "stop");
    assert_eq!(fleet.chat(&key, "sim/free").send().await.status(), 200, "another provider");
    fleet.settled("slide", 10_000_000).await;
    fleet.settled("stop", 10_000_000).await;
}

/// Contract 4: `warn_only` and shadow budgets let everything through.
#[tokio::test]
async fn a_budget_that_only_warns_lets_through() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["budgets"] = json!([
        {"name": "warns", "scope": {"project": "app"}, "period": "total", "cap_usd": "0.001", "at_cap": "warn_only"},
        {"name": "shadow", "scope": "organization", "period": "total", "cap_usd": "0.001", "at_cap": "block", "mode": "shadow"}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    fleet.provider.always("cents", Answer::of(Usage { completion: 100, ..Usage::default() }));
    for _ in 0..3 {
        fleet.chat(&key, "sim/cents").ok().await;
    }
    fleet.settled("warns", 30_000_000).await;
    fleet.settled("shadow", 30_000_000).await;
}

/// Contract 4: budgets for each end user and each tag value count on their own.
#[tokio::test]
async fn each_end_user_and_each_tag_value_has_its_own_money() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["budgets"] = json!([
        {"name": "users", "scope": "end_user", "period": "total", "cap_usd": "0.01"},
        {"name": "tickets", "scope": {"tag": "ticket"}, "period": "total", "cap_usd": "0.01"}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    fleet.provider.always("cents", Answer::of(Usage { completion: 100, ..Usage::default() }));
    let asks = |header: &'static str, value: &'static str| fleet.chat(&key, "sim/cents").header(header, value);
    for (header, one, two) in [("X-Modelux-User-Id", "ann", "bob"), ("X-Modelux-User-Tags", "ticket=1", "ticket=2")] {
        assert_eq!(asks(header, one).send().await.status(), 200);
        assert_eq!(asks(header, one).send().await.status(), 402, "{one} has spent it");
        assert_eq!(asks(header, two).send().await.status(), 200, "{two} has not");
    }
}

/// Contract 4: `clamp_output` lowers the limit to what is affordable and says so.
#[tokio::test]
async fn an_output_limit_is_lowered_where_the_budget_says_so() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["budgets"] =
        json!([{"name": "clamps", "scope": {"project": "app"}, "period": "total", "cap_usd": "0.005", "clamp_output": true}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    fleet.provider.always("cents", Answer::of(Usage { completion: 50, ..Usage::default() }));
    let reply = fleet.chat(&key, "sim/cents").ok().await;
    assert_eq!(fleet.provider.last().json()["max_tokens"], 50, "half a cent buys 50 tokens");
    assert!(reply.head.headers.iter().any(|(name, value)| name.to_lowercase().contains("clamped") && value == "50"), "{:?}", reply.head);
}

/// However many budgets are short, one after the other: the limit is lowered to what the shortest of them has, and the trace says so.
#[tokio::test]
async fn an_output_limit_is_lowered_to_what_every_budget_has() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    let budget = |n: u32| {
        let cap = format!("0.0{n:02}");
        json!({"name": format!("clamps-{n}"), "scope": {"project": "app"}, "period": "total", "cap_usd": cap, "clamp_output": true})
    };
    wanted["budgets"] = (4..13).rev().map(budget).collect();
    let key = fleet.enforce(&wanted).await.key("app/main");
    fleet.provider.always("cents", Answer::of(Usage { completion: 40, ..Usage::default() }));
    fleet.chat(&key, "sim/cents").ok().await;
    assert_eq!(fleet.provider.last().json()["max_tokens"], 40, "four tenths of a cent buy 40 tokens");
    let log = fleet.logged(1, "status: 200").await;
    let steps = log[0]["trace"]["steps"].as_array().expect("steps");
    let clamped: Vec<_> = steps.iter().filter(|step| step["step"] == "clamped").map(|step| &step["tokens"]).collect();
    assert_eq!(clamped, [&json!(40)], "{steps:?}");
}

/// with the budget spent, every path and every form of a model is refused; none is exempt.
#[tokio::test]
async fn every_way_to_spend_is_refused_when_the_budget_is_spent() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["routing_configs"] = json!([
        {"slug": "one", "strategy": "single", "model": "sim/cents"},
        {"slug": "two", "strategy": "fallback", "attempts": [{"model": "@one"}, {"model": "other/gpt-test"}]}]);
    wanted["projects"][0]["routing_configs"] = json!([{"slug": "own", "strategy": "single", "model": "sim/gpt-test"}]);
    wanted["budgets"] = json!([{"name": "spent", "scope": "organization", "period": "total", "cap_usd": 0}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    for model in ["sim/cents", "cents", "@one", "@two", "@own", "other/gpt-test"] {
        for streamed in [false, true] {
            let chat = fleet.chat(&key, model).header("X-Modelux-Provider-Key", "own");
            let reply = if streamed { chat.streamed() } else { chat }.send().await;
            assert_eq!(reply.status(), 402, "{model} streamed {streamed}: {}", reply.text());
        }
    }
    let body = json!({"model": "sim/cents", "messages": [{"role": "user", "content": "x"}]}).to_string();
    for path in [
        "/v1/chat/completions",
        "/openai/v1/chat/completions",
        "//v1/chat/completions",
        "/v1/chat/completions/",
        "/V1/chat/completions",
        "/v1/chat/completions?x=y",
    ] {
        for scheme in ["Authorization", "x-api-key"] {
            let value = if scheme == "Authorization" { format!("Bearer {key}") } else { key.clone() };
            let reply =
                tests::http::Request::new("POST", path).header(scheme, &value).body(body.clone()).send(fleet.worker().address()).await;
            assert!([402, 404].contains(&reply.status()), "{path}: {}", reply.text());
        }
    }
    assert_eq!(fleet.provider.count(), 0, "nothing went upstream");
}

/// a higher cap counts on from what was spent, and frees who was blocked.
#[tokio::test]
async fn a_higher_cap_counts_on_and_unblocks() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["budgets"] = json!([{"name": "grows", "scope": "organization", "period": "monthly", "cap_usd": "0.01"}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    fleet.provider.always("cents", Answer::of(Usage { completion: 100, ..Usage::default() }));
    fleet.chat(&key, "sim/cents").ok().await;
    fleet.settled("grows", 10_000_000).await;
    assert_eq!(fleet.chat(&key, "sim/cents").send().await.status(), 402);
    wanted["budgets"][0]["cap_usd"] = json!("0.02");
    fleet.enforce(&wanted).await;
    assert_eq!(tests::fleet::nano(&fleet.budget("grows").await["settledUsd"]), 10_000_000, "nothing was reset");
    fleet.chat(&key, "sim/cents").ok().await;
    assert_eq!(fleet.chat(&key, "sim/cents").send().await.status(), 402);
    fleet.settled("grows", 20_000_000).await;
}

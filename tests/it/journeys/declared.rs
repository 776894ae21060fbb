//! Declarative administration (contract 6): plan, apply, export.

use serde_json::{Value, json};
use tests::fleet::{Fleet, manifest};

/// Every resource with every field of contract 6 that can be set.
fn whole(fleet: &Fleet) -> Value {
    let mut wanted = manifest(&fleet.provider);
    wanted["settings"] = json!({"time_zone": "Europe/Berlin", "payloads": "none", "retention_days": 30, "entry_policy": "@company",
        "ip_allowlist": {"management": ["127.0.0.0/8"], "proxy": ["127.0.0.0/8", "10.0.0.0/8"]}});
    wanted["providers"][0]["health_check"] = json!({"interval_seconds": 3600, "timeout_ms": 900, "path": "/models"});
    wanted["routing_configs"] = json!([
        {"slug": "company", "strategy": "custom_rules", "rules": [{"if": "tags.team == 'support'", "then": "@cheap"}, {"else": "pass"}]},
        {"slug": "cheap", "strategy": "single", "model": "sim/free"},
        {"slug": "safe", "strategy": "fallback", "attempts": [{"model": "sim/gpt-test", "timeout_ms": 8000}, {"model": "@cheap"}],
            "retry_on": ["429", "timeout"], "total_budget_ms": 30000,
            "first_byte_timeout_ms": 9000, "idle_timeout_ms": 7000, "hedge_after_ms": 800, "on_disconnect": "drain"},
        {"slug": "thrifty", "strategy": "cost_optimized", "quality_tier": "economy", "allowed_models": ["gpt-*"]},
        {"slug": "quick", "strategy": "latency_optimized", "models": ["sim/gpt-test", "other/gpt-test"],
            "cache": {"mode": "exact", "ttl_seconds": 60, "include_sampled": true}, "embedding_dimensions": 768},
        {"slug": "split", "strategy": "ab_test", "variants": [{"name": "control", "weight": 80, "config": "@quick"},
            {"name": "b", "weight": 20, "config": "@thrifty"}], "sticky_by": "conversation"},
        {"slug": "listed", "strategy": "allowlist", "models": ["sim/*"], "otherwise": "@cheap"}]);
    wanted["projects"] = json!([{"name": "app", "tags": {"team": "support"},
        "settings": {"auto_resolve_bare_model": false, "strict_capabilities": true, "entry_policy": "@listed",
            "guardrails": {"models": {"allow": ["sim/*", "other/*"], "deny": ["*-preview"], "mode": "shadow"},
            "detection": {"action": "redact", "kinds": ["email", "private_key"], "mode": "shadow"},
            "webhook": {"url": "http://127.0.0.1:9/judge", "secret": "${UPSTREAM_KEY}", "timeout_ms": 250, "fail": "open", "sends": "request", "mode": "shadow"}}},
        "routing_configs": [{"slug": "cheap", "strategy": "single", "model": "other/gpt-test"}],
        "keys": [{"name": "main", "tags": {"app": "ci"}, "rpm": 600, "expires": "2031-01-01", "allowed_models": ["sim/*", "other/*"],
            "ip_allowlist": ["127.0.0.1/32"]}]}]);
    wanted["budgets"] = json!([
        {"name": "project", "scope": {"project": "app"}, "period": "monthly", "anchor_day": 15, "time_zone": "Asia/Tokyo", "cap_usd": "100.25",
            "thresholds": [0.5, 0.8], "at_cap": {"downgrade": "@cheap"}, "downgrade_at": 0.9},
        {"name": "key", "scope": {"key": "app/main"}, "period": "weekly", "anchor_day": 3, "cap_usd": 5, "at_cap": "block", "clamp_output": true},
        {"name": "each", "scope": "end_user", "period": "daily", "cap_usd": 1, "at_cap": "warn_only", "mode": "shadow"},
        {"name": "tagged", "scope": {"tag": "team", "value": "support"}, "period": "total", "cap_usd": 9}]);
    wanted["members"] = json!([{"email": "admin@example.com", "role": "admin"}]);
    wanted
}

/// Contract 6: a plan changes nothing and says 2; after apply it says 0; a second apply changes nothing.
#[tokio::test]
async fn plan_tells_apply_does_and_a_second_apply_changes_nothing() {
    let fleet = Fleet::start().await;
    let file = fleet.write(&whole(&fleet));
    let (status, output, errors) = fleet.modelux(&["plan", "-f", &file]).await;
    assert_eq!(status, 2, "{output}{errors}");
    assert!(output.contains("company") && output.contains("project"), "{output}");
    let before = fleet.owner().query("{ organization { revision } }").await;
    let applied = fleet.apply(&whole(&fleet)).await;
    assert!(applied.key("app/main").starts_with("mlx_sk_"));
    assert!(applied.revision > before["organization"]["revision"].as_u64().unwrap(), "the plan made no revision, apply did");
    let (status, output, errors) = fleet.modelux(&["plan", "-f", &file]).await;
    assert_eq!(status, 0, "{output}{errors}");
    let again = fleet.apply(&whole(&fleet)).await;
    assert_eq!(again.revision, applied.revision, "{}", again.output);
    assert!(again.output["created_keys"].as_object().is_none_or(serde_json::Map::is_empty), "{}", again.output);
}

/// file → database → bundle → file gives back every field; export then plan is empty.
#[tokio::test]
async fn what_was_applied_is_exported_with_every_field() {
    let fleet = Fleet::start().await;
    let wanted = whole(&fleet);
    fleet.apply(&wanted).await;
    let (status, exported, errors) = fleet.modelux(&["export"]).await;
    assert_eq!(status, 0, "{errors}");
    let read: Value = serde_yaml_ng::from_str(&exported).expect("a manifest in YAML");
    assert_within(&canonical(&wanted), &canonical(&read), "");
    assert!(!exported.contains(tests::fleet::UPSTREAM_KEY), "secrets are not exported");
    let file = fleet.api.directory().join("exported.yaml");
    std::fs::write(&file, &exported).unwrap();
    let (status, output, errors) = fleet.modelux(&["plan", "-f", &file.to_string_lossy()]).await;
    assert_eq!(status, 0, "export then plan is empty: {output}{errors}");
}

/// A manifest in the one form in which two of them can be compared: defaults filled in, secrets left out.
fn canonical(manifest: &Value) -> Value {
    let mut read: policy::source::Manifest =
        serde_json::from_value(manifest.clone()).unwrap_or_else(|error| panic!("{error}: {manifest:#}"));
    for provider in &mut read.providers {
        provider.api_key = None;
    }
    for project in &mut read.projects {
        project.settings.guardrails = project.settings.guardrails.without_secret();
    }
    serde_json::to_value(read).expect("a manifest")
}

/// Every field of `part` is in `whole` with the same value; lists of named things are compared by name.
fn assert_within(part: &Value, whole: &Value, place: &str) {
    match (part, whole) {
        (Value::Object(fields), Value::Object(_)) => {
            for (name, value) in fields {
                assert_within(value, &whole[name], &format!("{place}.{name}"));
            }
        }
        (Value::Array(items), Value::Array(others)) if items.iter().all(|item| name_of(item).is_some()) => {
            for item in items {
                let name = name_of(item);
                let other = others.iter().find(|other| name_of(other) == name).unwrap_or_else(|| panic!("{place}: no {name:?} in {whole}"));
                assert_within(item, other, &format!("{place}[{}]", name.unwrap_or_default()));
            }
        }
        _ => assert_eq!(part, whole, "{place}"),
    }
}

fn name_of(item: &Value) -> Option<&str> {
    ["name", "slug", "model", "email"]
        .into_iter()
        .filter(|field| item["strategy"].is_null() || *field == "slug")
        .find_map(|field| item[field].as_str())
}

/// what a manifest does not name is left alone; `--prune` removes it.
#[tokio::test]
async fn a_partial_manifest_leaves_the_rest_alone_unless_pruned() {
    let fleet = Fleet::start().await;
    fleet.apply(&whole(&fleet)).await;
    let partial =
        json!({"org": "default", "budgets": [{"name": "project", "scope": {"project": "app"}, "period": "monthly", "cap_usd": 7}]});
    fleet.apply(&partial).await;
    let budgets = fleet.owner().query("{ budgets(first: 50) { nodes { name capUsd } } projects(first: 5) { nodes { name } } }").await;
    assert_eq!(budgets["budgets"]["nodes"].as_array().unwrap().len(), 4, "{budgets}");
    let file = fleet.write(&whole(&fleet));
    fleet.apply(&whole(&fleet)).await;
    let mut fewer = whole(&fleet);
    fewer["budgets"].as_array_mut().unwrap().pop();
    let file_fewer = fleet.write(&fewer);
    let (status, output, errors) = fleet.modelux(&["apply", "-f", &file_fewer, "--yes", "--prune"]).await;
    assert_eq!(status, 0, "{output}{errors}");
    let budgets = fleet.owner().query("{ budgets(first: 50) { nodes { name } } }").await;
    assert_eq!(budgets["budgets"]["nodes"].as_array().unwrap().len(), 3, "{budgets}");
    let (status, ..) = fleet.modelux(&["plan", "-f", &file]).await;
    assert_eq!(status, 2);
}

/// Contract 6: a mistake is named by file, line, resource and field, and nothing is applied.
#[tokio::test]
async fn a_mistake_is_named_and_nothing_is_applied() {
    let fleet = Fleet::start().await;
    let before = fleet.owner().query("{ organization { revision } }").await;
    let mistakes = [
        ("an unknown field", "org: default\nbudgets:\n  - {name: a, scope: organization, period: monthly, cap_usd: 1, capp: 2}\n", "capp"),
        ("a negative cap", "org: default\nbudgets:\n  - {name: a, scope: organization, period: monthly, cap_usd: -1}\n", "cap"),
        (
            "an unknown project",
            "org: default\nbudgets:\n  - {name: a, scope: {project: nowhere}, period: monthly, cap_usd: 1}\n",
            "nowhere",
        ),
        ("an unknown slug", "org: default\nsettings: {entry_policy: \"@nowhere\"}\n", "nowhere"),
        (
            "a rule with an unknown variable",
            "org: default\nrouting_configs:\n  - {slug: a, strategy: custom_rules, rules: [{if: \"tagz.x == 'a'\", then: pass}, {else: pass}]}\n",
            "tagz",
        ),
        (
            "a list without else",
            "org: default\nrouting_configs:\n  - {slug: a, strategy: custom_rules, rules: [{if: \"true\", then: pass}]}\n",
            "else",
        ),
        (
            "a cycle",
            "org: default\nrouting_configs:\n  - {slug: a, strategy: single, model: \"@b\"}\n  - {slug: b, strategy: single, model: \"@a\"}\n",
            "@a",
        ),
    ];
    for (what, text, named) in mistakes {
        let file = fleet.api.directory().join("mistake.yaml");
        std::fs::write(&file, text).unwrap();
        for command in [&["plan", "-f"][..], &["apply", "--yes", "-f"]] {
            let path = file.to_string_lossy().into_owned();
            let arguments: Vec<&str> = command.iter().copied().chain([path.as_str()]).collect();
            let (status, output, errors) = fleet.modelux(&arguments).await;
            assert_eq!(status, 1, "{what}: {output}{errors}");
            let said = format!("{output}{errors}");
            assert!(said.contains(named) && said.contains("mistake.yaml"), "{what}: {said}");
        }
    }
    let after = fleet.owner().query("{ organization { revision } }").await;
    assert_eq!(before, after);
}

/// The manifest of contract 6 as it stands there is accepted.
#[tokio::test]
async fn the_manifest_of_the_contract_is_accepted() {
    let fleet = Fleet::start().await;
    let file = fleet.api.directory().join("contract.yaml");
    std::fs::write(&file, include_str!("contract.yaml")).unwrap();
    let (status, output, errors) = fleet.modelux(&["apply", "-f", &file.to_string_lossy(), "--yes", "-o", "json"]).await;
    assert_eq!(status, 0, "{output}{errors}");
    let output: Value = serde_json::from_str(&output).unwrap();
    assert!(output["created_keys"]["support/ci"].as_str().unwrap().starts_with("mlx_sk_"), "{output}");
    let (status, output, errors) = fleet.modelux(&["plan", "-f", &file.to_string_lossy()]).await;
    assert_eq!(status, 0, "{output}{errors}");
}

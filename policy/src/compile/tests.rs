//! What compiles, and what is rejected under which resource and field.

mod guardrails;
mod selection;

use serde_json::{Value, json};

use crate::testing::compiled;

fn manifest(patch: Value) -> Value {
    let mut manifest = json!({
        "org": "default",
        "providers": [{"name": "openai", "vendor": "openai"}, {"name": "sim", "vendor": "simulated"}],
        "projects": [{"name": "support", "keys": [{"name": "ci"}]}],
    });
    for (field, value) in patch.as_object().unwrap() {
        manifest[field] = value.clone();
    }
    manifest
}

/// The one rejection of a manifest, as `resource name field: message`.
fn rejection(patch: Value) -> String {
    let rejections = compiled(manifest(patch)).unwrap_err();
    assert_eq!(rejections.len(), 1, "{rejections:?}");
    rejections[0].to_string()
}

#[test]
fn the_seed_example_compiles_as_it_stands() {
    let single = |slug: &str| json!({"slug": slug, "strategy": "single", "model": "openai/gpt-4o"});
    let rules = json!({"slug": "entry", "strategy": "custom_rules", "rules": [
        {"if": "tags.team == 'support'", "then": "@support-allowed"},
        {"if": "tags.sensitivity == 'pii'", "then": "@pii-safe-providers"},
        {"if": "budget.used_pct >= 0.9", "then": "@cheap"},
        {"else": "@production"}]});
    let configs = json!([rules, single("support-allowed"), single("pii-safe-providers"), single("cheap"), single("production")]);
    let bundle = compiled(manifest(json!({"routing_configs": configs, "settings": {"entry_policy": "@entry"}}))).unwrap();
    assert_eq!(bundle.entry_policy, Some(0));
    assert_eq!(bundle.revision, 7);
}

#[test]
fn a_cycle_is_refused_with_its_path() {
    let configs = json!([
        {"slug": "a", "strategy": "single", "model": "@b"},
        {"slug": "b", "strategy": "fallback", "attempts": [{"model": "@c"}]},
        {"slug": "c", "strategy": "single", "model": "@a"},
    ]);
    assert_eq!(
        rejection(json!({"routing_configs": configs})),
        "routing_config `a`, field `strategy`: references go in a circle: @a → @b → @c → @a"
    );
}

#[test]
fn references_nest_eight_deep_and_no_deeper() {
    let chain = |length: usize| {
        let mut configs: Vec<Value> =
            (0..length).map(|at| json!({"slug": format!("c{at}"), "strategy": "single", "model": format!("@c{}", at + 1)})).collect();
        configs.push(json!({"slug": format!("c{length}"), "strategy": "single", "model": "openai/gpt-4o"}));
        json!({"routing_configs": configs})
    };
    assert!(compiled(manifest(chain(8))).is_ok());
    assert!(rejection(chain(9)).contains("deeper than 8"));
    assert!(compiled(manifest(chain(5_000))).is_err());
}

fn checked(vendor: &str, health_check: serde_json::Value) -> serde_json::Value {
    let address = "https://x.openai.azure.com";
    json!({"providers": [{"name": "p", "vendor": vendor, "base_url": address, "health_check": health_check}]})
}

/// What is left out of a health check is the vendor's list of models, now and then.
#[test]
fn a_health_check_asks_for_the_models_that_the_vendor_lists() {
    for (vendor, base_url, path) in [
        ("openai", None, "/models"),
        ("groq", None, "/models"),
        ("anthropic", None, "/v1/models"),
        ("google", None, "/v1beta/models"),
        ("azure", Some("https://x.openai.azure.com"), "/openai/models?api-version=2025-04-01-preview"),
        ("azure", Some("https://x.openai.azure.com/openai/v1"), "/openai/v1/models"),
        ("vertex", Some("https://g.example/v1/projects/p/locations/l"), "/endpoints"),
    ] {
        let mut provider = json!({"name": "p", "vendor": vendor, "health_check": {}});
        if let Some(base_url) = base_url {
            provider["base_url"] = json!(base_url);
        }
        let bundle = compiled(manifest(json!({"providers": [provider]}))).unwrap();
        let check = bundle.providers.iter().find_map(|provider| provider.health_check.clone()).unwrap();
        assert_eq!((check.interval_seconds, check.timeout_ms, &*check.path), (30, 5_000, path), "{vendor}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table: one line a mistake")]
fn every_rejection_names_resource_and_field() {
    for (patch, expected) in [
        (
            json!({"routing_configs": [{"slug": "a", "strategy": "single", "model": "@b"}]}),
            "routing_config `a`, field `model`: there is no routing config `@b`",
        ),
        (
            json!({"routing_configs": [{"slug": "a", "strategy": "single", "model": "sim/x", "embedding_dimensions": 0}]}),
            "routing_config `a`, field `embedding_dimensions`: must be 1 to 65536",
        ),
        (
            json!({"routing_configs": [{"slug": "a", "strategy": "single", "model": "sim/x", "embedding_dimensions": 65_537}]}),
            "routing_config `a`, field `embedding_dimensions`: must be 1 to 65536",
        ),
        (
            json!({"routing_configs": [{"slug": "a", "strategy": "single", "model": "nowhere/x"}]}),
            "field `model`: there is no provider `nowhere`",
        ),
        (
            json!({"routing_configs": [{"slug": "a", "strategy": "custom_rules", "rules": [{"if": "true", "then": "pass"}]}]}),
            "field `rules`: the list needs a last `else`",
        ),
        (
            json!({"routing_configs": [{"slug": "a", "strategy": "custom_rules", "rules": [{"else": "pass"}, {"else": "pass"}]}]}),
            "field `rules[1]`: nothing can follow `else`",
        ),
        (
            json!({"routing_configs": [{"slug": "a", "strategy": "custom_rules", "rules": [{"if": "nosuch == 1", "then": "pass"}, {"else": "pass"}]}]}),
            "field `rules[0].if`: line 1, column 1",
        ),
        (
            json!({"routing_configs": [{"slug": "a", "strategy": "custom_rules", "rules": [{"if": "budgets['x'].used_pct > 0.5", "then": "pass"}, {"else": "pass"}]}]}),
            "there is no budget `x`",
        ),
        (json!({"settings": {"entry_policy": "@gone"}}), "settings, field `entry_policy`: there is no routing config `@gone`"),
        (json!({"settings": {"time_zone": "Mars/Base"}}), "field `time_zone`"),
        (json!({"providers": [{"name": "p", "vendor": "nope"}]}), "provider `p`, field `vendor`: unknown vendor `nope`"),
        (
            json!({"providers": [{"name": "p", "vendor": "openai", "base_url": "http://169.254.169.254/v1"}]}),
            "field `base_url`: `169.254.169.254` is a link-local or cloud-metadata address",
        ),
        (
            json!({"providers": [{"name": "p", "vendor": "openai_compatible"}]}),
            "field `base_url`: an `openai_compatible` provider needs an address",
        ),
        (
            json!({"providers": [{"name": "p", "vendor": "vertex", "base_url": "https://us-central1-aiplatform.googleapis.com"}]}),
            "field `base_url`: end the address of a `vertex` provider with project and location",
        ),
        (
            json!({"providers": [{"name": "p", "vendor": "bedrock"}]}),
            "field `base_url`: a `bedrock` provider needs the address of its region",
        ),
        (
            json!({"providers": [{"name": "p", "vendor": "azure"}]}),
            "field `base_url`: an `azure` provider needs the address of its resource",
        ),
        (
            json!({"providers": [{"name": "p", "vendor": "azure", "base_url": "https://x.openai.azure.com/openai/deployments/d"}]}),
            "field `base_url`: write the address of the resource alone",
        ),
        (
            json!({"providers": [{"name": "p", "vendor": "azure", "base_url": "http://169.254.169.254?api-version=preview"}]}),
            "field `base_url`: `169.254.169.254` is a link-local or cloud-metadata address",
        ),
        (checked("openai", json!({"interval_seconds": 0})), "field `health_check.interval_seconds`: must be 1 to 3600 seconds"),
        (checked("openai", json!({"timeout_ms": 60_001})), "field `health_check.timeout_ms`: must be 1 to 60000 milliseconds"),
        (checked("openai", json!({"path": "models"})), "field `health_check.path`: must be a path below `base_url`"),
        (checked("openai", json!({"path": "/../models"})), "field `health_check.path`: must be a plain path"),
        (
            checked("openai", json!({"path": "/chat/completions"})),
            "field `health_check.path`: `/chat/completions` is where a model is asked",
        ),
        (checked("google", json!({"path": "/v1beta/models/m:generateContent"})), "is where a model is asked, which costs"),
        (checked("bedrock", json!({})), "field `health_check.path`: the address of a `bedrock` provider lists no models"),
        (checked("simulated", json!({})), "field `health_check`: a `simulated` provider is a part of the worker"),
        (
            json!({"models": [{"model": "nowhere/m", "input_usd_per_mtok": 1}]}),
            "model `nowhere/m`, field `model`: there is no provider `nowhere`",
        ),
        (json!({"models": [{"model": "openai/m", "input_usd_per_mtok": -1}]}), "field `input_usd_per_mtok`"),
        (
            json!({"budgets": [{"name": "b", "scope": {"project": "nope"}, "period": "monthly", "cap_usd": 1}]}),
            "budget `b`, field `scope`: there is no project `nope`",
        ),
        (json!({"budgets": [{"name": "b", "scope": "organization", "period": "monthly", "cap_usd": -1}]}), "field `cap_usd`"),
        (
            json!({"budgets": [{"name": "b", "scope": "organization", "period": "weekly", "anchor_day": 9, "cap_usd": 1}]}),
            "field `anchor_day`",
        ),
        (
            json!({"budgets": [{"name": "b", "scope": "organization", "period": "daily", "cap_usd": 1, "at_cap": {"downgrade": "@no"}}]}),
            "field `at_cap.downgrade`",
        ),
        (json!({"projects": [{"name": "a/b"}]}), "project `a/b`, field `name`"),
        (json!({"projects": [{"name": "a", "keys": [{"name": "k", "rpm": 0}]}]}), "key `k`, field `rpm`"),
        (json!({"projects": [{"name": "a"}, {"name": "a"}]}), "project `a`, field `name`: this project is there twice"),
    ] {
        let text = rejection(patch);
        assert!(text.contains(expected), "`{text}` does not say `{expected}`");
    }
}

#[test]
fn all_rejections_are_reported_at_once() {
    let patch =
        json!({"settings": {"time_zone": "x"}, "budgets": [{"name": "b", "scope": {"key": "a/b"}, "period": "total", "cap_usd": -1}]});
    assert_eq!(compiled(manifest(patch)).unwrap_err().len(), 3);
}

#[test]
fn a_price_left_out_follows_its_parent_bucket_and_the_catalogue() {
    let models = json!([
        {"model": "openai/own", "input_usd_per_mtok": 1, "output_usd_per_mtok": "2", "cached_input_usd_per_mtok": 0.1},
        {"model": "openai/gpt-4o", "max_output_tokens": 5},
    ]);
    let bundle = compiled(manifest(json!({"models": models}))).unwrap();
    let find = |name: &str| bundle.models.iter().find(|model| model.name.as_ref() == name).unwrap();
    let rates = find("own").rates.unwrap();
    assert_eq!(
        (rates.input, rates.cached_input, rates.cache_write, rates.output, rates.reasoning),
        (1_000_000_000, 100_000_000, 1_000_000_000, 2_000_000_000, 2_000_000_000)
    );
    assert_eq!(find("own").price_version.as_ref(), "prc_1");
    assert_eq!((find("gpt-4o").price_version.as_ref(), find("gpt-4o").max_output_tokens), ("catalogue 2026-11-25", Some(5)));
    assert!(find("gpt-4o").rates.is_some());
}

#[test]
fn further_prices_refine_a_declared_price_and_a_long_context_inherits_it() {
    let further = json!({"cache_write_1h_usd_per_mtok": 2, "input_audio_usd_per_mtok": "3.5", "usd_per_request": 0.014,
        "long_context": [{"above_input_tokens": 200_000, "input_usd_per_mtok": 2}]});
    let models = json!([{"model": "openai/own", "input_usd_per_mtok": 1, "output_usd_per_mtok": 2, "further_prices": further}]);
    let bundle = compiled(manifest(json!({"models": models}))).unwrap();
    let own = bundle.models.iter().find(|model| model.name.as_ref() == "own").unwrap();
    let rates = own.rates.unwrap();
    assert_eq!(
        (rates.cache_write_1h, rates.input_audio, rates.request, rates.output_audio),
        (Some(2_000_000_000), Some(3_500_000_000), Some(14_000_000), None)
    );
    let [long] = &own.long_context[..] else { panic!("{:?}", own.long_context) };
    assert_eq!((long.above_input_tokens, long.rates), (200_000, crate::price::Rates { input: 2_000_000_000, ..rates }));
}

#[test]
fn further_prices_that_can_not_be_meant_are_refused_by_name() {
    let tier = |above: u64| json!({"above_input_tokens": above, "output_usd_per_mtok": 3});
    for (further, expected) in [
        (json!({"output_image_usd_per_mtok": -1}), "field `further_prices.output_image_usd_per_mtok`"),
        (json!({"long_context": [tier(1), tier(1)]}), "field `further_prices.long_context[1].above_input_tokens`"),
        (json!({"long_context": [{"above_input_tokens": 1, "input_usd_per_mtok": 2_000_000}]}), "long_context[0].input_usd_per_mtok`"),
    ] {
        let text = rejection(json!({"models": [{"model": "openai/own", "input_usd_per_mtok": 1, "further_prices": further}]}));
        assert!(text.contains(expected), "`{text}` does not say `{expected}`");
    }
    let alone = rejection(json!({"models": [{"model": "openai/gpt-4o", "further_prices": {"usd_per_request": 1}}]}));
    assert!(alone.contains("field `further_prices`: these go with"), "{alone}");
}

#[test]
fn a_bundle_survives_signing_and_any_change_is_noticed() {
    use crate::bundle::{BundleError, Envelope, SigningKey};
    let bundle = compiled(manifest(json!({}))).unwrap();
    let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
    let envelope = Envelope::seal(&bundle, &key).unwrap();
    let sent: Envelope = serde_json::from_str(&serde_json::to_string(&envelope).unwrap()).unwrap();
    assert_eq!(sent.open(&key.verifying_key()).unwrap(), bundle);

    let mut altered = envelope.clone();
    altered.body = serde_json::value::RawValue::from_string(envelope.body.get().replace("support", "selling")).unwrap();
    assert!(matches!(altered.open(&key.verifying_key()), Err(BundleError::Digest { .. })));
    let other = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
    assert!(matches!(envelope.open(&other.verifying_key()), Err(BundleError::Signature { .. })));
    let mut renumbered = envelope;
    renumbered.revision += 1;
    assert!(matches!(renumbered.open(&key.verifying_key()), Err(BundleError::Signature { .. })));
}

//! Requests that are passed through: where they go, and what lists of models and budgets make of them.

use serde_json::{Value, json};

use crate::catalogue::Interface;
use crate::decision::Trace;
use crate::engine::Engine;
use crate::facts::{Passthrough, RequestFacts, Spends, Surface};
use crate::testing::{NoHealth, Used, decide, engine, request, subject};

/// A company with several providers of each kind; `patch` replaces what it says.
fn company(patch: Value) -> Engine {
    let provider = |name: &str, vendor: &str| json!({"name": name, "vendor": vendor, "base_url": "http://127.0.0.1:9000/v1"});
    let mut manifest = json!({
        "org": "default",
        "providers": [
            provider("openai", "openai"), provider("groq", "groq"), provider("local", "openai_compatible"), provider("claude", "anthropic"),
            provider("gem", "google")],
        "models": [
            {"model": "openai/draws", "input_usd_per_mtok": 1, "output_usd_per_mtok": 1, "context_tokens": 1000, "max_output_tokens": 100},
            {"model": "openai/endless", "input_usd_per_mtok": 1, "output_usd_per_mtok": 1, "context_tokens": 1000}],
        "routing_configs": [
            {"slug": "mixed", "strategy": "fallback", "attempts": [{"model": "claude/c"}, {"model": "openai/draws"}]},
            {"slug": "two", "strategy": "fallback", "attempts": [{"model": "openai/draws"}, {"model": "openai/other"}]},
            {"slug": "claude", "strategy": "single", "model": "claude/c"},
            {"slug": "local", "strategy": "single", "model": "local/l"}],
        "projects": [{"name": "app", "keys": [{"name": "ci"}]}],
    });
    for (field, value) in patch.as_object().unwrap() {
        manifest[field] = value.clone();
    }
    engine(manifest)
}

fn asked(spends: Spends, model: &str) -> RequestFacts {
    let passthrough = Passthrough { operation: "POST /openai/v1/things".into(), interface: Interface::Openai, spends, provider: None };
    RequestFacts {
        surface: Surface::Passthrough,
        passthrough: Some(passthrough),
        max_output_tokens: None,
        kept_input: Some("the body"),
        ..request(model)
    }
}

fn of(interface: Interface, provider: Option<&str>) -> RequestFacts {
    let mut facts = asked(Spends::Nothing, "");
    facts.passthrough = facts.passthrough.map(|asked| Passthrough { interface, provider: provider.map(Into::into), ..asked });
    facts
}

fn code(engine: &Engine, facts: &RequestFacts) -> Result<Vec<String>, String> {
    decide(engine, facts, "0").map_err(|(code, _)| code)
}

fn budget(patch: Value) -> Value {
    let mut budget = json!({"name": "strict", "scope": "organization", "period": "monthly", "cap_usd": 100, "at_cap": "block"});
    for (field, value) in patch.as_object().unwrap() {
        budget[field] = value.clone();
    }
    json!([budget])
}

#[test]
fn a_request_without_a_model_goes_to_the_interfaces_own_vendor() {
    let engine = company(json!({}));
    assert_eq!(code(&engine, &of(Interface::Openai, None)), Ok(vec!["openai/".to_owned()]));
    assert_eq!(code(&engine, &of(Interface::Anthropic, None)), Ok(vec!["claude/".to_owned()]));
    assert_eq!(code(&engine, &of(Interface::Gemini, None)), Ok(vec!["gem/".to_owned()]));
    assert_eq!(code(&engine, &of(Interface::Openai, Some("groq"))), Ok(vec!["groq/".to_owned()]));
}

#[test]
fn where_it_is_not_clear_which_provider_is_meant_the_request_is_refused_with_their_names() {
    let provider = |name: &str| json!({"name": name, "vendor": "openai"});
    let engine = company(json!({"providers": [provider("a"), provider("b")], "models": [], "routing_configs": []}));
    let (code, message) = decide(&engine, &of(Interface::Openai, None), "0").unwrap_err();
    assert_eq!(code, "provider_not_found");
    for named in ["`a`, `b`", "X-Modelux-Provider", "POST /openai/v1/things"] {
        assert!(message.contains(named), "{message}");
    }
    assert_eq!(decide(&engine, &of(Interface::Gemini, None), "0").unwrap_err().0, "provider_not_found");
    for wrong in ["claude", "nobody"] {
        assert_eq!(decide(&company(json!({})), &of(Interface::Openai, Some(wrong)), "0").unwrap_err().0, "provider_not_found");
    }
    // A key that may use only one of them leaves no doubt.
    let engine = company(json!({"providers": [provider("a"), provider("b")], "models": [], "routing_configs": [],
        "projects": [{"name": "app", "keys": [{"name": "ci", "allowed_models": ["b/*"]}]}]}));
    assert_eq!(self::code(&engine, &of(Interface::Openai, None)), Ok(vec!["b/".to_owned()]));
}

#[test]
fn a_model_leads_to_its_provider_if_that_has_the_interface() {
    let engine = company(json!({}));
    let to = |model: &str| code(&engine, &asked(Spends::Tokens, model));
    assert_eq!(to("groq/whisper"), Ok(vec!["groq/whisper".to_owned()]));
    assert_eq!(to("draws"), Ok(vec!["openai/draws".to_owned()]));
    assert_eq!(to("never-heard-of"), Ok(vec!["openai/never-heard-of".to_owned()]), "the only place where it can be");
    assert_eq!(to("@mixed"), Ok(vec!["openai/draws".to_owned()]), "the only one of its kind");
    for model in ["claude/c", "@two", "@claude"] {
        assert_eq!(to(model), Err("provider_not_found".to_owned()), "{model}");
    }
    assert_eq!(to("@nowhere"), Err("routing_config_not_found".to_owned()));
}

#[test]
fn an_entry_policy_decides_here_too() {
    let entry = |rules: Value| {
        let mut configs = json!([
            {"slug": "entry", "strategy": "custom_rules", "rules": rules},
            {"slug": "claude", "strategy": "single", "model": "claude/c"}, {"slug": "local", "strategy": "single", "model": "local/l"}]);
        company(json!({"settings": {"entry_policy": "@entry"}, "routing_configs": configs.take()}))
    };
    let denies = entry(json!([{"if": "request.surface == 'passthrough'", "then": {"deny": "no"}}, {"else": "pass"}]));
    assert_eq!(code(&denies, &of(Interface::Openai, None)), Err("policy_denied".to_owned()));
    assert!(code(&denies, &request("openai/draws")).is_ok());
    let batches = entry(json!([{"if": "request.operation.endsWith('/things')", "then": {"deny": "no"}}, {"else": "pass"}]));
    assert_eq!(code(&batches, &of(Interface::Openai, None)), Err("policy_denied".to_owned()));
    // A redirect holds for the provider, whether or not there is a model to be replaced.
    let redirects = entry(json!([{"else": "@local"}]));
    assert_eq!(code(&redirects, &of(Interface::Openai, None)), Ok(vec!["local/".to_owned()]));
    assert_eq!(code(&redirects, &asked(Spends::Tokens, "openai/draws")), Ok(vec!["local/l".to_owned()]));
    assert_eq!(code(&redirects, &of(Interface::Openai, Some("openai"))), Err("provider_not_found".to_owned()));
    assert_eq!(code(&entry(json!([{"else": "@claude"}])), &of(Interface::Openai, None)), Err("provider_not_found".to_owned()));
}

#[test]
fn who_may_use_some_models_only_may_not_spend_without_saying_which() {
    let with = |allowed: Value| company(json!({"projects": [{"name": "app", "keys": [{"name": "ci", "allowed_models": allowed}]}]}));
    for (allowed, looks, spends) in [
        (json!(["*"]), true, true),
        (json!(["openai/*"]), true, true),
        (json!(["draws"]), true, false),
        (json!(["openai/dr*"]), true, false),
        (json!(["groq/*", "claude/*"]), true, true),
    ] {
        let engine = with(allowed.clone());
        assert_eq!(code(&engine, &of(Interface::Openai, None)).is_ok(), looks, "{allowed}");
        assert_eq!(code(&engine, &asked(Spends::Unknown, "")).is_ok(), spends, "{allowed}");
    }
    assert_eq!(code(&with(json!(["groq/*"])), &of(Interface::Openai, None)), Ok(vec!["groq/".to_owned()]));
    assert_eq!(code(&with(json!(["claude/*"])), &of(Interface::Openai, None)), Err("policy_denied".to_owned()));
    assert_eq!(code(&with(json!(["draws"])), &asked(Spends::Unknown, "openai/draws")), Ok(vec!["openai/draws".to_owned()]));
    let message = decide(&with(json!(["draws"])), &asked(Spends::Unknown, ""), "0").unwrap_err().1;
    assert!(message.contains("every model of provider `openai`") && message.contains("POST /openai/v1/things"), "{message}");
}

#[test]
fn guardrails_on_models_hold_for_what_names_none() {
    let with = |models: Value| {
        company(json!({"projects": [{"name": "app", "keys": [{"name": "ci"}], "settings": {"guardrails": {"models": models}}}]}))
    };
    let engine = with(json!({"deny": ["gpt-9*"], "mode": "enforce"}));
    assert!(code(&engine, &of(Interface::Openai, None)).is_ok());
    assert_eq!(code(&engine, &asked(Spends::Unknown, "")), Err("policy_denied".to_owned()));
    let engine = with(json!({"deny": ["openai/*"], "mode": "enforce"}));
    assert_eq!(code(&engine, &of(Interface::Openai, None)), Err("policy_denied".to_owned()));
    let engine = with(json!({"allow": ["claude/*"], "mode": "enforce"}));
    assert_eq!(code(&engine, &of(Interface::Openai, None)), Err("policy_denied".to_owned()));
}

#[test]
fn what_costs_nobody_knows_how_much_is_refused_by_every_budget_that_blocks() {
    for scope in [json!("organization"), json!({"project": "app"}), json!({"provider": "openai"}), json!({"model": "gpt-9*"})] {
        let engine = company(json!({"budgets": budget(json!({"scope": scope}))}));
        let (code, message) = decide(&engine, &asked(Spends::Unknown, ""), "0").unwrap_err();
        assert_eq!(code, "cost_unbounded", "{scope}");
        assert!(message.contains("`strict`") && message.contains("at_cap: warn_only"), "{message}");
        assert!(self::code(&engine, &of(Interface::Openai, None)).is_ok(), "looking is free");
    }
    let elsewhere = company(json!({"budgets": budget(json!({"scope": {"provider": "groq"}}))}));
    assert!(code(&elsewhere, &asked(Spends::Unknown, "")).is_ok());
    for harmless in [json!({"at_cap": "warn_only"}), json!({"mode": "shadow"})] {
        let engine = company(json!({"budgets": budget(harmless)}));
        assert!(code(&engine, &asked(Spends::Unknown, "")).is_ok());
    }
    // Without a budget it is the organization's word on what has no price.
    let denies = company(json!({"settings": {"unpriced_models": "deny"}}));
    assert_eq!(code(&denies, &asked(Spends::Unknown, "")), Err("model_unpriced".to_owned()));
    assert!(code(&denies, &of(Interface::Openai, None)).is_ok());
}

#[test]
fn tokens_of_a_priced_model_are_bounded_by_what_is_declared_of_it() {
    let engine = company(json!({"budgets": budget(json!({}))}));
    assert_eq!(code(&engine, &asked(Spends::Tokens, "openai/draws")), Ok(vec!["openai/draws".to_owned()]));
    assert_eq!(code(&engine, &asked(Spends::Tokens, "openai/unheard-of")), Err("model_unpriced".to_owned()));
    let (code, message) = decide(&engine, &asked(Spends::Tokens, "openai/endless"), "0").unwrap_err();
    assert_eq!(code, "cost_unbounded");
    assert!(message.contains("`max_output_tokens` of `openai/endless`"), "{message}");
    let limited = RequestFacts { max_output_tokens: Some(10), kept_input: None, ..asked(Spends::Tokens, "openai/endless") };
    assert!(self::code(&engine, &limited).is_ok());
}

#[test]
fn what_is_free_at_openai_costs_tokens_elsewhere() {
    let engine = company(json!({"budgets": budget(json!({}))}));
    for free in ["", "openai/m"] {
        assert!(code(&engine, &asked(Spends::NothingAtItsVendor, free)).is_ok());
    }
    assert_eq!(code(&engine, &asked(Spends::NothingAtItsVendor, "groq/m")), Err("model_unpriced".to_owned()));
}

#[test]
fn a_downgrade_is_followed_where_there_is_a_model_to_replace() {
    let engine = company(json!({"budgets": budget(json!({"at_cap": {"downgrade": "@local"}}))}));
    let at = |facts: &RequestFacts| decide(&engine, facts, "100").map_err(|(code, _)| code);
    assert_eq!(at(&asked(Spends::Tokens, "openai/draws")), Ok(vec!["local/l".to_owned()]));
    assert_eq!(at(&of(Interface::Openai, None)), Ok(vec!["openai/".to_owned()]));
    assert_eq!(at(&asked(Spends::Unknown, "")), Err("cost_unbounded".to_owned()));
    let on_target = company(json!({"budgets": budget(json!({"scope": {"provider": "openai"}, "at_cap": {"downgrade": "@local"}}))}));
    assert_eq!(decide(&on_target, &asked(Spends::Unknown, ""), "100").unwrap_err().0, "cost_unbounded");
    assert_eq!(decide(&on_target, &asked(Spends::Tokens, "openai/draws"), "100"), Ok(vec!["local/l".to_owned()]));
}

#[test]
fn the_trace_says_what_was_asked_for() {
    let engine = company(json!({}));
    let facts = asked(Spends::Unknown, "");
    let decision = engine.decide(&subject(&engine, "ci"), &facts, &Used("0".parse().unwrap()), &NoHealth, Trace::default());
    let crate::decision::Decision::Permit(permit) = decision else { panic!("{decision:?}") };
    let trace: Value = serde_json::from_str(permit.trace().to_json().get()).unwrap();
    assert_eq!(trace["steps"][0], json!({"step": "passthrough", "operation": "POST /openai/v1/things", "spends": "unknown"}));
    assert_eq!(trace["steps"][1]["target"], "openai/*");
}

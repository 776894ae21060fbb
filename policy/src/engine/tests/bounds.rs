//! Requests whose cost nothing in them bounds, under budgets that block and under those that don't.

use serde_json::{Value, json};

use crate::engine::Engine;
use crate::facts::{RequestFacts, Surface};
use crate::testing::{decide, engine, request};

fn governed(at_cap: &str) -> Engine {
    let priced = |model: &str, context: Option<u32>| {
        let mut priced = json!({"model": model, "input_usd_per_mtok": 1, "output_usd_per_mtok": 1});
        priced["context_tokens"] = context.map_or(Value::Null, Value::from);
        priced
    };
    engine(json!({
        "org": "default",
        "providers": [
            {"name": "openai", "vendor": "openai"}, {"name": "claude", "vendor": "anthropic"}, {"name": "sim", "vendor": "simulated"},
            {"name": "local", "vendor": "openai_compatible", "base_url": "http://127.0.0.1:9000/v1"}],
        "models": [priced("openai/known", Some(128_000)), priced("openai/unknown", None), priced("claude/c", None), priced("local/l", None)],
        "projects": [{"name": "app", "keys": [{"name": "ci"}]}],
        "budgets": [{"name": "strict", "scope": "organization", "period": "monthly", "cap_usd": 100, "at_cap": at_cap}],
    }))
}

fn searching(model: &str) -> RequestFacts {
    RequestFacts { surface: Surface::OpenaiResponses, provider_tool: Some("web_search".into()), ..request(model) }
}

fn continued(model: &str) -> RequestFacts {
    RequestFacts { surface: Surface::OpenaiResponses, kept_input: Some("previous_response_id"), ..request(model) }
}

#[test]
fn a_tool_that_the_provider_runs_is_refused_under_a_budget_that_blocks() {
    let (code, message) = decide(&governed("block"), &searching("openai/known"), "0").unwrap_err();
    assert_eq!(code, "cost_unbounded");
    for named in ["`web_search`", "`strict`", "leave the tool out", "at_cap: warn_only"] {
        assert!(message.contains(named), "{message}");
    }
    assert_eq!(decide(&governed("warn_only"), &searching("openai/known"), "0"), Ok(vec!["openai/known".to_owned()]));
}

#[test]
fn a_tool_that_no_provider_runs_because_it_is_left_out_hinders_nobody() {
    let engine = governed("block");
    for model in ["claude/c", "local/l", "sim/s"] {
        assert_eq!(decide(&engine, &searching(model), "0"), Ok(vec![model.to_owned()]));
    }
    let anthropic = RequestFacts { surface: Surface::AnthropicMessages, ..searching("claude/c") };
    assert_eq!(decide(&engine, &anthropic, "0").unwrap_err().0, "cost_unbounded");
}

#[test]
fn what_the_provider_keeps_counts_as_the_whole_context_where_that_is_known() {
    let engine = governed("block");
    let target = super::only_target(&engine, &continued("openai/known"));
    assert_eq!(target.input_bound(&continued("openai/known")), Some(128_000));
    let long = RequestFacts { input_tokens_bound: 200_000, ..continued("openai/known") };
    assert_eq!(target.input_bound(&long), Some(200_000));
    assert_eq!(target.input_bound(&request("openai/known")), Some(400));
}

#[test]
fn what_the_provider_keeps_is_refused_where_no_context_is_known_and_a_budget_blocks() {
    let (code, message) = decide(&governed("block"), &continued("openai/unknown"), "0").unwrap_err();
    assert_eq!(code, "cost_unbounded");
    for named in ["`previous_response_id`", "`strict`", "`context_tokens`", "at_cap: warn_only"] {
        assert!(message.contains(named), "{message}");
    }
    assert!(decide(&governed("warn_only"), &continued("openai/unknown"), "0").is_ok());
    assert!(decide(&governed("block"), &request("openai/unknown"), "0").is_ok());
    assert!(decide(&governed("block"), &continued("sim/s"), "0").is_ok());
}

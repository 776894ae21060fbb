//! A log entry as a tree: who asked for what, the steps of the decision in order, what came of it.
//!
//! A step of a kind that is not known here is shown with all its members, so that a newer worker's trace still reads.

use console::Style;
use serde_json::Value;

/// Renders a `requestLog` as GraphQL answers it.
pub(super) fn render(entry: &Value, coloured: bool) -> String {
    let text = |path: &str| entry.pointer(path).map(plain).unwrap_or_default();
    let bold = Style::new().bold().force_styling(coloured);
    let mut out = format!("{} {}\n", bold.apply_to(text("/id")), text("/time"));
    let asked = format!("{} asked for `{}` over {}", who(entry), text("/requestedModel"), text("/surface"));
    let steps = entry.pointer("/trace/steps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    out.push_str(&format!("├─ {asked}\n"));
    if let Some(tags) = tags(entry) {
        out.push_str(&format!("├─ tags {tags}\n"));
    }
    for step in steps {
        out.push_str(&format!("├─ {}\n", render_step(step)));
    }
    if steps.is_empty() {
        out.push_str("├─ no decision was recorded\n");
    }
    out.push_str(&format!("└─ {}\n", outcome(entry, coloured)));
    out
}

fn who(entry: &Value) -> String {
    let name = |path: &str| entry.pointer(path).map(plain).unwrap_or_else(|| "?".to_owned());
    let user = entry.pointer("/endUser").filter(|user| !user.is_null()).map(|user| format!(" for end user `{}`", plain(user)));
    format!("key `{}/{}`{}", name("/project/name"), name("/key/name"), user.unwrap_or_default())
}

fn tags(entry: &Value) -> Option<String> {
    let tags = entry.pointer("/tags")?.as_array()?;
    let pair = |tag: &Value| Some(format!("{}={}", plain(tag.get("name")?), plain(tag.get("value")?)));
    let pairs: Vec<String> = tags.iter().filter_map(pair).collect();
    (!pairs.is_empty()).then(|| pairs.join(", "))
}

fn render_step(step: &Value) -> String {
    let get = |name: &str| step.get(name).map(plain).unwrap_or_default();
    match get("step").as_str() {
        "tag_override_ignored" => {
            format!("tag `{}` stays `{}`: it is bound, `{}` was asked for", get("tag"), get("bound"), get("asked"))
        }
        "rule" => match step.get("rule").filter(|rule| !rule.is_null()) {
            Some(rule) => format!("{} v{} rule {}: {} → {}", get("config"), get("version"), plain(rule), get("condition"), get("then")),
            None => format!("{} v{} else → {}", get("config"), get("version"), get("then")),
        },
        "measured" => {
            format!("health of {}: {} ms, {}", get("target"), get("p50_ms"), if get("ok") == "true" { "usable" } else { "not usable" })
        }
        "rule_errored" => {
            format!("{} rule {} failed ({}) and counted as {}", get("config"), get("rule"), get("error"), get("counted_as"))
        }
        "config" => format!("{} v{} ({})", get("config"), get("version"), get("strategy")),
        "ordered" => {
            let candidates = step.get("candidates").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let part = |name: &str, candidate: &Value| candidate.get(name).map(plain).unwrap_or_default();
            let shown: Vec<String> =
                candidates.iter().map(|candidate| format!("{} ({})", part("target", candidate), part("standing", candidate))).collect();
            format!("{} in order of {}: {}", get("config"), get("by"), shown.join(", "))
        }
        "variant" if get("sticky_by") == "none" => format!("{}: variant `{}`, drawn for this request", get("config"), get("variant")),
        "variant" => format!("{}: variant `{}`, kept by {}", get("config"), get("variant"), get("sticky_by")),
        "allowlist" if step.get("allowed") == Some(&Value::Bool(true)) => format!("{}: the model is on the list", get("config")),
        "allowlist" => format!("{}: the model is not on the list", get("config")),
        "redirect_ignored" => format!("{} would lead to {}, but can only narrow", get("config"), get("then")),
        "target_refused" => format!("{} left out, refused by {}", get("target"), get("by")),
        "budget" => format!("budget `{}`: {} of {} USD used → {}", get("name"), get("used_usd"), get("cap_usd"), get("action")),
        "target" => match get("price_version") {
            version if version.is_empty() => format!("target {} (no price known)", get("target")),
            version => format!("target {} (price {version})", get("target")),
        },
        "counted" => format!("{} input tokens at most for {}, counted ({} by length)", get("tokens"), get("target"), get("bound")),
        "reserved" => format!("reserved {} USD for {}", get("usd"), get("target")),
        "cache" => match (get("outcome").as_str(), get("detail").as_str()) {
            ("hit", place) => format!("cache of {}: an answer that was kept ({place})", get("config")),
            ("bypass", why) => format!("cache of {}: passed by ({why})", get("config")),
            (outcome, _) => format!("cache of {}: {outcome}", get("config")),
        },
        "hedged" => {
            let came = match get("outcome").as_str() {
                "not_held" => "there was no money for both".to_owned(),
                "breaker" => "which rests".to_owned(),
                "open" => "the caller left before either answered".to_owned(),
                outcome => format!("{outcome} answered"),
            };
            format!("{} slow after {} ms, {} beside it: {came}", get("target"), get("after_ms"), get("second"))
        }
        "attempt" => format!("attempt at {}: {} after {} ms", get("target"), get("outcome"), get("ms")),
        "denied" => format!("denied ({}): {}", get("code"), get("message")),
        _ => members(step),
    }
}

fn members(step: &Value) -> String {
    let Some(fields) = step.as_object() else { return plain(step) };
    let pair = |(name, value): (&String, &Value)| if name == "step" { plain(value) } else { format!("{name}={}", plain(value)) };
    let mut parts: Vec<String> = fields.iter().filter(|(name, _)| *name == "step").map(pair).collect();
    parts.extend(fields.iter().filter(|(name, _)| *name != "step").map(pair));
    parts.join(" ")
}

fn outcome(entry: &Value, coloured: bool) -> String {
    let text = |path: &str| entry.pointer(path).filter(|value| !value.is_null()).map(plain);
    let status = entry.pointer("/status").and_then(Value::as_i64).unwrap_or(0);
    let style = if status < 400 { Style::new().green() } else { Style::new().red() }.force_styling(coloured);
    let mut parts = vec![format!("{}", style.apply_to(format!("status {status}")))];
    parts.extend(text("/errorCode"));
    if let (Some(provider), Some(model)) = (text("/provider"), text("/model")) {
        parts.push(format!("{provider}/{model}"));
    }
    let tokens = |name: &str| entry.pointer(&format!("/usage/{name}")).and_then(Value::as_u64).filter(|count| *count > 0);
    for (name, word) in [
        ("inputTokens", "input"),
        ("cachedInputTokens", "cached input"),
        ("cacheWriteTokens", "cache write"),
        ("outputTokens", "output"),
        ("reasoningTokens", "reasoning"),
    ] {
        parts.extend(tokens(name).map(|count| format!("{count} {word} tokens")));
    }
    parts.extend(text("/costUsd").map(|usd| format!("{usd} USD")));
    parts.extend(text("/latencyMs").map(|milliseconds| format!("{milliseconds} ms")));
    parts.join(", ")
}

/// Texts without their quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_decision_reads_from_the_question_to_the_outcome() {
        let entry = json!({
            "id": "req_1", "time": "2026-11-22T10:00:00Z", "project": {"name": "support"}, "key": {"name": "ci"}, "surface": "openai_chat",
            "requestedModel": "gpt-4o", "provider": "sim", "model": "small", "status": 200, "errorCode": null, "endUser": "u1",
            "tags": [{"name": "team", "value": "support"}], "costUsd": "0.0012", "latencyMs": 12.5,
            "usage": {"inputTokens": 10, "cachedInputTokens": 0, "outputTokens": 5},
            "trace": {"steps": [
                {"step": "rule", "config": "@entry", "version": 2, "rule": 1, "condition": "tags.team == 'support'", "then": "@cheap"},
                {"step": "rule", "config": "@x", "version": 1, "rule": null, "condition": "else", "then": "pass"},
                {"step": "cache", "config": "@x", "outcome": "bypass", "detail": "sampled"},
                {"step": "of_tomorrow", "why": "because"},
                {"step": "hedged", "target": "sim/large", "second": "sim/small", "after_ms": 200, "outcome": "second"},
                {"step": "attempt", "target": "sim/small", "outcome": "ok", "ms": 11}]},
        });
        let expected = "\
req_1 2026-11-22T10:00:00Z
├─ key `support/ci` for end user `u1` asked for `gpt-4o` over openai_chat
├─ tags team=support
├─ @entry v2 rule 1: tags.team == 'support' → @cheap
├─ @x v1 else → pass
├─ cache of @x: passed by (sampled)
├─ of_tomorrow why=because
├─ sim/large slow after 200 ms, sim/small beside it: second answered
├─ attempt at sim/small: ok after 11 ms
└─ status 200, sim/small, 10 input tokens, 5 output tokens, 0.0012 USD, 12.5 ms
";
        assert_eq!(render(&entry, false), expected);
    }

    #[test]
    fn an_entry_without_a_trace_says_so() {
        assert!(render(&json!({"id": "req_1", "status": 401}), false).contains("no decision was recorded"));
    }
}

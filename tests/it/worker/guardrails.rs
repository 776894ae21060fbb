//! Guardrails on the path: what is looked for in requests, what is done about it, and which models a project may use.

use serde_json::{Value, json};
use tests::fleet::{Fleet, manifest};
use tests::http::{Reply, Request};

const SURFACES: [&str; 4] = ["openai_chat", "openai_responses", "anthropic_messages", "gemini"];
/// Personal data as people write it, and as JSON may write it.
const ADDRESS: &str = "alice@example.com";
const CARD: &str = "4111 1111 1111 1111";

/// A fleet whose project has these guardrails; the key is `app/main`'s.
async fn guarded(guardrails: Value) -> (Fleet, String) {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["projects"][0]["settings"] = json!({"guardrails": guardrails});
    let key = fleet.enforce(&wanted).await.key("app/main");
    (fleet, key)
}

/// A question with personal data in it, the address written with an escape, on any surface.
async fn ask(fleet: &Fleet, surface: &str, key: &str, stream: bool) -> Reply {
    let model = "other/gpt-test";
    let said = format!("Write to {} about {CARD}, please.", ADDRESS.replace('@', "AT_SIGN"));
    let turns = json!([{"role": "user", "content": said}]);
    let (path, body) = match surface {
        "openai_chat" => ("/v1/chat/completions".to_owned(), json!({"model": model, "messages": turns, "stream": stream})),
        "openai_responses" => ("/v1/responses".to_owned(), json!({"model": model, "input": said, "stream": stream})),
        "anthropic_messages" => ("/v1/messages".to_owned(), json!({"model": model, "messages": turns, "max_tokens": 8, "stream": stream})),
        _ => {
            let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            (format!("/v1beta/models/{model}:{method}"), json!({"contents": [{"role": "user", "parts": [{"text": said}]}]}))
        }
    };
    let body = body.to_string().replace("AT_SIGN", "\\u0040");
    let request = Request::new("POST", &path).header("x-api-key", key).header("Content-Type", "application/json").body(body);
    request.send(fleet.worker().address()).await
}

/// The steps of guardrails in a trace.
fn steps(trace: &Value) -> Vec<Value> {
    let steps = trace["steps"].as_array().cloned().unwrap_or_default();
    steps.into_iter().filter(|step| step["step"] == "guardrail").collect()
}

fn step(outcome: &str) -> Value {
    json!({"step": "guardrail", "guardrail": "detection", "outcome": outcome, "findings": {"email": 1, "card": 1}})
}

#[tokio::test]
async fn what_was_found_reaches_the_provider_as_marks_on_every_surface() {
    let (fleet, key) = guarded(json!({"detection": {"action": "redact"}})).await;
    for surface in SURFACES {
        for stream in [false, true] {
            let reply = ask(&fleet, surface, &key, stream).await;
            assert_eq!(reply.status(), 200, "{surface}, stream {stream}: {}", reply.text());
            let sent = String::from_utf8_lossy(&fleet.provider.last().body).into_owned();
            assert!(sent.contains("Write to [EMAIL] about [CARD], please."), "{surface}, stream {stream}: {sent}");
            assert!(serde_json::from_str::<Value>(&sent).is_ok(), "{sent}");
        }
    }
    assert_eq!(fleet.provider.count(), SURFACES.len() * 2);
    for log in fleet.logged(SURFACES.len() * 2, "model: \"gpt-test\"").await {
        assert_eq!(steps(&log["trace"]), [step("redacted")], "{log:#}");
        assert!(!log.to_string().contains("alice") && !log.to_string().contains("4111"), "no text in the log: {log}");
    }
    let metrics = fleet.worker().get("/metrics").await.text();
    assert!(metrics.contains("modelux_guardrails_total{guardrail=\"detection\",outcome=\"redacted\"} 8"), "{metrics}");
    assert!(metrics.contains("modelux_findings_total{kind=\"email\"} 8"), "{metrics}");
}

#[tokio::test]
async fn a_request_with_findings_is_refused_in_the_words_of_its_surface() {
    let (fleet, key) = guarded(json!({"detection": {"action": "deny"}})).await;
    for surface in SURFACES {
        for stream in [false, true] {
            let reply = ask(&fleet, surface, &key, stream).await;
            let error = reply.json()["error"].clone();
            let kind = if surface == "gemini" { &error["status"] } else { &error["type"] };
            let expected = match surface {
                "gemini" => "PERMISSION_DENIED",
                "anthropic_messages" => "permission_error",
                _ => "policy_denied",
            };
            assert_eq!((reply.status(), kind.as_str()), (403, Some(expected)), "{surface}: {}", reply.text());
            let message = error["message"].as_str().unwrap_or_default();
            assert!(message.contains("guardrail `detection` of project `app` found email, card"), "{message}");
        }
    }
    assert_eq!(fleet.provider.count(), 0);
    for log in fleet.logged(SURFACES.len() * 2, "status: 403").await {
        assert_eq!(log["errorCode"], "policy_denied", "{log:#}");
        assert_eq!(steps(&log["trace"]), [step("denied")], "{log:#}");
        assert!(!log.to_string().contains("alice"), "no text in the log: {log}");
    }
    assert_eq!(fleet.chat(&key, "sim/free").send().await.status(), 200, "nothing in it");
}

/// Issue 3.9: "PII only to safe providers" works without trusting the caller's tag.
#[tokio::test]
async fn what_was_found_decides_where_a_request_goes_and_its_body_stays() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["settings"] = json!({"entry_policy": "@company"});
    wanted["routing_configs"] = json!([{"slug": "company", "strategy": "custom_rules", "rules": [
        {"if": "'secret' in request.findings", "then": {"deny": "no secrets"}},
        {"if": "request.sensitivity == 'pii' && request.findings.email >= 1", "then": "sim/free"}, {"else": "pass"}]}]);
    wanted["projects"][0]["settings"] = json!({"guardrails": {"detection": {"action": "tag"}}});
    let key = fleet.enforce(&wanted).await.key("app/main");
    let with = |text: &str| {
        fleet
            .chat(&key, "other/gpt-test")
            .with("messages", json!([{"role": "user", "content": text}]))
            .header("X-Modelux-User-Tags", "sensitivity=public")
    };
    let reply = with("mail bob@example.com").ok().await;
    assert_eq!(reply.header("x-modelux-model-used"), Some("free"));
    assert_eq!(fleet.provider.last().json()["messages"][0]["content"], "mail bob@example.com", "a tag changes nothing");
    assert_eq!(with("mail me").ok().await.header("x-modelux-model-used"), Some("gpt-test"));
    let refused = with(&format!("use {}IOSFODNN7EXAMPLE", "AKIA")).send().await;
    assert!(refused.error(403)["message"].as_str().is_some_and(|message| message.contains("no secrets")), "{}", refused.text());
    let report = with("mail bob@example.com").header("X-Modelux-Dry-Run", "true").ok().await.json();
    assert_eq!(steps(&report["trace"])[0]["outcome"], "tagged", "{report}");
    assert!(report["route"].to_string().contains("sim/free") && !report.to_string().contains("bob"), "{report}");
}

#[tokio::test]
async fn a_rule_about_kinds_that_nobody_finds_is_refused_when_it_is_saved() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["routing_configs"] = json!([{"slug": "typo", "strategy": "custom_rules", "rules": [
        {"if": "'token' in request.findings", "then": {"deny": "no"}}, {"else": "pass"}]}]);
    let (status, output, errors) = fleet.modelux(&["plan", "-f", &fleet.write(&wanted)]).await;
    assert_eq!(status, 1, "{output}{errors}");
    assert!(format!("{output}{errors}").contains("nothing is found as `token`"), "{output}{errors}");
}

#[tokio::test]
async fn in_shadow_mode_and_when_off_requests_pass_as_they_came() {
    let (fleet, key) = guarded(json!({"detection": {"action": "deny", "mode": "shadow"}})).await;
    assert_eq!(ask(&fleet, "openai_chat", &key, false).await.status(), 200);
    let sent = fleet.provider.last().json()["messages"][0]["content"].clone();
    assert_eq!(sent, format!("Write to {ADDRESS} about {CARD}, please."));
    let logs = fleet.logged(1, "").await;
    assert_eq!(steps(&logs[0]["trace"]), [step("would_deny")], "{logs:#?}");
    let mut wanted = manifest(&fleet.provider);
    wanted["projects"][0]["settings"] = json!({"guardrails": {"detection": {"action": "off"}}});
    fleet.enforce(&wanted).await;
    assert_eq!(ask(&fleet, "openai_chat", &key, false).await.status(), 200);
    let logs = fleet.logged(2, "").await;
    assert_eq!(steps(&logs[0]["trace"]), Vec::<Value>::new(), "{logs:#?}");
}

#[tokio::test]
async fn arguments_of_calls_are_redacted_and_stay_json() {
    let (fleet, key) = guarded(json!({"detection": {"action": "redact", "kinds": ["email", "card"]}})).await;
    let arguments = json!({"to": ADDRESS, "card": 4_111_111_111_111_111_u64, "phone": "+14155550132"}).to_string();
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "pay", "arguments": arguments}});
    let messages = json!([{"role": "user", "content": "pay"}, {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"}]);
    fleet.chat(&key, "sim/free").with("messages", messages).ok().await;
    let sent = fleet.provider.last().json();
    let arguments = sent.pointer("/messages/1/tool_calls/0/function/arguments").and_then(Value::as_str).unwrap_or_default();
    let read: Value = serde_json::from_str(arguments).unwrap_or_else(|error| panic!("{error}: {arguments}"));
    assert_eq!(read, json!({"to": "[EMAIL]", "card": "[CARD]", "phone": "+14155550132"}), "only the kinds that are wanted");
}

#[tokio::test]
async fn a_project_uses_the_models_that_it_may_and_no_others() {
    let (fleet, key) = guarded(json!({"models": {"allow": ["sim/*"], "deny": ["sim/cents"]}})).await;
    assert_eq!(fleet.chat(&key, "sim/free").send().await.status(), 200);
    for model in ["other/gpt-test", "sim/cents"] {
        let reply = fleet.chat(&key, model).send().await;
        let error = reply.error(403);
        assert_eq!(error["type"], "policy_denied", "{error}");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.contains("guardrail `models` of project `app`") && message.contains(model), "{message}");
    }
    let mut wanted = manifest(&fleet.provider);
    wanted["projects"][0]["settings"] = json!({"guardrails": {"models": {"deny": ["sim/cents"], "mode": "shadow"}}});
    fleet.enforce(&wanted).await;
    assert_eq!(fleet.chat(&key, "sim/cents").send().await.status(), 200);
    let logs = fleet.logged(1, "model: \"cents\"").await;
    let step = json!({"step": "guardrail", "guardrail": "models", "outcome": "would_deny", "target": "sim/cents"});
    assert_eq!(steps(&logs[0]["trace"]), [step], "{logs:#?}");
}

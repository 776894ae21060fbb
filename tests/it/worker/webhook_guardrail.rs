//! The webhook guardrail: what it is asked, what its verdicts do, and what holds where there is none.

use std::time::Duration;

use serde_json::{Value, json};
use tests::fleet::{Fleet, UPSTREAM_KEY, manifest};
use tests::http::Reply;
use tests::provider::{Answer, Gate, SimulatedProvider};

/// A fleet with a webhook, and what it is set to besides its address.
struct Hooked {
    fleet: Fleet,
    hook: SimulatedProvider,
    key: String,
}

impl Hooked {
    async fn start(settings: Value) -> Self {
        let fleet = Fleet::start().await;
        let hook = SimulatedProvider::start().await;
        let key = fleet.enforce(&wanted(&fleet, &hook, settings)).await.key("app/main");
        Self { fleet, hook, key }
    }

    async fn set(&self, settings: Value) {
        self.fleet.enforce(&wanted(&self.fleet, &self.hook, settings)).await;
    }

    async fn ask(&self, text: &str) -> Reply {
        let messages = json!([{"role": "user", "content": text}]);
        self.fleet.chat(&self.key, "sim/free").with("messages", messages).send().await
    }

    /// What the provider was asked last.
    fn sent(&self) -> Value {
        self.fleet.provider.last().json()["messages"][0]["content"].clone()
    }

    /// What the webhook had to say of the last request, from its trace.
    async fn said(&self, requests: usize) -> Value {
        let logs = self.fleet.logged(requests, "").await;
        let steps = logs[0]["trace"]["steps"].as_array().cloned().unwrap_or_default();
        steps.into_iter().find(|step| step["guardrail"] == "webhook").unwrap_or_else(|| panic!("nothing said in {:#}", logs[0]))
    }
}

fn wanted(fleet: &Fleet, hook: &SimulatedProvider, settings: Value) -> Value {
    let mut webhook = json!({"url": format!("http://{}/judge", hook.address()), "fail": "closed"});
    for (field, value) in settings.as_object().into_iter().flatten() {
        webhook[field] = value.clone();
    }
    let mut wanted = manifest(&fleet.provider);
    wanted["settings"] = json!({"entry_policy": "@company"});
    wanted["routing_configs"] = json!([{"slug": "company", "strategy": "custom_rules", "rules": [
        {"if": "'other' in request.findings", "then": "sim/cents"}, {"else": "pass"}]}]);
    wanted["projects"][0]["settings"] = json!({"guardrails": {"detection": {"action": "redact", "kinds": ["email"]}, "webhook": webhook}});
    wanted
}

#[tokio::test]
async fn a_webhook_is_asked_with_the_texts_that_the_provider_would_see_and_a_signature() {
    let hooked = Hooked::start(json!({"secret": "${UPSTREAM_KEY}"})).await;
    hooked.hook.next(Answer::json(&json!({"verdict": "allow"})));
    assert_eq!(hooked.ask("mail a@example.com of Falcon").await.status(), 200);
    let question = hooked.hook.last();
    assert_eq!(question.target, "POST /judge");
    let (id, time) = (question.header("webhook-id").unwrap_or_default(), question.header("webhook-timestamp").unwrap_or_default());
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, UPSTREAM_KEY.as_bytes());
    let signed = [format!("{id}.{time}.").as_bytes(), &question.body].concat();
    let expected = format!("v1,{}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, ring::hmac::sign(&key, &signed)));
    assert_eq!(question.header("webhook-signature"), Some(expected.as_str()));
    let asked = question.json();
    assert_eq!(asked["texts"], json!(["mail [EMAIL] of Falcon"]), "{asked}");
    assert_eq!((&asked["project"], &asked["model"], &asked["findings"]), (&json!("app"), &json!("sim/free"), &json!({"email": 1})));
    assert_eq!(hooked.said(1).await["outcome"], "passed");
    hooked.set(json!({"sends": "request"})).await;
    hooked.hook.next(Answer::json(&json!({"verdict": "allow"})));
    assert_eq!(hooked.ask("Falcon").await.status(), 200);
    let asked = hooked.hook.last().json();
    assert_eq!((&asked["request"]["messages"][0]["content"], &asked["texts"]), (&json!("Falcon"), &Value::Null), "{asked}");
}

#[tokio::test]
async fn the_verdict_of_a_webhook_is_obeyed() {
    let hooked = Hooked::start(json!({})).await;
    hooked.hook.next(Answer::json(&json!({"verdict": "deny", "message": "Falcon is secret", "findings": {"falcon": 1}})));
    let refused = hooked.ask("about Falcon").await;
    let error = refused.error(403);
    assert_eq!(error["message"], "guardrail `webhook` of project `app` refuses the request (other): Falcon is secret");
    assert_eq!(hooked.fleet.provider.count(), 0);
    hooked.hook.next(Answer::json(&json!({"verdict": "redact", "redactions": [{"text": "Falcon"}, {"text": "Jane", "kind": "email"}]})));
    let redacted = hooked.ask("Jane of Falcon").await;
    assert_eq!(hooked.sent(), "[EMAIL] of [REDACTED]");
    assert_eq!(redacted.header("x-modelux-model-used"), Some("cents"), "what it found is known to rules");
    let said = hooked.said(2).await;
    assert_eq!((&said["outcome"], &said["findings"]), (&json!("redacted"), &json!({"email": 1, "other": 1})), "{said}");
    hooked.hook.next(Answer::json(&json!({"verdict": "allow", "findings": {"toxic": 2}})));
    assert_eq!(hooked.ask("hello").await.header("x-modelux-model-used"), Some("cents"));
}

#[tokio::test]
async fn without_a_verdict_the_declared_fail_mode_holds() {
    let hooked = Hooked::start(json!({"timeout_ms": 300})).await;
    let gate = Gate::default();
    let failures = [
        ("timeout", Answer::default().held_by(&gate)),
        ("status", Answer::error(500)),
        ("malformed", Answer::json(&json!({"verdict": "perhaps"}))),
        ("malformed", Answer::bytes("not JSON")),
        ("nothing_to_redact", Answer::json(&json!({"verdict": "redact", "redactions": [{"text": "nowhere"}]}))),
        ("unreachable", Answer::json(&json!({"verdict": "allow"})).cut_at(5)),
    ];
    let mut requests = 0;
    for (fail, status, outcome) in [("closed", 403, "failed_closed"), ("open", 200, "failed_open")] {
        hooked.set(json!({"timeout_ms": 300, "fail": fail})).await;
        for (problem, answer) in &failures {
            hooked.hook.next(answer.clone());
            let reply = hooked.ask("hello").await;
            assert_eq!(reply.status(), status, "{fail}, {problem}: {}", reply.text());
            requests += 1;
            let said = hooked.said(requests).await;
            assert_eq!((&said["outcome"], &said["problem"]), (&json!(outcome), &json!(problem)), "{said}");
        }
    }
    gate.open();
}

#[tokio::test]
async fn in_shadow_mode_a_webhook_is_asked_and_not_obeyed() {
    let hooked = Hooked::start(json!({"mode": "shadow"})).await;
    for (answer, outcome) in [
        (Answer::json(&json!({"verdict": "deny"})), "would_deny"),
        (Answer::json(&json!({"verdict": "redact", "redactions": [{"text": "hello"}]})), "would_redact"),
        (Answer::error(503).after(Duration::from_millis(1)), "would_fail_closed"),
    ] {
        let requests = hooked.hook.count() + 1;
        hooked.hook.next(answer);
        assert_eq!(hooked.ask("hello").await.header("x-modelux-model-used"), Some("free"), "{outcome}");
        assert_eq!(hooked.sent(), "hello");
        assert_eq!(hooked.said(requests).await["outcome"], outcome);
    }
}

#[tokio::test]
async fn a_webhook_at_an_address_that_is_never_connected_to_is_refused_when_it_is_saved() {
    let fleet = Fleet::start().await;
    let hook = SimulatedProvider::start().await;
    let (status, output, errors) =
        fleet.modelux(&["plan", "-f", &fleet.write(&wanted(&fleet, &hook, json!({"url": "http://169.254.169.254/latest"})))]).await;
    assert_eq!(status, 1, "{output}{errors}");
    let said = format!("{output}{errors}");
    assert!(said.contains("settings.guardrails.webhook.url") && said.contains("never allowed"), "{said}");
}

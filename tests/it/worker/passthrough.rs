//! What a vendor has beside the answers of its models (files, batches, pictures …) is passed through, and governed like everything else.

mod bodies;
mod money;
mod places;

use serde_json::{Value, json};
use tests::fleet::{Fleet, UPSTREAM_KEY, manifest};
use tests::http::{Reply, Request};
use tests::provider::{Answer, SimulatedProvider};

/// The organization of the other tests, with a provider of each interface: `sim` is OpenAI, `other` speaks like it.
fn world(provider: &SimulatedProvider) -> Value {
    let mut wanted = manifest(provider);
    let address = format!("http://{}", provider.address());
    for (name, vendor) in [("claude", "anthropic"), ("gem", "google")] {
        let declared = json!({"name": name, "vendor": vendor, "base_url": address, "api_key": "${UPSTREAM_KEY}"});
        wanted["providers"].as_array_mut().expect("providers").push(declared);
    }
    wanted["models"].as_array_mut().expect("models").push(json!(
        {"model": "sim/draws", "input_usd_per_mtok": 5, "output_usd_per_mtok": 10,
         "further_prices": {"input_image_usd_per_mtok": 8, "output_image_usd_per_mtok": 40}, "context_tokens": 10_000, "max_output_tokens": 5_000}));
    wanted
}

/// A fleet with this world, changed by `change`; the key is `app/main`'s.
async fn governed(change: impl FnOnce(&mut Value)) -> (Fleet, String) {
    let fleet = Fleet::start().await;
    let mut wanted = world(&fleet.provider);
    change(&mut wanted);
    let key = fleet.enforce(&wanted).await.key("app/main");
    (fleet, key)
}

fn call(method: &str, path: &str, key: &str) -> Request {
    Request::new(method, path).header("Authorization", &format!("Bearer {key}"))
}

fn post(path: &str, key: &str, body: &Value) -> Request {
    call("POST", path, key).header("Content-Type", "application/json").body(body.to_string())
}

async fn send(fleet: &Fleet, request: &Request) -> Reply {
    request.send(fleet.worker().address()).await
}

const FORM: &str = "multipart/form-data; boundary=----b0undary";

/// A form with a file that has every byte, and with these fields.
fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut form = Vec::new();
    for (name, value) in fields {
        form.extend(format!("------b0undary\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
    }
    form.extend(b"------b0undary\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n");
    form.extend(b"Content-Type: application/octet-stream\r\n\r\n");
    form.extend((0..=255_u8).cycle().take(200_000));
    form.extend(b"\r\n------b0undary--\r\n");
    form
}

#[tokio::test]
async fn a_file_is_uploaded_byte_for_byte_and_logged() {
    let (fleet, key) = governed(|_| {}).await;
    let body = form(&[("purpose", "batch")]);
    let answer = json!({"id": "file-1", "object": "file", "odd": 1.10});
    fleet.provider.next(Answer::json(&answer).header("openai-organization", "org-secret").header("x-request-id", "up_1"));
    let reply = send(&fleet, &call("POST", "/v1/files", &key).header("Content-Type", FORM).body(body.clone())).await;
    assert_eq!((reply.status(), reply.text()), (200, answer.to_string()));
    let sent = fleet.provider.last();
    assert_eq!(sent.target, "POST /v1/files");
    assert_eq!((sent.header("content-type"), sent.header("authorization")), (Some(FORM), Some(&*format!("Bearer {UPSTREAM_KEY}"))));
    assert!(sent.body == body, "the form has changed on its way");
    assert_eq!(reply.header("x-modelux-provider-used"), Some("sim"));
    assert_eq!((reply.header("x-modelux-model-used"), reply.header("x-modelux-cost-usd")), (None, Some("0.00")));
    assert_eq!((reply.header("x-request-id"), reply.header("openai-organization")), (Some("up_1"), None));
    let log = fleet.logged(1, "status: 200").await;
    let row = &log[0];
    assert_eq!((&row["surface"], &row["provider"], &row["model"]), (&json!("passthrough"), &json!("sim"), &Value::Null), "{row:#}");
    assert_eq!((&row["requestedModel"], &row["costUsd"], &row["usageSource"]), (&json!(""), &json!("0.00"), &json!("none")), "{row:#}");
    assert_eq!(row["trace"]["steps"][0]["operation"], "POST /openai/v1/files", "{row:#}");
    assert_eq!(row["id"].as_str(), reply.header("x-modelux-request-id"));
}

#[tokio::test]
async fn what_is_looked_at_and_deleted_goes_the_same_way() {
    let (fleet, key) = governed(|_| {}).await;
    for (method, path, target) in [
        ("GET", "/v1/files?purpose=batch&limit=2", "GET /v1/files?purpose=batch&limit=2"),
        ("GET", "/openai/v1/batches/batch_1", "GET /v1/batches/batch_1"),
        ("GET", "/v1/responses/resp_1?include[]=x", "GET /v1/responses/resp_1?include[]=x"),
        ("DELETE", "/v1/responses/resp_1", "DELETE /v1/responses/resp_1"),
        ("POST", "/v1/batches/batch_1/cancel", "POST /v1/batches/batch_1/cancel"),
        ("GET", "/v1/messages/batches/msgbatch_1/results", "GET /v1/messages/batches/msgbatch_1/results"),
        ("GET", "/v1beta/cachedContents/c-1", "GET /v1beta/cachedContents/c-1"),
        ("DELETE", "/gemini/v1beta/files/f-1", "DELETE /v1beta/files/f-1"),
    ] {
        fleet.provider.next(Answer::json(&json!({"seen": path})));
        let reply = send(&fleet, &call(method, path, &key)).await;
        assert_eq!((reply.status(), &reply.json()["seen"]), (200, &json!(path)), "{method} {path}: {}", reply.text());
        assert_eq!(fleet.provider.last().target, target);
    }
    let log = fleet.logged(8, "status: 200").await;
    assert!(log.iter().all(|row| row["surface"] == "passthrough" && row["usageSource"] == "none"), "{log:#?}");
}

/// What is not in the table is not there, and nothing in a path leads elsewhere.
#[tokio::test]
async fn nothing_unknown_is_passed_through() {
    let (fleet, key) = governed(|_| {}).await;
    for path in [
        "/v1/realtime/sessions",
        "/v1/organization/costs",
        "/v1/files/../models",
        "/v1/files/%2e%2e/models",
        "/v1/files/a%2fb",
        "/v1/files/a%0d%0ax",
        "/v1/files/a//content",
        "/anthropic/v1/vector_stores",
        "/gemini/v1beta/tunedModels",
    ] {
        let reply = send(&fleet, &call("GET", path, &key)).await;
        assert_eq!(reply.status(), 404, "{path}: {}", reply.text());
    }
    let reply = send(&fleet, &call("PUT", "/v1/files/file-1", &key)).await;
    assert_eq!(reply.status(), 405);
    assert!(reply.text().contains("GET or DELETE"), "{}", reply.text());
    let reply = send(&fleet, &call("PUT", "/gemini/v1beta/files/f-1", &key)).await;
    assert_eq!((reply.status(), &reply.json()["error"]["code"]), (405, &json!(405)), "in the surface's shape: {}", reply.text());
    assert_eq!(fleet.provider.count(), 0);
}

/// Contract 2.1: no credential of ours and nothing else that is not meant for it reaches a provider.
#[tokio::test]
async fn no_key_of_ours_reaches_a_provider_however_it_is_presented() {
    let (fleet, key) = governed(|_| {}).await;
    let body = json!({"model": "sim/draws", "prompt": "x", "mlx:tags": {"team": "secret-team"}});
    let requests = [
        call("GET", "/v1/files", &key),
        Request::new("GET", "/v1/files").header("x-api-key", &key),
        Request::new("GET", "/v1beta/files").header("x-goog-api-key", &key),
        Request::new("GET", &format!("/v1beta/files?key={key}&pageSize=2")),
        call("GET", &format!("/v1/files?order={key}&%6bey={key}&api_key=x"), &key),
        post("/v1/images/generations", &key, &body),
        call("GET", "/v1/messages/batches", &key).header("x-api-key", &key),
    ];
    for request in requests {
        let request = request
            .header("Cookie", &format!("session={key}"))
            .header("X-Forwarded-For", "10.9.8.7")
            .header("X-HTTP-Method-Override", "DELETE")
            .header("X-Modelux-User-Id", "u-1");
        let reply = send(&fleet, &request).await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let sent = fleet.provider.last();
        let raw = format!("{} {:?} {}", sent.target, sent.headers, String::from_utf8_lossy(&sent.body)).to_lowercase();
        for secret in [&key.to_lowercase(), "mlx", "modelux-", "cookie", "forwarded", "override", "secret-team"] {
            assert!(!raw.contains(secret), "`{secret}` in {raw}");
        }
        assert!(raw.contains(UPSTREAM_KEY), "{raw}");
    }
    assert!(fleet.provider.requests().iter().any(|sent| sent.target == "GET /v1beta/files?pageSize=2"));
}

/// Contract 3: the company's policy decides here too.
#[tokio::test]
async fn an_entry_policy_can_deny_what_is_passed_through() {
    let (fleet, key) = governed(|wanted| {
        wanted["settings"] = json!({"entry_policy": "@company"});
        wanted["routing_configs"] = json!([{"slug": "company", "strategy": "custom_rules", "rules": [
            {"if": "request.surface == 'passthrough' && tags.team == 'guests'", "then": {"deny": "guests only talk"}},
            {"if": "request.operation == 'POST /openai/v1/batches'", "then": {"deny": "no batches; ask the platform team"}},
            {"else": "pass"}]}]);
    })
    .await;
    let guest = call("GET", "/v1/files", &key).header("X-Modelux-User-Tags", "team=guests");
    let error = send(&fleet, &guest).await.error(403);
    assert_eq!(
        (&error["code"], error["message"].as_str().unwrap().contains("guests only talk")),
        (&json!("policy_denied"), true),
        "{error}"
    );
    let error = send(&fleet, &post("/v1/batches", &key, &json!({"input_file_id": "f"}))).await.error(403);
    assert!(error["message"].as_str().unwrap().contains("ask the platform team"), "{error}");
    assert_eq!(fleet.provider.count(), 0);
    assert_eq!(send(&fleet, &call("GET", "/v1/files", &key)).await.status(), 200);
    fleet.chat(&key, "sim/free").header("X-Modelux-User-Tags", "team=guests").ok().await;
    let log = fleet.logged(2, "status: 403").await;
    assert!(log.iter().all(|row| row["surface"] == "passthrough" && row["errorCode"] == "policy_denied"), "{log:#?}");
}

/// Expiry, addresses, rate and models of a key hold here too.
#[tokio::test]
async fn the_limits_of_a_key_hold_for_what_is_passed_through() {
    let fleet = Fleet::start().await;
    let mut wanted = world(&fleet.provider);
    wanted["projects"][0]["keys"] = json!([
        {"name": "old", "expires": "2026-01-01"}, {"name": "elsewhere", "ip_allowlist": ["10.9.8.0/24"]}, {"name": "slow", "rpm": 1},
        {"name": "narrow", "allowed_models": ["sim/free", "sim/draws"]}, {"name": "foreign", "allowed_models": ["nobody/*"]}]);
    let applied = fleet.enforce(&wanted).await;
    let key = |name: &str| applied.key(&format!("app/{name}"));
    let get = |name: &str| call("GET", "/v1/files", &key(name));
    assert_eq!(send(&fleet, &get("old")).await.error(401)["code"], "key_expired");
    assert_eq!(send(&fleet, &get("elsewhere")).await.error(403)["code"], "ip_not_allowed");
    assert_eq!(send(&fleet, &get("foreign")).await.error(403)["code"], "policy_denied");
    assert_eq!(fleet.provider.count(), 0);
    assert_eq!(send(&fleet, &get("slow")).await.status(), 200);
    assert_eq!(send(&fleet, &get("slow")).await.error(429)["code"], "rate_limit_exceeded");
    // Some of a provider's models are enough to look, not to spend without saying on which.
    assert_eq!(send(&fleet, &get("narrow")).await.status(), 200);
    let draw = |model: &str| post("/v1/images/generations", &key("narrow"), &json!({"model": model, "prompt": "x"}));
    assert_eq!(send(&fleet, &draw("sim/draws")).await.status(), 200);
    assert_eq!(send(&fleet, &draw("sim/gpt-test")).await.error(403)["code"], "policy_denied");
    let error = send(&fleet, &post("/v1/batches", &key("narrow"), &json!({"input_file_id": "f"}))).await.error(403);
    assert!(error["message"].as_str().unwrap().contains("every model of provider `sim`"), "{error}");
    let batch = json!({"requests": [{"custom_id": "1", "params": {"model": "claude/c", "max_tokens": 1, "messages": []}}]});
    let anthropics = send(&fleet, &post("/v1/messages/batches", &key("narrow"), &batch)).await;
    assert_eq!((anthropics.status(), &anthropics.json()["type"]), (403, &json!("error")), "{}", anthropics.text());
}

/// Contract 2.2.
#[tokio::test]
async fn a_dry_run_shows_the_decision_and_sends_nothing() {
    let (fleet, key) = governed(|wanted| {
        wanted["budgets"] = json!([{"name": "all", "scope": "organization", "period": "total", "cap_usd": 1}]);
    })
    .await;
    let dry = |request: Request| request.header("X-Modelux-Dry-Run", "true");
    let report = send(&fleet, &dry(call("GET", "/v1/files", &key))).await.json();
    assert_eq!((&report["decision"], &report["route"]["target"]["target"]), (&json!("permit"), &json!("sim/*")), "{report}");
    assert_eq!(report["estimate"]["reserved_usd"], "0.00", "{report}");
    let report = send(&fleet, &dry(post("/v1/batches", &key, &json!({"input_file_id": "f"})))).await.json();
    assert_eq!((&report["decision"], &report["denial"]["code"]), (&json!("deny"), &json!("cost_unbounded")), "{report}");
    assert_eq!(fleet.provider.count(), 0);
}

//! Vertex AI: Gemini's and Anthropic's models in their own dialects, with a token that a service account is exchanged for, beside the path of
//! any request.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};
use tests::fleet::{Fleet, manifest, nano};
use tests::http::{Reply, Request};
use tests::provider::{Answer, Recorded, SimulatedProvider};
use tests::wait::{SOON, until};

/// Made for these tests; it opens nothing.
const PRIVATE_KEY: &str = include_str!("../../testdata/service_account.pem");
const PLACE: &str = "/v1/projects/p-1/locations/us-central1";
const CLAUDE: &str = "claude-sonnet-4-5@20250929";

fn granted(token: &str, seconds: u64) -> Answer {
    Answer::json(&json!({"access_token": token, "expires_in": seconds, "token_type": "Bearer"}))
}

fn account(token_uri: &str) -> Value {
    json!({"type": "service_account", "project_id": "p-1", "private_key_id": "key-1", "private_key": PRIVATE_KEY,
        "client_email": "gate@p-1.iam.gserviceaccount.com", "token_uri": token_uri})
}

fn with_vertex(fleet: &Fleet, account: &Value) -> Value {
    let mut wanted = manifest(&fleet.provider);
    let base_url = format!("http://{}{PLACE}", fleet.provider.address());
    let provider = json!({"name": "gcp", "vendor": "vertex", "base_url": base_url, "api_key": account.to_string()});
    wanted["providers"].as_array_mut().unwrap().push(provider);
    // What the catalogue knows goes before what is declared for the rest.
    let priced = ["gcp/*", "gcp/gemini-3.7-flash"].map(|model| json!({"model": model, "input_usd_per_mtok": 1, "output_usd_per_mtok": 2}));
    wanted["models"].as_array_mut().unwrap().extend(priced);
    wanted
}

/// A fleet with `gcp`, whose tokens come from the second.
async fn with_tokens(answer: Answer) -> (Fleet, String, SimulatedProvider) {
    let ((fleet, key), tokens) = tokio::join!(Fleet::governed(), SimulatedProvider::start());
    tokens.always("", answer);
    let account = account(&format!("http://{}/token", tokens.address()));
    fleet.enforce(&with_vertex(&fleet, &account)).await;
    (fleet, key, tokens)
}

async fn ask(fleet: &Fleet, key: &str, path: &str, body: Value) -> Reply {
    let request = Request::new("POST", path).header("x-api-key", key).header("Content-Type", "application/json");
    request.body(body.to_string()).send(fleet.worker().address()).await
}

fn chat(model: &str, stream: bool) -> Value {
    json!({"model": format!("gcp/{model}"), "messages": [{"role": "user", "content": "What is a budget?"}], "max_tokens": 50, "stream": stream})
}

fn gemini_answer() -> Value {
    let content = json!({"role": "model", "parts": [{"text": "Hello"}]});
    json!({"candidates": [{"content": content, "finishReason": "STOP", "index": 0}], "modelVersion": "gemini-3.7-flash",
        "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 10, "totalTokenCount": 30}})
}

fn claude_answer() -> Value {
    json!({"id": "msg_vrtx_1", "type": "message", "role": "assistant", "model": CLAUDE, "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn", "usage": {"input_tokens": 20, "output_tokens": 10}})
}

/// The request went to `path` of the project's place, with the token and no other credential.
fn assert_sent(fleet: &Fleet, path: &str) -> Recorded {
    let sent = fleet.provider.last();
    assert_eq!(sent.target, format!("POST {PLACE}/publishers/{path}"));
    let credentials = ["authorization", "x-api-key", "x-goog-api-key"].map(|name| sent.header(name));
    assert_eq!(credentials, [Some("Bearer token-1"), None, None]);
    sent
}

/// The statement was signed by the account and says of it what Google asks for.
fn assert_stated(asked: &Recorded) {
    assert_eq!(asked.target, "POST /token");
    let form = String::from_utf8(asked.body.clone()).unwrap();
    let statement = form.strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=").unwrap();
    let (signed, signature) = statement.rsplit_once('.').unwrap();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let pem: String = PRIVATE_KEY.lines().filter(|line| !line.starts_with('-')).collect();
    let pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(pem).unwrap()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    public.verify(signed.as_bytes(), &decode(signature)).expect("the account's signature");
    let (header, claims) = signed.split_once('.').unwrap();
    let [header, claims] = [header, claims].map(|part| serde_json::from_slice::<Value>(&decode(part)).unwrap());
    assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"}));
    assert_eq!(claims["iss"], "gate@p-1.iam.gserviceaccount.com");
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloud-platform");
    assert!(claims["aud"].as_str().unwrap().ends_with("/token"), "{claims}");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
}

#[tokio::test]
async fn both_kinds_of_models_are_called_with_one_token_in_their_own_dialects() {
    let (fleet, key, tokens) = with_tokens(granted("token-1", 3600)).await;
    let contents =
        json!({"contents": [{"role": "user", "parts": [{"text": "What is a budget?"}]}], "generationConfig": {"maxOutputTokens": 50}});
    fleet.provider.next(Answer::json(&gemini_answer()));
    let reply = ask(&fleet, &key, "/v1beta/models/gcp/gemini-3.7-flash:generateContent", contents).await;
    assert_eq!(reply.json(), gemini_answer());
    assert_sent(&fleet, "google/models/gemini-3.7-flash:generateContent");
    fleet.provider.next(Answer::stream([format!("data: {}\r\n\r\n", gemini_answer())]));
    let reply = ask(&fleet, &key, "/v1/chat/completions", chat("gemini-3.7-flash", true)).await;
    assert!(reply.text().contains("Hello") && reply.text().contains("[DONE]"), "{}", reply.text());
    assert_sent(&fleet, "google/models/gemini-3.7-flash:streamGenerateContent?alt=sse");
    fleet.provider.next(Answer::json(&claude_answer()));
    let reply = ask(&fleet, &key, "/v1/messages", chat(CLAUDE, false)).await;
    assert_eq!(reply.json(), claude_answer());
    let sent = assert_sent(&fleet, "anthropic/models/claude-sonnet-4-5%4020250929:rawPredict").json();
    assert_eq!((sent.get("model"), &sent["anthropic_version"], &sent["stream"]), (None, &json!("vertex-2023-10-16"), &json!(false)));
    let start = json!({"type": "message_start", "message": {"id": "m", "model": CLAUDE, "content": [], "usage": {"input_tokens": 20, "output_tokens": 1}}});
    let rest = [
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 10}}),
        json!({"type": "message_stop"}),
    ];
    let events = [start].into_iter().chain(rest).map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()));
    fleet.provider.next(Answer::stream(events));
    let reply = ask(&fleet, &key, "/v1/chat/completions", chat(CLAUDE, true)).await;
    assert!(reply.text().contains("Hello") && reply.text().contains("[DONE]"), "{}", reply.text());
    let sent = assert_sent(&fleet, "anthropic/models/claude-sonnet-4-5%4020250929:streamRawPredict").json();
    assert_eq!((sent.get("model"), &sent["stream"]), (None, &json!(true)));
    let logs = fleet.logged(4, "").await;
    assert!(logs.iter().all(|log| nano(&log["costUsd"]) == 20 * 1_000 + 10 * 2_000 && log["usageSource"] == "provider"), "{logs:#?}");
    assert_eq!(tokens.count(), 1);
    assert_stated(&tokens.last());
}

#[tokio::test]
async fn a_token_outlives_a_change_of_policy_and_is_replaced_before_its_end() {
    let (fleet, key, tokens) = with_tokens(granted("token-1", 3600)).await;
    let account = account(&format!("http://{}/token", tokens.address()));
    let mut wanted = with_vertex(&fleet, &account);
    fleet.provider.always("", Answer::json(&gemini_answer()));
    assert_eq!(ask(&fleet, &key, "/v1/chat/completions", chat("gemini-3.7-flash", false)).await.status(), 200);
    wanted["models"][0]["input_usd_per_mtok"] = json!(3);
    fleet.enforce(&wanted).await;
    assert_eq!(ask(&fleet, &key, "/v1/chat/completions", chat("gemini-3.7-flash", false)).await.status(), 200);
    assert_eq!(tokens.count(), 1, "the credential is the same");
    // Another credential, whose tokens are short-lived.
    tokens.always("", granted("token-2", 2));
    let mut other = account.clone();
    other["client_email"] = json!("other@p-1.iam.gserviceaccount.com");
    fleet.enforce(&with_vertex(&fleet, &other)).await;
    assert_eq!(ask(&fleet, &key, "/v1/chat/completions", chat("gemini-3.7-flash", false)).await.status(), 200);
    assert_eq!(fleet.provider.last().header("authorization"), Some("Bearer token-2"));
    tokens.always("", granted("token-3", 3600));
    until("the next token", SOON, || async {
        let reply = ask(&fleet, &key, "/v1/chat/completions", chat("gemini-3.7-flash", false)).await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        (fleet.provider.last().header("authorization") == Some("Bearer token-3")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_a_token_a_request_says_so_and_the_next_try_helps() {
    let (fleet, key, tokens) = with_tokens(Answer::error(400)).await;
    let reply = ask(&fleet, &key, "/v1/chat/completions", chat("gemini-3.7-flash", false)).await;
    let error = reply.error(502);
    assert_eq!(error["code"], "upstream_token");
    assert!(error["message"].as_str().unwrap().contains("access token of provider `gcp`"), "{error}");
    assert_eq!(fleet.provider.count(), 0);
    tokens.always("", granted("token-1", 3600));
    fleet.provider.always("", Answer::json(&gemini_answer()));
    until("a token", SOON, || async {
        let reply = ask(&fleet, &key, "/v1/chat/completions", chat("gemini-3.7-flash", false)).await;
        (reply.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn googles_own_refusal_of_a_call_to_claude_is_said_in_the_callers_shape() {
    let (fleet, key, _tokens) = with_tokens(granted("token-1", 3600)).await;
    let refused = json!({"error": {"code": 403, "message": "Permission denied on the model.", "status": "PERMISSION_DENIED"}});
    fleet.provider.next(Answer::json(&refused).with_status(403));
    let reply = ask(&fleet, &key, "/v1/messages", chat(CLAUDE, false)).await;
    let error = reply.error(403);
    assert_eq!((&error["type"], &error["message"]), (&json!("permission_error"), &json!("Permission denied on the model.")));
}

#[tokio::test]
async fn accounts_that_can_be_exchanged_for_nothing_are_refused_by_the_member_that_is_wrong() {
    let (fleet, _) = Fleet::governed().await;
    let mut without_key = account("https://oauth2.googleapis.com/token");
    without_key["private_key"] = json!("no key");
    for (account, field) in
        [(without_key, "private_key"), (account("http://169.254.169.254/token"), "token_uri"), (json!("a-key"), "service account")]
    {
        let (status, output, errors) = fleet.modelux(&["apply", "-f", &fleet.write(&with_vertex(&fleet, &account)), "--yes"]).await;
        assert_eq!(status, 1, "{output}");
        assert!(errors.contains("api_key") && errors.contains(field), "{errors}");
    }
}

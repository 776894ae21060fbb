//! `embedding_dimensions`: all vectors that a config gives have one length, whoever makes them and whichever way they are asked for.

use serde_json::{Value, json};
use tests::fleet::{Fleet, UPSTREAM_KEY, manifest};
use tests::http::{Reply, Request};
use tests::provider::Said;

/// Providers of vendors that take the length, and what each calls it; all are the simulated one's address.
const TAKING: [(&str, &str, &str); 4] = [
    ("sim", "openai", "/dimensions"),
    ("other", "openai_compatible", "/dimensions"),
    ("mistral", "mistral", "/output_dimension"),
    ("google", "google", "/requests/0/outputDimensionality"),
];

/// For each provider a config `@NAME` that gives vectors of 256 numbers; `cohere` is of a vendor that takes no length.
async fn sized() -> (Fleet, String, String) {
    let fleet = Fleet::start().await;
    fleet.provider.play("embed", |_| Said::Text(String::new()));
    let mut wanted = manifest(&fleet.provider);
    let address = fleet.provider.address();
    for (name, vendor, path) in [("mistral", "mistral", "/v1"), ("cohere", "cohere", "/v1"), ("google", "google", "")] {
        let base_url = format!("http://{address}{path}");
        wanted["providers"]
            .as_array_mut()
            .unwrap()
            .push(json!({"name": name, "vendor": vendor, "base_url": base_url, "api_key": UPSTREAM_KEY}));
    }
    let sized = |name: &str| json!({"slug": name, "strategy": "single", "model": format!("{name}/embed"), "embedding_dimensions": 256});
    let configs: Vec<Value> = TAKING.iter().map(|(name, ..)| sized(name)).chain([sized("cohere")]).collect();
    wanted["routing_configs"] = json!(configs);
    let strict = json!({"name": "strict", "settings": {"strict_capabilities": true}, "keys": [{"name": "main"}]});
    wanted["projects"].as_array_mut().unwrap().push(strict);
    let applied = fleet.enforce(&wanted).await;
    (fleet, applied.key("app/main"), applied.key("strict/main"))
}

async fn post(fleet: &Fleet, key: &str, path: &str, body: &Value) -> Reply {
    let request = Request::new("POST", path).header("x-api-key", key).header("Content-Type", "application/json");
    request.body(body.to_string()).send(fleet.worker().address()).await
}

async fn embed(fleet: &Fleet, key: &str, model: &str, more: Value) -> Reply {
    let mut body = json!({"model": model, "input": "a"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    post(fleet, key, "/v1/embeddings", &body).await
}

fn text(text: &str) -> Value {
    json!({"content": {"parts": [{"text": text}]}})
}

#[tokio::test]
async fn a_request_that_names_no_length_gets_the_configs_in_the_vendors_words() {
    let (fleet, key, _) = sized().await;
    for (name, _, member) in TAKING {
        let config = format!("@{name}");
        for own in [json!({}), json!({"dimensions": null}), json!({"dimensions": 256})] {
            let reply = embed(&fleet, &key, &config, own.clone()).await;
            assert_eq!(reply.status(), 200, "{name} {own}: {}", reply.text());
            let sent = fleet.provider.last().json();
            assert_eq!(sent.pointer(member), Some(&json!(256)), "{name} {own}: {sent}");
            assert_eq!(reply.header("x-modelux-dropped"), None, "{name}");
        }
        let reply = post(&fleet, &key, &format!("/v1beta/models/{config}:embedContent"), &text("a")).await;
        assert_eq!(reply.status(), 200, "{name}: {}", reply.text());
        let sent = fleet.provider.last().json();
        let member = if name == "google" { "/outputDimensionality" } else { member };
        assert_eq!(sent.pointer(member), Some(&json!(256)), "{name}: {sent}");
    }
    let batch = json!({"requests": [text("a"), text("b")]});
    let reply = post(&fleet, &key, "/v1beta/models/@google:batchEmbedContents", &batch).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let sent = fleet.provider.last().json();
    assert!((0..2).all(|at| sent["requests"][at]["outputDimensionality"] == 256), "{sent}");
}

#[tokio::test]
async fn another_length_than_the_configs_is_refused_and_both_are_named() {
    let (fleet, key, _) = sized().await;
    let reply = embed(&fleet, &key, "@sim", json!({"dimensions": 512})).await;
    let error = reply.error(400);
    assert_eq!((&error["code"], &error["param"]), (&json!("dimensions_fixed"), &json!("dimensions")), "{error}");
    for named in ["512", "256", "`@sim`", "leave it out"] {
        assert!(error["message"].as_str().unwrap().contains(named), "`{named}` in {error}");
    }
    let mut other = text("a");
    other["outputDimensionality"] = json!(512);
    let reply = post(&fleet, &key, "/v1beta/models/@sim:embedContent", &other).await;
    assert_eq!(reply.status(), 400, "{}", reply.text());
    assert!(
        reply.json()["error"]["message"].as_str().unwrap().contains("`outputDimensionality` asks for vectors of 512"),
        "{}",
        reply.text()
    );
    let batch = json!({"requests": [text("a"), other]});
    assert_eq!(post(&fleet, &key, "/v1beta/models/@google:batchEmbedContents", &batch).await.status(), 400);
    assert_eq!(embed(&fleet, &key, "@sim", json!({"dimensions": "many"})).await.error(400)["param"], "dimensions");
    assert_eq!(fleet.provider.count(), 0, "nothing was sent");
    // Without a config the length is the caller's.
    assert_eq!(embed(&fleet, &key, "sim/embed", json!({"dimensions": 512})).await.status(), 200);
    assert_eq!(fleet.provider.last().json()["dimensions"], 512);
    let log = fleet.logged(4, "status: 400").await;
    assert_eq!(log.iter().filter(|entry| entry["errorCode"] == "dimensions_fixed").count(), 3, "{log:#?}");
}

#[tokio::test]
async fn a_dry_run_says_that_another_length_would_be_refused() {
    let (fleet, key, _) = sized().await;
    let request = Request::new("POST", "/v1/embeddings").header("x-api-key", &key).header("X-Modelux-Dry-Run", "true");
    let body = json!({"model": "@sim", "input": "a", "dimensions": 512}).to_string();
    let report = request.header("Content-Type", "application/json").body(body).send(fleet.worker().address()).await.json();
    assert_eq!((&report["decision"], &report["denial"]["status"]), (&json!("deny"), &json!(400)), "{report}");
}

#[tokio::test]
async fn a_vendor_that_takes_no_length_goes_without_and_says_so_or_is_refused() {
    let (fleet, key, strict) = sized().await;
    let reply = embed(&fleet, &key, "@cohere", json!({})).await;
    assert_eq!((reply.status(), reply.header("x-modelux-dropped")), (200, Some("dimensions")), "{}", reply.text());
    assert_eq!(fleet.provider.last().json().get("dimensions"), None);
    let reply = post(&fleet, &key, "/v1beta/models/@cohere:embedContent", &text("a")).await;
    assert_eq!((reply.status(), reply.header("x-modelux-dropped")), (200, Some("outputDimensionality")), "{}", reply.text());
    let sent = fleet.provider.count();
    assert_eq!(embed(&fleet, &strict, "@cohere", json!({})).await.error(400)["code"], "unsupported_fields");
    assert_eq!(fleet.provider.count(), sent);
    assert_eq!(embed(&fleet, &strict, "@sim", json!({})).await.status(), 200);
}

#[tokio::test]
async fn what_is_no_embedding_is_left_as_it_is() {
    let (fleet, key, _) = sized().await;
    fleet.chat(&key, "@sim").with("dimensions", 512).ok().await;
    assert_eq!(fleet.provider.last().json()["dimensions"], 512);
    fleet.chat(&key, "@sim").ok().await;
    assert_eq!(fleet.provider.last().json().get("dimensions"), None);
}

/// The entry policy that says the length is not among the configs whose versions an answer is kept under.
#[tokio::test]
async fn an_answer_of_one_length_is_none_for_another() {
    let (fleet, key, _) = sized().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["settings"] = json!({"entry_policy": "@company"});
    for (number, outcomes) in [(8, ["MISS", "HIT"]), (16, ["MISS", "HIT"]), (8, ["HIT", "HIT"])] {
        wanted["routing_configs"] = json!([
            {"slug": "company", "strategy": "custom_rules", "rules": [{"else": "pass"}], "embedding_dimensions": number},
            {"slug": "kept", "strategy": "single", "model": "sim/embed", "cache": {"mode": "exact", "ttl_seconds": 300}}]);
        fleet.enforce(&wanted).await;
        for outcome in outcomes {
            let reply = embed(&fleet, &key, "@kept", json!({})).await;
            assert_eq!((reply.status(), reply.header("x-modelux-cache")), (200, Some(outcome)), "{number}: {}", reply.text());
        }
    }
    let lengths: Vec<Value> = fleet.provider.requests().iter().map(|sent| sent.json()["dimensions"].clone()).collect();
    assert_eq!(lengths, [8, 16]);
}

//! The fixed parts of the interface (contract 5): queries, paths, error codes, limits.

use serde_json::json;
use tests::api::TestApi;
use tests::fleet::{Fleet, manifest};
use tests::http::Request;

/// Contract 5, "Fixed queries": the whole text, as it stands there.
#[tokio::test]
async fn the_fixed_queries_of_the_contract_are_answered() {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["budgets"] = json!([{"name": "all", "scope": "organization", "period": "monthly", "cap_usd": 5}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    let chat = fleet.chat(&key, "sim/gpt-test").header("X-Modelux-User-Tags", "team=a").header("X-Modelux-User-Id", "u1");
    chat.header("X-Modelux-Trace-Id", "t1").ok().await;
    fleet.logged(1, "status: 200").await;
    let answer = fleet
        .owner()
        .query(
            r#"{ viewer { name role organization { slug } }
            workers(first: 5) { nodes { id version revision appliedAt lagMs state } }
            budgets(first: 5) { nodes { name scope capUsd settledUsd reservedUsd leasedUsd usedPct periodStart resetsAt state } }
            spend(from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z", groupBy: [PROJECT, KEY, TAG, DAY], tagKey: "team") {
                totalUsd requests rows { group { name value } costUsd requests inputTokens outputTokens } }
            requestLogs(first: 5, filter: {project: "app", key: "main", model: "gpt-test", status: 200, tag: {name: "team", value: "a"}, traceId: "t1",
                from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z"}) { nodes {
                id time project { name } key { name } surface requestedModel model provider status errorCode stream endUser
                tags { name value } costUsd usageSource latencyMs firstByteMs
                usage { inputTokens cachedInputTokens cacheWriteTokens outputTokens reasoningTokens } trace } }
            auditEvents(first: 5, filter: {action: "applyManifest"}) { nodes { id time action origin actor { kind id name } target { kind id name } ip diff hash previousHash } } }"#,
        )
        .await;
    let row = &answer["requestLogs"]["nodes"][0];
    assert_eq!((row["surface"].as_str(), row["endUser"].as_str()), (Some("openai_chat"), Some("u1")), "{answer}");
    assert_eq!(answer["spend"]["rows"][0]["group"].as_array().map(Vec::len), Some(4), "{answer}");
    assert_eq!(answer["auditEvents"]["nodes"].as_array().map(Vec::len), Some(1), "{answer}");
    assert_eq!(answer["viewer"]["organization"]["slug"], "default");
}

/// Contract 5: health, readiness, metrics, and nothing else without a key (R-41).
#[tokio::test]
async fn only_the_reviewed_paths_are_open() {
    let api = TestApi::start().await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(Request::new("GET", path).send(api.address()).await.status(), 200, "{path}");
    }
    for call in ["enrol", "feed", "acks", "leases", "events", "heartbeat"] {
        for key in ["", "mlx_wk_unknown", &api.credential("management_key")] {
            let request =
                Request::new("POST", &format!("/internal/v1/{call}")).header("Authorization", &format!("Bearer {key}")).body("{}");
            assert_eq!(request.send(api.address()).await.status(), 401, "{call} with `{key}`");
        }
    }
    assert_eq!(Request::new("GET", "/internal/v1/bundles/org_x").send(api.address()).await.status(), 401);
    let worker_token = api.credential("worker_token");
    assert_eq!(api.owner().with_key(&worker_token).refusal("{ viewer { name } }", json!({})).await.code, "UNAUTHENTICATED");
}

/// Contract 5: every answer carries a request id; errors carry codes, bad requests too.
#[tokio::test]
async fn requests_that_are_not_right_are_told_so() {
    let api = TestApi::start().await;
    let owner = api.owner();
    for (document, field) in [
        ("{ nothing }", None),
        ("{ viewer { ", None),
        ("query { project(id: 7.5) { id } }", None),
        ("mutation { createProject(input: {name: \"x\", color: \"red\"}) { revision } }", None),
    ] {
        let refusal = owner.refusal(document, json!({})).await;
        assert_eq!((refusal.code.as_str(), refusal.field), ("INVALID", field), "{document}");
    }
    let post = |body: &str| {
        let request = Request::new("POST", "/graphql").header("Content-Type", "application/json").body(body);
        request.header("Authorization", &format!("Bearer {}", api.credential("management_key")))
    };
    let list = format!("[{}]", r#"{"query": "{ viewer { name } }"}"#);
    for body in ["", "no JSON", "{\"query\": 5}", list.as_str(), "{\"query\": \"{ viewer { name } }\", \"query\": 1}"] {
        let reply = post(body).send(api.address()).await;
        assert_eq!(reply.status(), 400, "{body}: {}", reply.text());
        assert!(reply.header("x-modelux-request-id").is_some());
    }
    let large = format!("{{\"query\": \"{}\"}}", " ".repeat(40 << 20));
    if let Ok(reply) = post(&large).try_send(api.address()).await {
        assert_eq!(reply.status(), 413, "{}", reply.text());
    }
    owner.query("{ viewer { name } }").await;
}

/// Contract 5: depth and complexity are limited before anything is read.
#[tokio::test]
async fn queries_that_are_too_deep_or_too_dear_are_refused() {
    let api = TestApi::start().await;
    let owner = api.owner();
    let mut deep = "id".to_owned();
    for _ in 0..12 {
        deep = format!("id routingConfigs(first: 1) {{ nodes {{ project {{ {deep} }} }} }}");
    }
    let refusal = owner.refusal(&format!("{{ projects(first: 1) {{ nodes {{ {deep} }} }} }}"), json!({})).await;
    assert_eq!(refusal.code, "INVALID", "{refusal:?}");
    let dear = "{ projects(first: 100) { nodes { proxyKeys(first: 100) { nodes { id name tags { name value } rpm allowedModels } } } } }";
    let refusal = owner.refusal(dear, json!({})).await;
    assert_eq!(refusal.code, "INVALID", "{refusal:?}");
    let wide: String = (0..40).map(|number| format!("a{number}: exportManifest ")).collect();
    let many: String = wide.repeat(2).split_whitespace().collect::<Vec<_>>().join(" ");
    let refusal = owner
        .refusal(
            &format!("{{ {} {} }}", many, (100..150).map(|number| format!("b{number}: exportManifest ")).collect::<String>()),
            json!({}),
        )
        .await;
    assert_eq!(refusal.code, "INVALID", "{refusal:?}");
}

/// R-43: secrets are never answered again.
#[tokio::test]
async fn secrets_are_shown_once_and_never_again() {
    let fleet = Fleet::start().await;
    let applied = fleet.enforce(&manifest(&fleet.provider)).await;
    let everything = fleet
        .owner()
        .query(
            "{ providers(first: 9) { nodes { id name hasApiKey apiKeyDigest } } proxyKeys(first: 9) { nodes { id name prefixHint } } \
            managementKeys(first: 9) { nodes { id name prefixHint } } exportManifest auditEvents(first: 9) { nodes { diff } } }",
        )
        .await
        .to_string();
    for secret in [
        tests::fleet::UPSTREAM_KEY.to_owned(),
        applied.key("app/main"),
        fleet.api.credential("management_key"),
        fleet.api.credential("worker_token"),
    ] {
        assert!(!everything.contains(&secret), "{secret}");
        let logs = fleet.api.process().stderr() + &fleet.worker().process().stderr() + &fleet.api.process().stdout();
        assert!(!logs.contains(&secret), "a secret is in a log");
    }
}

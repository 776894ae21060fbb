//! every route of the data plane asks who comes, and lets nobody through whose money is used up.
//!
//! The table is the contract's (2.1) and, for what is passed through, the worker's own: an operation that is added there is walked here.

use llm::operation::{self, Cost, Names, Operation, Takes};
use serde_json::{Value, json};
use tests::fleet::{Fleet, manifest};
use tests::http::{Reply, Request};
use tests::provider::{Answer, Usage};

const MODEL: &str = "sim/gpt-test";

/// A request without its key.
struct Route {
    method: &'static str,
    path: String,
    content_type: Option<&'static str>,
    body: String,
    /// What is passed through; absent on the surfaces that are spoken.
    operation: Option<&'static Operation>,
}

/// Every route by which a model is asked or counted for, under all of its names, and a body for it.
fn surfaces() -> Vec<Route> {
    let turns = json!([{"role": "user", "content": "What is a budget?"}]);
    let contents = json!([{"role": "user", "parts": [{"text": "What is a budget?"}]}]);
    let openai = [
        ("/v1/chat/completions", json!({"model": MODEL, "messages": turns, "max_tokens": 100})),
        ("/v1/responses", json!({"model": MODEL, "input": turns, "max_output_tokens": 100})),
        ("/v1/embeddings", json!({"model": MODEL, "input": "What is a budget?"})),
    ];
    let anthropic = [
        ("/v1/messages", json!({"model": MODEL, "messages": turns, "max_tokens": 100})),
        ("/v1/messages/count_tokens", json!({"model": MODEL, "messages": turns})),
    ];
    let embedding = json!({"model": format!("models/{MODEL}"), "content": {"parts": [{"text": "a"}]}});
    let gemini = [
        ("generateContent", json!({"contents": contents, "generationConfig": {"maxOutputTokens": 100}})),
        ("streamGenerateContent", json!({"contents": contents, "generationConfig": {"maxOutputTokens": 100}})),
        ("streamGenerateContent?alt=sse", json!({"contents": contents, "generationConfig": {"maxOutputTokens": 100}})),
        ("countTokens", json!({"contents": contents})),
        ("embedContent", json!({"content": {"parts": [{"text": "a"}]}})),
        ("batchEmbedContents", json!({"requests": [embedding]})),
    ];
    let openai = openai.into_iter().map(|(path, body)| ("/openai", path.to_owned(), body));
    let anthropic = anthropic.into_iter().map(|(path, body)| ("/anthropic", path.to_owned(), body));
    let gemini = gemini.into_iter().map(|(method, body)| ("/gemini", format!("/v1beta/models/{MODEL}:{method}"), body));
    let all = openai.chain(anthropic).chain(gemini);
    let named = all.flat_map(|(prefix, path, body)| [(format!("{prefix}{path}"), body.clone()), (path, body)]);
    let route = |(path, body): (String, Value)| Route {
        method: "POST",
        path,
        content_type: Some("application/json"),
        body: body.to_string(),
        operation: None,
    };
    named.map(route).collect()
}

/// Every operation that is passed through, under both of its names, with a body of each kind that it takes; where a model can be named, also
/// with one that has a price and bounds.
fn operations() -> Vec<Route> {
    operation::all().flat_map(|operation| routes_of(operation).collect::<Vec<_>>()).collect()
}

fn routes_of(operation: &'static Operation) -> impl Iterator<Item = Route> {
    let provider = match operation.family {
        operation::Family::OpenAi => "sim",
        operation::Family::Anthropic => "claude",
        operation::Family::Gemini => "gem",
    };
    let models = match operation.names {
        Names::Nothing => vec![None],
        Names::Path | Names::EachRequest => vec![Some(format!("{provider}/gpt-test"))],
        Names::Body => vec![None, Some(format!("{provider}/gpt-test")), Some(format!("{provider}/unpriced"))],
    };
    let prefix = operation.family.prefix();
    // Two vendors have some paths in common; without a prefix they are OpenAI's.
    let prefixes = if operation.path.starts_with("/v1/files") && prefix != "/openai" { vec![prefix] } else { vec![prefix, ""] };
    models.into_iter().flat_map(move |model| {
        let path = operation.path.replace("{id}", "id-1").replace("{model}", model.as_deref().unwrap_or_default());
        let bodies = bodies(operation, model.as_deref());
        prefixes.clone().into_iter().flat_map(move |prefix| {
            let path = format!("{prefix}{path}");
            bodies.clone().into_iter().map(move |(content_type, body)| {
                let method = operation.verb.as_str();
                Route { method, path: path.clone(), content_type, body, operation: Some(operation) }
            })
        })
    })
}

fn bodies(operation: &Operation, model: Option<&str>) -> Vec<(Option<&'static str>, String)> {
    let mut json = json!({"prompt": "x"});
    match (operation.names, model) {
        (Names::Body, Some(model)) => json["model"] = json!(model),
        (Names::EachRequest, Some(model)) => json["requests"] = json!([{"params": {"model": model, "max_tokens": 1}}]),
        _ => {}
    }
    let named = model
        .filter(|_| operation.names == Names::Body)
        .map(|model| format!("--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n"));
    let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n\0\r\n--b--\r\n";
    let json = (Some("application/json"), json.to_string());
    let form = (Some("multipart/form-data; boundary=b"), format!("{}{file}", named.unwrap_or_default()));
    match operation.takes {
        Takes::Nothing => vec![(None, String::new())],
        Takes::Json => vec![json],
        Takes::Form => vec![form],
        Takes::JsonOrForm => vec![json, form],
        Takes::Anything => vec![(Some("image/png"), "\u{1}".to_owned())],
    }
}

async fn ask(fleet: &Fleet, key: Option<&str>, route: &Route) -> Reply {
    let mut request = Request::new(route.method, &route.path).body(route.body.clone());
    if let Some(content_type) = route.content_type {
        request = request.header("Content-Type", content_type);
    }
    if let Some(key) = key {
        request = request.header("x-api-key", key);
    }
    request.send(fleet.worker().address()).await
}

/// With a provider of each interface, each of which has a model with price and bounds.
fn world(fleet: &Fleet) -> Value {
    let mut wanted = manifest(&fleet.provider);
    let address = format!("http://{}", fleet.provider.address());
    for (name, vendor) in [("claude", "anthropic"), ("gem", "google")] {
        wanted["providers"].as_array_mut().unwrap().push(json!({"name": name, "vendor": vendor, "base_url": address, "api_key": "x"}));
        let model = format!("{name}/gpt-test");
        let priced =
            json!({"model": model, "input_usd_per_mtok": 1, "output_usd_per_mtok": 1, "context_tokens": 9000, "max_output_tokens": 9000});
        wanted["models"].as_array_mut().unwrap().push(priced);
    }
    wanted
}

#[tokio::test]
async fn no_route_is_served_without_a_key() {
    let fleet = Fleet::start().await;
    fleet.enforce(&world(&fleet)).await;
    for route in surfaces().iter().chain(&operations()) {
        for key in [None, Some("mlx_sk_unknown")] {
            let reply = ask(&fleet, key, route).await;
            assert_eq!(reply.status(), 401, "{} {}: {}", route.method, route.path, reply.text());
        }
    }
    for path in ["/v1/models", "/openai/v1/models", "/v1/models/sim%2Fgpt-test"] {
        let reply = Request::new("GET", path).send(fleet.worker().address()).await;
        assert_eq!(reply.status(), 401, "{path}: {}", reply.text());
    }
    assert_eq!(fleet.provider.count(), 0);
}

#[tokio::test]
async fn no_route_is_served_once_a_blocking_budget_is_used_up() {
    let fleet = Fleet::start().await;
    let mut wanted = world(&fleet);
    wanted["budgets"] = json!([{"name": "cent", "scope": "organization", "period": "monthly", "cap_usd": "0.01", "at_cap": "block"}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    fleet.provider.next(Answer::of(Usage { prompt: 20, completion: 100, ..Usage::default() }));
    fleet.chat(&key, "sim/cents").ok().await;
    let mut asked = fleet.provider.count();
    let mut walked = 0_usize;
    for route in surfaces().iter().chain(&operations()) {
        let reply = ask(&fleet, Some(&key), route).await;
        let told = format!("{} {}: {}", route.method, route.path, reply.text());
        match route.operation.map(|operation| operation.cost) {
            // Looking, deleting and stopping work without money, or nobody could stop what spends.
            Some(Cost::Free | Cost::FreeAtOpenAi) => {
                assert_eq!(reply.status(), 200, "{told}");
                asked += 1;
            }
            None => assert_eq!(reply.status(), 402, "{told}"),
            Some(Cost::Tokens | Cost::TokensOfMedia | Cost::Unknown) => {
                // No money, no bound, no price; and for the money, not for anything else that is wrong with it.
                assert!([402, 403, 400].contains(&reply.status()) && reply.text().contains("budget"), "{told}");
                walked += 1;
            }
        }
        assert_eq!(fleet.provider.count(), asked, "nothing that spends was sent: {told}");
    }
    let spending = operation::all().filter(|operation| !matches!(operation.cost, Cost::Free | Cost::FreeAtOpenAi)).count();
    assert!(walked >= spending && spending > 20, "{walked} requests for {spending} operations that spend");
}

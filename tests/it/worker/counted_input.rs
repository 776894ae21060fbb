//! What does not fit into a budget by its length is counted before it is refused, or its output lowered.
//!
//! The prompt here is a thousand times `hello`: 5,999 bytes, and 1,000 tokens of OpenAI's newer vocabulary. Each costs a tenth of a cent, so that
//! the numbers of budgets can be read as tokens: some 6,100 by length, some 1,100 by counting.

use serde_json::{Value, json};
use tests::fleet::{Fleet, manifest, nano, priced_model};
use tests::http::Request;
use tests::provider::{Answer, Usage};

const TOKENS: u64 = 1_000;
/// Of one token, in nano-USD.
const PRICE: i64 = 1_000_000;

fn prompt() -> String {
    vec!["hello"; usize::try_from(TOKENS).unwrap()].join(" ")
}

/// A fleet whose project `app` has so much to spend in all; `output` is the price of output in USD per million tokens.
async fn with_budget(cap_usd: &str, output: f64, more: Value) -> (Fleet, String) {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    let models = wanted["models"].as_array_mut().unwrap();
    models.extend(["gpt-4o-dear", "strange-dear"].map(|name| priced_model(name, 1_000.0, output)));
    models
        .push(json!({"model": "other/gpt-4o-dear", "input_usd_per_mtok": 1000, "output_usd_per_mtok": output, "max_output_tokens": 4096}));
    let mut budget = json!({"name": "tight", "scope": {"project": "app"}, "period": "total", "cap_usd": cap_usd, "at_cap": "block"});
    budget.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    wanted["budgets"] = json!([budget]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    (fleet, key)
}

/// The step of that kind, where the request with this status has one.
async fn step(fleet: &Fleet, status: u16, kind: &str) -> Option<Value> {
    let log = fleet.logged(1, &format!("status: {status}")).await;
    let steps = log[0]["trace"]["steps"].as_array().unwrap_or_else(|| panic!("no trace in {}", log[0]));
    steps.iter().find(|step| step["step"] == kind).cloned()
}

/// Input tokens at most by counting and by length, as the trace has them.
async fn counted(fleet: &Fleet, status: u16) -> (u64, u64) {
    let step = step(fleet, status, "counted").await.expect("the input was counted");
    let of = |name: &str| step[name].as_u64().unwrap();
    (of("tokens"), of("bound"))
}

fn input(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap() * PRICE
}

#[tokio::test]
async fn what_fits_by_counting_and_not_by_length_is_served_held_and_billed() {
    let (fleet, key) = with_budget("2", 0.0, json!({})).await;
    fleet.provider.next(Answer::of(Usage { prompt: TOKENS + 7, completion: 10, ..Usage::default() }));
    let turns = json!([{"role": "user", "content": prompt()}]);
    let reply = fleet.chat(&key, "sim/gpt-4o-dear").with("messages", turns.clone()).ok().await;
    assert_eq!(reply.header("x-modelux-cost-usd"), Some("1.007"));
    assert_eq!(fleet.provider.last().json()["messages"], turns);
    let (tokens, bound) = counted(&fleet, 200).await;
    let around = json!([{"role": "user", "content": ""}]).to_string().len() as u64 + llm::tokens::FIXED;
    assert_eq!((tokens, bound), (TOKENS + around, prompt().len() as u64 + around));
    let reserved = step(&fleet, 200, "reserved").await.expect("money was held");
    assert_eq!(nano(&reserved["usd"]), input(tokens), "what is held is what was counted");
    fleet.settled("tight", input(TOKENS + 7)).await;
}

#[tokio::test]
async fn what_does_not_fit_by_counting_either_is_refused_as_before() {
    let (fleet, key) = with_budget("1", 0.0, json!({})).await;
    let reply = fleet.chat(&key, "sim/gpt-4o-dear").with("messages", json!([{"role": "user", "content": prompt()}])).send().await;
    let error = reply.error(402);
    assert_eq!(error["budget"]["name"], "tight", "{error}");
    let (tokens, _) = counted(&fleet, 402).await;
    assert!(input(tokens) > 1_000_000_000, "{tokens} are more than the budget has");
    assert_eq!(fleet.provider.count(), 0);
    fleet.settled("tight", 0).await;
}

#[tokio::test]
async fn what_could_not_fit_however_few_its_tokens_is_not_counted() {
    let (fleet, key) = with_budget("0.1", 0.0, json!({})).await;
    let chat = fleet.chat(&key, "sim/gpt-4o-dear").with("messages", json!([{"role": "user", "content": prompt()}]));
    assert_eq!(chat.send().await.status(), 402);
    assert_eq!(step(&fleet, 402, "counted").await, None);
}

#[tokio::test]
async fn a_model_whose_tokenizer_is_not_known_is_held_by_length() {
    let (fleet, key) = with_budget("2", 0.0, json!({})).await;
    for model in ["sim/strange-dear", "other/gpt-4o-dear"] {
        let chat = fleet.chat(&key, model).with("messages", json!([{"role": "user", "content": prompt()}]));
        assert_eq!(chat.send().await.status(), 402, "{model}");
    }
    assert_eq!(step(&fleet, 402, "counted").await, None);
    assert_eq!(fleet.provider.count(), 0);
}

#[tokio::test]
async fn an_output_limit_is_lowered_to_what_counting_leaves() {
    let (fleet, key) = with_budget("3", 1_000.0, json!({"clamp_output": true})).await;
    fleet.provider.next(Answer::of(Usage { prompt: TOKENS + 7, completion: 10, ..Usage::default() }));
    let turns = json!([{"role": "user", "content": prompt()}]);
    let reply = fleet.chat(&key, "sim/gpt-4o-dear").with("messages", turns).with("max_tokens", 4096).ok().await;
    let (tokens, _) = counted(&fleet, 200).await;
    let left = 3_000 - tokens;
    assert_eq!(fleet.provider.last().json()["max_tokens"], left, "by length nothing at all would be left");
    assert_eq!(reply.header("x-modelux-max-tokens-clamped"), Some(left.to_string().as_str()));
    fleet.settled("tight", input(TOKENS + 17)).await;
}

#[tokio::test]
async fn an_output_limit_is_not_lowered_where_all_of_it_fits_by_counting() {
    let (fleet, key) = with_budget("6.2", 1_000.0, json!({"clamp_output": true})).await;
    let turns = json!([{"role": "user", "content": prompt()}]);
    let reply = fleet.chat(&key, "sim/gpt-4o-dear").with("messages", turns).with("max_tokens", 4096).ok().await;
    assert_eq!(fleet.provider.last().json()["max_tokens"], 4096);
    assert_eq!(reply.header("x-modelux-max-tokens-clamped"), None);
}

/// An answer that does not say what it consumed is booked at what was held for its input, never more: else a cap could be passed.
#[tokio::test]
async fn an_answer_without_usage_is_booked_at_what_was_held() {
    let (fleet, key) = with_budget("2", 0.0, json!({})).await;
    for streamed in [false, true] {
        fleet.provider.next(Answer::without_usage());
        let chat = fleet.chat(&key, "sim/gpt-4o-dear").with("messages", json!([{"role": "user", "content": prompt()}]));
        let reply = if streamed { chat.streamed() } else { chat }.send().await;
        assert_eq!(reply.status(), if streamed { 402 } else { 200 }, "what was booked is spent: {}", reply.text());
    }
    let (tokens, _) = counted(&fleet, 200).await;
    fleet.settled("tight", input(tokens)).await;
}

#[tokio::test]
async fn pictures_and_tools_are_held_at_their_bounds_beside_the_count() {
    let (fleet, key) = with_budget("5", 0.0, json!({})).await;
    let text = json!({"type": "text", "text": prompt()});
    let tools = json!([{"type": "function", "function": {"name": "f", "description": "x".repeat(500)}}]);
    let chat = fleet.chat(&key, "sim/gpt-4o-dear");
    chat.clone().with("messages", json!([{"role": "user", "content": [text]}])).with("tools", tools.clone()).ok().await;
    let (tokens, bound) = counted(&fleet, 200).await;
    assert_eq!(bound - tokens, prompt().len() as u64 - TOKENS, "only the bytes of the text are replaced");
    assert!(tokens > TOKENS + 2 * tools.to_string().len() as u64, "{tokens}");
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    let reply = chat.with("messages", json!([{"role": "user", "content": [text, picture]}])).send().await;
    assert_eq!(reply.status(), 402, "a picture alone may come to more than what is left: {}", reply.text());
}

#[tokio::test]
async fn every_surface_is_counted_where_it_ends_at_a_model_that_can_be() {
    let (fleet, key) = with_budget("8", 0.0, json!({})).await;
    let said = prompt();
    let long = [said.as_str(); 2].join(" ");
    for (path, body) in [
        ("/v1/responses", json!({"instructions": "Be brief.", "input": long, "max_output_tokens": 16, "store": false})),
        ("/v1/messages", json!({"max_tokens": 16, "system": "Be brief.", "messages": [{"role": "user", "content": long}]})),
        ("/v1beta/models/sim%2Fgpt-4o-dear:generateContent", json!({"contents": [{"parts": [{"text": long}]}]})),
        ("/v1/embeddings", json!({"input": [long]})),
    ] {
        let mut body = body;
        if !path.contains("gpt-4o-dear") {
            body["model"] = json!("sim/gpt-4o-dear");
        }
        fleet.provider.next(Answer::error(400));
        let request = Request::new("POST", path).header("x-api-key", &key).header("Content-Type", "application/json");
        let reply = request.body(body.to_string()).send(fleet.worker().address()).await;
        assert_eq!(reply.status(), 400, "it was held, and came to the provider: {path}: {}", reply.text());
    }
    assert_eq!(fleet.provider.count(), 4);
}

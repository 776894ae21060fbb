//! Vectors from Bedrock: Titan and Cohere's Embed are invoked in their own words, each request is signed, and what went in is booked by the
//! word of the body or else of the head.

use base64::Engine as _;
use serde_json::{Value, json};
use tests::fleet::{Fleet, nano};
use tests::http::Reply;
use tests::provider::Answer;

use super::wire::assert_signed;
use super::{BASE64, NOVA, ask, wanted};

const TITAN: &str = "amazon.titan-embed-text-v2:0";
const COHERE: &str = "cohere.embed-english-v3";
const COHERE_4: &str = "us.cohere.embed-v4:0";
const COUNT: &str = "x-amzn-bedrock-input-token-count";

/// A budget that blocks, and configs `@titan` and `@cohere` whose vectors have 256 numbers; keys of `app` and of `strict`, which lets nothing
/// be left out.
async fn embedding() -> (Fleet, String, String) {
    let fleet = Fleet::start().await;
    let mut wanted = wanted(&fleet, &[TITAN, COHERE, COHERE_4, NOVA]);
    wanted["budgets"] = json!([{"name": "company", "scope": "organization", "period": "monthly", "cap_usd": 100, "at_cap": "block"}]);
    let sized =
        |slug: &str, model: &str| json!({"slug": slug, "strategy": "single", "model": format!("aws/{model}"), "embedding_dimensions": 256});
    wanted["routing_configs"] = json!([sized("titan", TITAN), sized("cohere", COHERE)]);
    let strict = json!({"name": "strict", "settings": {"strict_capabilities": true}, "keys": [{"name": "main"}]});
    wanted["projects"].as_array_mut().unwrap().push(strict);
    let applied = fleet.enforce(&wanted).await;
    (fleet, applied.key("app/main"), applied.key("strict/main"))
}

/// One vector of Titan's, of 7 tokens.
fn titan() -> Answer {
    let vector = json!([0.5, -0.25]);
    Answer::json(&json!({"embedding": vector, "inputTextTokenCount": 7, "embeddingsByType": {"float": vector}}))
}

/// Two of Cohere's, plain.
fn cohere() -> Answer {
    let vectors = json!([[0.5, -0.25], [1.0, 2.0]]);
    Answer::json(&json!({"id": "c-1", "embeddings": vectors, "response_type": "embeddings_floats", "texts": ["a", "b"]}))
}

async fn embed(fleet: &Fleet, key: &str, model: &str, input: Value, more: Value) -> Reply {
    let mut body = json!({"model": model, "input": input});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ask(fleet, key, "/v1/embeddings", body).await
}

#[tokio::test]
async fn titan_is_invoked_with_one_text_and_what_it_counted_is_booked() {
    let (fleet, key, _) = embedding().await;
    let model = format!("aws/{TITAN}");
    for (format, vector) in
        [("float", json!([0.5, -0.25])), ("base64", json!(BASE64.encode([0.5_f32.to_le_bytes(), (-0.25_f32).to_le_bytes()].concat())))]
    {
        // Where both say something, the body counts.
        fleet.provider.next(titan().header(COUNT, "9000"));
        let more = json!({"dimensions": 512, "encoding_format": format});
        let reply = embed(&fleet, &key, &model, json!(["What is a budget?"]), more).await;
        assert_eq!((reply.status(), reply.header("x-modelux-dropped")), (200, None), "{}", reply.text());
        let data = json!([{"object": "embedding", "index": 0, "embedding": vector}]);
        let usage = json!({"prompt_tokens": 7, "total_tokens": 7});
        assert_eq!(reply.json(), json!({"object": "list", "data": data, "model": model, "usage": usage}));
        let sent = fleet.provider.last();
        assert_eq!(sent.target, "POST /model/amazon.titan-embed-text-v2%3A0/invoke");
        assert_eq!(sent.json(), json!({"inputText": "What is a budget?", "dimensions": 512}));
        assert_signed(&sent, None);
    }
    for log in fleet.logged(2, "").await {
        assert_eq!((nano(&log["costUsd"]), &log["usageSource"]), (7 * 1_000, &json!("provider")), "{log:#}");
        assert_eq!((&log["usage"]["inputTokens"], &log["usage"]["outputTokens"]), (&json!(7), &json!(0)));
    }
    fleet.settled("company", 2 * 7 * 1_000).await;
}

#[tokio::test]
async fn a_list_is_refused_by_a_model_that_takes_one_text_with_the_way_out_and_costs_nothing() {
    let (fleet, key, _) = embedding().await;
    let error = embed(&fleet, &key, &format!("aws/{TITAN}"), json!(["a", "b"]), json!({})).await.error(400);
    assert_eq!(error["code"], "not_convertible", "{error}");
    let message = error["message"].as_str().unwrap();
    for said in [TITAN, "`input` must be one text", "send a request for each"] {
        assert!(message.contains(said), "`{said}` in {message}");
    }
    let text = |text: &str| json!({"content": {"parts": [{"text": text}]}});
    let path = format!("/v1beta/models/aws/{TITAN}:batchEmbedContents");
    let reply = ask(&fleet, &key, &path, json!({"requests": [text("a"), text("b")]})).await;
    let message = reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(reply.status() == 400 && message.contains("`requests` must be one text"), "{}", reply.text());
    // What is no model for vectors is none that is asked.
    assert_eq!(embed(&fleet, &key, &format!("aws/{NOVA}"), json!("a"), json!({})).await.status(), 503);
    assert_eq!(fleet.provider.count(), 0);
    assert!(fleet.logged(3, "").await.iter().all(|log| nano(&log["costUsd"]) == 0));
    fleet.settled("company", 0).await;
}

#[tokio::test]
async fn cohere_is_invoked_with_all_texts_and_the_count_of_the_head_is_booked() {
    let (fleet, key, _) = embedding().await;
    fleet.provider.next(cohere().header("X-Amzn-Bedrock-Input-Token-Count", "9"));
    let more = json!({"dimensions": 512, "input_type": "search_query"});
    let reply = embed(&fleet, &key, &format!("session/{COHERE}"), json!(["a", "b"]), more.clone()).await;
    assert_eq!((reply.status(), reply.header("x-modelux-dropped")), (200, Some("dimensions")), "{}", reply.text());
    assert_eq!(reply.json()["data"][1], json!({"object": "embedding", "index": 1, "embedding": [1.0, 2.0]}));
    assert_eq!(reply.json()["usage"], json!({"prompt_tokens": 9, "total_tokens": 9}));
    let sent = fleet.provider.last();
    assert_eq!(sent.target, "POST /model/cohere.embed-english-v3/invoke");
    assert_eq!(sent.json(), json!({"texts": ["a", "b"], "input_type": "search_query"}));
    assert_signed(&sent, Some("session/token+1="));

    let by_type = json!({"id": "c-2", "embeddings": {"float": [[0.5], [1.0]]}, "response_type": "embeddings_by_type", "texts": ["a", "b"]});
    fleet.provider.next(Answer::json(&by_type).header(COUNT, "4"));
    let reply = embed(&fleet, &key, &format!("bearer/{COHERE_4}"), json!(["a", "b"]), json!({"dimensions": 512})).await;
    assert_eq!((reply.status(), reply.header("x-modelux-dropped")), (200, None), "{}", reply.text());
    assert_eq!(reply.json()["data"][0]["embedding"], json!([0.5]));
    let sent = fleet.provider.last();
    assert_eq!(sent.target, "POST /model/us.cohere.embed-v4%3A0/invoke");
    assert_eq!(sent.json(), json!({"texts": ["a", "b"], "input_type": "search_document", "output_dimension": 512}));
    assert_eq!(sent.header("authorization"), Some("Bearer bedrock-key-1"));
    let logs = fleet.logged(2, "").await;
    assert_eq!([nano(&logs[0]["costUsd"]), nano(&logs[1]["costUsd"])], [4 * 1_000, 9 * 1_000], "{logs:#?}");
    assert!(logs.iter().all(|log| log["usageSource"] == "provider"), "{logs:#?}");
    fleet.settled("company", 13 * 1_000).await;
}

#[tokio::test]
async fn where_nobody_counts_what_went_in_is_booked_at_most() {
    let (fleet, key, _) = embedding().await;
    for (number, answer) in [cohere(), cohere().header(COUNT, "many")].into_iter().enumerate() {
        fleet.provider.next(answer);
        let reply = embed(&fleet, &key, &format!("aws/{COHERE}"), json!(["a", "b"]), json!({})).await;
        assert_eq!((reply.status(), reply.json().get("usage")), (200, None), "{}", reply.text());
        let log = fleet.logged(number + 1, "").await.swap_remove(0);
        let tokens = log["usage"]["inputTokens"].as_i64().unwrap();
        assert_eq!((nano(&log["costUsd"]), &log["usageSource"]), (tokens * 1_000, &json!("partial_estimate")), "{log:#}");
        assert!(tokens > 2, "no fewer than there are letters: {log:#}");
    }
}

#[tokio::test]
async fn a_caller_of_gemini_gets_vectors_from_bedrock_in_its_own_shape() {
    let (fleet, key, _) = embedding().await;
    let text = |text: &str| json!({"content": {"parts": [{"text": text}]}, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 256});
    fleet.provider.next(titan());
    let reply = ask(&fleet, &key, &format!("/v1beta/models/aws/{TITAN}:embedContent"), text("a")).await;
    assert_eq!((reply.status(), reply.header("x-modelux-dropped")), (200, Some("taskType")), "{}", reply.text());
    assert_eq!(reply.json(), json!({"embedding": {"values": [0.5, -0.25]}, "usageMetadata": {"promptTokenCount": 7}}));
    assert_eq!(fleet.provider.last().json(), json!({"inputText": "a", "dimensions": 256}));
    fleet.provider.next(cohere().header(COUNT, "9"));
    let path = format!("/v1beta/models/aws/{COHERE}:batchEmbedContents");
    let reply = ask(&fleet, &key, &path, json!({"requests": [text("a"), text("b")]})).await;
    assert_eq!((reply.status(), reply.header("x-modelux-dropped")), (200, Some("outputDimensionality")), "{}", reply.text());
    let vectors = json!([{"values": [0.5, -0.25]}, {"values": [1.0, 2.0]}]);
    assert_eq!(reply.json(), json!({"embeddings": vectors, "usageMetadata": {"promptTokenCount": 9}}));
    assert_eq!(fleet.provider.last().json(), json!({"texts": ["a", "b"], "input_type": "search_query"}));
    fleet.settled("company", 16 * 1_000).await;
}

#[tokio::test]
async fn the_length_that_a_config_says_reaches_models_that_take_one_and_others_go_without_or_are_refused() {
    let (fleet, key, strict) = embedding().await;
    fleet.provider.next(titan());
    assert_eq!(embed(&fleet, &strict, "@titan", json!("a"), json!({})).await.status(), 200);
    assert_eq!(fleet.provider.last().json(), json!({"inputText": "a", "dimensions": 256}));
    fleet.provider.next(cohere());
    let reply = embed(&fleet, &key, "@cohere", json!(["a", "b"]), json!({})).await;
    assert_eq!((reply.status(), reply.header("x-modelux-dropped")), (200, Some("dimensions")), "{}", reply.text());
    assert_eq!(fleet.provider.last().json(), json!({"texts": ["a", "b"], "input_type": "search_document"}));
    let sent = fleet.provider.count();
    assert_eq!(embed(&fleet, &strict, "@cohere", json!(["a", "b"]), json!({})).await.error(400)["code"], "unsupported_fields");
    assert_eq!(fleet.provider.count(), sent);
}

#[tokio::test]
async fn a_refusal_of_aws_and_an_answer_without_vectors_are_said_in_the_callers_shape() {
    let (fleet, key, _) = embedding().await;
    let refused = Answer::json(&json!({"message": "Malformed input request"})).header("x-amzn-ErrorType", "ValidationException:http://x/");
    fleet.provider.next(refused.with_status(400));
    let error = embed(&fleet, &key, &format!("aws/{TITAN}"), json!("a"), json!({})).await.error(400);
    assert_eq!((&error["message"], &error["type"]), (&json!("Malformed input request"), &json!("ValidationException")), "{error}");
    fleet.provider.next(Answer::json(&json!({"message": "no vectors today", "inputTextTokenCount": 7})));
    let reply = embed(&fleet, &key, &format!("aws/{TITAN}"), json!("a"), json!({})).await;
    assert_eq!(reply.status(), 502, "{}", reply.text());
    fleet.settled("company", 7 * 1_000).await;
}

//! Issue 2, point 12: what a collector is told. One trace of the caller's leads through both planes to the provider.

use serde_json::{Value, json};
use tests::collector::{Span, SpanKind, TestCollector};
use tests::fleet::{Fleet, manifest};
use tests::provider::{Answer, Usage, stream_pieces};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
/// What the provider calls the model that it was asked for as `gpt-test`.
const SNAPSHOT: &str = "gpt-test-2026-01-01";
const CONSUMED: Usage = Usage { prompt: 20, cached: 4, completion: 10, reasoning: 3 };

/// A completion that names its model, whole or in pieces.
fn answer(stream: bool) -> Answer {
    if stream {
        return Answer::stream(stream_pieces(SNAPSHOT, &["word".to_owned()], Some(CONSUMED)));
    }
    let message = json!({"role": "assistant", "content": "word"});
    let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
    Answer::json(
        &json!({"id": "x", "object": "chat.completion", "created": 1, "model": SNAPSHOT, "choices": choices, "usage": CONSUMED.json()}),
    )
}

/// The one span of that kind and service below `parent`.
fn below<'s>(spans: &'s [Span], service: &str, kind: SpanKind, parent: &str) -> &'s Span {
    let mut found = spans.iter().filter(|span| span.service == service && span.kind == kind && span.parent == parent);
    let first = found.next().unwrap_or_else(|| panic!("no {kind:?} of {service} below {parent} in {spans:#?}"));
    assert!(found.next().is_none(), "more than one {kind:?} of {service} below {parent} in {spans:#?}");
    first
}

fn assert_says(span: &Span, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(span.attributes.get(*name).map(String::as_str), Some(*value), "`{name}` of {span:#?}");
    }
}

#[tokio::test]
async fn one_trace_leads_from_the_caller_through_both_planes_to_the_provider() {
    let collector = TestCollector::start().await;
    let mut fleet = Fleet::start_observed(&collector, "warn").await;
    let key = fleet.enforce(&manifest(&fleet.provider)).await.key("app/main");
    let caller = format!("00-{TRACE}-{CALLER}-01");
    let mutation = "mutation Any { createProject(input: {name: \"traced\"}) { revision } }";
    let made = fleet.owner().send_with(mutation, &Value::Null, ("traceparent", &caller)).await.json();
    assert!(made["errors"].is_null(), "{made}");
    // The streamed one hangs below another span of the same trace, so that the two can be told apart.
    let mut sent = Vec::new();
    for (stream, parent) in [(false, CALLER), (true, "00f067aa0ba902b7")] {
        fleet.provider.next(answer(stream));
        let asked = fleet.chat(&key, "sim/gpt-test").header("traceparent", &format!("00-{TRACE}-{parent}-01"));
        if stream {
            asked.streamed().ok().await
        } else {
            asked.ok().await
        };
        sent.push((parent, fleet.provider.last().header("traceparent").expect("a traceparent").to_owned()));
    }
    fleet.stop().await;

    let spans: Vec<Span> = collector.spans().into_iter().filter(|span| span.trace_id == TRACE).collect();
    let mutation = below(&spans, "modelux-api", SpanKind::Server, CALLER);
    assert_eq!(mutation.name, "createProject", "{mutation:#?}");
    for (parent, sent) in sent {
        let server = below(&spans, "modelux-worker", SpanKind::Server, parent);
        assert_eq!(server.name, "POST /v1/chat/completions");
        assert_says(server, &[("http.response.status_code", "200"), ("modelux.project", "app"), ("gen_ai.request.model", "sim/gpt-test")]);
        let client = below(&spans, "modelux-worker", SpanKind::Client, &server.id);
        assert_eq!(sent, format!("00-{TRACE}-{}-01", client.id), "the provider's spans hang below the attempt that reached it");
        assert_eq!(client.name, "chat gpt-test");
        let address = fleet.provider.address();
        assert_says(
            client,
            &[
                ("gen_ai.operation.name", "chat"),
                ("gen_ai.provider.name", "openai"),
                ("gen_ai.request.model", "gpt-test"),
                ("gen_ai.request.max_tokens", "100"),
                ("gen_ai.response.model", SNAPSHOT),
                ("gen_ai.usage.input_tokens", "20"),
                ("gen_ai.usage.output_tokens", "10"),
                ("gen_ai.usage.cache_read.input_tokens", "4"),
                ("gen_ai.usage.reasoning.output_tokens", "3"),
                ("server.address", &address.ip().to_string()),
                ("server.port", &address.port().to_string()),
                ("http.response.status_code", "200"),
            ],
        );
    }
}

#[tokio::test]
async fn metrics_arrive_under_the_names_of_the_conventions_and_of_the_scraper() {
    let collector = TestCollector::start().await;
    let mut fleet = Fleet::start_observed(&collector, "warn").await;
    let key = fleet.enforce(&manifest(&fleet.provider)).await.key("app/main");
    fleet.provider.next(answer(false));
    fleet.chat(&key, "sim/gpt-test").ok().await;
    fleet.provider.next(Answer::error(400));
    fleet.chat(&key, "sim/gpt-test").send().await.error(400);
    fleet.stop().await;

    let latest = |service: &str, name: &str, attributes: &[(&str, &str)]| {
        let found = collector.latest(service, name, attributes);
        found.unwrap_or_else(|| panic!("no `{name}` with {attributes:?} of {service} in {:#?}", collector.series()))
    };
    let attempt = [("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "openai"), ("gen_ai.request.model", "gpt-test")];
    for (kind, count) in [("input", 20.0), ("output", 10.0)] {
        let tokens = latest("modelux-worker", "gen_ai.client.token.usage", &[&attempt[..], &[("gen_ai.token.type", kind)]].concat());
        assert_eq!((tokens.unit.as_str(), tokens.sum), ("{token}", count), "{tokens:?}");
    }
    for more in [&[][..], &[("error.type", "400")]] {
        let duration = latest("modelux-worker", "gen_ai.client.operation.duration", &[&attempt[..], more].concat());
        assert!(duration.unit == "s" && duration.sum > 0.0, "{duration:?}");
    }
    let answered = latest("modelux-worker", "modelux_requests_total", &[("surface", "openai_chat"), ("status", "200")]);
    assert_eq!(answered.sum, 1.0);
    assert!(latest("modelux-api", "modelux_api_requests_total", &[("route", "/graphql"), ("status", "2xx")]).sum >= 1.0);
}

//! How long a routing config waits for answers, and what becomes of those whose callers have left.

use std::time::Duration;

use serde_json::{Value, json};
use tests::fleet::{Applied, Fleet, manifest, nano};
use tests::provider::{Answer, Gate, stream_pieces};
use tests::wait::{SOON, until};

/// What the simulated provider's default answer costs at `sim/gpt-test`: 20 tokens in, 10 out.
const DEFAULT_COST: i64 = 40_000;
/// The provider's pause in which a caller leaves.
const MEANWHILE: Duration = Duration::from_millis(800);

async fn with_configs(configs: Value) -> (Fleet, Applied) {
    let fleet = Fleet::start().await;
    let mut wanted = manifest(&fleet.provider);
    wanted["routing_configs"] = configs;
    let applied = fleet.enforce(&wanted).await;
    (fleet, applied)
}

fn single(slug: &str, more: Value) -> Value {
    let mut config = json!({"slug": slug, "strategy": "single", "model": "sim/gpt-test"});
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

#[tokio::test]
async fn a_target_without_a_first_byte_in_time_is_left_for_the_next_one() {
    let attempts = json!([{"model": "@quick"}, {"model": "sim/free"}]);
    let configs = json!([
        single("quick", json!({"first_byte_timeout_ms": 400})),
        {"slug": "falls", "strategy": "fallback", "attempts": attempts, "retry_on": ["timeout"]},
    ]);
    let (fleet, applied) = with_configs(configs).await;
    let silent = Answer::stream([""]).held_after_the_first_piece(&Gate::default());
    for held in [Answer::default().held_by(&Gate::default()), silent] {
        fleet.provider.always("gpt-test", held);
        let reply = fleet.chat(&applied.key("app/main"), "@falls").streamed().ok().await;
        assert_eq!(reply.header("x-modelux-model-used"), Some("free"), "{}", reply.text());
    }
    let log = fleet.logged(2, "status: 200").await;
    assert!(log.iter().all(|row| row["trace"].to_string().contains("\"outcome\":\"timeout\"")), "{log:#?}");
}

#[tokio::test]
async fn an_answer_that_goes_silent_is_given_up_as_its_config_says() {
    let (fleet, applied) = with_configs(json!([single("quick", json!({"idle_timeout_ms": 300}))])).await;
    fleet.provider.next(Answer::default().held_after_the_first_piece(&Gate::default()));
    let reply = fleet.chat(&applied.key("app/main"), "@quick").streamed().ok().await;
    let events = reply.events();
    assert!(events.last().is_some_and(|event| event.contains("deadline_exceeded")), "{events:?}");
    assert_eq!(fleet.logged(1, "status: 200").await[0]["errorCode"], "deadline_exceeded");
}

/// whose policy it is gets to know what was consumed, and pays exactly that.
#[tokio::test]
async fn an_answer_is_heard_to_its_end_for_a_caller_who_left() {
    let (fleet, applied) = with_configs(json!([single("drained", json!({"on_disconnect": "drain"}))])).await;
    let key = applied.key("app/main");
    let words: Vec<String> = (0..9).map(|word| format!("word{word} ")).collect();
    let usage = tests::provider::Usage { prompt: 20, completion: 10, ..Default::default() };
    for stage in ["before the answer", "before the stream", "in the stream"] {
        let streams = stage != "before the answer";
        let answer = Answer::stream(stream_pieces("gpt-test", &words, Some(usage)));
        fleet.provider.next(match stage {
            "before the answer" => Answer::of(usage).after(MEANWHILE),
            "before the stream" => answer.after(MEANWHILE),
            _ => answer.pausing_after_the_first_piece(MEANWHILE),
        });
        let before = fleet.provider.count();
        let chat = fleet.chat(&key, "@drained");
        let mut connection = if streams { chat.streamed().open().await } else { chat.open().await };
        until("the provider is asked", SOON, || async { (fleet.provider.count() > before).then_some(()) }).await;
        if stage == "in the stream" {
            connection.head().await.unwrap();
            connection.until("\"role\"").await;
        }
        drop(connection);
        let rows = before + 1;
        let log = fleet.logged(rows, "status: 499").await;
        assert_eq!((nano(&log[0]["costUsd"]), &log[0]["usageSource"]), (DEFAULT_COST, &json!("provider")), "{stage}: {}", log[0]);
        assert!(!fleet.provider.last().abandoned, "{stage}");
    }
}

#[tokio::test]
async fn waits_that_make_no_sense_are_refused_by_name() {
    let fleet = Fleet::start().await;
    for (field, value) in [("first_byte_timeout_ms", json!(0)), ("idle_timeout_ms", json!(600_001)), ("on_disconnect", json!("wait"))] {
        let mut wanted = manifest(&fleet.provider);
        wanted["routing_configs"] = json!([single("odd", json!({field: value}))]);
        let (status, output, errors) = fleet.modelux(&["apply", "-f", &fleet.write(&wanted), "--yes"]).await;
        let said = format!("{output}{errors}");
        assert!(status == 1 && said.contains(if field == "on_disconnect" { "`wait`" } else { field }), "{field}: {said}");
    }
}

//! What is not kept: what is too large, what failed, and what a budget cut short; and what a hit does to budgets that are used up.

use serde_json::json;
use tests::fleet::Fleet;
use tests::provider::{Answer, Usage, stream_pieces};

use super::{asked, cold, keeping, outcome};

async fn limited(name: &str, bytes: u64) -> (Fleet, String) {
    let mut fleet = Fleet::start().await;
    fleet.workers.clear();
    let options = fleet.worker_options().with(name, bytes);
    fleet.join(options).await;
    let key = fleet.enforce(&keeping(&fleet, 300)).await.key("app/main");
    (fleet, key)
}

/// bounded in bytes, with figures of what is held and what gave way.
#[tokio::test]
async fn memory_holds_no_more_than_it_may() {
    let (fleet, key) = limited("MODELUX_CACHE_BYTES", 20_000).await;
    for turn in 0..60 {
        assert_eq!(asked(&cold(&fleet, &key, "@kept").with("seed", turn)).await, "MISS");
    }
    let metrics = fleet.worker().get("/metrics").await.text();
    let figure = |name: &str| -> u64 {
        let line =
            metrics.lines().find(|line| line.starts_with(name) && !line.starts_with('#')).unwrap_or_else(|| panic!("no {name}: {metrics}"));
        line.rsplit(' ').next().and_then(|figure| figure.parse().ok()).expect("a number")
    };
    assert!((1..=20_000).contains(&figure("modelux_cache_bytes")), "{metrics}");
    assert_eq!(figure("modelux_cache_entries") + figure("modelux_cache_evictions_total"), 60);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_passed_on_and_not_kept() {
    let (fleet, key) = limited("MODELUX_CACHE_ENTRY_BYTES", 2_000).await;
    let usage = Usage { prompt: 20, completion: 10, ..Usage::default() };
    let long = "word ".repeat(1_000);
    let pieces = stream_pieces("gpt-test", &[long.clone(), long.clone()], None);
    for _ in 0..2 {
        fleet.provider.next(Answer::saying(&long, usage));
        assert_eq!(asked(&cold(&fleet, &key, "@kept")).await, "MISS");
        fleet.provider.next(Answer::stream(pieces.clone()));
        let streamed = cold(&fleet, &key, "@kept").with("stream", true).send().await;
        assert_eq!((outcome(&streamed), streamed.body), ("MISS".to_owned(), pieces.concat()));
    }
    let small = cold(&fleet, &key, "@kept").with("seed", 1);
    assert_eq!((asked(&small).await, asked(&small).await), ("MISS".to_owned(), "HIT".to_owned()));
}

/// Errors, answers that break off and streams that end without their end are nobody's answer.
#[tokio::test]
async fn only_whole_answers_are_kept() {
    let fleet = Fleet::start().await;
    let key = fleet.enforce(&keeping(&fleet, 300)).await.key("app/main");
    let whole = cold(&fleet, &key, "@kept");
    let page = Answer::bytes("<html>Welcome</html>").header("Content-Type", "text/html");
    let elsewhere = Answer::bytes("").with_status(302).header("Location", "http://127.0.0.1:1/");
    let failures = [(Answer::error(400), 400), (Answer::error(500), 502), (Answer::error(429), 429), (page, 502), (elsewhere, 502)];
    for (answer, status) in failures {
        fleet.provider.next(answer);
        let reply = whole.send().await;
        assert_eq!(reply.status(), status, "{}", reply.text());
    }
    assert_eq!((asked(&whole).await, asked(&whole).await), ("MISS".to_owned(), "HIT".to_owned()), "no failure was kept");

    let stream = cold(&fleet, &key, "@kept").with("stream", true);
    let pieces = stream_pieces("gpt-test", &["a".to_owned(), "b".to_owned()], None);
    let unfinished = Answer::stream(pieces[..3].to_vec());
    let failed = Answer::stream([pieces[0].clone(), b"data: {\"error\":{\"message\":\"x\"}}\n\n".to_vec(), b"data: [DONE]\n\n".to_vec()]);
    for answer in [Answer::stream(pieces.clone()).cut_at(pieces[0].len() + 9), unfinished, failed] {
        fleet.provider.next(answer);
        assert_eq!(asked(&stream).await, "MISS");
    }
    assert_eq!((asked(&stream).await, asked(&stream).await), ("MISS".to_owned(), "HIT".to_owned()), "no torn stream was kept");
}

/// Who may spend nothing more may still have what costs nothing.
#[tokio::test]
async fn a_hit_is_served_under_a_budget_that_is_used_up() {
    let fleet = Fleet::start().await;
    let mut wanted = keeping(&fleet, 300);
    wanted["routing_configs"][0]["model"] = json!("sim/cents");
    // A hundred tokens at most are a cent, ten are what comes: a second one does not fit.
    wanted["budgets"] = json!([{"name": "all", "scope": "organization", "period": "total", "cap_usd": "0.0105"}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    assert_eq!(asked(&cold(&fleet, &key, "@kept")).await, "MISS");
    assert_eq!(cold(&fleet, &key, "@kept").with("seed", 1).send().await.status(), 402);
    assert_eq!(asked(&cold(&fleet, &key, "@kept")).await, "HIT");
    assert_eq!(fleet.provider.count(), 1);
}

/// An answer that was shortened for one caller's budget is not another one's answer.
#[tokio::test]
async fn an_answer_whose_output_a_budget_lowered_is_not_kept() {
    let fleet = Fleet::start().await;
    let mut wanted = keeping(&fleet, 300);
    wanted["routing_configs"][0]["model"] = json!("sim/cents");
    // A hundred tokens are a cent there; this is enough for thirty.
    wanted["budgets"] =
        json!([{"name": "all", "scope": {"tag": "poor", "value": "yes"}, "period": "total", "cap_usd": "0.003", "clamp_output": true}]);
    let key = fleet.enforce(&wanted).await.key("app/main");
    let usage = Usage { prompt: 20, completion: 0, ..Usage::default() };
    fleet.provider.always("cents", Answer::saying("x", usage));
    let poor = cold(&fleet, &key, "@kept").header("X-Modelux-User-Tags", "poor=yes");
    let clamped = poor.ok().await;
    assert!(clamped.header("x-modelux-max-tokens-clamped").is_some(), "{:?}", clamped.head);
    let rich = cold(&fleet, &key, "@kept");
    assert_eq!((asked(&rich).await, asked(&rich).await, asked(&poor).await), ("MISS".to_owned(), "HIT".to_owned(), "HIT".to_owned()));
}

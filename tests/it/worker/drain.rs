//! Ending on request: streams run to their end, new requests go elsewhere, the process exits with 0.

use std::time::Duration;

use tests::fleet::Fleet;
use tests::provider::{Answer, Gate};
use tests::wait::{SOON, until};

#[tokio::test]
async fn a_worker_that_is_told_to_stop_finishes_its_streams_and_ends_with_0() {
    let (mut fleet, key) = Fleet::governed().await;
    let gate = Gate::default();
    fleet.provider.next(Answer::default().held_after_the_first_piece(&gate));
    let mut stream = fleet.chat(&key, "sim/gpt-test").streamed().open().await;
    stream.head().await.unwrap();
    stream.until("\"role\"").await;
    fleet.worker().process().terminate();
    until("new requests are turned away", SOON, || async {
        match fleet.chat(&key, "sim/free").try_send().await {
            Ok(reply) if reply.status() == 200 => None,
            Ok(reply) => {
                assert_eq!(reply.status(), 503, "{}", reply.text());
                Some(())
            }
            Err(_) => Some(()),
        }
    })
    .await;
    gate.open();
    let rest = stream.until("[DONE]").await;
    assert!(String::from_utf8_lossy(&rest).contains("word9"), "the stream ran to its end");
    let mut worker = fleet.workers.pop().unwrap();
    let status = worker.process_mut().end(Duration::from_secs(20)).await;
    assert_eq!(status.code(), Some(0), "{}", worker.process().stderr());
    let log = fleet.logged(1, "model: \"gpt-test\"").await;
    assert_eq!(log[0]["usageSource"].as_str().map(str::to_lowercase).as_deref(), Some("provider"), "its event was shipped before the end");
}

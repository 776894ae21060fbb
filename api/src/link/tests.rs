//! The link through its routes: tokens, long-polls, batches.

#![expect(clippy::disallowed_methods, reason = "a test looks at rows and clocks from outside of the store")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use entity::worker_revision;
use policy::link::{Ack, Booked, Enrol, Enrolled, Feed, FeedQuery, Heartbeat, HeartbeatReply, LeaseCall};
use sea_orm::EntityTrait as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower::Service as _;

use super::*;
use crate::database::fixture::{TestDatabase, insert_organization, start, temporary};
use crate::ledger::LeaseLimits;
use crate::secrets::MasterKey;

struct World {
    test: TestDatabase,
    state: LinkState,
    token: String,
}

impl World {
    async fn new() -> Self {
        let test = temporary().await;
        let database = test.database.clone();
        insert_organization(&database, "org_1").await;
        let clock = Clock::fixed(start());
        let master = MasterKey::from_base64(&base64::engine::general_purpose::STANDARD.encode([7; 32])).unwrap();
        let secrets = Arc::new(Secrets::open(&database, &clock, master, vec![]).await.unwrap());
        let transaction = database.begin().await.unwrap();
        let token = create_worker_token(&transaction, &clock, "pool").await.unwrap();
        transaction.commit().await.unwrap();
        let publisher = Publisher::new(database.clone(), clock.clone(), None).await.unwrap();
        let ledger = Arc::new(Ledger::new(database.clone(), clock.clone(), LeaseLimits::default(), crate::ledger::Feed::new()));
        let state = LinkState { database, clock, secrets, publisher, ledger, stopping: CancellationToken::new() };
        Self { test, state, token }
    }

    async fn publish(&self) {
        let transaction = self.test.database.begin().await.unwrap();
        crate::publish::lock_org(&transaction, "org_1").await.unwrap();
        crate::publish::commit_revision(&transaction, "org_1", start(), &self.state.secrets).await.unwrap();
        transaction.commit().await.unwrap();
        self.state.publisher.notify();
    }

    async fn send(&self, method: &str, path: &str, token: &str, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
        let request = Request::builder()
            .method(method)
            .uri(format!("/internal/v1/{path}"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        let response = router(self.state.clone()).call(request).await.unwrap();
        let status = response.status();
        (status, axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec())
    }

    async fn post<A: DeserializeOwned>(&self, path: &str, message: &impl Serialize) -> A {
        let (status, body) = self.send("POST", path, &self.token, serde_json::to_vec(message).unwrap()).await;
        assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    async fn enrol(&self, worker_id: Option<&str>) -> Enrolled {
        let hello = Enrol { worker_id: worker_id.map(str::to_owned), name: "here:8080".to_owned(), version: "0.1.0".to_owned() };
        self.post("enrol", &hello).await
    }

    async fn acknowledge(&self, worker_id: &str, revision: u64, error: Option<&str>) {
        let ack = Ack {
            worker_id: worker_id.to_owned(),
            org_id: "org_1".to_owned(),
            revision,
            digest: format!("digest-{revision}"),
            lag_ms: 4,
            error: error.map(str::to_owned),
        };
        let (status, _) = self.send("POST", "acks", &self.token, serde_json::to_vec(&ack).unwrap()).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }

    async fn applied(&self) -> worker_revision::Model {
        worker_revision::Entity::find().one(self.test.database.read()).await.unwrap().unwrap()
    }
}

/// Number of the last message of any worker.
static SENT: AtomicU64 = AtomicU64::new(0);

fn beat(worker_id: &str, incarnation: u64, revisions: &[(&str, u64)]) -> Heartbeat {
    Heartbeat {
        worker_id: worker_id.to_owned(),
        incarnation,
        sequence: SENT.fetch_add(1, Ordering::SeqCst) + 1,
        in_flight: 0,
        revisions: revisions.iter().map(|(org_id, revision)| ((*org_id).to_owned(), *revision)).collect(),
        recovered: true,
        accounts: vec![],
        health: None,
    }
}

#[tokio::test]
async fn every_route_needs_a_known_token() {
    let world = World::new().await;
    for (method, path) in [
        ("POST", "enrol"),
        ("POST", "feed"),
        ("GET", "bundles/org_1"),
        ("POST", "acks"),
        ("POST", "leases"),
        ("POST", "heartbeat"),
        ("POST", "events"),
    ] {
        for token in ["", "mlx_wk_unknown", "mlx_mk_other"] {
            assert_eq!(world.send(method, path, token, b"{}".to_vec()).await.0, StatusCode::UNAUTHORIZED, "{path} with `{token}`");
        }
    }
}

#[tokio::test]
async fn a_worker_keeps_its_id_over_restarts_and_each_start_counts() {
    let world = World::new().await;
    let first = world.enrol(None).await;
    assert_eq!(first.incarnation, 1);
    assert_eq!((first.lease_ttl_ms, first.exchange_limit_ms), (900_000, 600_000));
    let second = world.enrol(Some(&first.worker_id)).await;
    assert_eq!((second.worker_id.as_str(), second.incarnation), (first.worker_id.as_str(), 2));
    let key = policy::seal::open(&policy::seal::derive_pool_wrapping_key(&world.token), b"", &second.sealed_pool_key).unwrap();
    assert_eq!(key.len(), 32);
    let old: HeartbeatReply = world.post("heartbeat", &beat(&first.worker_id, 1, &[])).await;
    assert!(old.enrol_again);
    let new: HeartbeatReply = world.post("heartbeat", &beat(&first.worker_id, 2, &[])).await;
    assert_eq!((new.enrol_again, new.workers), (false, 1));
    let call = LeaseCall { worker_id: first.worker_id, incarnation: 1, sequence: 1, wants: vec![] };
    let (status, _) = world.send("POST", "leases", &world.token, serde_json::to_vec(&call).unwrap()).await;
    assert_eq!(status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_waiting_feed_answers_as_soon_as_there_is_a_revision_and_the_bundle_is_there() {
    let world = World::new().await;
    let supervisor = crate::jobs::Supervisor::new();
    crate::jobs::start(&supervisor, &world.state.database, &world.state.clock, &world.state.publisher, &world.state.ledger);
    let query = FeedQuery { worker_id: "wrk_1".to_owned(), known: BTreeMap::new(), wait_ms: 20_000 };
    let started = tokio::time::Instant::now();
    let (feed, ()) = tokio::join!(world.post::<Feed>("feed", &query), async {
        tokio::task::yield_now().await;
        world.publish().await;
    });
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(feed.changed, BTreeMap::from([("org_1".to_owned(), 1)]));
    let (status, body) = world.send("GET", "bundles/org_1", &world.token, vec![]).await;
    assert_eq!(status, StatusCode::OK);
    let envelope: policy::bundle::Envelope = serde_json::from_slice(&body).unwrap();
    let key = policy::bundle::VerifyingKey::from_base64(&world.state.secrets.verifying_key()).unwrap();
    assert_eq!(envelope.open(&key).unwrap().revision, 1);
    let up_to_date = FeedQuery { worker_id: "wrk_1".to_owned(), known: feed.changed, wait_ms: 10 };
    assert!(world.post::<Feed>("feed", &up_to_date).await.changed.is_empty());
    assert_eq!(world.send("GET", "bundles/org_2", &world.token, vec![]).await.0, StatusCode::NOT_FOUND);
    assert!(supervisor.shutdown(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_stop_ends_waiting_feeds() {
    let world = World::new().await;
    world.state.stopping.cancel();
    let query = FeedQuery { worker_id: "wrk_1".to_owned(), known: BTreeMap::new(), wait_ms: 60_000 };
    let answer = tokio::time::timeout(Duration::from_secs(5), world.post::<Feed>("feed", &query)).await.unwrap();
    assert!(answer.changed.is_empty());
}

#[tokio::test]
async fn acknowledgements_never_go_back_and_an_error_keeps_the_revision_in_force() {
    let world = World::new().await;
    let worker = world.enrol(None).await.worker_id;
    for _ in 0..3 {
        world.publish().await;
    }
    let world = World { state: LinkState { publisher: fresh_publisher(&world).await, ..world.state }, ..world };
    world.acknowledge(&worker, 2, None).await;
    world.acknowledge(&worker, 1, None).await;
    assert_eq!((world.applied().await.revision, world.applied().await.digest.as_str()), (2, "digest-2"));
    world.acknowledge(&worker, 3, Some("signature")).await;
    assert_eq!((world.applied().await.revision, world.applied().await.error.as_deref()), (2, Some("signature")));
    let reply: HeartbeatReply = world.post("heartbeat", &beat(&worker, 1, &[("org_1", 3)])).await;
    assert_eq!(reply.revisions.get("org_1"), Some(&3));
    assert_eq!((world.applied().await.revision, world.applied().await.error), (3, None));
}

async fn fresh_publisher(world: &World) -> Publisher {
    Publisher::new(world.test.database.clone(), world.state.clock.clone(), None).await.unwrap()
}

#[tokio::test]
async fn events_are_booked_one_by_one() {
    let world = World::new().await;
    let (status, body) = world.send("POST", "events", &world.token, policy::link::write_batch(&[b"{}"])).await;
    assert_eq!(status, StatusCode::OK);
    let booked: Booked = serde_json::from_slice(&body).unwrap();
    assert_eq!((booked.booked, booked.refused.len()), (0, 1));
}

//! The policy feed against a control plane in memory.

use std::sync::atomic::Ordering::SeqCst;

use policy::bundle::{Envelope, SigningKey, v1};
use policy::link::Doorbell;
use policy::seal;
use policy::source::{SealedSecret, UnpricedModels};
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::config::WorkerConfig;
use crate::link::fake::{FakePlane, POOL_KEY, TOKEN};
use crate::link::{Attached, attach_to};
use crate::upstream::access::Access;

/// A bundle with one key, whose SHA-256 is made of the digit `key`, and one provider with a secret.
fn bundle(org_id: &str, revision: u64, key: char) -> v1::Bundle {
    let project = v1::Project {
        id: Arc::from("prj_1"),
        name: Arc::from("support"),
        tags: policy::facts::Tags::default(),
        entry_policy: None,
        auto_resolve_bare_model: true,
        strict_capabilities: false,
        guardrails: None,
    };
    let key = v1::Key {
        id: Arc::from("key_1"),
        hash: std::iter::repeat_n(key, 64).collect(),
        project: 0,
        name: Arc::from("ci"),
        owner: Arc::from(""),
        tags: policy::facts::Tags::default(),
        rpm: None,
        expires: None,
        allowed_models: vec!["*".to_owned()],
        ip_allowlist: Vec::new(),
    };
    let secret = seal::seal(&POOL_KEY, b"prv_1", b"sk-upstream").unwrap();
    let provider = v1::Provider {
        health_check: None,
        id: "prv_1".to_owned(),
        name: Arc::from("openai"),
        vendor: "openai".to_owned(),
        base_url: Some("http://127.0.0.1:9/v1".to_owned()),
        api_key: Some(SealedSecret(secret)),
    };
    v1::Bundle {
        format: 1,
        org: v1::Org { id: org_id.into(), slug: "default".to_owned() },
        revision,
        created_at: clock::now(),
        time_zone: "UTC".to_owned(),
        entry_policy: None,
        ip_allowlist: Vec::new(),
        deny_private_upstreams: false,
        unpriced_models: UnpricedModels::Deny,
        unpriced_rates: None,
        providers: vec![provider],
        models: Vec::new(),
        configs: Vec::new(),
        projects: vec![project],
        keys: vec![key],
        budgets: Vec::new(),
    }
}

struct Running {
    attached: Attached,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    fn start(dir: &Path, plane: &Arc<FakePlane>, change: impl FnOnce(&mut WorkerConfig)) -> Self {
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = WorkerConfig::new("http://127.0.0.1:1".parse().unwrap(), TOKEN.to_owned().into(), listen, dir.to_owned());
        config.link.heartbeat_interval = Duration::from_millis(50);
        config.link.feed_wait = Duration::from_millis(200);
        change(&mut config);
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let attached = attach_to(Arc::clone(plane) as Arc<dyn ControlPlane>, &config, &tasks, &stop).unwrap();
        Self { attached, stop, tasks }
    }

    fn revision(&self, org_id: &str) -> Option<u64> {
        self.attached.policies.current().revision(org_id)
    }

    async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("did not come to pass within 5 s: {what}");
}

/// The digest of a key whose hash in a bundle is this digit 64 times.
fn presented(digit: char) -> [u8; 32] {
    let half = u8::try_from(digit.to_digit(16).unwrap()).unwrap();
    [half << 4 | half; 32]
}

/// The opened key of the first provider.
fn key_of(policy: &OrgPolicy) -> &str {
    let Some(Reach::Network(line)) = policy.reach(0) else { panic!("the provider can't be reached") };
    let Access::Key(key) = &line.access else { panic!("no key") };
    key.expose_secret()
}

#[tokio::test]
async fn a_new_bundle_is_put_in_force_and_acknowledged_and_its_secrets_are_open() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    let running = Running::start(dir.path(), &plane, |_| {});
    assert_eq!(running.attached.policies.freshness(), Freshness::Missing);
    plane.publish(Envelope::seal(&bundle("org_1", 1, 'a'), &plane.signing).unwrap());
    until("in force", || running.revision("org_1") == Some(1)).await;
    let (policy, _) = running.attached.policies.current().find(&presented('a')).unwrap();
    assert_eq!(key_of(&policy), "sk-upstream");
    until("ready", || running.attached.policies.freshness() == Freshness::Fresh).await;

    plane.publish(Envelope::seal(&bundle("org_1", 2, 'b'), &plane.signing).unwrap());
    until("the next in force", || running.revision("org_1") == Some(2)).await;
    let fleet = running.attached.policies.current();
    assert!(fleet.find(&presented('a')).is_none() && fleet.find(&presented('b')).is_some());
    assert_eq!(policy.applied_revision, 1, "a request keeps what it started with");
    until("acknowledged", || plane.acks().iter().map(|ack| ack.revision).eq([1, 2])).await;
    assert!(plane.acks().iter().all(|ack| ack.error.is_none() && ack.digest.len() == 64));
    running.stop().await;
}

/// Heard of is not in force: a caller would be told that nobody knows its key.
#[tokio::test]
async fn a_worker_is_not_ready_before_all_it_was_told_of_is_in_force() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    plane.withholds.store(true, SeqCst);
    plane.publish(Envelope::seal(&bundle("org_1", 1, 'a'), &plane.signing).unwrap());
    let running = Running::start(dir.path(), &plane, |_| {});
    until("told of it", || running.attached.policies.confirmed_ms.load(SeqCst) > 0).await;
    assert_eq!(running.attached.policies.freshness(), Freshness::Missing);
    plane.withholds.store(false, SeqCst);
    until("ready", || running.attached.policies.freshness() == Freshness::Fresh).await;
    assert_eq!(running.revision("org_1"), Some(1));
    running.stop().await;
}

///
#[tokio::test]
async fn with_everything_away_a_worker_starts_and_serves_what_it_had() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    plane.publish(Envelope::seal(&bundle("org_1", 3, 'a'), &plane.signing).unwrap());
    let running = Running::start(dir.path(), &plane, |_| {});
    until("kept", || running.revision("org_1") == Some(3) && dir.path().join("bundles/org_1.json").exists()).await;
    running.stop().await;

    plane.away.store(true, SeqCst);
    let again = Running::start(dir.path(), &plane, |config| {
        config.redis_url = Some("redis://127.0.0.1:1".parse().unwrap());
        config.link.policy_age_limit = Duration::from_millis(100);
    });
    let (policy, _) = again.attached.policies.current().find(&presented('a')).expect("served at once");
    assert_eq!(key_of(&policy), "sk-upstream");
    until("said to be stale", || matches!(again.attached.policies.freshness(), Freshness::Stale(_))).await;

    plane.publish(Envelope::seal(&bundle("org_1", 4, 'b'), &plane.signing).unwrap());
    plane.away.store(false, SeqCst);
    until("caught up", || again.revision("org_1") == Some(4)).await;
    until("fresh again", || again.attached.policies.freshness() == Freshness::Fresh).await;
    again.stop().await;
}

#[tokio::test]
async fn a_bundle_of_another_signer_is_refused_with_its_reason_and_the_old_one_stays() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    plane.publish(Envelope::seal(&bundle("org_1", 1, 'a'), &plane.signing).unwrap());
    let running = Running::start(dir.path(), &plane, |_| {});
    until("in force", || running.revision("org_1") == Some(1)).await;
    let stranger = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
    plane.publish(Envelope::seal(&bundle("org_1", 2, 'b'), &stranger).unwrap());
    until("reported", || plane.acks().iter().any(|ack| ack.revision == 2 && ack.error.is_some())).await;
    let error = plane.acks().into_iter().find_map(|ack| ack.error).unwrap();
    assert!(error.contains("not signed by this control plane"), "{error}");
    assert_eq!(running.revision("org_1"), Some(1));
    // A good one that comes after it is not held up.
    plane.publish(Envelope::seal(&bundle("org_1", 3, 'c'), &plane.signing).unwrap());
    until("the next in force", || running.revision("org_1") == Some(3)).await;
    running.stop().await;
}

#[tokio::test]
async fn a_revision_never_goes_backwards() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    let running = Running::start(dir.path(), &plane, |_| {});
    plane.publish(Envelope::seal(&bundle("org_1", 5, 'a'), &plane.signing).unwrap());
    until("in force", || running.revision("org_1") == Some(5)).await;
    let identity = running.attached.enrolment.live().unwrap();
    let older = OrgPolicy::load(&Envelope::seal(&bundle("org_1", 4, 'b'), &plane.signing).unwrap(), &identity).unwrap();
    assert!(!running.attached.policies.swap_in(older));
    assert_eq!(running.revision("org_1"), Some(5));
    running.stop().await;
}

#[tokio::test]
async fn an_organization_that_is_gone_is_served_no_more() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    for org_id in ["org_1", "org_2"] {
        plane.publish(Envelope::seal(&bundle(org_id, 1, 'a'), &plane.signing).unwrap());
    }
    let running = Running::start(dir.path(), &plane, |_| {});
    until("both in force", || running.revision("org_1").and(running.revision("org_2")).is_some()).await;
    plane.withdraw("org_1");
    until("gone", || running.revision("org_1").is_none()).await;
    assert_eq!(running.revision("org_2"), Some(1));
    until("gone from disk", || !dir.path().join("bundles/org_1.json").exists()).await;
    running.stop().await;
}

/// The heartbeat alone repairs what no message told, however long the feed holds back its answers.
#[tokio::test]
async fn a_lost_message_is_repaired_by_the_heartbeat() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    let running = Running::start(dir.path(), &plane, |config| config.link.feed_wait = Duration::from_secs(60));
    until("enrolled", || running.attached.enrolment.live().is_some()).await;
    plane.publish_silently(Envelope::seal(&bundle("org_1", 1, 'a'), &plane.signing).unwrap());
    until("in force", || running.revision("org_1") == Some(1)).await;
    running.stop().await;
}

#[tokio::test]
async fn a_worker_that_is_not_known_any_more_enrols_again() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    let running = Running::start(dir.path(), &plane, |_| {});
    until("enrolled", || running.attached.enrolment.live().is_some()).await;
    let first = running.attached.enrolment.live().unwrap();
    plane.incarnation.store(1_000, SeqCst);
    until("enrolled again", || running.attached.enrolment.live().is_some_and(|now| now.incarnation > 1_000)).await;
    assert_eq!(running.attached.enrolment.live().unwrap().worker_id, first.worker_id);
    running.stop().await;
}

/// A Redis server of this test, on a port of its own.
struct Redis {
    port: u16,
    process: std::process::Child,
}

impl Redis {
    fn start(port: u16) -> Self {
        let process = std::process::Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("redis-server is installed (`make test` sees to that)");
        Self { port, process }
    }

    async fn connection(&self) -> ::redis::aio::MultiplexedConnection {
        let client = ::redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        for _ in 0..500 {
            if let Ok(connection) = client.get_multiplexed_async_connection().await {
                return connection;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("redis did not start within 5 s");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

async fn announce(redis: &Redis, envelope: &Envelope) {
    let mut connection = redis.connection().await;
    let key = Doorbell::key(&envelope.org_id, envelope.revision);
    let rung = Doorbell { org_id: envelope.org_id.clone(), revision: envelope.revision };
    let mut pipe = ::redis::pipe();
    pipe.set(key, serde_json::to_vec(envelope).unwrap()).ignore();
    pipe.publish(Doorbell::CHANNEL, serde_json::to_vec(&rung).unwrap()).ignore();
    pipe.query_async::<()>(&mut connection).await.unwrap();
}

#[tokio::test]
async fn the_doorbell_is_followed_and_where_it_stops_the_feed_is() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let redis = Redis::start(port);
    drop(redis.connection().await);
    let running = Running::start(dir.path(), &plane, |config| {
        config.redis_url = Some(format!("redis://127.0.0.1:{port}").parse().unwrap());
        // So late that nothing but the doorbell can be what told.
        config.link.heartbeat_interval = Duration::from_secs(60);
        config.link.feed_wait = Duration::from_secs(60);
    });
    let policies = Arc::clone(&running.attached.policies);
    until("doorbell connected", || policies.follows_redis()).await;
    // Known to Redis only: the control plane itself has no such bundle.
    announce(&redis, &Envelope::seal(&bundle("org_1", 1, 'a'), &plane.signing).unwrap()).await;
    until("in force", || running.revision("org_1") == Some(1)).await;

    // A forged bundle on Redis is not used; the control plane's own is.
    let stranger = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
    plane.publish_silently(Envelope::seal(&bundle("org_1", 2, 'b'), &plane.signing).unwrap());
    announce(&redis, &Envelope::seal(&bundle("org_1", 2, 'f'), &stranger).unwrap()).await;
    until("the genuine one in force", || policies.current().find(&presented('b')).is_some()).await;

    drop(redis);
    until("doorbell gone", || !policies.follows_redis()).await;
    plane.publish(Envelope::seal(&bundle("org_1", 3, 'c'), &plane.signing).unwrap());
    until("in force over the feed", || running.revision("org_1") == Some(3)).await;

    let redis = Redis::start(port);
    until("doorbell back", || policies.follows_redis()).await;
    announce(&redis, &Envelope::seal(&bundle("org_1", 4, 'd'), &plane.signing).unwrap()).await;
    until("in force", || running.revision("org_1") == Some(4)).await;
    running.stop().await;
}

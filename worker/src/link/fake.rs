//! A control plane in memory, for tests: books events once, grants leases all or nothing, and checks after every step that settled and
//! leased never pass the cap.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use policy::bundle::{Envelope, SigningKey};
use policy::event::{PeriodRef, UsageEvent};
use policy::link::{
    AccountStatus, Ack, Booked, Enrol, Enrolled, Feed, FeedQuery, Heartbeat, HeartbeatReply, LeaseCall, LeaseReply, RefusedEvent,
};
use policy::money::NanoUsd;
use policy::seal;

use super::{ControlPlane, LinkError};

pub(crate) const TOKEN: &str = "mlx_wk_test";
pub(crate) const POOL_KEY: [u8; 32] = [42; 32];

#[derive(Debug, Default)]
struct LeaseRow {
    id: String,
    granted: i64,
    booked: i64,
    reserved: i64,
    recall: bool,
}

#[derive(Debug, Default)]
struct Account {
    settled: i64,
    leases: HashMap<String, LeaseRow>,
}

impl Account {
    fn held(&self) -> i64 {
        self.leases.values().map(|lease| (lease.granted - lease.booked).max(0)).sum()
    }
}

#[derive(Default)]
struct State {
    caps: HashMap<String, i64>,
    accounts: HashMap<PeriodRef, Account>,
    booked: HashSet<String>,
    events: Vec<UsageEvent>,
    bundles: BTreeMap<String, Envelope>,
    acks: Vec<Ack>,
    next_lease: u64,
    next_worker: u64,
    refuse: HashSet<String>,
    /// Number of the last message taken in, by worker.
    sequences: HashMap<String, u64>,
}

pub(crate) struct FakePlane {
    state: Mutex<State>,
    pub(crate) signing: SigningKey,
    pub(crate) away: AtomicBool,
    /// Says which bundles there are, and hands none out.
    pub(crate) withholds: AtomicBool,
    pub(crate) ttl_ms: AtomicU64,
    pub(crate) lease_calls: AtomicU64,
    pub(crate) incarnation: AtomicU64,
    changed: tokio::sync::Notify,
}

impl FakePlane {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            signing: SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap(),
            away: AtomicBool::new(false),
            withholds: AtomicBool::new(false),
            ttl_ms: AtomicU64::new(60_000),
            lease_calls: AtomicU64::new(0),
            incarnation: AtomicU64::new(0),
            changed: tokio::sync::Notify::new(),
        })
    }

    pub(crate) fn set_cap(&self, budget_id: &str, cap: NanoUsd) {
        self.state.lock().caps.insert(budget_id.to_owned(), cap.nanos());
    }

    pub(crate) fn settled(&self, budget_id: &str) -> NanoUsd {
        let state = self.state.lock();
        let of = state.accounts.iter().filter(|(period, _)| *period.budget_id == *budget_id);
        NanoUsd::from_nanos(of.map(|(_, account)| account.settled).sum())
    }

    pub(crate) fn held(&self, budget_id: &str) -> NanoUsd {
        let state = self.state.lock();
        let of = state.accounts.iter().filter(|(period, _)| *period.budget_id == *budget_id);
        NanoUsd::from_nanos(of.map(|(_, account)| account.held()).sum())
    }

    pub(crate) fn events(&self) -> Vec<UsageEvent> {
        self.state.lock().events.clone()
    }

    pub(crate) fn acks(&self) -> Vec<Ack> {
        self.state.lock().acks.clone()
    }

    pub(crate) fn refuse(&self, event_id: &str) {
        self.state.lock().refuse.insert(event_id.to_owned());
    }

    pub(crate) fn publish_silently(&self, envelope: Envelope) {
        self.state.lock().bundles.insert(envelope.org_id.clone(), envelope);
    }

    pub(crate) fn publish(&self, envelope: Envelope) {
        self.publish_silently(envelope);
        self.changed.notify_waiters();
    }

    pub(crate) fn withdraw(&self, org_id: &str) {
        self.state.lock().bundles.remove(org_id);
        self.changed.notify_waiters();
    }

    fn answer(&self, call: &'static str) -> Result<(), LinkError> {
        if self.away.load(Ordering::SeqCst) { Err(LinkError::Unreachable { call, source: "away".into() }) } else { Ok(()) }
    }

    fn status(&self, state: &State, period: &PeriodRef, worker: &str, coming: i64) -> AccountStatus {
        let account = &state.accounts[period];
        let own = account.leases.get(worker);
        let elsewhere = account.leases.iter().filter(|(id, _)| *id != worker).map(|(_, lease)| lease.reserved).sum();
        AccountStatus {
            period: period.clone(),
            period_end: None,
            cap: NanoUsd::from_nanos(cap(state, period)),
            settled: NanoUsd::from_nanos(account.settled),
            reserved_elsewhere: NanoUsd::from_nanos(elsewhere),
            lease_id: own.map_or_else(|| Arc::from(""), |lease| Arc::from(lease.id.as_str())),
            granted: NanoUsd::from_nanos(own.map_or(0, |lease| lease.granted)),
            booked: NanoUsd::from_nanos(own.map_or(0, |lease| lease.booked)),
            ttl_ms: self.ttl_ms.load(Ordering::SeqCst),
            recall: own.is_some_and(|lease| lease.recall && lease.granted > lease.booked),
            coming: NanoUsd::from_nanos(coming),
        }
    }
}

fn cap(state: &State, period: &PeriodRef) -> i64 {
    state.caps.get(&*period.budget_id).copied().unwrap_or(i64::MAX / 4)
}

fn check(state: &State) {
    for (period, account) in &state.accounts {
        assert!(account.settled + account.held() <= cap(state, period), "{period:?}: {account:?} passes its cap");
    }
}

#[async_trait]
impl ControlPlane for FakePlane {
    async fn enrol(&self, message: &Enrol) -> Result<Enrolled, LinkError> {
        self.answer("enrol")?;
        let mut state = self.state.lock();
        state.next_worker += 1;
        let worker_id = message.worker_id.clone().unwrap_or_else(|| format!("wrk_{}", state.next_worker));
        Ok(Enrolled {
            worker_id,
            incarnation: self.incarnation.fetch_add(1, Ordering::SeqCst) + 1,
            verifying_key: self.signing.verifying_key().to_base64(),
            sealed_pool_key: seal::seal(&seal::derive_pool_wrapping_key(TOKEN), b"", &POOL_KEY).unwrap(),
            lease_ttl_ms: 60_000,
            exchange_limit_ms: 600_000,
        })
    }

    async fn feed(&self, query: &FeedQuery) -> Result<Feed, LinkError> {
        let limit = tokio::time::Instant::now() + std::time::Duration::from_millis(query.wait_ms);
        loop {
            let changed = self.changed.notified();
            self.answer("feed")?;
            let feed = {
                let state = self.state.lock();
                let newer = |(org, envelope): (&String, &Envelope)| {
                    (query.known.get(org).is_none_or(|known| *known < envelope.revision)).then(|| (org.clone(), envelope.revision))
                };
                Feed {
                    changed: state.bundles.iter().filter_map(newer).collect(),
                    gone: query.known.keys().filter(|org| !state.bundles.contains_key(*org)).cloned().collect(),
                }
            };
            if !feed.changed.is_empty() || !feed.gone.is_empty() || tokio::time::timeout_at(limit, changed).await.is_err() {
                return Ok(feed);
            }
        }
    }

    async fn bundle(&self, org_id: &str) -> Result<Envelope, LinkError> {
        self.answer("bundles")?;
        if self.withholds.load(Ordering::SeqCst) {
            return Err(LinkError::Unreachable { call: "bundles", source: "withheld".into() });
        }
        let found = self.state.lock().bundles.get(org_id).cloned();
        found.ok_or(LinkError::Refused { call: "bundles", status: 404, detail: String::new() })
    }

    async fn acknowledge(&self, ack: &Ack) -> Result<(), LinkError> {
        self.answer("acks")?;
        self.state.lock().acks.push(ack.clone());
        Ok(())
    }

    async fn lease(&self, call: &LeaseCall) -> Result<LeaseReply, LinkError> {
        self.lease_calls.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        self.answer("leases")?;
        let mut state = self.state.lock();
        take_in(&mut state, "leases", &call.worker_id, call.sequence)?;
        let mut accounts = Vec::new();
        for want in &call.wants {
            let cap = cap(&state, &want.period);
            let lease_id = state.next_lease + 1;
            let account = state.accounts.entry(want.period.clone()).or_default();
            let headroom = cap - account.settled - account.held();
            let (need, like) = (want.need.nanos(), want.like.nanos());
            let mut coming = 0;
            if need > headroom {
                let others = account.leases.iter_mut().filter(|(worker, _)| **worker != call.worker_id);
                let returnable: Vec<&mut LeaseRow> = others.map(|(_, lease)| lease).collect();
                let free: i64 = returnable.iter().map(|lease| (lease.granted - lease.booked - lease.reserved).max(0)).sum();
                if headroom + free >= need {
                    coming = free;
                    returnable.into_iter().for_each(|lease| lease.recall = true);
                }
            } else if need > 0 {
                let extra = ((headroom - need) / 4).min(like);
                let extra = if extra < need.max(like / 16) { 0 } else { extra };
                let lease = account
                    .leases
                    .entry(call.worker_id.clone())
                    .or_insert_with(|| LeaseRow { id: format!("lse_{lease_id}"), ..LeaseRow::default() });
                lease.granted += need + extra;
                state.next_lease = lease_id;
            }
            accounts.push(self.status(&state, &want.period, &call.worker_id, coming));
        }
        check(&state);
        Ok(LeaseReply { accounts })
    }

    async fn heartbeat(&self, message: &Heartbeat) -> Result<HeartbeatReply, LinkError> {
        self.answer("heartbeat")?;
        let mut state = self.state.lock();
        if message.incarnation != self.incarnation.load(Ordering::SeqCst) && self.incarnation.load(Ordering::SeqCst) >= 1_000 {
            return Ok(HeartbeatReply { enrol_again: true, revisions: BTreeMap::new(), accounts: Vec::new(), workers: 0 });
        }
        take_in(&mut state, "heartbeat", &message.worker_id, message.sequence)?;
        let mut accounts = Vec::new();
        for report in &message.accounts {
            let account = state.accounts.entry(report.period.clone()).or_default();
            let own = account.leases.get_mut(&message.worker_id).filter(|own| report.lease_id.as_deref() == Some(own.id.as_str()));
            if let Some(own) = own {
                assert!(report.give_back.nanos() <= own.granted - own.booked, "gives back more than it has: {report:?} {own:?}");
                own.granted -= report.give_back.nanos();
                own.reserved = report.reserved.nanos();
                if report.give_back.is_positive() {
                    own.recall = false;
                }
                if report.close {
                    assert!(own.granted <= own.booked, "closes a lease that holds money: {report:?} {own:?}");
                    account.leases.remove(&message.worker_id);
                }
            }
            accounts.push(self.status(&state, &report.period, &message.worker_id, 0));
        }
        check(&state);
        let revisions = state.bundles.iter().map(|(org, envelope)| (org.clone(), envelope.revision)).collect();
        Ok(HeartbeatReply { enrol_again: false, revisions, accounts, workers: 1 })
    }

    async fn ship(&self, events: Bytes) -> Result<Booked, LinkError> {
        self.answer("events")?;
        let mut state = self.state.lock();
        let mut booked = Booked { booked: 0, repeated: 0, refused: Vec::new() };
        for (place, written) in policy::link::events_in(&events).enumerate() {
            let event = UsageEvent::read(written.unwrap()).unwrap();
            if state.refuse.contains(&*event.id) {
                booked.refused.push(RefusedEvent { place: u32::try_from(place).unwrap(), reason: "no such organization".to_owned() });
                continue;
            }
            if !state.booked.insert(event.id.to_string()) {
                booked.repeated += 1;
                continue;
            }
            booked.booked += 1;
            for charge in &event.charges {
                let account = state.accounts.entry(charge.period.clone()).or_default();
                account.settled += charge.amount.nanos();
                let lease = account.leases.values_mut().find(|lease| charge.lease_id.as_deref() == Some(lease.id.as_str()));
                if let Some(lease) = lease {
                    lease.booked += charge.amount.nanos();
                }
            }
            state.events.push(event);
        }
        Ok(booked)
    }
}

/// As the ledger does it: not after a later one.
fn take_in(state: &mut State, call: &'static str, worker_id: &str, sequence: u64) -> Result<(), LinkError> {
    let last = state.sequences.insert(worker_id.to_owned(), sequence);
    if last.is_some_and(|last| sequence <= last) {
        return Err(LinkError::Refused { call, status: 409, detail: format!("message {sequence} came after a later one") });
    }
    Ok(())
}

/// An event with nothing in it but `id`.
pub(crate) fn event(id: &str) -> UsageEvent {
    let named = || policy::event::Named { id: Arc::from("x_1"), name: Arc::from("x") };
    UsageEvent {
        id: Arc::from(id),
        kind: policy::event::EventKind::Settled,
        org_id: Arc::from("org_1"),
        request_id: Arc::from("req_1"),
        worker_id: Arc::from("wrk_1"),
        bundle_revision: 1,
        time: chrono::DateTime::UNIX_EPOCH,
        project: named(),
        key: named(),
        surface: policy::facts::Surface::OpenaiChat,
        requested_model: Arc::from("openai/gpt-test"),
        model: None,
        provider: None,
        status: 200,
        error_code: None,
        stream: false,
        end_user: None,
        tags: policy::facts::Tags::default(),
        cost: NanoUsd::ZERO,
        reserved: NanoUsd::ZERO,
        usage_source: policy::event::UsageSource::Provider,
        tokens: policy::price::TokenBuckets::default(),
        rates: None,
        price_version: Arc::from(""),
        latency_us: 0,
        first_byte_us: None,
        trace_id: None,
        conversation_id: None,
        ab_variant: None,
        attempts: Vec::new(),
        charges: Vec::new(),
        trace: policy::event::TraceRecord::of(&policy::decision::Trace::default()),
        facts: None,
        cache: None,
        unpriced: false,
    }
}

//! A ledger with one organization and its workers, as the tests see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{TimeDelta, Utc};
use entity::{budget_period, lease, worker};
use policy::event::{Charge, EventKind, Named, PeriodRef, UsageEvent, UsageSource};
use policy::facts::{Surface, Tags};
use policy::link::{AccountReport, AccountStatus, Heartbeat, LeaseCall, LeaseWant};
use policy::money::NanoUsd;
use policy::price::{Rates, TokenBuckets};
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set, EntityTrait as _, IntoActiveModel as _};

use crate::clock::Clock;
use crate::database::fixture::{TestDatabase, insert_budget, insert_organization, start, temporary};
use crate::ledger::{Feed, LeaseLimits, Ledger};

/// Short leases, so that a few steps of the clock reach every deadline.
pub(super) const LIMITS: LeaseLimits =
    LeaseLimits { ttl: TimeDelta::seconds(10), silence: TimeDelta::seconds(10), exchange: TimeDelta::minutes(10), lost: TimeDelta::zero() };

pub(super) const ORG: &str = "org_1";

pub(super) struct World {
    pub(super) test: TestDatabase,
    pub(super) clock: Clock,
    pub(super) ledger: Ledger,
    pub(super) feed: Feed,
    /// Number of the last message.
    sent: AtomicU64,
}

pub(super) fn usd(cents: i64) -> NanoUsd {
    NanoUsd::from_nanos(cents * 10_000_000)
}

/// The present month of a budget, for one scope value.
pub(super) fn month(budget_id: &str, value: &str) -> PeriodRef {
    PeriodRef { budget_id: budget_id.into(), scope_value: value.into(), start: "2026-11-01T00:00:00Z".parse().unwrap() }
}

impl World {
    /// With one budget `bud_1` of `cap`.
    pub(super) async fn new(cap: NanoUsd) -> Self {
        Self::with(cap, LIMITS).await
    }

    pub(super) async fn with(cap: NanoUsd, limits: LeaseLimits) -> Self {
        let test = temporary().await;
        insert_organization(&test.database, ORG).await;
        insert_budget(&test.database, ORG, "bud_1", cap.nanos()).await;
        let clock = Clock::fixed(start());
        let feed = Feed::new();
        let ledger = Ledger::new(test.database.clone(), clock.clone(), limits, feed.clone());
        Self { test, clock, ledger, feed, sent: AtomicU64::new(0) }
    }

    pub(super) async fn enrol(&self, worker_id: &str, incarnation: i64) {
        let transaction = self.test.database.begin().await.unwrap();
        let now = self.clock.now();
        let known = worker::Entity::find_by_id(worker_id).one(&transaction).await.unwrap();
        let row = worker::ActiveModel {
            id: Set(worker_id.to_owned()),
            name: Set(worker_id.to_owned()),
            version: Set("0".to_owned()),
            incarnation: Set(incarnation),
            link_sequence: Set(0),
            state: Set("ready".to_owned()),
            enrolled_at: Set(now),
            last_seen_at: Set(now),
        };
        match known {
            Some(_) => drop(row.update(&transaction).await.unwrap()),
            None => drop(row.insert(&transaction).await.unwrap()),
        }
        transaction.commit().await.unwrap();
    }

    /// Numbers the messages of all workers.
    pub(super) fn next(&self) -> u64 {
        self.sent.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(super) async fn lease(&self, worker_id: &str, incarnation: u64, period: &PeriodRef, need: NanoUsd, like: NanoUsd) -> AccountStatus {
        let wants = vec![LeaseWant { period: period.clone(), need, like }];
        let call = LeaseCall { worker_id: worker_id.to_owned(), incarnation, sequence: self.next(), wants };
        self.ledger.lease(&call).await.unwrap().accounts.remove(0)
    }

    pub(super) async fn beat(
        &self,
        worker_id: &str,
        incarnation: u64,
        recovered: bool,
        accounts: Vec<AccountReport>,
    ) -> Vec<AccountStatus> {
        self.ledger.heartbeat(&self.message(worker_id, incarnation, recovered, accounts)).await.unwrap().accounts
    }

    /// The next heartbeat, not sent yet.
    pub(super) fn message(&self, worker_id: &str, incarnation: u64, recovered: bool, accounts: Vec<AccountReport>) -> Heartbeat {
        Heartbeat {
            worker_id: worker_id.to_owned(),
            incarnation,
            sequence: self.next(),
            in_flight: 0,
            revisions: std::collections::BTreeMap::new(),
            recovered,
            accounts,
            health: None,
        }
    }

    pub(super) async fn set_cap(&self, cap: NanoUsd) {
        let transaction = self.test.database.begin().await.unwrap();
        let mut row = entity::budget::Entity::find_by_id("bud_1").one(&transaction).await.unwrap().unwrap().into_active_model();
        row.cap_nano = Set(cap.nanos());
        row.update(&transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }

    pub(super) async fn periods(&self) -> Vec<budget_period::Model> {
        budget_period::Entity::find().all(self.test.database.read()).await.unwrap()
    }

    pub(super) async fn leases(&self) -> Vec<lease::Model> {
        lease::Entity::find().all(self.test.database.read()).await.unwrap()
    }

    /// Settled and leased of the one account, after checking that the stored sum is that of the leases.
    pub(super) async fn sums(&self) -> (NanoUsd, NanoUsd) {
        let periods = self.periods().await;
        let Some(period) = periods.first() else { return (NanoUsd::ZERO, NanoUsd::ZERO) };
        let active = self.leases().await.into_iter().filter(|lease| lease.state == lease::State::Active);
        let leased: i64 = active.map(|lease| (lease.granted_nano - lease.spent_nano).max(0)).sum();
        assert_eq!(period.leased_nano, leased);
        (NanoUsd::from_nanos(period.settled_nano), NanoUsd::from_nanos(leased))
    }

    pub(super) fn pass(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }
}

pub(super) fn report(period: &PeriodRef, lease_id: &str, reserved: NanoUsd, give_back: NanoUsd, close: bool) -> AccountReport {
    AccountReport { period: period.clone(), lease_id: Some(lease_id.into()), reserved, give_back, close }
}

pub(super) fn charge(period: &PeriodRef, lease_id: &str, amount: NanoUsd) -> Charge {
    Charge { period: period.clone(), lease_id: Some(lease_id).filter(|id| !id.is_empty()).map(Arc::from), amount }
}

pub(super) fn event(id: &str, cost: NanoUsd, charges: Vec<Charge>) -> UsageEvent {
    let mut tags = Tags::default();
    tags.set("team".into(), "support".into());
    UsageEvent {
        id: id.into(),
        kind: EventKind::Settled,
        org_id: ORG.into(),
        request_id: id.replace("evt_", "req_").into(),
        worker_id: "wrk_1".into(),
        bundle_revision: 3,
        time: Utc::now(),
        project: Named { id: "prj_1".into(), name: "support".into() },
        key: Named { id: "key_1".into(), name: "ci".into() },
        surface: Surface::OpenaiChat,
        requested_model: "@cheap".into(),
        model: Some("gpt-test".into()),
        provider: Some("openai".into()),
        status: 200,
        error_code: None,
        stream: true,
        end_user: Some("anna".into()),
        tags,
        cost,
        reserved: cost,
        usage_source: UsageSource::Provider,
        tokens: TokenBuckets { input: 100, cached_input: 10, output: 20, reasoning: 5, ..TokenBuckets::default() },
        rates: Some(Rates::flat(1, 2)),
        price_version: "prc_1".into(),
        latency_us: 1_500_000,
        first_byte_us: Some(200_000),
        trace_id: None,
        conversation_id: None,
        ab_variant: None,
        attempts: vec![],
        charges,
        trace: policy::event::TraceRecord::of(&policy::decision::Trace::default()),
        facts: None,
        cache: None,
        unpriced: false,
    }
}

pub(super) fn batch<'a>(events: impl IntoIterator<Item = &'a UsageEvent>) -> Vec<u8> {
    policy::link::write_batch(&events.into_iter().map(written).collect::<Vec<_>>())
}

pub(super) fn written(event: &UsageEvent) -> Vec<u8> {
    let mut bytes = Vec::new();
    event.write(&mut bytes);
    bytes
}

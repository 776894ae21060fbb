//! Budgets through their own doors, against a control plane in memory that checks the cap after every step.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures::future::join_all;
use policy::bundle::v1::{Budget, Scope};
use policy::decision::Trace;
use policy::link::Heartbeat;
use policy::source::Fraction;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::SpoolConfig;
use crate::link::fake::{FakePlane, TOKEN, event};
use crate::policy_feed::Fleet;
use crate::spool::Spool;

const CENT: NanoUsd = NanoUsd::from_nanos(10_000_000);

fn budget(id: &str, cap: NanoUsd) -> Budget {
    Budget {
        id: Arc::from(id),
        name: Arc::from(format!("{id}-name")),
        scope: Scope::Organization,
        period: PeriodKind::Total,
        anchor_day: 1,
        time_zone: "UTC".to_owned(),
        cap,
        at_cap: AtCap::Block,
        downgrade_to: None,
        downgrade_at: Fraction::whole(),
        mode: BudgetMode::Enforce,
        clamp_output: false,
    }
}

fn claim(budget: u32) -> Claim {
    Claim { budget, scope_value: Arc::from("") }
}

fn cents(count: i64) -> NanoUsd {
    CENT.saturating_mul(count)
}

/// One worker: budgets, a spool that ships, and the task at the desk.
struct Worker {
    budgets: Arc<Budgets>,
    spool: Arc<Spool>,
    enrolment: Arc<Enrolment>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Worker {
    #[expect(clippy::disallowed_methods, reason = "the tasks end with the test, which waits for them")]
    async fn start(plane: &Arc<FakePlane>, times: LinkTimes) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let link: Arc<dyn ControlPlane> = Arc::clone(plane) as Arc<dyn ControlPlane>;
        let enrolment = Enrolment::load(dir.path(), TOKEN.to_owned().into());
        enrolment.enrol(link.as_ref(), "test").await.unwrap();
        let budgets = Budgets::new(Arc::clone(&link), Arc::clone(&enrolment), times);
        let config = SpoolConfig { segment_bytes: 64 << 10, batch_wait: Duration::from_millis(1), ..SpoolConfig::default() };
        let spool = Spool::start(&dir.path().join("spool"), config).unwrap();
        let stop = CancellationToken::new();
        let tasks = vec![
            tokio::spawn(Arc::clone(&budgets).serve(stop.clone())),
            tokio::spawn(Arc::clone(&spool).run(Arc::clone(&link), stop.clone())),
        ];
        Self { budgets, spool, enrolment, stop, tasks, _dir: dir }
    }

    async fn beat(&self) {
        self.beat_with(false).await.unwrap();
    }

    async fn beat_with(&self, leaving: bool) -> Result<HeartbeatReplyOf, LinkError> {
        let identity = self.enrolment.live().unwrap();
        let message = Heartbeat {
            worker_id: identity.worker_id.to_string(),
            incarnation: identity.incarnation,
            sequence: 0,
            in_flight: 0,
            revisions: std::collections::BTreeMap::new(),
            recovered: self.spool.recovered(),
            accounts: Vec::new(),
            health: None,
        };
        self.budgets.beat(message, &Fleet::default(), &self.spool, leaving).await
    }

    /// One exchange: reserves `worst`, costs `actual`, and is booked.
    async fn spend(&self, table: &BudgetTable, claims: &[Claim], worst: NanoUsd, actual: NanoUsd) -> Result<(), DenialReason> {
        let reservation = self.budgets.reserve_in(table, claims, worst, clock::now()).await?;
        tokio::task::yield_now().await;
        self.book(&policy::id::new_id(policy::id::IdKind::UsageEvent), reservation, actual);
        Ok(())
    }

    /// The exchange that reserved this costs `actual`, and is booked.
    fn book(&self, id: &str, reservation: Reservation, actual: NanoUsd) {
        let (mut opening, mut outcome) = event(id).split();
        (opening.held_in, outcome.charge_each) = (reservation.held_in(), actual);
        reservation.settle(actual);
        self.spool.close(None, &opening, &outcome, &Trace::default());
    }

    async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
        assert_eq!(self.budgets.leaks(), 0);
        assert_eq!(self.budgets.reserved(), NanoUsd::ZERO);
    }
}

type HeartbeatReplyOf = policy::link::HeartbeatReply;
use crate::link::LinkError;

fn quick() -> LinkTimes {
    LinkTimes { lease_wait: Duration::from_millis(1_500), idle_after: Duration::from_millis(50), ..LinkTimes::default() }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("did not come to pass within 5 s: {what}");
}

fn used(worker: &Worker, table: &BudgetTable, claim: &Claim) -> NanoUsd {
    View { budgets: &worker.budgets, table, now: clock::now() }.used(claim)
}

/// R-1, at four workers and five hundred requests.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_workers_and_five_hundred_requests_spend_a_budget_to_the_last_cent_and_not_beyond() {
    let plane = FakePlane::new();
    plane.set_cap("bud_1", cents(100));
    let tables: Vec<_> = (0..4).map(|_| BudgetTable::new(&[budget("bud_1", cents(100))])).collect();
    let workers = join_all((0..4).map(|_| Worker::start(&plane, quick()))).await;
    let claims = [claim(0)];
    let requests = (0..500).map(|number| workers[number % 4].spend(&tables[number % 4], &claims, cents(5), cents(5)));
    let beats = async {
        for _ in 0..40 {
            join_all(workers.iter().map(Worker::beat)).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (outcomes, ()) = tokio::join!(join_all(requests), beats);
    let served = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(DenialReason::Budget(_)))), "{outcomes:?}");
    assert_eq!(served, 20);
    until("booked", async || plane.settled("bud_1") == cents(100)).await;
    assert!(plane.lease_calls.load(SeqCst) < 300, "{} lease calls", plane.lease_calls.load(SeqCst));
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn money_that_was_reserved_and_not_spent_serves_those_who_come_later() {
    let plane = FakePlane::new();
    plane.set_cap("bud_1", cents(100));
    let table = BudgetTable::new(&[budget("bud_1", cents(100))]);
    let worker = Worker::start(&plane, quick()).await;
    for _ in 0..60 {
        worker.spend(&table, &[claim(0)], cents(40), cents(1)).await.unwrap();
    }
    until("booked", async || plane.settled("bud_1") == cents(60)).await;
    worker.beat().await;
    assert_eq!(used(&worker, &table, &claim(0)), cents(60));
    assert!(worker.spend(&table, &[claim(0)], cents(41), cents(1)).await.is_err());
    worker.spend(&table, &[claim(0)], cents(40), cents(1)).await.unwrap();
    worker.stop().await;
}

#[tokio::test]
async fn a_denial_says_how_the_budget_stands() {
    let plane = FakePlane::new();
    plane.set_cap("bud_1", cents(10));
    let table = BudgetTable::new(&[budget("bud_1", cents(10))]);
    let worker = Worker::start(&plane, quick()).await;
    worker.spend(&table, &[claim(0)], cents(8), cents(8)).await.unwrap();
    let Err(DenialReason::Budget(shortfall)) = worker.spend(&table, &[claim(0)], cents(3), cents(3)).await else { panic!("not refused") };
    let expected =
        BudgetShortfall { name: Arc::from("bud_1-name"), spend: cents(8), cap: cents(10), period: PeriodKind::Total, resets_at: None };
    assert_eq!(shortfall, expected);
    worker.stop().await;
}

#[tokio::test]
async fn money_idle_at_another_worker_is_recalled_and_arrives_in_time() {
    let plane = FakePlane::new();
    plane.set_cap("bud_1", cents(100));
    let table = BudgetTable::new(&[budget("bud_1", cents(100))]);
    let poor_table = BudgetTable::new(&[budget("bud_1", cents(100))]);
    let (rich, poor) = (Worker::start(&plane, quick()).await, Worker::start(&plane, quick()).await);
    let held = rich.budgets.reserve_in(&table, &[claim(0)], cents(90), clock::now()).await.unwrap();
    held.release();
    assert!(plane.held("bud_1") >= cents(90));
    let beats = async {
        for _ in 0..20 {
            rich.beat().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let claims = [claim(0)];
    let (outcome, ()) = tokio::join!(poor.spend(&poor_table, &claims, cents(50), cents(50)), beats);
    outcome.unwrap();
    rich.stop().await;
    poor.stop().await;
}

#[tokio::test]
async fn with_the_control_plane_away_what_is_leased_can_be_spent_and_nothing_more() {
    let plane = FakePlane::new();
    plane.set_cap("bud_1", NanoUsd::from_usd(100));
    let table = BudgetTable::new(&[budget("bud_1", NanoUsd::from_usd(100))]);
    let worker = Worker::start(&plane, quick()).await;
    worker.spend(&table, &[claim(0)], cents(10), cents(10)).await.unwrap();
    plane.away.store(true, SeqCst);
    let mut served = 0;
    let refused = loop {
        match worker.spend(&table, &[claim(0)], cents(10), cents(10)).await {
            Ok(()) => served += 1,
            Err(reason) => break reason,
        }
        assert!(served < 1_000);
    };
    assert!(served > 0, "the lease was for one request only");
    assert_eq!(refused, DenialReason::BudgetUnavailable);
    plane.away.store(false, SeqCst);
    worker.spend(&table, &[claim(0)], cents(10), cents(10)).await.unwrap();
    worker.stop().await;
}

#[tokio::test]
async fn an_expired_lease_takes_no_new_reservation_until_it_is_renewed() {
    let plane = FakePlane::new();
    plane.ttl_ms.store(200, SeqCst);
    plane.set_cap("bud_1", cents(100));
    let table = BudgetTable::new(&[budget("bud_1", cents(100))]);
    let worker = Worker::start(&plane, quick()).await;
    worker.spend(&table, &[claim(0)], cents(1), cents(1)).await.unwrap();
    plane.away.store(true, SeqCst);
    until("expired", async || worker.spend(&table, &[claim(0)], cents(1), cents(0)).await.is_err()).await;
    assert_eq!(worker.spend(&table, &[claim(0)], cents(1), cents(0)).await, Err(DenialReason::BudgetUnavailable));
    plane.away.store(false, SeqCst);
    worker.spend(&table, &[claim(0)], cents(1), cents(1)).await.unwrap();
    worker.stop().await;
}

#[tokio::test]
async fn budgets_that_do_not_block_are_counted_and_never_refuse() {
    let plane = FakePlane::new();
    plane.set_cap("bud_warn", NanoUsd::from_usd(1_000));
    let warn = Budget { at_cap: AtCap::WarnOnly, ..budget("bud_warn", cents(2)) };
    let shadow = Budget { mode: BudgetMode::Shadow, ..budget("bud_shadow", cents(2)) };
    let table = BudgetTable::new(&[warn, shadow]);
    let worker = Worker::start(&plane, LinkTimes::default()).await;
    let both = [claim(0), claim(1)];
    let reservation = worker.budgets.reserve_in(&table, &both, cents(5), clock::now()).await.unwrap();
    assert_eq!(used(&worker, &table, &claim(0)), cents(5));
    assert_eq!((reservation.held_in().len(), reservation.amount()), (2, cents(5)));
    assert!(reservation.held_in().iter().all(|held| held.lease_id.is_none()));
    worker.book("evt_1", reservation, cents(3));
    assert_eq!(used(&worker, &table, &claim(1)), cents(3));
    until("booked", async || plane.settled("bud_warn") == cents(3)).await;
    // Counted once while it moves from here into the ledger's figures, and once ever after.
    for _ in 0..6 {
        worker.beat().await;
        assert!(used(&worker, &table, &claim(0)) >= cents(3));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until("counted once", async || {
        worker.beat().await;
        used(&worker, &table, &claim(0)) == cents(3)
    })
    .await;
    assert_eq!(plane.lease_calls.load(SeqCst), 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_free_attempt_is_served_from_an_exhausted_budget_and_a_paid_one_is_not() {
    let plane = FakePlane::new();
    plane.set_cap("bud_1", cents(1));
    let table = BudgetTable::new(&[budget("bud_1", cents(1))]);
    let worker = Worker::start(&plane, quick()).await;
    worker.spend(&table, &[claim(0)], cents(1), cents(1)).await.unwrap();
    worker.spend(&table, &[claim(0)], NanoUsd::ZERO, NanoUsd::ZERO).await.unwrap();
    assert!(matches!(worker.spend(&table, &[claim(0)], cents(1), cents(1)).await, Err(DenialReason::Budget(_))));
    worker.stop().await;
}

#[tokio::test]
async fn when_one_of_several_budgets_is_short_nothing_is_held_in_the_others() {
    let plane = FakePlane::new();
    plane.set_cap("bud_wide", cents(1_000));
    plane.set_cap("bud_tight", cents(1));
    let table = BudgetTable::new(&[budget("bud_wide", cents(1_000)), budget("bud_tight", cents(1))]);
    let worker = Worker::start(&plane, quick()).await;
    let Err(DenialReason::Budget(shortfall)) = worker.spend(&table, &[claim(0), claim(1)], cents(2), cents(2)).await else {
        panic!("not refused")
    };
    assert_eq!(&*shortfall.name, "bud_tight-name");
    assert_eq!(worker.budgets.reserved(), NanoUsd::ZERO);
    worker.stop().await;
}

/// an edit reaches the worker as another bundle; what was used is not reset by it.
#[tokio::test]
async fn accounts_outlive_the_bundle() {
    let plane = FakePlane::new();
    plane.set_cap("bud_1", cents(10));
    let worker = Worker::start(&plane, quick()).await;
    let before = BudgetTable::new(&[budget("bud_1", cents(10))]);
    worker.spend(&before, &[claim(0)], cents(10), cents(10)).await.unwrap();
    let after = BudgetTable::new(&[budget("bud_other", cents(1)), budget("bud_1", cents(12))]);
    assert_eq!(used(&worker, &after, &claim(1)), cents(10));
    plane.set_cap("bud_1", cents(12));
    worker.spend(&after, &[claim(1)], cents(2), cents(2)).await.unwrap();
    assert!(worker.spend(&after, &[claim(1)], cents(1), cents(1)).await.is_err());
    worker.stop().await;
}

/// what was reserved in a period is charged to it, whenever it ends.
#[tokio::test]
async fn a_period_that_ends_keeps_what_was_reserved_in_it() {
    let plane = FakePlane::new();
    let daily = Budget { period: PeriodKind::Daily, ..budget("bud_1", cents(10)) };
    let table = BudgetTable::new(&[daily]);
    let worker = Worker::start(&plane, quick()).await;
    let midnight = clock::now().date_naive().succ_opt().unwrap().and_hms_opt(0, 0, 0).unwrap().and_utc();
    let just_before = midnight - chrono::TimeDelta::milliseconds(1);
    let late = worker.budgets.reserve_in(&table, &[claim(0)], cents(4), just_before).await.unwrap();
    let early = worker.budgets.reserve_in(&table, &[claim(0)], cents(5), midnight).await.unwrap();
    assert_eq!(early.held_in()[0].period.start, midnight);
    assert_eq!(late.held_in()[0].period.start, midnight - chrono::TimeDelta::days(1));
    late.settle(cents(4));
    early.settle(cents(5));
    let view = |now| View { budgets: &worker.budgets, table: &table, now }.used(&claim(0));
    assert_eq!((view(just_before), view(midnight)), (cents(4), cents(5)));
    worker.stop().await;
}

#[tokio::test]
async fn each_value_has_an_account_of_its_own_and_unused_ones_are_let_go() {
    let plane = FakePlane::new();
    plane.set_cap("bud_1", cents(1_000));
    let each = Budget { scope: Scope::EachEndUser, ..budget("bud_1", cents(10)) };
    let table = BudgetTable::new(&[each]);
    let worker = Worker::start(&plane, quick()).await;
    let of = |user: &str| Claim { budget: 0, scope_value: Arc::from(user) };
    for user in ["ann", "bob"] {
        worker.spend(&table, &[of(user)], cents(2), cents(1)).await.unwrap();
    }
    assert_eq!((used(&worker, &table, &of("ann")), used(&worker, &table, &of("eve"))), (cents(1), NanoUsd::ZERO));
    until("let go", async || {
        worker.beat().await;
        worker.budgets.account_count() == 0
    })
    .await;
    assert_eq!((plane.held("bud_1"), plane.settled("bud_1")), (NanoUsd::ZERO, cents(2)));
    worker.spend(&table, &[of("ann")], cents(2), cents(1)).await.unwrap();
    worker.beat().await;
    until("known again", async || {
        worker.beat().await;
        used(&worker, &table, &of("ann")) == cents(2)
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_that_leaves_gives_everything_back() {
    let plane = FakePlane::new();
    plane.set_cap("bud_1", NanoUsd::from_usd(10));
    let table = BudgetTable::new(&[budget("bud_1", NanoUsd::from_usd(10))]);
    let worker = Worker::start(&plane, LinkTimes::default()).await;
    worker.spend(&table, &[claim(0)], cents(2), cents(1)).await.unwrap();
    assert!(plane.held("bud_1").is_positive());
    until("given back", async || {
        worker.beat_with(true).await.unwrap();
        plane.held("bud_1") == NanoUsd::ZERO
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_caller_that_goes_away_while_waiting_leaves_nothing_behind() {
    let plane = FakePlane::new();
    plane.set_cap("bud_1", cents(100));
    let table = BudgetTable::new(&[budget("bud_1", cents(100))]);
    let worker = Worker::start(&plane, quick()).await;
    let claims = [claim(0)];
    for _ in 0..50 {
        let mut waiting = Box::pin(worker.budgets.reserve_in(&table, &claims, cents(60), clock::now()));
        drop(tokio::time::timeout(Duration::from_micros(300), &mut waiting).await.map(|reservation| reservation.map(Reservation::release)));
        drop(waiting);
    }
    until("nothing is held", async || worker.budgets.reserved() == NanoUsd::ZERO).await;
    worker.spend(&table, &[claim(0)], cents(100), cents(100)).await.unwrap();
    worker.stop().await;
}

#[tokio::test]
async fn a_reservation_that_is_dropped_is_released_and_counted_as_a_leak() {
    let plane = FakePlane::new();
    let table = BudgetTable::new(&[budget("bud_1", cents(100))]);
    let worker = Worker::start(&plane, quick()).await;
    drop(worker.budgets.reserve_in(&table, &[claim(0)], cents(60), clock::now()).await.unwrap());
    assert_eq!((worker.budgets.leaks(), worker.budgets.reserved()), (1, NanoUsd::ZERO));
    worker.stop.cancel();
}

#[tokio::test]
async fn asking_first_makes_an_account_known_and_costs_nothing_once_it_is() {
    let plane = FakePlane::new();
    plane.set_cap("bud_1", cents(100));
    let table = BudgetTable::new(&[budget("bud_1", cents(100))]);
    let (one, other) = (Worker::start(&plane, quick()).await, Worker::start(&plane, quick()).await);
    one.spend(&table, &[claim(0)], cents(7), cents(7)).await.unwrap();
    until("booked", async || plane.settled("bud_1") == cents(7)).await;
    let table = BudgetTable::new(&[budget("bud_1", cents(100))]);
    assert!(other.budgets.learn_in(&table, &[claim(0)], clock::now()).await);
    assert_eq!(used(&other, &table, &claim(0)), cents(7));
    let calls = plane.lease_calls.load(SeqCst);
    assert!(!other.budgets.learn_in(&table, &[claim(0)], clock::now()).await);
    assert_eq!(plane.lease_calls.load(SeqCst), calls);
    one.stop().await;
    other.stop().await;
}

/// The fast path under real threads: four budgets, many settlements, no cent too many.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_with_four_budgets_settle_exactly_what_they_spent() {
    let plane = FakePlane::new();
    let names = ["bud_1", "bud_2", "bud_3", "bud_4"];
    names.iter().for_each(|name| plane.set_cap(name, NanoUsd::from_usd(1_000)));
    let table = Arc::new(BudgetTable::new(&names.map(|name| budget(name, NanoUsd::from_usd(1_000)))));
    let worker = Arc::new(Worker::start(&plane, quick()).await);
    let claims: Vec<Claim> = (0..4).map(claim).collect();
    #[expect(clippy::disallowed_methods, reason = "the tasks end with the test, which waits for them")]
    let tasks: Vec<_> = (0..8)
        .map(|task: i64| {
            let (worker, table, claims) = (Arc::clone(&worker), Arc::clone(&table), claims.clone());
            tokio::spawn(async move {
                let mut spent = NanoUsd::ZERO;
                for round in 0..200 {
                    let actual = NanoUsd::from_nanos(1 + (task * 31 + round * 7) % 1_000);
                    worker.spend(&table, &claims, NanoUsd::from_nanos(1_000), actual).await.unwrap();
                    spent = spent.saturating_add(actual);
                }
                spent
            })
        })
        .collect();
    let spent: NanoUsd = join_all(tasks).await.into_iter().map(Result::unwrap).sum();
    until("booked", async || names.iter().all(|name| plane.settled(name) == spent)).await;
    worker.beat().await;
    claims.iter().for_each(|claim| assert_eq!(used(&worker, &table, claim), spent));
    Arc::into_inner(worker).unwrap().stop().await;
}

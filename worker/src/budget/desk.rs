//! Where requests wait whose lease is short, and the one place that asks the control plane for money.
//!
//! Behaviour: those who wait are served in the order they came; who wants the same account as somebody before waits behind. One call at a
//! time asks for everything that is missing: at least what the first in line needs, and, as a wish, what the others do. The answer is
//! dealt out in order. Whoever the money does not reach is turned away, together with everyone who wants as much or more, unless other
//! workers were asked to give some back: then the line waits and asks again, each request until its own deadline.
//!
//! Why one line: five hundred requests on a nearly empty budget make one call, not five hundred, and none is starved.
//!
//! Special cases: money that a local request gives back rings the bell, and the line is served before anybody is asked. A request that
//! went away leaves the line; what it was just handed goes back. With the control plane away everybody is turned away at once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use policy::link::{AccountStatus, LeaseCall, LeaseWant};
use policy::money::NanoUsd;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::Budgets;
use super::account::Account;
use super::reservation::Held;
use crate::clock;
use crate::link::LinkError;

/// How long to wait before asking again where money was recalled from other workers.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How often the line is looked at while somebody waits.
const LOOK: Duration = Duration::from_millis(20);
/// Room for the answer to be dealt out after a deadline has passed.
const GRACE: Duration = Duration::from_millis(500);
/// A worker that has just started, or heard so lately that it has to enrol again, is about to be enrolled: requests wait for that rather than
/// being refused.
const ENROLLING_MS: u64 = 5_000;
const ENROLMENT_WAIT: Duration = Duration::from_secs(1);

/// Why a request leaves the line without money.
#[derive(Debug)]
pub(super) enum Turned {
    /// This account has not enough.
    Away(Arc<Account>),
    /// Nobody can say.
    Unavailable,
}

/// The line.
#[derive(Default)]
pub(super) struct Desk {
    line: Mutex<Line>,
    bell: Arc<Notify>,
}

#[derive(Default)]
struct Line {
    waiters: VecDeque<Waiter>,
    inquiries: Vec<Inquiry>,
}

struct Waiter {
    accounts: Vec<Arc<Account>>,
    amount: i64,
    deadline: Instant,
    reply: oneshot::Sender<Result<Held, Turned>>,
}

/// Somebody only wants to know how accounts stand.
struct Inquiry {
    accounts: Vec<Arc<Account>>,
    /// Dropped once the control plane was asked; that is the answer.
    _asked: Option<oneshot::Sender<()>>,
}

/// One wish of a call, and what it was made for.
struct Ask {
    account: Arc<Account>,
    /// What the first in line wants of it; nothing where it is only an inquiry.
    head: i64,
    /// What all in line want of it.
    sum: i64,
    need: i64,
    /// The lease at the time.
    lease_id: Option<Arc<str>>,
    /// How much was given.
    given: i64,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.accounts.iter().for_each(|account| account.end_wait());
    }
}

impl Desk {
    pub(super) fn bell(&self) -> &Arc<Notify> {
        &self.bell
    }

    /// Waits in line for `amount` of each account.
    pub(super) async fn wait_in_line(&self, accounts: Vec<Arc<Account>>, amount: i64, deadline: Instant) -> Result<Held, Turned> {
        let (reply, answer) = oneshot::channel();
        accounts.iter().for_each(|account| account.begin_wait());
        self.line.lock().waiters.push_back(Waiter { accounts, amount, deadline, reply });
        self.bell.notify_one();
        let limit = deadline.checked_add(GRACE).unwrap_or(deadline);
        match tokio::time::timeout_at(limit.into(), answer).await {
            Ok(Ok(outcome)) => outcome,
            // Nobody serves the line (the worker is shutting down): no money.
            Ok(Err(_)) | Err(_) => Err(Turned::Unavailable),
        }
    }

    /// Waits until the control plane was asked about `accounts`, or could not be, or `limit` passed.
    pub(super) async fn inquire(&self, accounts: Vec<Arc<Account>>, limit: Duration) {
        let (asked, answer) = oneshot::channel();
        self.line.lock().inquiries.push(Inquiry { accounts, _asked: Some(asked) });
        self.bell.notify_one();
        // Either way the caller looks for itself what is known now.
        drop(tokio::time::timeout(limit, answer).await);
    }

    /// As [`Desk::inquire`], without waiting.
    pub(super) fn ask_about(&self, accounts: Vec<Arc<Account>>) {
        if !accounts.is_empty() {
            self.line.lock().inquiries.push(Inquiry { accounts, _asked: None });
            self.bell.notify_one();
        }
    }

    /// Hands out what is there, in order; gives whether anybody still waits.
    fn serve(&self, now_ms: u64) -> bool {
        let mut line = self.line.lock();
        let mut short: Vec<*const Account> = Vec::new();
        let now = clock::instant();
        let mut still_waiting = VecDeque::with_capacity(line.waiters.len());
        for waiter in line.waiters.drain(..) {
            if waiter.reply.is_closed() {
                continue;
            }
            let behind = waiter.accounts.iter().find(|account| short.contains(&Arc::as_ptr(account)));
            let missing = match behind {
                Some(account) => Arc::clone(account),
                None => match self.hand_out(&waiter, now_ms) {
                    Ok(held) => {
                        answer(waiter, Ok(held));
                        continue;
                    }
                    Err(account) => account,
                },
            };
            if waiter.deadline <= now {
                answer(waiter, Err(Turned::Away(missing)));
                continue;
            }
            if !short.contains(&Arc::as_ptr(&missing)) {
                short.push(Arc::as_ptr(&missing));
            }
            still_waiting.push_back(waiter);
        }
        line.waiters = still_waiting;
        !line.waiters.is_empty()
    }

    /// All of what `waiter` wants, or the account that is short.
    fn hand_out(&self, waiter: &Waiter, now_ms: u64) -> Result<Held, Arc<Account>> {
        let mut held = Held::new(waiter.amount, &self.bell);
        for account in &waiter.accounts {
            let lease = account.lease();
            let lease = lease.as_ref().filter(|lease| lease.take(waiter.amount, now_ms)).map(Arc::clone);
            // Who waits keeps the account from being retired, so entering does not fail.
            if lease.is_none() || !held.add(Arc::clone(account), lease) {
                return Err(Arc::clone(account));
            }
        }
        Ok(held)
    }

    /// What to ask for now, and the inquiries that are answered with it.
    fn asks(&self, now_ms: u64) -> (Vec<Ask>, Vec<Inquiry>) {
        let mut line = self.line.lock();
        let mut asks: Vec<Ask> = Vec::new();
        let mut places: HashMap<*const Account, usize> = HashMap::new();
        let wanted = line.waiters.iter().flat_map(|waiter| waiter.accounts.iter().map(|account| (account, waiter.amount)));
        let asked = line.inquiries.iter().flat_map(|inquiry| inquiry.accounts.iter().map(|account| (account, 0)));
        for (account, amount) in wanted.chain(asked) {
            let place = *places.entry(Arc::as_ptr(account)).or_insert_with(|| {
                asks.push(Ask { account: Arc::clone(account), head: amount, sum: 0, need: 0, lease_id: None, given: 0 });
                asks.len().saturating_sub(1)
            });
            if let Some(ask) = asks.get_mut(place) {
                ask.sum = ask.sum.saturating_add(amount);
            }
        }
        let inquiries = std::mem::take(&mut line.inquiries);
        drop(line);
        asks.retain_mut(|ask| ask.is_due(now_ms));
        (asks, inquiries)
    }

    /// Turns away whom the answer does not reach.
    fn refuse(&self, asks: &[Ask], statuses: &[AccountStatus], now_ms: u64) {
        for (ask, status) in asks.iter().zip(statuses).filter(|(ask, _)| ask.head > 0 && !ask.was_met(now_ms)) {
            if status.coming.is_positive() {
                ask.account.ask_again_at(now_ms.saturating_add(u64::try_from(ASK_AGAIN.as_millis()).unwrap_or(u64::MAX)));
                continue;
            }
            ask.account.note_refusal(ask.head, now_ms);
            let wants_it =
                |waiter: &Waiter| waiter.amount >= ask.head && waiter.accounts.iter().any(|account| Arc::ptr_eq(account, &ask.account));
            self.turn_away(wants_it, || Turned::Away(Arc::clone(&ask.account)));
        }
    }

    fn turn_away(&self, who: impl Fn(&Waiter) -> bool, why: impl Fn() -> Turned) {
        let mut line = self.line.lock();
        let (away, stay): (VecDeque<_>, VecDeque<_>) = line.waiters.drain(..).partition(who);
        line.waiters = stay;
        drop(line);
        away.into_iter().for_each(|waiter| answer(waiter, Err(why())));
    }
}

/// Answers a waiter and takes it out of the line of its accounts.
fn answer(mut waiter: Waiter, outcome: Result<Held, Turned>) {
    // Before the answer, so that the next request of the same caller does not find itself behind itself.
    waiter.accounts.drain(..).for_each(|account| account.end_wait());
    let (unused, _) = oneshot::channel();
    let reply = std::mem::replace(&mut waiter.reply, unused);
    // A caller that went away: what it was handed goes back as it is dropped.
    drop(reply.send(outcome));
}

impl Ask {
    /// Works out what to ask for; false where nothing is to be asked now.
    fn is_due(&mut self, now_ms: u64) -> bool {
        let lease = self.account.lease();
        let available = lease.as_ref().map_or(0, |lease| lease.available());
        let good = lease.as_ref().is_some_and(|lease| lease.is_good(now_ms));
        self.lease_id = lease.as_ref().map(|lease| Arc::clone(lease.id()));
        self.need = self.head.saturating_sub(available).max(0);
        if self.head == 0 {
            return true;
        }
        (!good || available < self.head) && self.account.may_ask(now_ms)
    }

    fn note_given(&mut self, given: i64, now_ms: u64) {
        self.given = given;
        if self.need > 0 && given >= self.need {
            self.account.note_scarce(given > self.need, now_ms);
        }
    }

    /// Whether the answer gave what was asked for. Judged by what was given and not by what is there: that may be handed out already.
    /// With another lease than the one the question was about, the question is to be asked again.
    fn was_met(&self, now_ms: u64) -> bool {
        let lease = self.account.lease();
        let Some(lease) = lease.as_ref() else { return false };
        self.given >= self.need && lease.is_good(now_ms) || self.lease_id.as_ref() != Some(lease.id())
    }

    fn want(&self, now_ms: u64) -> LeaseWant {
        let in_line = self.sum.saturating_sub(self.head).max(0);
        let like = if self.need == 0 { 0 } else { self.account.would_like(self.need, in_line, now_ms) };
        LeaseWant { period: self.account.period().clone(), need: NanoUsd::from_nanos(self.need), like: NanoUsd::from_nanos(like) }
    }
}

impl Budgets {
    /// Serves the line until `stop`. Requests whose lease is short get no money while this does not run.
    pub async fn serve(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let waiting = self.desk.serve(self.now_ms());
            let (asks, inquiries) = self.desk.asks(self.now_ms());
            if !asks.is_empty() {
                self.ask(asks).await;
                // Whoever only asked looks at the accounts by itself.
                drop(inquiries);
                if self.desk.serve(self.now_ms()) {
                    tokio::task::yield_now().await;
                    continue;
                }
            }
            tokio::select! {
                () = self.desk.bell.notified() => {}
                () = tokio::time::sleep(LOOK), if waiting => {}
                () = stop.cancelled() => break,
            }
        }
        self.desk.turn_away(|_| true, || Turned::Unavailable);
    }

    /// One call, its answer applied and dealt out.
    async fn ask(&self, mut asks: Vec<Ask>) {
        let mut turn = self.line.lock().await;
        let sequence = turn.next();
        let sent_ms = self.now_ms();
        let wants: Vec<LeaseWant> = asks.iter().map(|ask| ask.want(sent_ms)).collect();
        let answer = self.lease(wants, sequence).await;
        let now_ms = self.now_ms();
        match answer {
            Ok(statuses) => {
                for (ask, status) in asks.iter_mut().zip(&statuses) {
                    let given = ask.account.apply(status, sent_ms);
                    ask.note_given(given, now_ms);
                }
                drop(turn);
                self.desk.serve(now_ms);
                self.desk.refuse(&asks, &statuses, now_ms);
            }
            Err(error) => {
                drop(turn);
                tracing::warn!(error = %error, accounts = asks.len(), "budget leases can't be had");
                self.desk.turn_away(
                    |waiter| waiter.accounts.iter().any(|account| asks.iter().any(|ask| Arc::ptr_eq(&ask.account, account))),
                    || Turned::Unavailable,
                );
            }
        }
    }

    async fn lease(&self, wants: Vec<LeaseWant>, sequence: u64) -> Result<Vec<AccountStatus>, LinkError> {
        let identity = match self.enrolment.live() {
            Some(identity) => identity,
            None if self.now_ms().saturating_sub(self.heard_ms.load(Ordering::Relaxed)) < ENROLLING_MS => {
                let enrolled = tokio::time::timeout(ENROLMENT_WAIT, self.enrolment.wait_live()).await;
                enrolled.map_err(|_| LinkError::NotEnrolled)?
            }
            None => return Err(LinkError::NotEnrolled),
        };
        let call = LeaseCall { worker_id: identity.worker_id.to_string(), incarnation: identity.incarnation, sequence, wants };
        let reply = self.link.lease(&call).await?;
        let matches = reply.accounts.len() == call.wants.len()
            && reply.accounts.iter().zip(&call.wants).all(|(status, want)| status.period == want.period);
        if !matches {
            return Err(LinkError::Unreadable { call: "leases", source: "accounts do not answer the wishes".into() });
        }
        Ok(reply.accounts)
    }
}

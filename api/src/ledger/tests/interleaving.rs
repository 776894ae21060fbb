//! Workers reserve, settle, ship, give back, crash, come back, vanish, in any order: the cap holds at every step, and in the end every
//! amount that was shipped is booked, exactly once.

use policy::event::UsageEvent;
use policy::money::NanoUsd;
use proptest::prelude::*;

use super::world::{World, batch, charge, event, month, report, usd};

const CAP: i64 = 1000;
const WORKERS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Reserve { worker: usize, cents: i64, like: i64 },
    Settle { worker: usize, percent: i64 },
    Ship { worker: usize, twice: bool },
    Beat { worker: usize, give_back: bool, close: bool },
    Crash { worker: usize },
    Vanish { worker: usize },
    Pass { seconds: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let worker = 0..WORKERS;
    let step = prop_oneof![
        8 => (worker.clone(), 1_i64..200, 0_i64..300).prop_map(|(worker, cents, like)| Step::Reserve { worker, cents, like }),
        6 => (worker.clone(), 0_i64..=100).prop_map(|(worker, percent)| Step::Settle { worker, percent }),
        4 => (worker.clone(), any::<bool>()).prop_map(|(worker, twice)| Step::Ship { worker, twice }),
        5 => (worker.clone(), any::<bool>(), any::<bool>()).prop_map(|(worker, give_back, close)| Step::Beat { worker, give_back, close }),
        1 => worker.clone().prop_map(|worker| Step::Crash { worker }),
        1 => worker.prop_map(|worker| Step::Vanish { worker }),
        2 => (1_i64..250).prop_map(|seconds| Step::Pass { seconds }),
    ];
    proptest::collection::vec(step, 1..50)
}

/// A worker as this test plays it.
#[derive(Default)]
struct Player {
    name: String,
    incarnation: u64,
    lease_id: String,
    granted: NanoUsd,
    settled: NanoUsd,
    reserved: Vec<NanoUsd>,
    unshipped: Vec<UsageEvent>,
    recovered: bool,
}

impl Player {
    fn in_use(&self) -> NanoUsd {
        self.reserved.iter().copied().sum()
    }

    fn free(&self) -> NanoUsd {
        self.granted.saturating_sub(self.settled).saturating_sub(self.in_use())
    }

    fn take(&mut self, status: &policy::link::AccountStatus) {
        if *self.lease_id != *status.lease_id {
            self.lease_id = status.lease_id.to_string();
            self.settled = NanoUsd::ZERO;
        }
        self.granted = status.granted;
    }
}

struct Game {
    world: World,
    players: Vec<Player>,
    events: u32,
    born: usize,
    shipped: NanoUsd,
}

impl Game {
    async fn new() -> Self {
        let mut game = Self { world: World::new(usd(CAP)).await, players: Vec::new(), events: 0, born: 0, shipped: NanoUsd::ZERO };
        for _ in 0..WORKERS {
            let player = game.newborn().await;
            game.players.push(player);
        }
        game
    }

    async fn newborn(&mut self) -> Player {
        self.born += 1;
        let name = format!("wrk_{}", self.born);
        self.world.enrol(&name, 1).await;
        Player { name, incarnation: 1, recovered: true, ..Player::default() }
    }

    fn spend(&mut self, worker: usize, amount: NanoUsd) {
        self.events += 1;
        let player = &mut self.players[worker];
        let charges = vec![charge(&month("bud_1", ""), &player.lease_id, amount)];
        player.unshipped.push(event(&format!("evt_{:06}", self.events), amount, charges));
        player.settled = player.settled.saturating_add(amount);
    }

    async fn play(&mut self, step: &Step) {
        let period = month("bud_1", "");
        match *step {
            Step::Reserve { worker, cents, like } => {
                let player = &mut self.players[worker];
                let short = usd(cents).saturating_sub(player.free());
                if short.is_positive() {
                    let status = self.world.lease(&player.name, player.incarnation, &period, short, usd(like)).await;
                    player.take(&status);
                }
                if player.free() >= usd(cents) {
                    player.reserved.push(usd(cents));
                }
            }
            Step::Settle { worker, percent } => {
                if let Some(reserved) = self.players[worker].reserved.pop() {
                    self.spend(worker, NanoUsd::from_nanos(reserved.nanos() / 100 * percent));
                }
            }
            Step::Ship { worker, twice } => self.ship(worker, twice).await,
            Step::Beat { worker, give_back, close } => self.beat(worker, give_back, close).await,
            Step::Crash { worker } => {
                // What was in flight was journaled at its reserved amount.
                for amount in std::mem::take(&mut self.players[worker].reserved) {
                    self.spend(worker, amount);
                }
                let player = &mut self.players[worker];
                player.incarnation += 1;
                player.recovered = false;
                (player.lease_id, player.granted, player.settled) = (String::new(), NanoUsd::ZERO, NanoUsd::ZERO);
                self.world.enrol(&player.name, i64::try_from(player.incarnation).unwrap()).await;
            }
            Step::Vanish { worker } => self.players[worker] = self.newborn().await,
            Step::Pass { seconds } => {
                // Live workers beat meanwhile; only those that vanished fall silent.
                for _ in 0..seconds.div_euclid(9) + 1 {
                    self.world.pass(9);
                    for worker in 0..WORKERS {
                        self.beat(worker, false, false).await;
                    }
                }
                self.world.ledger.close_lost_leases().await.unwrap();
            }
        }
    }

    async fn ship(&mut self, worker: usize, twice: bool) {
        let events = std::mem::take(&mut self.players[worker].unshipped);
        for _ in 0..=usize::from(twice) {
            self.world.ledger.book(&batch(&events)).await.unwrap();
        }
        self.shipped = self.shipped.saturating_add(events.iter().map(|event| event.cost).sum());
        self.players[worker].recovered = true;
    }

    async fn beat(&mut self, worker: usize, give_back: bool, close: bool) {
        let period = month("bud_1", "");
        let player = &mut self.players[worker];
        let back = if give_back { player.free().max(NanoUsd::ZERO) } else { NanoUsd::ZERO };
        player.granted = player.granted.saturating_sub(back);
        let reports = if player.lease_id.is_empty() {
            vec![]
        } else {
            vec![report(&period, &player.lease_id, player.in_use(), back, close && player.reserved.is_empty())]
        };
        let statuses = self.world.beat(&player.name, player.incarnation, player.recovered, reports).await;
        if let Some(status) = statuses.first() {
            player.take(status);
        }
    }

    async fn check(&self) {
        let (settled, leased) = self.world.sums().await;
        assert!(settled.saturating_add(leased) <= usd(CAP), "settled {settled} and leased {leased} pass the cap");
        assert_eq!(settled, self.shipped);
        // What workers really hold is never more than the ledger counts for them.
        let unshipped: NanoUsd = self.players.iter().flat_map(|player| &player.unshipped).map(|event| event.cost).sum();
        let reserved: NanoUsd = self.players.iter().map(Player::in_use).sum();
        assert!(unshipped.saturating_add(reserved) <= leased, "unshipped {unshipped} and reserved {reserved} pass what is leased {leased}");
    }

    async fn finish(&mut self) {
        for worker in 0..WORKERS {
            while let Some(reserved) = self.players[worker].reserved.pop() {
                self.spend(worker, reserved);
            }
            self.ship(worker, false).await;
            self.beat(worker, true, true).await;
            self.beat(worker, true, true).await;
        }
        self.world.pass(1000);
        self.world.ledger.close_lost_leases().await.unwrap();
        assert_eq!(self.world.sums().await, (self.shipped, NanoUsd::ZERO));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_cap_holds_and_nothing_is_lost_in_any_order_of_events(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut game = Game::new().await;
            for step in &steps {
                game.play(step).await;
                game.check().await;
            }
            game.finish().await;
        });
    }
}

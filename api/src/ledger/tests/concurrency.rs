//! Many workers at one budget at once.

use std::sync::Arc;

use policy::event::UsageEvent;
use policy::link::{LeaseCall, LeaseWant};
use tokio::task::JoinSet;

use super::world::{World, batch, charge, event, month, usd};

/// Batches that share events and accounts in opposite orders, while leases are granted on the same accounts.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_batches_and_leases_neither_deadlock_nor_book_twice() {
    let world = Arc::new(World::new(usd(1_000_000)).await);
    world.enrol("wrk_1", 1).await;
    let events: Vec<UsageEvent> = (0..600)
        .map(|n: u32| {
            let first = charge(&month("bud_1", &format!("user-{}", n % 40)), "", usd(1));
            let second = charge(&month("bud_1", &format!("user-{}", (n * 7 + 1) % 40)), "", usd(1));
            event(&format!("evt_{n:05}"), usd(2), vec![first, second])
        })
        .collect();
    let events = Arc::new(events);
    let mut tasks = JoinSet::new();
    for writer in 0..8_usize {
        let (world, events) = (Arc::clone(&world), Arc::clone(&events));
        tasks.spawn(async move {
            let mut booked = 0;
            let mut parts: Vec<&[UsageEvent]> = events.chunks(100).collect();
            if writer % 2 == 1 {
                parts.reverse();
            }
            for part in parts {
                booked += world.ledger.book(&batch(part)).await.unwrap().booked;
            }
            booked
        });
    }
    for n in 1..=4 {
        let (world, worker_id) = (Arc::clone(&world), format!("wrk_{n}"));
        world.enrol(&worker_id, 1).await;
        tasks.spawn(async move {
            for round in 0..20 {
                let wants = (0..6).map(|n| format!("user-{}", (round * 11 + n * 13) % 40));
                let wants = wants.map(|value| LeaseWant { period: month("bud_1", &value), need: usd(1), like: usd(5) }).collect();
                let call = LeaseCall { worker_id: worker_id.clone(), incarnation: 1, sequence: round + 1, wants };
                world.ledger.lease(&call).await.unwrap();
            }
            0
        });
    }
    let booked: u32 = tasks.join_all().await.into_iter().sum();
    assert_eq!(booked, 600);
    let settled: i64 = world.periods().await.iter().map(|period| period.settled_nano).sum();
    assert_eq!(settled, usd(1200).nanos());
}

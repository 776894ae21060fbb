//! What is settled and leased never passes a cap.

use chrono::TimeDelta;
use entity::lease;
use policy::money::NanoUsd;

use super::world::{LIMITS, World, batch, charge, event, month, report, usd};
use crate::ledger::{LeaseError, LeaseLimits};

#[tokio::test]
async fn a_grant_adds_what_is_liked_while_there_is_plenty_and_only_what_is_needed_near_the_cap() {
    let world = World::new(usd(1000)).await;
    world.enrol("wrk_1", 1).await;
    let period = month("bud_1", "");
    let plenty = world.lease("wrk_1", 1, &period, usd(5), usd(200)).await;
    assert_eq!(plenty.granted, usd(205));
    let all_but_three = world.lease("wrk_1", 1, &period, usd(792), usd(0)).await;
    assert_eq!(all_but_three.granted, usd(997));
    let near = world.lease("wrk_1", 1, &period, usd(2), usd(200)).await;
    assert_eq!(near.granted, usd(999));
    assert_eq!(near.lease_id, plenty.lease_id);
    let too_much = world.lease("wrk_1", 1, &period, usd(2), usd(200)).await;
    assert_eq!((too_much.granted, too_much.coming), (usd(999), NanoUsd::ZERO));
    assert_eq!(world.sums().await, (usd(0), usd(999)));
}

#[tokio::test]
async fn a_worker_that_is_short_gets_what_another_gives_back() {
    let world = World::new(usd(100)).await;
    world.enrol("wrk_1", 1).await;
    world.enrol("wrk_2", 1).await;
    let period = month("bud_1", "");
    let first = world.lease("wrk_1", 1, &period, usd(90), usd(0)).await;
    world.beat("wrk_1", 1, true, vec![report(&period, &first.lease_id, usd(10), usd(0), false)]).await;
    let short = world.lease("wrk_2", 1, &period, usd(50), usd(0)).await;
    assert_eq!((short.granted, short.coming, short.reserved_elsewhere), (usd(0), usd(80), usd(10)));
    let told = world.beat("wrk_1", 1, true, vec![report(&period, &first.lease_id, usd(10), usd(0), false)]).await;
    assert!(told[0].recall);
    let back = world.beat("wrk_1", 1, true, vec![report(&period, &first.lease_id, usd(10), usd(80), false)]).await;
    assert_eq!((back[0].granted, back[0].recall), (usd(10), false));
    let served = world.lease("wrk_2", 1, &period, usd(50), usd(0)).await;
    assert_eq!(served.granted, usd(50));
}

#[tokio::test]
async fn a_lost_worker_holds_its_lease_until_the_deadline_and_no_longer() {
    let world = World::new(usd(100)).await;
    world.enrol("wrk_1", 1).await;
    let period = month("bud_1", "");
    world.lease("wrk_1", 1, &period, usd(60), usd(0)).await;
    world.enrol("wrk_2", 1).await;
    world.pass(600);
    world.ledger.close_lost_leases().await.unwrap();
    let refused = world.lease("wrk_2", 1, &period, usd(50), usd(0)).await;
    assert_eq!((refused.granted, refused.coming), (usd(0), usd(0)), "what a lost worker holds can't be recalled");
    world.pass(11);
    world.ledger.close_lost_leases().await.unwrap();
    world.ledger.close_lost_leases().await.unwrap();
    assert_eq!(world.leases().await[0].state, lease::State::Expired);
    assert_eq!(world.lease("wrk_2", 1, &period, usd(50), usd(0)).await.granted, usd(50));
}

#[tokio::test]
async fn a_worker_that_is_back_frees_its_old_lease_once_its_events_are_in() {
    let world = World::new(usd(100)).await;
    world.enrol("wrk_1", 1).await;
    let period = month("bud_1", "");
    let old = world.lease("wrk_1", 1, &period, usd(80), usd(0)).await;
    world.enrol("wrk_1", 2).await;
    assert_eq!(world.lease("wrk_1", 2, &period, usd(30), usd(0)).await.granted, usd(0));
    world.beat("wrk_1", 2, false, vec![]).await;
    assert_eq!(world.sums().await, (usd(0), usd(80)));
    world.ledger.book(&batch([&event("evt_1", usd(7), vec![charge(&period, &old.lease_id, usd(7))])])).await.unwrap();
    world.beat("wrk_1", 2, true, vec![]).await;
    assert_eq!(world.sums().await, (usd(7), usd(0)));
    assert_eq!(world.lease("wrk_1", 2, &period, usd(93), usd(0)).await.granted, usd(93));
}

#[tokio::test]
async fn an_earlier_life_can_touch_no_money() {
    let world = World::new(usd(100)).await;
    world.enrol("wrk_1", 2).await;
    let call = policy::link::LeaseCall { worker_id: "wrk_1".to_owned(), incarnation: 1, sequence: world.next(), wants: vec![] };
    assert!(matches!(world.ledger.lease(&call).await, Err(LeaseError::NotEnrolled { .. })));
}

#[tokio::test]
async fn an_edited_cap_is_followed_and_one_below_what_is_out_grants_nothing() {
    let world = World::new(usd(100)).await;
    world.enrol("wrk_1", 1).await;
    let period = month("bud_1", "");
    world.lease("wrk_1", 1, &period, usd(60), usd(0)).await;
    world.set_cap(usd(50)).await;
    let lowered = world.lease("wrk_1", 1, &period, usd(1), usd(10)).await;
    assert_eq!((lowered.cap, lowered.granted), (usd(50), usd(60)));
    world.set_cap(usd(70)).await;
    assert_eq!(world.lease("wrk_1", 1, &period, usd(10), usd(0)).await.granted, usd(70));
}

#[tokio::test]
async fn a_cap_below_what_is_out_asks_every_holder_for_what_is_not_in_use() {
    let world = World::new(usd(100)).await;
    world.enrol("wrk_1", 1).await;
    world.enrol("wrk_2", 1).await;
    let period = month("bud_1", "");
    let mut leases = Vec::new();
    for worker in ["wrk_1", "wrk_2"] {
        leases.push(world.lease(worker, 1, &period, usd(40), usd(0)).await.lease_id);
    }
    world.set_cap(usd(30)).await;
    let asked = world.beat("wrk_1", 1, true, vec![report(&period, &leases[0], usd(5), usd(0), false)]).await;
    assert!(asked[0].recall && asked[0].cap == usd(30));
    // Thirty-five of it are free and go back: with the other's forty out that is still too much.
    let back = world.beat("wrk_1", 1, true, vec![report(&period, &leases[0], usd(5), usd(35), false)]).await;
    assert_eq!((back[0].granted, back[0].recall), (usd(5), true));
    let other = world.beat("wrk_2", 1, true, vec![report(&period, &leases[1], usd(0), usd(40), false)]).await;
    assert_eq!((other[0].granted, other[0].recall), (usd(0), false));
    assert_eq!(world.sums().await, (usd(0), usd(5)));
    assert_eq!(world.lease("wrk_2", 1, &period, usd(25), usd(0)).await.granted, usd(25));
    assert_eq!(world.lease("wrk_1", 1, &period, usd(1), usd(0)).await.granted, usd(5));
}

#[tokio::test]
async fn a_message_that_comes_after_a_later_one_of_its_worker_changes_nothing() {
    let world = World::new(usd(100)).await;
    world.enrol("wrk_1", 1).await;
    let period = month("bud_1", "");
    let lease = world.lease("wrk_1", 1, &period, usd(60), usd(0)).await;
    let stuck = world.message("wrk_1", 1, true, vec![report(&period, &lease.lease_id, usd(0), usd(60), false)]);
    // The worker gave up on it and asked again; it goes on with what it has.
    assert_eq!(world.lease("wrk_1", 1, &period, usd(0), usd(0)).await.granted, usd(60));
    assert!(matches!(world.ledger.heartbeat(&stuck).await, Err(LeaseError::Stale { .. })));
    assert_eq!(world.sums().await, (usd(0), usd(60)));
}

#[tokio::test]
async fn a_lost_workers_money_is_kept_for_its_events() {
    let limits = LeaseLimits { lost: TimeDelta::hours(24), ..LIMITS };
    let world = World::with(usd(100), limits).await;
    world.enrol("wrk_1", 1).await;
    let period = month("bud_1", "");
    let lease = world.lease("wrk_1", 1, &period, usd(100), usd(0)).await;
    world.clock.advance(TimeDelta::hours(23));
    world.ledger.close_lost_leases().await.unwrap();
    world.enrol("wrk_2", 1).await;
    assert_eq!(world.lease("wrk_2", 1, &period, usd(1), usd(0)).await.granted, usd(0), "it may have been spent");
    // It was only cut off.
    world.ledger.book(&batch([&event("evt_1", usd(90), vec![charge(&period, &lease.lease_id, usd(90))])])).await.unwrap();
    world.enrol("wrk_1", 2).await;
    world.beat("wrk_1", 2, true, vec![]).await;
    assert_eq!(world.sums().await, (usd(90), usd(0)));
    assert_eq!(world.lease("wrk_2", 1, &period, usd(10), usd(0)).await.granted, usd(10));
}

#[tokio::test]
async fn a_lease_is_closed_only_when_nothing_of_it_is_on_its_way() {
    let world = World::new(usd(100)).await;
    world.enrol("wrk_1", 1).await;
    let period = month("bud_1", "");
    let status = world.lease("wrk_1", 1, &period, usd(60), usd(0)).await;
    // Ten of the sixty were spent by a request whose event is not in yet.
    let early = world.beat("wrk_1", 1, true, vec![report(&period, &status.lease_id, usd(0), usd(50), true)]).await;
    assert_eq!((early[0].granted, &*early[0].lease_id), (usd(10), &*status.lease_id));
    assert_eq!(world.sums().await, (usd(0), usd(10)));
    world.ledger.book(&batch([&event("evt_1", usd(10), vec![charge(&period, &status.lease_id, usd(10))])])).await.unwrap();
    let closed = world.beat("wrk_1", 1, true, vec![report(&period, &status.lease_id, usd(0), usd(0), true)]).await;
    assert_eq!(&*closed[0].lease_id, "");
    assert_eq!(world.sums().await, (usd(10), usd(0)));
}

#[tokio::test]
async fn nothing_is_granted_on_a_budget_or_a_period_that_does_not_exist() {
    let world = World::new(usd(100)).await;
    world.enrol("wrk_1", 1).await;
    let deleted = world.lease("wrk_1", 1, &month("bud_gone", ""), usd(1), usd(0)).await;
    assert_eq!((deleted.cap, deleted.granted), (usd(0), usd(0)));
    let mut odd = month("bud_1", "");
    odd.start += TimeDelta::hours(1);
    assert_eq!(world.lease("wrk_1", 1, &odd, usd(1), usd(0)).await.granted, usd(0));
    assert!(world.periods().await.is_empty());
}

#[tokio::test]
async fn a_budget_shows_what_is_settled_reserved_and_leased() {
    let world = World::new(usd(100)).await;
    world.enrol("wrk_1", 1).await;
    let period = month("bud_1", "");
    let status = world.lease("wrk_1", 1, &period, usd(60), usd(0)).await;
    world.ledger.book(&batch([&event("evt_1", usd(10), vec![charge(&period, &status.lease_id, usd(10))])])).await.unwrap();
    world.beat("wrk_1", 1, true, vec![report(&period, &status.lease_id, usd(20), usd(0), false)]).await;
    let budgets = <entity::budget::Entity as sea_orm::EntityTrait>::find().all(world.test.database.read()).await.unwrap();
    let shown = world.ledger.budget_statuses(&budgets).await.unwrap().remove("bud_1").unwrap();
    assert_eq!((shown.settled, shown.reserved, shown.leased), (usd(10), usd(20), usd(30)));
    assert_eq!((shown.used.ppm(), shown.state.as_str()), (300_000, "ok"));
    // Lost: nothing is known to be in flight, and all it holds is out.
    world.pass(60);
    let shown = world.ledger.budget_statuses(&budgets).await.unwrap().remove("bud_1").unwrap();
    assert_eq!((shown.settled, shown.reserved, shown.leased), (usd(10), usd(0), usd(50)));
}

//! Events are booked once, in full, and to the right budgets.

use entity::{budget_entry, lease, request_log, request_tag, usage_ledger};
use policy::event::{EventKind, UsageEvent};
use sea_orm::{ColumnTrait as _, EntityTrait, QueryFilter as _};

use super::world::{ORG, World, batch, charge, event, month, usd, written};

async fn all<E: EntityTrait>(world: &World) -> Vec<E::Model> {
    E::find().all(world.test.database.read()).await.unwrap()
}

#[tokio::test]
async fn an_event_is_booked_once_however_often_it_comes() {
    let world = World::new(usd(1000)).await;
    let period = month("bud_1", "");
    let events: Vec<UsageEvent> = (0..700).map(|n| event(&format!("evt_{n:05}"), usd(1), vec![charge(&period, "", usd(1))])).collect();
    let mut watcher = world.feed.subscribe();
    let first = world.ledger.book(&batch(&events[..500])).await.unwrap();
    assert_eq!((first.booked, first.repeated), (500, 0));
    let second = world.ledger.book(&batch(events.iter().chain(&events[..3]))).await.unwrap();
    assert_eq!((second.booked, second.repeated), (200, 503));
    assert_eq!(world.sums().await.0, usd(700));
    assert_eq!(all::<usage_ledger::Entity>(&world).await.len(), 700);
    assert_eq!(all::<request_log::Entity>(&world).await.len(), 700);
    assert_eq!(all::<request_tag::Entity>(&world).await.len(), 700);
    let entries = all::<budget_entry::Entity>(&world).await;
    assert_eq!(entries.iter().map(|entry| entry.amount_nano).sum::<i64>(), usd(700).nanos());
    let mut told = 0;
    while watcher.try_recv().is_ok() {
        told += 1;
    }
    assert_eq!(told, 700);
}

#[tokio::test]
async fn a_row_reads_back_as_the_event_says() {
    let world = World::new(usd(1000)).await;
    let mut sent = event("evt_1", usd(3), vec![]);
    sent.end_user = Some("a\0b".into());
    world.ledger.book(&batch([&sent])).await.unwrap();
    let row = all::<request_log::Entity>(&world).await.remove(0);
    assert_eq!(row.id, "req_1");
    assert_eq!(row.org_id, ORG);
    assert_eq!(row.time.timestamp_micros(), sent.time.timestamp_micros());
    assert_eq!(row.surface, "openai_chat");
    assert!(row.stream);
    assert_eq!(row.end_user.as_deref(), Some("a\u{fffd}b"));
    assert_eq!(row.tags, serde_json::json!({"team": "support"}));
    assert_eq!(row.trace, Some(serde_json::json!({"steps": []})));
    assert_eq!((row.input_tokens, row.cached_input_tokens, row.output_tokens, row.reasoning_tokens), (100, 10, 20, 5));
    let entry = all::<usage_ledger::Entity>(&world).await.remove(0);
    assert_eq!((entry.kind, entry.cost_nano), (usage_ledger::Kind::Usage, usd(3).nanos()));
    assert_eq!(entry.rates.unwrap()["output"], 2);
}

#[tokio::test]
async fn a_bad_event_is_refused_by_its_place_and_the_others_are_booked() {
    let world = World::new(usd(1000)).await;
    let mut stranger = event("evt_2", usd(1), vec![]);
    stranger.org_id = "org_unknown".into();
    let [first, last] = ["evt_1", "evt_3"].map(|id| written(&event(id, usd(1), vec![])));
    let sent = policy::link::write_batch(&[first, written(&stranger), b"{\"id\":".to_vec(), last]);
    let outcome = world.ledger.book(&sent).await.unwrap();
    assert_eq!(outcome.booked, 2);
    let refused: Vec<u32> = outcome.refused.iter().map(|refused| refused.place).collect();
    assert_eq!(refused, [1, 2]);
    assert_eq!(outcome.refused[0].reason, "organization `org_unknown` does not exist");
}

#[tokio::test]
async fn a_refused_request_is_logged_once_and_not_in_the_ledger() {
    let world = World::new(usd(1000)).await;
    let mut refused = event("evt_1", usd(0), vec![]);
    refused.kind = EventKind::Refused;
    refused.status = 402;
    assert_eq!(world.ledger.book(&batch([&refused])).await.unwrap().booked, 1);
    assert_eq!(world.ledger.book(&batch([&refused])).await.unwrap().repeated, 1);
    assert!(all::<usage_ledger::Entity>(&world).await.is_empty());
    assert_eq!(all::<request_log::Entity>(&world).await.len(), 1);
}

#[tokio::test]
async fn an_event_of_a_deleted_budget_is_logged_without_its_charge() {
    let world = World::new(usd(1000)).await;
    let sent = event("evt_1", usd(1), vec![charge(&month("bud_gone", ""), "lse_gone", usd(1))]);
    assert_eq!(world.ledger.book(&batch([&sent])).await.unwrap().booked, 1);
    assert_eq!(all::<request_log::Entity>(&world).await.len(), 1);
    assert!(all::<budget_entry::Entity>(&world).await.is_empty());
}

#[tokio::test]
async fn an_event_of_a_lease_that_was_given_up_is_charged_all_the_same() {
    let world = World::new(usd(100)).await;
    world.enrol("wrk_1", 1).await;
    let period = month("bud_1", "");
    let status = world.lease("wrk_1", 1, &period, usd(60), usd(0)).await;
    world.pass(1000);
    world.ledger.close_lost_leases().await.unwrap();
    world.ledger.book(&batch([&event("evt_1", usd(5), vec![charge(&period, &status.lease_id, usd(5))])])).await.unwrap();
    assert_eq!(world.sums().await, (usd(5), usd(0)));
    let row = lease::Entity::find().filter(lease::Column::Id.eq(&*status.lease_id)).one(world.test.database.read()).await.unwrap().unwrap();
    assert_eq!(row.spent_nano, usd(5).nanos());
}

#[tokio::test]
async fn values_of_a_budget_that_counts_each_apart_have_accounts_of_their_own() {
    let world = World::new(usd(100)).await;
    let events: Vec<UsageEvent> = (0..1200)
        .map(|n| event(&format!("evt_{n:05}"), usd(1), vec![charge(&month("bud_1", &format!("user-{}", n % 600)), "", usd(1))]))
        .collect();
    world.ledger.book(&batch(&events)).await.unwrap();
    let periods = world.periods().await;
    assert_eq!(periods.len(), 600);
    assert!(periods.iter().all(|period| period.settled_nano == usd(2).nanos()));
}

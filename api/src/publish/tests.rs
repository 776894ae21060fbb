//! Revisions from rows to what workers are told, on SQLite in memory.

#![expect(clippy::disallowed_methods, reason = "a test looks at rows and clocks from outside of the store")]

use base64::Engine as _;
use entity::{organization, outbox, project, provider};
use policy::bundle::VerifyingKey;
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set, EntityTrait as _, IntoActiveModel as _};
use serde_json::json;

use super::*;
use crate::clock::Clock;
use crate::database::Database;
use crate::database::fixture::{TestDatabase, insert_budget, insert_organization, start, temporary};
use crate::jobs::Supervisor;
use crate::secrets::{MasterKey, Secrets};

const ORG: &str = "org_1";

fn master(byte: u8) -> MasterKey {
    MasterKey::from_base64(&base64::engine::general_purpose::STANDARD.encode([byte; 32])).unwrap()
}

struct World {
    test: TestDatabase,
    clock: Clock,
    secrets: Secrets,
}

impl World {
    async fn new() -> Self {
        let test = temporary().await;
        insert_organization(&test.database, ORG).await;
        let clock = Clock::fixed(start());
        let secrets = Secrets::open(&test.database, &clock, master(7), vec![]).await.unwrap();
        Self { test, clock, secrets }
    }

    fn database(&self) -> &Database {
        &self.test.database
    }

    async fn publish(&self) -> Result<u64, PublishError> {
        let transaction = self.database().begin().await.unwrap();
        lock_org(&transaction, ORG).await?;
        let revision = commit_revision(&transaction, ORG, self.clock.now(), &self.secrets).await?;
        transaction.commit().await.unwrap();
        Ok(revision)
    }

    async fn insert_provider(&self, vendor: &str) {
        let sealed = self.secrets.seal("prv_1", "sk-upstream").unwrap();
        let row = provider::ActiveModel {
            id: Set("prv_1".to_owned()),
            org_id: Set(ORG.to_owned()),
            name: Set("openai".to_owned()),
            vendor: Set(vendor.to_owned()),
            base_url: Set(Some("http://127.0.0.1:9000/v1".to_owned())),
            settings: Set(json!({})),
            secret_sealed: Set(Some(sealed.sealed)),
            secret_wrapped_key: Set(Some(sealed.wrapped_key)),
            secret_key_id: Set(Some(sealed.key_id)),
            secret_digest: Set(Some(sealed.digest)),
            version: Set(1),
            created_at: Set(start()),
            updated_at: Set(start()),
        };
        let transaction = self.database().begin().await.unwrap();
        row.insert(&transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }

    /// A project whose webhook's secret is `whsec`.
    async fn insert_guarded_project(&self) {
        let sealed = self.secrets.seal("prj_1", "whsec").unwrap();
        let webhook = json!({"url": "https://guard.example.com", "fail": "closed"});
        let row = project::ActiveModel {
            id: Set("prj_1".to_owned()),
            org_id: Set(ORG.to_owned()),
            name: Set("app".to_owned()),
            tags: Set(json!({})),
            settings: Set(json!({"guardrails": {"webhook": webhook}})),
            entry_policy: Set(None),
            webhook_secret_sealed: Set(Some(sealed.sealed)),
            webhook_secret_wrapped_key: Set(Some(sealed.wrapped_key)),
            webhook_secret_key_id: Set(Some(sealed.key_id)),
            webhook_secret_digest: Set(Some(sealed.digest)),
            version: Set(1),
            created_at: Set(start()),
            updated_at: Set(start()),
        };
        let transaction = self.database().begin().await.unwrap();
        row.insert(&transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn unpublished(&self) -> usize {
        let rows = outbox::Entity::find().all(self.database().read()).await.unwrap();
        rows.iter().filter(|row| row.published_at.is_none()).count()
    }
}

#[tokio::test]
async fn a_revision_leaves_a_signed_bundle_whose_secrets_open_for_the_pool_only() {
    let world = World::new().await;
    world.insert_provider("openai").await;
    insert_budget(world.database(), ORG, "bud_1", 5).await;
    assert_eq!(world.publish().await.unwrap(), 1);
    assert_eq!(world.publish().await.unwrap(), 2);
    let envelope = find_newest_bundle(world.database().read(), ORG).await.unwrap().unwrap();
    assert_eq!(envelope.revision, 2);
    assert!(!envelope.body.get().contains("sk-upstream"));
    let bundle = envelope.open(&VerifyingKey::from_base64(&world.secrets.verifying_key()).unwrap()).unwrap();
    assert_eq!(bundle.budgets[0].cap.nanos(), 5);
    let wrapping = policy::seal::derive_pool_wrapping_key("mlx_wk_x");
    let pool = policy::seal::open(&wrapping, b"", &world.secrets.pool_key_for("mlx_wk_x").unwrap()).unwrap().try_into().unwrap();
    let sealed = bundle.providers[0].api_key.as_ref().unwrap();
    assert_eq!(policy::seal::open(&pool, b"prv_1", &sealed.0).unwrap(), b"sk-upstream");
}

#[tokio::test]
async fn a_webhook_s_secret_reaches_the_pool_also_after_a_rotation_of_the_master_key() {
    let mut world = World::new().await;
    world.insert_guarded_project().await;
    world.publish().await.unwrap();
    world.secrets = Secrets::open(world.database(), &world.clock, master(8), vec![master(7)]).await.unwrap();
    let transaction = world.database().begin().await.unwrap();
    assert_eq!(world.secrets.rewrap_all(&transaction).await.unwrap(), 3);
    transaction.commit().await.unwrap();
    world.secrets = Secrets::open(world.database(), &world.clock, master(8), vec![]).await.unwrap();
    assert_eq!(world.publish().await.unwrap(), 2);
    let envelope = find_newest_bundle(world.database().read(), ORG).await.unwrap().unwrap();
    let bundle = envelope.open(&VerifyingKey::from_base64(&world.secrets.verifying_key()).unwrap()).unwrap();
    let wrapping = policy::seal::derive_pool_wrapping_key("mlx_wk_x");
    let pool = policy::seal::open(&wrapping, b"", &world.secrets.pool_key_for("mlx_wk_x").unwrap()).unwrap().try_into().unwrap();
    let webhook = bundle.projects[0].guardrails.as_ref().unwrap().webhook.as_ref().unwrap();
    assert_eq!(policy::seal::open(&pool, b"prj_1", &webhook.secret.as_ref().unwrap().0).unwrap(), b"whsec");
}

#[tokio::test]
async fn what_does_not_compile_is_refused_with_resource_and_field_and_leaves_nothing() {
    let world = World::new().await;
    world.publish().await.unwrap();
    world.insert_provider("no-such-vendor").await;
    let Err(PublishError::Rejected { rejections }) = world.publish().await else { panic!("not rejected") };
    assert_eq!((rejections[0].resource, rejections[0].name.as_str(), rejections[0].field.as_str()), ("provider", "openai", "vendor"));
    let org = organization::Entity::find_by_id(ORG).one(world.database().read()).await.unwrap().unwrap();
    assert_eq!(org.revision, 1);
}

#[tokio::test]
async fn an_unknown_organization_can_not_be_locked() {
    let world = World::new().await;
    let transaction = world.database().begin().await.unwrap();
    assert!(matches!(lock_org(&transaction, "org_2").await, Err(PublishError::UnknownOrganization { .. })));
}

#[tokio::test]
async fn a_manifest_names_a_zone_only_where_it_differs_from_the_organization_s() {
    let world = World::new().await;
    world.insert_provider("openai").await;
    insert_budget(world.database(), ORG, "bud_1", 5).await;
    insert_budget(world.database(), ORG, "bud_2", 5).await;
    let transaction = world.database().begin().await.unwrap();
    let mut row = entity::budget::Entity::find_by_id("bud_2").one(&transaction).await.unwrap().unwrap().into_active_model();
    row.time_zone = Set("Europe/Berlin".to_owned());
    row.update(&transaction).await.unwrap();
    transaction.commit().await.unwrap();
    let source = load_source(world.database().read(), ORG, start(), &world.secrets).await.unwrap();
    let manifest = to_manifest(&source, load_members(world.database().read(), ORG).await.unwrap());
    assert_eq!(manifest.org, "1");
    assert_eq!(manifest.providers[0].api_key, None);
    assert_eq!(manifest.budgets[0].time_zone, None);
    assert_eq!(manifest.budgets[1].time_zone.as_deref(), Some("Europe/Berlin"));
    let written = serde_json::to_value(&manifest).unwrap();
    assert_eq!(serde_json::from_value::<policy::source::Manifest>(written).unwrap(), manifest);
}

#[tokio::test]
async fn a_publisher_that_starts_after_a_kill_tells_what_was_committed_before() {
    let world = World::new().await;
    world.publish().await.unwrap();
    assert_eq!(world.unpublished().await, 1);
    let publisher = Publisher::new(world.database().clone(), world.clock.clone(), None).await.unwrap();
    assert_eq!(publisher.revisions().borrow().get(ORG), Some(&1));
    let supervisor = Supervisor::new();
    let running = publisher.clone();
    supervisor.spawn("publisher", move |stop| {
        let publisher = running.clone();
        async move {
            publisher.run(stop).await;
            Ok(())
        }
    });
    world.publish().await.unwrap();
    publisher.notify();
    let mut revisions = publisher.revisions();
    let newest = revisions.wait_for(|revisions| revisions.get(ORG) == Some(&2));
    drop(tokio::time::timeout(std::time::Duration::from_secs(5), newest).await.unwrap().unwrap());
    while world.unpublished().await > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(supervisor.shutdown(std::time::Duration::from_secs(5)).await);
}

//! The steps run on SQLite in memory, up and down, and the tables they leave are those of the entities.
//!
//! The same on PostgreSQL is in the workspace's own test crate, which has a server.

use super::Migrator;
use super::inspect::{Column, Expected, Kind, Table, differences, read_tables};
use entity::{membership, organization, project, user};
use sea_orm_migration::MigratorTrait;
use sea_orm_migration::sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, EntityTrait, ModelTrait,
    SqlErr, prelude::DateTimeUtc,
};

/// Each connection to SQLite in memory is a database of its own, so there may be one only.
async fn empty_database() -> DatabaseConnection {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

async fn migrated_database() -> DatabaseConnection {
    let db = empty_database().await;
    Migrator::up(&db, None).await.unwrap();
    db
}

fn expected() -> Vec<Expected> {
    entity::TABLES
        .iter()
        .map(|table| Expected {
            name: table.name().to_owned(),
            tenant_owned: table.tenant_owned,
            columns: table
                .columns()
                .into_iter()
                .map(|column| Column { name: column.name.to_owned(), kind: Kind::from(&column.column_type), nullable: column.nullable })
                .collect(),
        })
        .collect()
}

#[tokio::test]
async fn every_table_is_as_its_entity_and_its_tenancy_say() {
    let db = migrated_database().await;
    let found = read_tables(&db).await.unwrap();
    // Each line says what is missing: add the column to the entity, or a step to the migrations.
    assert_eq!(differences(&found, &expected()), Vec::<String>::new());
    assert_eq!(found.len(), entity::TABLES.len());
}

#[tokio::test]
async fn the_steps_go_up_and_down_and_up_again() {
    let db = migrated_database().await;
    let first = read_tables(&db).await.unwrap();
    Migrator::down(&db, None).await.unwrap();
    assert!(read_tables(&db).await.unwrap().is_empty());
    Migrator::up(&db, None).await.unwrap();
    assert_eq!(read_tables(&db).await.unwrap(), first);
}

#[tokio::test]
async fn each_step_takes_back_what_it_made() {
    let db = empty_database().await;
    for _ in Migrator::migrations() {
        let before = read_tables(&db).await.unwrap();
        Migrator::up(&db, Some(1)).await.unwrap();
        let after = read_tables(&db).await.unwrap();
        assert_ne!(after, before, "a step makes a table or changes one");
        Migrator::down(&db, Some(1)).await.unwrap();
        assert_eq!(read_tables(&db).await.unwrap(), before);
        Migrator::up(&db, Some(1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_difference_of_each_sort_is_told() {
    let db = migrated_database().await;
    db.execute_unprepared("CREATE TABLE stray (org_id text, cost_nano real)").await.unwrap();
    let found = read_tables(&db).await.unwrap();
    let field = Column { name: "gone".to_owned(), kind: Kind::Text, nullable: false };
    let stray = |name: &str| Expected { name: name.to_owned(), tenant_owned: true, columns: vec![field.clone()] };
    let mut expected = expected();
    assert_eq!(differences(&found, &expected), ["table `stray` has no entity"]);
    expected.extend([stray("stray"), stray("nowhere")]);
    assert_eq!(
        differences(&found, &expected),
        [
            "column `stray.org_id` has no field",
            "column `stray.cost_nano` has no field",
            "field `stray.gone` has no column",
            "column `stray.cost_nano` is of the unused type `real`",
            "column `stray.cost_nano` is money, but not an integer",
            "table `stray` has no `org_id` that is text and not null",
            "table `stray` does not go away with its organization",
            "table `stray` has no whole index that starts with `org_id`",
            "entity `nowhere` has no table",
        ]
    );
}

#[tokio::test]
async fn the_columns_that_name_a_parent_are_bound_with_the_tenant() {
    let db = migrated_database().await;
    let found = read_tables(&db).await.unwrap();
    let columns = |table: &str| -> Vec<Vec<String>> {
        let table: &Table = found.get(table).unwrap();
        table.foreign_keys.values().map(|key| key.columns.clone()).collect()
    };
    assert!(columns("leases").contains(&vec!["org_id".to_owned(), "budget_period_id".to_owned()]));
    assert!(columns("proxy_keys").contains(&vec!["org_id".to_owned(), "project_id".to_owned()]));
}

fn instant() -> DateTimeUtc {
    DateTimeUtc::from_timestamp_micros(1_790_000_000_123_456).unwrap()
}

async fn insert_organization(db: &DatabaseConnection, id: &str) -> organization::Model {
    let row = organization::ActiveModel {
        id: Set(id.to_owned()),
        slug: Set(id.to_owned()),
        name: Set(id.to_owned()),
        revision: Set(0),
        settings: Set(serde_json_object()),
        audit_head_hash: Set(String::new()),
        audit_sequence: Set(0),
        version: Set(1),
        created_at: Set(instant()),
        updated_at: Set(instant()),
    };
    row.insert(db).await.unwrap()
}

fn serde_json_object() -> sea_orm_migration::sea_orm::JsonValue {
    "{\"n\":9007199254740993}".parse().unwrap()
}

async fn insert_project(db: &DatabaseConnection, org: &str, id: &str) -> project::Model {
    let row = project::ActiveModel {
        id: Set(id.to_owned()),
        org_id: Set(org.to_owned()),
        name: Set(id.to_owned()),
        tags: Set(serde_json_object()),
        settings: Set(serde_json_object()),
        entry_policy: Set(None),
        webhook_secret_sealed: Set(None),
        webhook_secret_wrapped_key: Set(None),
        webhook_secret_key_id: Set(None),
        webhook_secret_digest: Set(None),
        version: Set(1),
        created_at: Set(instant()),
        updated_at: Set(instant()),
    };
    row.insert(db).await.unwrap()
}

async fn insert_membership(db: &DatabaseConnection, id: &str, project: Option<&str>) -> Result<membership::Model, DbErr> {
    let row = membership::ActiveModel {
        id: Set(id.to_owned()),
        org_id: Set("org_a".to_owned()),
        user_id: Set("usr_a".to_owned()),
        project_id: Set(project.map(str::to_owned)),
        role: Set(membership::Role::Member),
        created_at: Set(instant()),
        updated_at: Set(instant()),
    };
    row.insert(db).await
}

async fn insert_user(db: &DatabaseConnection) {
    let row = user::ActiveModel {
        id: Set("usr_a".to_owned()),
        email: Set("a@example.com".to_owned()),
        name: Set("A".to_owned()),
        password_hash: Set(None),
        disabled_at: Set(None),
        created_at: Set(instant()),
        updated_at: Set(instant()),
    };
    row.insert(db).await.unwrap();
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "what is asked for is the table itself, not a tenant's part of it")]
async fn a_row_is_read_back_as_it_was_written() {
    let db = migrated_database().await;
    let written = insert_organization(&db, "org_a").await;
    let read = organization::Entity::find_by_id("org_a").one(&db).await.unwrap();
    assert_eq!(read, Some(written));
}

#[tokio::test]
async fn a_person_has_one_role_for_the_organization_and_one_for_each_project() {
    let db = migrated_database().await;
    insert_organization(&db, "org_a").await;
    insert_project(&db, "org_a", "prj_a").await;
    insert_user(&db).await;
    insert_membership(&db, "mem_1", None).await.unwrap();
    insert_membership(&db, "mem_2", Some("prj_a")).await.unwrap();
    for project in [None, Some("prj_a")] {
        let refused = insert_membership(&db, "mem_3", project).await.unwrap_err();
        assert!(matches!(refused.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))));
    }
}

#[tokio::test]
async fn a_row_cannot_name_another_organizations_parent() {
    let db = migrated_database().await;
    insert_organization(&db, "org_a").await;
    insert_organization(&db, "org_b").await;
    insert_project(&db, "org_b", "prj_b").await;
    insert_user(&db).await;
    let refused = insert_membership(&db, "mem_1", Some("prj_b")).await.unwrap_err();
    assert!(matches!(refused.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_))));
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "what is asked for is the table itself, not a tenant's part of it")]
async fn deleting_an_organization_deletes_what_it_owns_and_nothing_else() {
    let db = migrated_database().await;
    let org = insert_organization(&db, "org_a").await;
    insert_organization(&db, "org_b").await;
    insert_project(&db, "org_a", "prj_a").await;
    let kept = insert_project(&db, "org_b", "prj_b").await;
    insert_user(&db).await;
    insert_membership(&db, "mem_1", Some("prj_a")).await.unwrap();
    org.delete(&db).await.unwrap();
    assert_eq!(project::Entity::find().all(&db).await.unwrap(), [kept]);
    assert!(membership::Entity::find().all(&db).await.unwrap().is_empty());
    assert_eq!(user::Entity::find().all(&db).await.unwrap().len(), 1);
}

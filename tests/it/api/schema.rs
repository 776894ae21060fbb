//! The tables on SQLite and on PostgreSQL: as the entities say, up, down and up again.

use migration::inspect::{Column, Expected, Kind as ColumnKind, differences, read_tables};
use migration::{Migrator, MigratorTrait};
use tests::database::{KINDS, Kind, TestDb};
use tests::scratch::Scratch;

fn expected() -> Vec<Expected> {
    let table = |table: &entity::Table| Expected {
        name: table.name().to_owned(),
        tenant_owned: table.tenant_owned,
        columns: table
            .columns()
            .into_iter()
            .map(|column| Column { name: column.name.to_owned(), kind: ColumnKind::from(&column.column_type), nullable: column.nullable })
            .collect(),
    };
    entity::TABLES.iter().map(table).collect()
}

#[tokio::test]
async fn tables_are_as_their_entities_and_their_tenancy_say_on_both_databases() {
    for kind in KINDS {
        let scratch = Scratch::new("schema");
        let database = TestDb::migrated(kind, scratch.path()).await;
        let found = read_tables(&database.connect().await).await.unwrap();
        // Each line says what is missing: add the column to the entity, or a step to the migrations.
        assert_eq!(differences(&found, &expected()), Vec::<String>::new(), "{kind:?}");
        assert_eq!(found.len(), entity::TABLES.len(), "{kind:?}");
    }
}

#[tokio::test]
async fn the_steps_go_up_and_down_and_up_again_on_both_databases() {
    for kind in KINDS {
        let scratch = Scratch::new("schema");
        let database = TestDb::empty(kind, scratch.path()).await;
        let db = database.connect().await;
        Migrator::up(&db, None).await.unwrap();
        let first = read_tables(&db).await.unwrap();
        Migrator::down(&db, None).await.unwrap();
        assert!(read_tables(&db).await.unwrap().is_empty(), "{kind:?}");
        Migrator::up(&db, None).await.unwrap();
        assert_eq!(read_tables(&db).await.unwrap(), first, "{kind:?}");
    }
}

#[tokio::test]
async fn each_step_takes_back_what_it_made_on_postgres() {
    let scratch = Scratch::new("schema");
    let database = TestDb::empty(Kind::Postgres, scratch.path()).await;
    let db = database.connect().await;
    for step in Migrator::migrations() {
        let before = read_tables(&db).await.unwrap();
        Migrator::up(&db, Some(1)).await.unwrap();
        assert_ne!(read_tables(&db).await.unwrap(), before, "{}", step.name());
        Migrator::down(&db, Some(1)).await.unwrap();
        assert_eq!(read_tables(&db).await.unwrap(), before, "{}", step.name());
        Migrator::up(&db, Some(1)).await.unwrap();
    }
}

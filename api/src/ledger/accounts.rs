#![expect(clippy::disallowed_methods, reason = "accounts are found by the ids of their budgets; workers hold leases of all organizations")]
//! Accounts out of and into the database, locked in between.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use entity::{budget, budget_period, lease};
use policy::budget::Calendar;
use policy::event::PeriodRef;
use policy::id::{IdKind, new_id};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value};

use super::account::{Account, Change, Held};
use super::bulk::{Insert, Kind, Update};
use crate::database::MAX_BINDS;
use crate::publish::period_kind;

/// Accounts locked by a transaction.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    ids: HashMap<PeriodRef, String>,
    by_id: BTreeMap<String, Account>,
}

/// How the periods of a budget row follow each other; none where its zone is unknown.
pub(super) fn calendar(row: &budget::Model) -> Option<Calendar> {
    Some(Calendar {
        kind: period_kind(row.period),
        anchor_day: u32::try_from(row.anchor_day).ok()?,
        time_zone: row.time_zone.parse().ok()?,
    })
}

impl Accounts {
    /// Finds the accounts that `references` and `ids` name, makes those that a budget says should be there, and locks them in the order
    /// of their ids. A reference to a deleted budget, or to an instant at which no period starts, gives no account.
    pub(super) async fn lock(
        transaction: &DatabaseTransaction,
        references: BTreeSet<&PeriodRef>,
        ids: Vec<String>,
        now: DateTime<Utc>,
    ) -> Result<Self, DbErr> {
        let budgets = find_budgets(transaction, references.iter().map(|reference| reference.budget_id.to_string()).collect()).await?;
        let mut found = find_ids(transaction, &references).await?;
        let missing: Vec<_> = references.iter().copied().filter(|reference| !found.contains_key(*reference)).collect();
        let created = creatable(&missing, &budgets, now);
        if !created.is_empty() {
            CREATE_PERIODS.run(transaction, created).await?;
            let missing = missing.into_iter().collect();
            found.extend(find_ids(transaction, &missing).await?);
        }
        let mut wanted: BTreeSet<String> = ids.into_iter().collect();
        wanted.extend(found.values().cloned());
        let mut accounts = Self { ids: found, by_id: lock_by_id(transaction, wanted).await? };
        accounts.follow_caps(&budgets);
        Ok(accounts)
    }

    pub(super) fn get_mut(&mut self, reference: &PeriodRef) -> Option<&mut Account> {
        self.by_id.get_mut(self.ids.get(reference)?)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Account> {
        self.by_id.values_mut()
    }

    /// The cap in force is the budget's; an account takes it over whenever it is touched.
    fn follow_caps(&mut self, budgets: &HashMap<String, budget::Model>) {
        for account in self.by_id.values_mut() {
            if let Some(budget) = budgets.get(&account.period.budget_id) {
                account.set_cap(budget.cap_nano);
            }
        }
    }

    /// Writes what changed.
    pub(super) async fn save(self, transaction: &DatabaseTransaction, now: DateTime<Utc>) -> Result<(), DbErr> {
        let (mut periods, mut new, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        for mut account in self.by_id.into_values() {
            let held = account.held().nanos();
            if account.changed || account.period.leased_nano != held {
                account.period.leased_nano = held;
                periods.extend(period_values(account.period, now));
            }
            for Held { row, change } in account.leases {
                match change {
                    Change::None => {}
                    Change::New => new.extend(new_lease_values(row)),
                    Change::Changed => changed.extend(lease_values(row, now)),
                }
            }
        }
        UPDATE_PERIODS.run(transaction, periods).await?;
        INSERT_LEASES.run(transaction, new).await?;
        UPDATE_LEASES.run(transaction, changed).await
    }
}

async fn find_budgets(connection: &impl ConnectionTrait, ids: BTreeSet<String>) -> Result<HashMap<String, budget::Model>, DbErr> {
    let mut budgets = HashMap::new();
    for some in pieces(ids) {
        for row in budget::Entity::find().filter(budget::Column::Id.is_in(some)).all(connection).await? {
            budgets.insert(row.id.clone(), row);
        }
    }
    Ok(budgets)
}

async fn find_ids(connection: &impl ConnectionTrait, references: &BTreeSet<&PeriodRef>) -> Result<HashMap<PeriodRef, String>, DbErr> {
    // References that differ in the scope value only are asked for together.
    let mut groups: BTreeMap<(&str, DateTime<Utc>), BTreeMap<&str, &PeriodRef>> = BTreeMap::new();
    for reference in references {
        groups.entry((&reference.budget_id, reference.start)).or_default().insert(&reference.scope_value, reference);
    }
    let mut ids = HashMap::new();
    for ((budget_id, start), by_value) in groups {
        for some in pieces(by_value.keys().copied()) {
            let rows: Vec<(String, String)> = budget_period::Entity::find()
                .select_only()
                .column(budget_period::Column::Id)
                .column(budget_period::Column::ScopeValue)
                .filter(budget_period::Column::BudgetId.eq(budget_id))
                .filter(budget_period::Column::PeriodStart.eq(start))
                .filter(budget_period::Column::ScopeValue.is_in(some))
                .into_tuple()
                .all(connection)
                .await?;
            for (id, value) in rows {
                if let Some(reference) = by_value.get(value.as_str()) {
                    ids.insert((*reference).clone(), id);
                }
            }
        }
    }
    Ok(ids)
}

/// Values of the accounts that should be there and are not, in the order of the references, so that two that make the same ones
/// don't wait for each other.
fn creatable(missing: &[&PeriodRef], budgets: &HashMap<String, budget::Model>, now: DateTime<Utc>) -> Vec<Value> {
    let rows = missing.iter().filter_map(|reference| {
        let budget = budgets.get(reference.budget_id.as_ref())?;
        let period = calendar(budget)?.period_at(reference.start);
        (period.start == reference.start).then(|| {
            [
                new_id(IdKind::BudgetPeriod).into(),
                budget.org_id.clone().into(),
                budget.id.clone().into(),
                reference.scope_value.to_string().into(),
                period.start.into(),
                period.end.into(),
                budget.cap_nano.into(),
                0_i64.into(),
                0_i64.into(),
                0_i64.into(),
                now.into(),
                now.into(),
            ]
        })
    });
    rows.flatten().collect()
}

async fn lock_by_id(transaction: &DatabaseTransaction, ids: BTreeSet<String>) -> Result<BTreeMap<String, Account>, DbErr> {
    let mut accounts = BTreeMap::new();
    // Pieces of a sorted set are locked one after the other, so the order over all of them is that of the ids.
    for some in pieces(ids) {
        let rows = budget_period::Entity::find()
            .filter(budget_period::Column::Id.is_in(some.clone()))
            .order_by_asc(budget_period::Column::Id)
            // On SQLite the transaction holds the one writer already, and this says nothing.
            .lock_exclusive()
            .all(transaction)
            .await?;
        for period in rows {
            accounts.insert(period.id.clone(), Account { period, changed: false, leases: Vec::new() });
        }
        let leases = lease::Entity::find()
            .filter(lease::Column::BudgetPeriodId.is_in(some))
            .filter(lease::Column::State.eq(lease::State::Active))
            .order_by_asc(lease::Column::Id)
            .all(transaction)
            .await?;
        for row in leases {
            if let Some(account) = accounts.get_mut(&row.budget_period_id) {
                account.leases.push(Held { row, change: Change::None });
            }
        }
    }
    Ok(accounts)
}

/// As many at a time as a statement may bind, with room for other conditions.
pub(super) fn pieces<T>(all: impl IntoIterator<Item = T>) -> Vec<Vec<T>> {
    let mut pieces = Vec::new();
    let mut all = all.into_iter().peekable();
    while all.peek().is_some() {
        pieces.push(all.by_ref().take(MAX_BINDS.saturating_sub(16)).collect());
    }
    pieces
}

static CREATE_PERIODS: Insert = Insert {
    table: "budget_periods",
    columns: &[
        ("id", Kind::Text),
        ("org_id", Kind::Text),
        ("budget_id", Kind::Text),
        ("scope_value", Kind::Text),
        ("period_start", Kind::Time),
        ("period_end", Kind::Time),
        ("cap_nano", Kind::Int),
        ("settled_nano", Kind::Int),
        ("leased_nano", Kind::Int),
        ("epoch", Kind::Int),
        ("created_at", Kind::Time),
        ("updated_at", Kind::Time),
    ],
    conflict: "ON CONFLICT (budget_id, scope_value, period_start) DO NOTHING",
};

static UPDATE_PERIODS: Update = Update {
    table: "budget_periods",
    kinds: &[Kind::Text, Kind::Int, Kind::Int, Kind::Int, Kind::Int, Kind::Time],
    set: "cap_nano = v.column2, settled_nano = v.column3, leased_nano = v.column4, epoch = v.column5, updated_at = v.column6",
};

fn period_values(period: budget_period::Model, now: DateTime<Utc>) -> [Value; 6] {
    let budget_period::Model { id, cap_nano, settled_nano, leased_nano, epoch, .. } = period;
    [id.into(), cap_nano.into(), settled_nano.into(), leased_nano.into(), epoch.into(), now.into()]
}

static INSERT_LEASES: Insert = Insert {
    table: "leases",
    columns: &[
        ("id", Kind::Text),
        ("org_id", Kind::Text),
        ("budget_period_id", Kind::Text),
        ("worker_id", Kind::Text),
        ("incarnation", Kind::Int),
        ("granted_nano", Kind::Int),
        ("spent_nano", Kind::Int),
        ("reserved_nano", Kind::Int),
        ("state", Kind::Text),
        ("recalled_at", Kind::Time),
        ("expires_at", Kind::Time),
        ("deadline_at", Kind::Time),
        ("created_at", Kind::Time),
        ("updated_at", Kind::Time),
    ],
    conflict: "",
};

fn new_lease_values(lease: lease::Model) -> [Value; 14] {
    let lease::Model {
        id,
        org_id,
        budget_period_id,
        worker_id,
        incarnation,
        granted_nano,
        spent_nano,
        reserved_nano,
        state,
        recalled_at,
        expires_at,
        deadline_at,
        created_at,
        updated_at,
    } = lease;
    [
        id.into(),
        org_id.into(),
        budget_period_id.into(),
        worker_id.into(),
        incarnation.into(),
        granted_nano.into(),
        spent_nano.into(),
        reserved_nano.into(),
        state.into(),
        recalled_at.into(),
        expires_at.into(),
        deadline_at.into(),
        created_at.into(),
        updated_at.into(),
    ]
}

static UPDATE_LEASES: Update = Update {
    table: "leases",
    kinds: &[Kind::Text, Kind::Int, Kind::Int, Kind::Int, Kind::Text, Kind::Time, Kind::Time, Kind::Time, Kind::Time],
    set: "granted_nano = v.column2, spent_nano = v.column3, reserved_nano = v.column4, state = v.column5, recalled_at = v.column6, \
          expires_at = v.column7, deadline_at = v.column8, updated_at = v.column9",
};

fn lease_values(lease: lease::Model, now: DateTime<Utc>) -> [Value; 9] {
    let lease::Model { id, granted_nano, spent_nano, reserved_nano, state, recalled_at, expires_at, deadline_at, .. } = lease;
    [
        id.into(),
        granted_nano.into(),
        spent_nano.into(),
        reserved_nano.into(),
        state.into(),
        recalled_at.into(),
        expires_at.into(),
        deadline_at.into(),
        now.into(),
    ]
}

//! People and their roles, in the organization or in one project of it.
//!
//! Only an owner makes or unmakes an owner, and the last one stays.

use entity::membership::{ActiveModel, Entity, Model as Row, Role as RoleColumn};
use entity::user;
use policy::id::{IdKind, new_id};
use policy::source::{Member, Role};
use sea_orm::{ActiveValue::Set, DbErr, IntoActiveModel};
use serde_json::{Value, json};

use super::change::{Change, Edited};
use super::document::document;
use super::managed::Managed;
use super::{OperationError, valid};
use crate::audit::Target;
use crate::authz::{Action, Authorized, Resource};
use crate::store;

/// Members.
pub(crate) struct Members;

impl Managed for Members {
    const RESOURCE: Resource = Resource::Member;
    const KIND: &'static str = "member";
    const CREATE: &'static str = "addMember";
    const UPDATE: &'static str = "updateMember";
    const DELETE: &'static str = "removeMember";
    type Row = Row;
    type Source = Member;
    /// The project, by id; none for the whole organization.
    type Place = Option<String>;

    async fn find(change: &Change<'_>, id: &str) -> Result<Option<Row>, DbErr> {
        store::find::<Entity>(&change.tx, change.ctx.scope(), id).await
    }

    fn version(row: &Row) -> i64 {
        version_of(row)
    }

    fn project_of(_: &Row) -> Option<&str> {
        None
    }

    async fn read(change: &Change<'_>, row: &Row) -> Result<Member, OperationError> {
        let user = store::member::users(&change.tx, change.ctx.scope(), std::slice::from_ref(&row.user_id)).await?.pop();
        Ok(Member { email: user.map(|user| user.email).unwrap_or_default(), role: role_of(row.role) })
    }

    async fn create(change: &Change<'_>, project_id: &Option<String>, member: &Member) -> Result<Edited, OperationError> {
        let proof = change.ctx.authorize(Action::Create, Resource::Member)?;
        if let Some(id) = project_id {
            store::find::<entity::project::Entity>(&change.tx, change.ctx.scope(), id)
                .await?
                .ok_or(OperationError::NotFound { kind: "project" })?;
        }
        if member.role == Role::Owner && project_id.is_none() {
            change.ctx.authorize(Action::Create, Resource::Owner)?;
        }
        let user = find_or_create_user(change, &proof, &member.email).await?;
        if store::member::membership(&change.tx, change.ctx.scope(), &user.id, project_id.as_deref()).await?.is_some() {
            return Err(OperationError::taken(Self::KIND, &user.email));
        }
        let row = ActiveModel {
            id: Set(new_id(IdKind::Membership)),
            user_id: Set(user.id),
            project_id: Set(project_id.clone()),
            role: Set(role_column(member.role)),
            created_at: Set(change.now),
            updated_at: Set(change.now),
            ..ActiveModel::default()
        };
        let row = store::insert::<Entity, _>(&change.tx, &proof, row).await?;
        Ok(Edited::new(target(&row, &user.email), None, Some(audit_document(change, &row).await?)))
    }

    async fn replace(change: &Change<'_>, proof: &Authorized, before: Row, member: &Member) -> Result<Edited, OperationError> {
        let was = audit_document(change, &before).await?;
        if before.role != role_column(member.role) {
            leave_owner(change, &before).await?;
            if member.role == Role::Owner && before.project_id.is_none() {
                change.ctx.authorize(Action::Create, Resource::Owner)?;
            }
        }
        let mut row = before.into_active_model();
        row.role = Set(role_column(member.role));
        row.updated_at = Set(change.now);
        let row = store::update::<Entity, _>(&change.tx, proof, row).await?;
        Ok(Edited::new(target(&row, &member.email), Some(was), Some(audit_document(change, &row).await?)))
    }

    async fn delete(change: &Change<'_>, proof: &Authorized, row: Row) -> Result<Edited, OperationError> {
        leave_owner(change, &row).await?;
        let was = audit_document(change, &row).await?;
        let email = Self::read(change, &row).await?.email;
        store::delete::<Entity>(&change.tx, proof, &row.id).await?;
        Ok(Edited::new(target(&row, &email), Some(was), None))
    }
}

/// The person of this address, made where nobody has it yet. Making a person gives no rights; the membership does.
async fn find_or_create_user(change: &Change<'_>, proof: &Authorized, email: &str) -> Result<user::Model, OperationError> {
    let email = valid::email("email", email)?;
    if let Some(user) = store::member::user_by_email(&change.tx, &email).await? {
        return Ok(user);
    }
    Ok(store::member::insert_user(&change.tx, proof, new_user(&email, None, change.now)).await?)
}

/// A row for a person who has none.
pub(crate) fn new_user(email: &str, password_hash: Option<String>, now: chrono::DateTime<chrono::Utc>) -> user::ActiveModel {
    user::ActiveModel {
        id: Set(new_id(IdKind::User)),
        email: Set(email.to_owned()),
        name: Set(email.split('@').next().unwrap_or(email).to_owned()),
        password_hash: Set(password_hash),
        disabled_at: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
    }
}

/// Whether `row` may stop being what it is.
async fn leave_owner(change: &Change<'_>, row: &Row) -> Result<(), OperationError> {
    if row.role != RoleColumn::Owner || row.project_id.is_some() {
        return Ok(());
    }
    change.ctx.authorize(Action::Delete, Resource::Owner)?;
    if store::member::owners(&change.tx, change.ctx.scope()).await? <= 1 {
        return Err(OperationError::invalid("role", "the last owner stays: make somebody else an owner first"));
    }
    Ok(())
}

/// Memberships have no counter: the instant of the last change, in microseconds, tells one state from another.
pub(crate) fn version_of(row: &Row) -> i64 {
    row.updated_at.timestamp_micros()
}

/// The role of a row as operators write it.
pub(crate) const fn role_of(role: RoleColumn) -> Role {
    match role {
        RoleColumn::Owner => Role::Owner,
        RoleColumn::Admin => Role::Admin,
        RoleColumn::Member => Role::Member,
        RoleColumn::Viewer => Role::Viewer,
    }
}

/// The role as a row has it.
pub(crate) const fn role_column(role: Role) -> RoleColumn {
    match role {
        Role::Owner => RoleColumn::Owner,
        Role::Admin => RoleColumn::Admin,
        Role::Member => RoleColumn::Member,
        Role::Viewer => RoleColumn::Viewer,
    }
}

fn target(row: &Row, email: &str) -> Target {
    Target { kind: Resource::Member.as_str(), id: row.id.clone(), name: email.to_owned() }
}

async fn audit_document(change: &Change<'_>, row: &Row) -> Result<Value, OperationError> {
    let member = Members::read(change, row).await?;
    document(&member, &[("id", json!(row.id)), ("user_id", json!(row.user_id)), ("project_id", json!(row.project_id))])
}

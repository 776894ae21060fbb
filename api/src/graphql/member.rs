//! Members: people and their roles.

use async_graphql::connection::Connection;
use async_graphql::{ComplexObject, Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::membership::{Entity, Model as Row};
use policy::source::{Member, Role};
use serde::Serialize;

use super::Result;
use super::caller::{Caller, caller, not_found};
use super::connection::{connection, page_request, rows};
use super::loaders::{ProjectId, UserId};
use super::organization::DeletedPayload;
use super::project::ProjectView;
use super::vocabulary::RoleName;
use crate::app::OperationError;
use crate::app::managed::{Create, Delete, Overlay, Update};
use crate::app::member::{Members, role_of};
use crate::authz::{Action, Resource};
use crate::store::{self, page};

/// A role of a person, in the organization or in one project.
#[derive(SimpleObject)]
#[graphql(name = "Member", complex)]
struct MemberView {
    /// Prefixed id of the membership.
    id: String,
    /// Prefixed id of the person.
    user_id: String,
    /// The role.
    role: RoleName,
    /// For `expectedVersion`.
    version: i64,
    /// When the role was given.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
    #[graphql(skip)]
    project_id: Option<String>,
}

impl From<Row> for MemberView {
    fn from(row: Row) -> Self {
        let version = crate::app::member::version_of(&row);
        let Row { id, org_id: _, user_id, project_id, role, created_at, updated_at } = row;
        Self { id, user_id, role: role_of(role).into(), version, created_at, updated_at, project_id }
    }
}

#[ComplexObject]
impl MemberView {
    /// E-mail address of the person.
    async fn email(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let user = caller(ctx)?.loaders().load_one(UserId(self.user_id.clone())).await?;
        Ok(user.map(|user| user.email))
    }

    /// Name of the person.
    async fn name(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let user = caller(ctx)?.loaders().load_one(UserId(self.user_id.clone())).await?;
        Ok(user.map(|user| user.name))
    }

    /// The project the role is for; none for the whole organization.
    async fn project(&self, ctx: &Context<'_>) -> Result<Option<ProjectView>> {
        let Some(id) = &self.project_id else { return Ok(None) };
        let row = caller(ctx)?.loaders().load_one(ProjectId(id.clone())).await?;
        row.map(ProjectView::try_from).transpose()
    }
}

/// A new role.
#[derive(InputObject)]
struct AddMemberInput {
    /// E-mail address of the person.
    email: String,
    /// The role.
    role: RoleName,
    /// The project it is for; the whole organization where left out.
    project_id: Option<ID>,
}

/// Another role.
#[derive(InputObject, Serialize)]
struct UpdateMemberInput {
    /// The role.
    role: RoleName,
}

impl Overlay<Member> for UpdateMemberInput {
    fn lay_over(self, member: &mut Member) -> Result<(), OperationError> {
        member.role = Role::from(self.role);
        Ok(())
    }
}

/// A role as changed.
#[derive(SimpleObject)]
struct MemberPayload {
    /// As it is now.
    member: MemberView,
    /// The bundle that carries the change.
    revision: i64,
}

async fn load(caller: &Caller, id: &str) -> Result<MemberView> {
    caller.ctx().authorize(Action::Read, Resource::Member)?;
    let row = store::find::<Entity>(caller.database(), caller.ctx().scope(), id).await?;
    Ok(row.ok_or_else(|| not_found("member"))?.into())
}

#[derive(Default)]
pub(super) struct MemberQuery;

#[Object]
impl MemberQuery {
    /// Everybody with a role.
    #[graphql(complexity = "rows(first) * child_complexity")]
    async fn members(&self, ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Result<Connection<String, MemberView>> {
        let caller = caller(ctx)?;
        caller.ctx().authorize(Action::Read, Resource::Member)?;
        let page =
            page::by_id(caller.database(), store::select::<Entity>(caller.ctx().scope()), &page_request(first, after.as_deref())?).await?;
        Ok(connection(page, |row| row.id.clone(), MemberView::from))
    }

    /// One role of somebody.
    async fn member(&self, ctx: &Context<'_>, id: ID) -> Result<MemberView> {
        load(caller(ctx)?, &id).await
    }
}

#[derive(Default)]
pub(super) struct MemberMutation;

#[Object]
impl MemberMutation {
    /// Gives somebody a role.
    async fn add_member(&self, ctx: &Context<'_>, input: AddMemberInput, idempotency_key: Option<String>) -> Result<MemberPayload> {
        let caller = caller(ctx)?;
        let AddMemberInput { email, role, project_id } = input;
        let create = Create::<Members> { place: project_id.map(|id| id.0), source: Member { email, role: role.into() } };
        let done = caller.change(idempotency_key, create).await?;
        Ok(MemberPayload { member: load(caller, &done.id).await?, revision: done.revision })
    }

    /// Gives somebody another role.
    async fn update_member(
        &self,
        ctx: &Context<'_>,
        id: ID,
        input: UpdateMemberInput,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<MemberPayload> {
        let caller = caller(ctx)?;
        let update = Update { id: id.0, expected_version, overlay: input };
        let done = caller.change(idempotency_key, update.of::<Members>()).await?;
        Ok(MemberPayload { member: load(caller, &done.id).await?, revision: done.revision })
    }

    /// Takes a role away.
    async fn remove_member(
        &self,
        ctx: &Context<'_>,
        id: ID,
        expected_version: Option<i64>,
        idempotency_key: Option<String>,
    ) -> Result<DeletedPayload> {
        let delete = Delete { id: id.0, expected_version };
        Ok(caller(ctx)?.change(idempotency_key, delete.of::<Members>()).await?.into())
    }
}

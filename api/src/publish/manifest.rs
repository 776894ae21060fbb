#![expect(clippy::disallowed_methods, reason = "members of one organization; the query is bound to its id")]
//! The source as people keep it in files: names instead of ids, and no secrets.

use entity::{membership, user};
use policy::source::{Manifest, Member, Organization, Project, Role};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};

/// The document that describes `organization`; applying it changes nothing.
#[must_use]
pub fn to_manifest(organization: &Organization, members: Vec<Member>) -> Manifest {
    let Organization { id: _, slug, revision: _, time: _, settings, providers, models, routing_configs, projects, budgets } = organization;
    let projects = projects.iter().map(|record| Project {
        routing_configs: record.routing_configs.iter().map(|record| record.config.clone()).collect(),
        keys: record.keys.iter().map(|record| record.key.clone()).collect(),
        ..record.project.clone()
    });
    Manifest {
        org: slug.clone(),
        settings: Some(settings.clone()),
        providers: providers.iter().map(|record| record.provider.clone()).collect(),
        models: models.iter().map(|record| record.model.clone()).collect(),
        routing_configs: routing_configs.iter().map(|record| record.config.clone()).collect(),
        projects: projects.collect(),
        budgets: budgets.iter().map(|record| record.budget.clone()).collect(),
        members,
        webhooks: Vec::new(),
        exports: Vec::new(),
    }
}

/// Who has a role in the whole organization, in the order of their addresses.
///
/// # Errors
/// When the database does not answer.
pub async fn load_members(connection: &impl ConnectionTrait, org_id: &str) -> Result<Vec<Member>, DbErr> {
    let found = membership::Entity::find()
        .filter(membership::Column::OrgId.eq(org_id))
        .filter(membership::Column::ProjectId.is_null())
        .find_also_related(user::Entity)
        .all(connection)
        .await?;
    let mut members: Vec<Member> = found
        .into_iter()
        .filter_map(|(membership, user)| user.map(|user| Member { email: user.email, role: role(membership.role) }))
        .collect();
    members.sort_by(|one, other| one.email.cmp(&other.email));
    Ok(members)
}

const fn role(role: membership::Role) -> Role {
    match role {
        membership::Role::Owner => Role::Owner,
        membership::Role::Admin => Role::Admin,
        membership::Role::Member => Role::Member,
        membership::Role::Viewer => Role::Viewer,
    }
}

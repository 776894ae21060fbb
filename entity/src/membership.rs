//! A role of a person in an organization, or in one project of it.
//!
//! A person has at most one role for the organization and one for each project.

use sea_orm::entity::prelude::*;

/// What somebody may do; the rights of each are the policy of the control plane's authorisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum Role {
    /// Everything, also granting owner and deleting the organization.
    Owner,
    /// Everything but that.
    Admin,
    /// Edits routing configs and the keys of own projects.
    Member,
    /// Reads, without payloads.
    Viewer,
}

/// One row of `memberships`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "memberships")]
pub struct Model {
    /// Prefixed, sortable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The organization that owns the row.
    pub org_id: String,
    /// The person.
    pub user_id: String,
    /// The project the role is limited to; none for the whole organization.
    pub project_id: Option<String>,
    /// The role.
    pub role: Role,
    /// When the row was made, to the microsecond.
    pub created_at: DateTimeUtc,
    /// When the row last changed, to the microsecond.
    pub updated_at: DateTimeUtc,
}

/// Joins that the store uses.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The row that `user_id` names.
    #[sea_orm(belongs_to = "super::user::Entity", from = "Column::UserId", to = "super::user::Column::Id")]
    User,
}

impl Related<super::user::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::User.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

//! The policy file as one set of permissions a role.

use casbin::{CoreApi, DefaultModel, Enforcer, StringAdapter};
use entity::membership::Role;

use super::{Action, PermissionSet, Resource};

const MODEL: &str = include_str!("model.conf");
const POLICY: &str = include_str!("policy.csv");

/// What each role may do.
#[derive(Debug, Clone, Copy)]
pub struct Matrix {
    owner: PermissionSet,
    admin: PermissionSet,
    member: PermissionSet,
    viewer: PermissionSet,
}

/// The policy that was built in can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the authorisation policy can't be loaded")]
pub struct MatrixError(#[from] casbin::Error);

impl Matrix {
    /// Loads the built-in policy and asks casbin about every role, resource and action once.
    ///
    /// # Errors
    /// When the policy does not fit its model, which only a change to the program can bring about.
    pub async fn load() -> Result<Self, MatrixError> {
        let model = DefaultModel::from_str(MODEL).await?;
        let enforcer = Enforcer::new(model, StringAdapter::new(POLICY)).await?;
        Ok(Self {
            owner: permissions_of(&enforcer, Role::Owner)?,
            admin: permissions_of(&enforcer, Role::Admin)?,
            member: permissions_of(&enforcer, Role::Member)?,
            viewer: permissions_of(&enforcer, Role::Viewer)?,
        })
    }

    /// What `role` may do.
    #[must_use]
    pub const fn of(&self, role: Role) -> PermissionSet {
        match role {
            Role::Owner => self.owner,
            Role::Admin => self.admin,
            Role::Member => self.member,
            Role::Viewer => self.viewer,
        }
    }

    /// A table for people and for the test that compares it: one line a resource and action, the roles that may in columns.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::from("resource         action  owner admin member viewer\n");
        for resource in Resource::ALL {
            for action in Action::ALL {
                let mark = |role| if self.of(role).contains(action, resource) { "x" } else { "-" };
                let [owner, admin, member, viewer] = [Role::Owner, Role::Admin, Role::Member, Role::Viewer].map(mark);
                let line = format!("{:<16} {:<7} {owner:<5} {admin:<5} {member:<6} {viewer}", resource.as_str(), action.as_str());
                text.push_str(&line);
                text.push('\n');
            }
        }
        text
    }
}

/// The word of a role in the policy, in the interface and in manifests.
#[must_use]
pub const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Admin => "admin",
        Role::Member => "member",
        Role::Viewer => "viewer",
    }
}

fn permissions_of(enforcer: &Enforcer, role: Role) -> Result<PermissionSet, MatrixError> {
    let mut set = PermissionSet::NONE;
    for resource in Resource::ALL {
        for action in Action::ALL {
            if enforcer.enforce((role_name(role), resource.as_str(), action.as_str()))? {
                set = set.with(action, resource);
            }
        }
    }
    Ok(set)
}

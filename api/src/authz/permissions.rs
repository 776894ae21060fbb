//! What one caller may do: from roles in the organization and in projects, capped by the keys it came with.

use std::collections::BTreeMap;

use entity::membership::Role;

use super::{Action, KeyScope, Matrix, PermissionSet, Resource};

/// The roles of a person, as rows have them today.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    /// In the organization.
    pub organization: Option<Role>,
    /// In projects, by id.
    pub projects: BTreeMap<String, Role>,
}

/// What a caller may do, everywhere and in single projects.
#[derive(Debug, Clone)]
pub struct Permissions {
    everywhere: PermissionSet,
    projects: BTreeMap<String, PermissionSet>,
    /// Whether every project counts as the caller's own.
    owns_all: bool,
}

impl Permissions {
    /// Everything; for the control plane itself.
    #[must_use]
    pub const fn all() -> Self {
        Self { everywhere: PermissionSet::ALL, projects: BTreeMap::new(), owns_all: true }
    }

    /// Nothing; for keys whose creator is gone.
    #[must_use]
    pub const fn none() -> Self {
        Self { everywhere: PermissionSet::NONE, projects: BTreeMap::new(), owns_all: false }
    }

    /// Those of a person.
    #[must_use]
    pub fn of_grants(matrix: &Matrix, grants: &Grants) -> Self {
        let everywhere = grants.organization.map_or(PermissionSet::NONE, |role| matrix.of(role));
        let projects = grants.projects.iter().map(|(id, role)| (id.clone(), matrix.of(*role).of_project())).collect();
        Self { everywhere, projects, owns_all: everywhere.contains(Action::Create, Resource::ProxyKey) }
    }

    /// Those of a key: its creator's, cut to its role and to its scopes.
    #[must_use]
    pub fn capped(self, role: PermissionSet, scopes: Option<&[KeyScope]>) -> Self {
        let cap = scopes.map_or(role, |scopes| role.and(KeyScope::union(scopes)));
        Self {
            everywhere: self.everywhere.and(cap),
            projects: self.projects.into_iter().map(|(id, set)| (id, set.and(cap))).collect(),
            owns_all: self.owns_all,
        }
    }

    /// What holds in the whole organization.
    #[must_use]
    pub const fn everywhere(&self) -> PermissionSet {
        self.everywhere
    }

    /// What holds in one project.
    #[must_use]
    pub fn in_project(&self, project_id: &str) -> PermissionSet {
        self.projects.get(project_id).copied().unwrap_or_default().or(self.everywhere)
    }

    /// Whether `action` is allowed on `resource` in the whole organization.
    #[must_use]
    pub const fn allow(&self, action: Action, resource: Resource) -> bool {
        self.everywhere.contains(action, resource)
    }

    /// The same in one project. Keys may also be those of own projects: projects that the caller has a grant for, or all where the
    /// caller (or who made its key) runs the organization.
    #[must_use]
    pub fn allow_in(&self, action: Action, resource: Resource, project_id: &str) -> bool {
        let granted = self.projects.get(project_id).copied().unwrap_or_default();
        if granted.or(self.everywhere).contains(action, resource) {
            return true;
        }
        let own = if self.owns_all { granted.or(self.everywhere) } else { granted };
        resource == Resource::ProxyKey && own.contains(action, Resource::OwnProxyKey)
    }

    /// Whether `action` is allowed on `resource` somewhere: in the organization or in any project.
    #[must_use]
    pub fn allow_anywhere(&self, action: Action, resource: Resource) -> bool {
        self.allow(action, resource) || self.projects.values().any(|set| set.contains(action, resource))
    }

    /// The projects that the caller is limited to where it may read nothing in the whole organization.
    #[must_use]
    pub fn limited_to(&self) -> Option<Vec<String>> {
        if self.allow(Action::Read, Resource::Organization) || self.projects.is_empty() {
            return None;
        }
        Some(self.projects.keys().cloned().collect())
    }
}

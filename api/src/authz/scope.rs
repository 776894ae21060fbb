//! Scopes of management keys: `resource:verb`, each side also `*`.

use super::{Action, PermissionSet, Resource};

/// One scope of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyScope {
    resource: Option<Resource>,
    action: Option<Action>,
}

/// A text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a scope: write `resource:verb`, such as `budget:read` or `routing_config:*`")]
pub struct KeyScopeError(String);

impl KeyScope {
    /// All that any of `scopes` covers.
    #[must_use]
    pub fn union(scopes: &[Self]) -> PermissionSet {
        scopes.iter().fold(PermissionSet::NONE, |set, scope| set.or(scope.covered()))
    }

    fn covered(self) -> PermissionSet {
        let mut set = PermissionSet::NONE;
        for resource in Resource::ALL.into_iter().filter(|resource| self.resource.is_none_or(|own| own == *resource)) {
            for action in Action::ALL.into_iter().filter(|action| self.action.is_none_or(|own| own == *action)) {
                set = set.with(action, resource);
            }
        }
        // Who may touch keys may touch those of own projects; the role still says which.
        match self.resource {
            Some(Resource::ProxyKey) => set.or(Self { resource: Some(Resource::OwnProxyKey), ..self }.covered()),
            _ => set,
        }
    }
}

impl std::str::FromStr for KeyScope {
    type Err = KeyScopeError;

    fn from_str(text: &str) -> Result<Self, KeyScopeError> {
        let refused = || KeyScopeError(text.chars().take(60).collect());
        let (resource, action) = text.split_once(':').ok_or_else(refused)?;
        let resource = match resource {
            "*" => None,
            word => Some(Resource::ALL.into_iter().find(|known| known.as_str() == word).ok_or_else(refused)?),
        };
        let action = match action {
            "*" => None,
            word => Some(Action::ALL.into_iter().find(|known| known.as_str() == word).ok_or_else(refused)?),
        };
        Ok(Self { resource, action })
    }
}

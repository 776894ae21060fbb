//! What configs say of waiting, noted at the targets that they lead to: the innermost config decides.

use super::parts::each_target_mut;
use crate::decision::Route;
use crate::source::Patience;

/// Notes what a config says at every target of its route.
pub(super) fn note_patience(route: &mut Route, patience: Patience) {
    each_target_mut(route, &mut |target| target.patience = target.patience.or(patience));
}

impl Route {
    /// Whether any target's answer is heard to its end for a caller who has left.
    #[must_use]
    pub fn drains(&self) -> bool {
        super::resolve::any_target(self, &mut |target| target.patience.drains())
    }
}

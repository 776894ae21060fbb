//! How long vectors are: what configs say of it, noted at the targets that they lead to; the outermost config decides.
//!
//! All vectors of an index have to have one length, whoever made them. So what the caller asked for decides over what it is led through, and
//! holds as well where a rule or a budget leads elsewhere in its place; only an entry policy stands above it, the organization's above all.

use super::parts::each_target_mut;
use super::{Deciding, index};
use crate::decision::{Dimensions, Route};

impl Deciding<'_> {
    /// What a config says.
    pub(super) fn dimensions_of(&self, config: u32) -> Option<Dimensions> {
        let number = self.engine.bundle.configs.get(index(config))?.embedding_dimensions?;
        Some(Dimensions { number, config })
    }

    /// Notes what is said by those who stand above everything that was resolved.
    pub(super) fn hold_to_dimensions(&self, route: &mut Route) {
        if !self.engine.sizes_vectors {
            return;
        }
        let asked = self.request.model.strip_prefix('@').and_then(|slug| self.config_named(slug));
        let project = self.engine.project(self.subject.project).and_then(|project| project.entry_policy);
        for config in [asked, project, self.engine.bundle.entry_policy].into_iter().flatten() {
            note_dimensions(route, self.dimensions_of(config));
        }
    }
}

/// Notes what is said at every target, over what was said before; nothing where nothing is.
pub(super) fn note_dimensions(route: &mut Route, dimensions: Option<Dimensions>) {
    if dimensions.is_some() {
        each_target_mut(route, &mut |target| target.dimensions = dimensions);
    }
}

//! Which config's response cache is asked: the outermost one that has any on the way of the request.
//!
//! The way begins with the entry policies, in their order, and goes on with what is asked for and with every config that is led to in its
//! place. It ends where several are asked for one request (a fallback, an ensemble, a cascade) or one stands in for another: what such a
//! part answers may not be what the caller gets, so that its own cache does not count. Its version does: an answer that was kept under
//! another one is none.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Deciding, index};
use crate::decision::CacheTerms;

/// What was noted so far.
#[derive(Debug, Default)]
pub(super) struct Caching {
    /// The config whose terms hold.
    found: Option<u32>,
    /// That one and those below it, in the order in which they were asked.
    asked: SmallVec<[u32; 4]>,
    /// What is asked from here on is one of several.
    branched: bool,
}

impl Deciding<'_> {
    /// Forgets what was noted while looking ahead, and begins with the entry policies.
    pub(super) fn begin_caching(&mut self) {
        if !self.engine.caches {
            return;
        }
        self.caching = Caching::default();
        let project = self.engine.project(self.subject.project).and_then(|project| project.entry_policy);
        for at in [self.engine.bundle.entry_policy, project].into_iter().flatten() {
            self.note_cache(at);
        }
    }

    /// A config is asked.
    pub(super) fn note_cache(&mut self, at: u32) {
        if !self.engine.caches {
            return;
        }
        let keeps = || self.engine.bundle.configs.get(index(at)).is_some_and(|config| config.cache.is_some());
        if self.caching.found.is_none() && !self.caching.branched && keeps() {
            self.caching.found = Some(at);
        }
        if self.caching.found.is_some() {
            self.caching.asked.push(at);
        }
    }

    /// From here on several are asked for one request.
    pub(super) fn branch(&mut self) {
        self.caching.branched = true;
    }

    /// The terms that were found.
    pub(super) fn cache_terms(&mut self) -> Option<Box<CacheTerms>> {
        let at = self.caching.found?;
        let cache = self.engine.bundle.configs.get(index(at)).and_then(|config| config.cache)?;
        let config = self.engine.configs.get(index(at)).map(|config| Arc::clone(&config.label))?;
        let mut configs = std::mem::take(&mut self.caching.asked);
        configs.sort_unstable();
        configs.dedup();
        Some(Box::new(CacheTerms { config, configs, ttl_seconds: cache.ttl_seconds, include_sampled: cache.include_sampled }))
    }
}

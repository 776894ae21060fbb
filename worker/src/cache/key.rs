//! Under what an answer is kept: a digest of everything that it hangs on.
//!
//! Invariant: every part stands with its length before it, and the number of parts of each kind is fixed or said, so that no two
//! different lists of parts give the same bytes. Organization and project come first.
//!
//! In it: who owns the request; the versions of all configs that were asked, from the one whose terms hold on; whom they lead to, each with its
//! address and with the output limit and the length of vectors that would be sent along; the caller's interface, model, stream or not; header lines that
//! providers act on; and the request itself ([`Canonical`]). Not in it: the order of targets, which for strategies that select changes
//! from one request to the next while each of them would do; keys, end users and tags, which have had their say in where the request goes.

use llm::request::Canonical;
use policy::decision::{CacheTerms, ResolvedTarget};
use ring::digest::{Context, SHA256};

use super::Wish;
use crate::enforce::worst_case;

/// SHA-256 of what an answer hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

impl Key {
    pub(super) fn of(wish: &Wish<'_>, terms: &CacheTerms, canonical: &Canonical) -> Self {
        let owner = wish.owner();
        let mut hash = Parts(Context::new(&SHA256));
        hash.part(b"modelux response cache 1");
        hash.part(owner.org.as_bytes());
        hash.part(owner.project.as_bytes());
        let configs = &wish.exchange.caller.policy.engine.bundle().configs;
        hash.count(terms.configs.len());
        for config in terms.configs.iter().map(|&at| usize::try_from(at).ok().and_then(|at| configs.get(at))) {
            hash.part(config.map(|config| config.id.as_bytes()).unwrap_or_default());
            hash.number(config.map_or(0, |config| config.version));
        }
        hash.targets(wish);
        hash.part(wish.head.dialect.name().as_bytes());
        hash.part(wish.head.model.as_bytes());
        hash.part(&[wish.head.stream.into(), wish.strict.into()]);
        for lines in wish.headers.forwarded.that_matter() {
            hash.part(lines);
        }
        hash.part(&canonical.digest);
        Self(hash.digest())
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn of_test(byte: u8) -> Self {
        Self([byte; 32])
    }
}

struct Parts(Context);

impl Parts {
    fn part(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn count(&mut self, count: usize) {
        self.number(u64::try_from(count).unwrap_or(u64::MAX));
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_be_bytes());
    }

    /// Whom the route may ask, as a set.
    fn targets(&mut self, wish: &Wish<'_>) {
        let mut targets = Vec::with_capacity(4);
        wish.permit.route().each_target(&mut |target| targets.push(described(wish, target)));
        targets.sort_unstable();
        targets.dedup();
        self.count(targets.len());
        for target in targets {
            self.part(&target);
        }
    }

    fn digest(self) -> [u8; 32] {
        let mut digest = [0; 32];
        let finished = self.0.finish();
        // Both are 32 bytes long.
        digest.iter_mut().zip(finished.as_ref()).for_each(|(to, from)| *to = *from);
        digest
    }
}

/// A target with what its answer hangs on. The variant too: the caller is told which one it met.
fn described(wish: &Wish<'_>, target: &ResolvedTarget) -> Vec<u8> {
    let provider = wish.exchange.caller.policy.engine.provider(target.provider);
    let (id, vendor) = provider.map(|provider| (provider.id.as_str(), provider.vendor.as_str())).unwrap_or_default();
    let address = provider.and_then(|provider| provider.base_url.as_deref()).unwrap_or_default();
    let budgeted = !wish.permit.claims().is_empty() || !target.claims.is_empty();
    let limit = worst_case(wish.facts, target, budgeted).output_limit.map_or(u64::MAX, u64::from);
    let mut described = Vec::with_capacity(128);
    for part in [id, vendor, address, &target.model, target.variant.as_deref().unwrap_or_default()] {
        described.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        described.extend_from_slice(part.as_bytes());
    }
    described.extend_from_slice(&limit.to_be_bytes());
    if let Some(said) = target.dimensions {
        described.extend_from_slice(&said.number.to_be_bytes());
    }
    described
}

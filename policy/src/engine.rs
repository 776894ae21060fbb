//! Decides one request against one bundle. Pure and bounded: no I/O, no clock, no lock.

use std::collections::HashMap;

use crate::bundle::v1::Bundle;
use crate::decision::{Claim, Decision};
use crate::facts::{HealthView, RequestFacts, Subject, Tags};
use crate::money::NanoUsd;

/// What is known of money at this instant.
pub trait BudgetView {
    /// Settled and reserved of the account, over all workers as last known.
    fn used(&self, claim: &Claim) -> NanoUsd;
}

/// A bundle made ready for decisions: rules compiled, keys indexed.
#[derive(Debug)]
pub struct Engine {
    bundle: Bundle,
    keys: HashMap<String, u32>,
}

/// Why a bundle can't be made ready.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct LoadError {
    message: String,
}

impl Engine {
    /// Compiles rules and builds indices. Not for the request path.
    pub fn load(bundle: Bundle) -> Result<Self, LoadError> { todo!() }
    /// The bundle this was made of.
    pub fn bundle(&self) -> &Bundle { &self.bundle }
    /// Who presents the key with this SHA-256.
    pub fn identify(&self, key_hash_hex: &str) -> Option<Subject> { todo!() }
    /// Tags bound to the subject: the project's, overridden by the key's.
    pub fn bound_tags(&self, subject: &Subject) -> &Tags { todo!() }
    /// The decision.
    pub fn decide(&self, subject: &Subject, facts: &RequestFacts, budgets: &dyn BudgetView, health: &dyn HealthView) -> Decision { todo!() }
}

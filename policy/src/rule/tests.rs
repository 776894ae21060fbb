//! Tests of the rule language: how a rule is asked here; the rooms hold the sentences.

mod agreement;
mod answers;
mod bounds;
mod meaning;
mod refusals;

use super::world::World;
use super::{Rule, RuleError, RuleKind, Verdict};
use crate::facts::HealthFacts;

impl World {
    fn ask(&self, source: &str) -> Verdict {
        let rule = Rule::compile(source, RuleKind::Routes).unwrap_or_else(|error| panic!("`{source}`: {error}"));
        rule.holds(&self.facts())
    }
}

fn refused(source: &str) -> RuleError {
    match Rule::compile(source, RuleKind::Routes) {
        Ok(_) => panic!("`{}` was accepted", source.chars().take(200).collect::<String>()),
        Err(error) => error,
    }
}

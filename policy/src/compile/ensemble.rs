//! Ensembles: who is asked, how answers become one, and that the two fit together.

use super::routing::Place;
use crate::bundle::v1;
use crate::source::{Aggregation, EnsembleMember, Target};

/// Each of them is paid for.
const MAX_MEMBERS: usize = 8;

/// How the answers become one.
pub(super) struct Decision<'a> {
    pub aggregation: Aggregation,
    pub judge: Option<&'a Target>,
    pub timeout_ms: Option<u64>,
    pub quorum: Option<u32>,
}

impl Place<'_, '_> {
    pub(super) fn ensemble(&mut self, members: &[EnsembleMember], decision: &Decision<'_>) -> v1::Strategy {
        let Decision { aggregation, judge, timeout_ms, quorum } = *decision;
        if !(2..=MAX_MEMBERS).contains(&members.len()) {
            self.reject("members", format!("an ensemble has 2 to {MAX_MEMBERS} members; for one, write `single`"));
        }
        self.check_time("timeout_ms", timeout_ms);
        self.check_judge(aggregation, judge);
        self.check_quorum(aggregation, quorum, members.len());
        let mut compiled = Vec::with_capacity(members.len());
        for (position, member) in members.iter().enumerate() {
            let target = self.route_target(&member.model, &format!("members[{position}].model"));
            if member.weight.ppm() == 0 {
                self.reject(format!("members[{position}].weight"), "must be above 0; to ask a member no more, leave it out");
            }
            compiled.push(v1::Member { target, weight_ppm: member.weight.ppm() });
        }
        let judge = judge.map(|judge| self.route_target(judge, "judge"));
        v1::Strategy::Ensemble { aggregation, members: compiled, judge, timeout_ms, quorum: quorum.unwrap_or(1) }
    }

    fn check_judge(&mut self, aggregation: Aggregation, judge: Option<&Target>) {
        match (aggregation, judge) {
            (Aggregation::LlmJudge, None) => self.reject("judge", "aggregation `llm_judge` needs a `judge`, a model or `@slug`"),
            (Aggregation::FirstValid | Aggregation::WeightedVote | Aggregation::WeightedAverage, Some(_)) => {
                self.reject("judge", format!("aggregation `{}` asks no judge; leave it out, or write `llm_judge`", aggregation.as_str()));
            }
            _ => {}
        }
    }

    fn check_quorum(&mut self, aggregation: Aggregation, quorum: Option<u32>, members: usize) {
        let Some(quorum) = quorum else { return };
        if aggregation == Aggregation::FirstValid {
            self.reject("quorum", "aggregation `first_valid` takes the first answer; leave it out");
        } else if quorum == 0 || usize::try_from(quorum).is_ok_and(|quorum| quorum > members) {
            self.reject("quorum", format!("must be 1 to {members}, the number of members"));
        }
    }
}

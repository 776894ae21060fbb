//! What does not fit by its length is counted before it is refused, or its output lowered.
//!
//! The usual bound of the input is its length in bytes, three to five times what a text comes to. It costs nothing, and matters only where a
//! budget that blocks is nearly used up: there, and only there, the texts are counted, and the attempt is held with the count in place of
//! their bytes. Everything else of the bound stays (pictures, files, tools, what is around texts), see [`llm::request::counted_bound`].
//!
//! Not counted is: for models whose tokenizer isn't known, because no margin holds for every text; what the provider adds to
//! ([`policy::facts::RequestFacts::kept_input`]), where the context is the bound; what is too long for any of these models; and what could not fit
//! however few tokens it had, so that a budget with nothing left costs nobody work. Where its turn does not come in time, lengths have the last word.

use std::time::Duration;

use bytes::Bytes;
use llm::request::{Head, counted_bound};
use llm::tokens::least_counted;
use policy::decision::{BudgetShortfall, ResolvedTarget};

use super::{Gate, LEAST_CLAMPED, cost_of, left_of};
use crate::tokenizer::{self, Vocabulary};

/// Longer texts would not fit the context of any model whose tokenizer is known, but for runs of blanks.
const LONGEST: u64 = 8 << 20;
/// Until it is its turn; the counting itself takes a twentieth of a second for a megabyte.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a request's input is counted from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prompt<'r> {
    /// The caller's body.
    pub body: &'r Bytes,
    /// What was read in it.
    pub head: &'r Head<'r>,
}

impl Gate<'_> {
    /// Input tokens at most by counting; none where that does not help, or nobody can.
    pub(super) async fn count_input(&self, short: &BudgetShortfall, target: &ResolvedTarget) -> Option<u64> {
        let Prompt { body, head } = self.prompt?;
        let vocabulary = self.vocabulary(target).filter(|_| self.may_help(short, target, head))?;
        let (dialect, body, sizes) = (head.dialect, body.clone(), head.sizes);
        let counted = tokenizer::aside(PATIENCE, move || {
            let tokenizer = vocabulary();
            counted_bound(dialect, &body, &sizes, &|text| tokenizer::tokens_of(tokenizer, text)).ok()
        });
        counted.await.flatten().filter(|tokens| *tokens < self.facts.input_tokens_bound)
    }

    fn vocabulary(&self, target: &ResolvedTarget) -> Option<Vocabulary> {
        let provider = self.policy.engine.provider(target.provider)?;
        tokenizer::exact(&provider.vendor, &target.model)
    }

    /// Whether a count that is low enough for what is left is possible at all.
    fn may_help(&self, short: &BudgetShortfall, target: &ResolvedTarget, head: &Head<'_>) -> bool {
        let length = head.sizes.message_bytes.saturating_add(head.sizes.other_bytes);
        let asked = target.output_limit(self.facts.max_output_tokens);
        let output = if self.clamps_for(short) { asked.min(LEAST_CLAMPED) } else { asked };
        let least = cost_of(self.facts, target, least_counted(&head.sizes), output);
        self.facts.kept_input.is_none() && length <= LONGEST && least <= left_of(short)
    }
}

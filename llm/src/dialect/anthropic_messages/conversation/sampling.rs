//! How tokens are drawn, within what Claude lets itself be told.

use serde_json::value::RawValue;

use super::{generation::Generation, thinking::ThinkingPlan};
use crate::convert::{Dropped, Feature, Sampling};

/// How tokens are drawn, as far as the model lets itself be told.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Drawn<'a> {
    pub(in crate::dialect) temperature: Option<&'a RawValue>,
    pub(in crate::dialect) top_p: Option<&'a RawValue>,
    pub(in crate::dialect) top_k: Option<&'a RawValue>,
}

impl<'a> Drawn<'a> {
    /// A thinking model and the newest ones take nothing. `temperature` goes to 1 here and to 2 elsewhere: what is beyond becomes 1,
    /// and is named. Several models refuse to be told both: of `temperature` and `top_p` the first stays that is not the default.
    pub(in crate::dialect) fn of(sampling: &'a Sampling<'_>, generation: Generation, plan: ThinkingPlan, dropped: &mut Dropped) -> Self {
        let mut drawn = Self::given(sampling);
        if generation.refuses_sampling() || plan.is_on() {
            let given = [(Feature::Temperature, drawn.temperature), (Feature::TopP, drawn.top_p), (Feature::TopK, drawn.top_k)];
            given.iter().filter(|(_, value)| value.is_some_and(|value| !is_one(value))).for_each(|(feature, _)| dropped.note(*feature));
            return Self::default();
        }
        match (drawn.temperature, drawn.top_p) {
            (Some(temperature), Some(_)) if is_one(temperature) => drawn.temperature = None,
            (Some(_), Some(top_p)) => {
                drawn.top_p = None;
                if !is_one(top_p) {
                    dropped.note(Feature::TopP);
                }
            }
            _ => {}
        }
        drawn.keep_to_one(dropped);
        drawn
    }

    /// As it was asked for.
    pub(in crate::dialect) fn given(sampling: &'a Sampling<'_>) -> Self {
        Self { temperature: sampling.temperature.as_deref(), top_p: sampling.top_p.as_deref(), top_k: sampling.top_k.as_deref() }
    }

    /// Lowers a `temperature` beyond 1, and names it.
    pub(in crate::dialect) fn keep_to_one(&mut self, dropped: &mut Dropped) {
        if self.temperature.is_some_and(is_above_one) {
            dropped.note(Feature::Temperature);
            self.temperature = serde_json::from_str("1").ok();
        }
    }
}

/// The default of `temperature` and of `top_p`: leaving it out changes nothing.
fn is_one(number: &RawValue) -> bool {
    matches!(number.get(), "1" | "1.0")
}

fn is_above_one(number: &RawValue) -> bool {
    number.get().parse::<f64>().is_ok_and(|number| number > 1.0)
}

//! What tokens cost.
//!
//! A price is nano-USD per million tokens of one bucket. Buckets are disjoint (a cached token is not also an input token), so a cost is a
//! plain sum; it is computed exactly in 128 bits and rounded up once, at the end.

use serde::{Deserialize, Serialize};

use crate::money::NanoUsd;

/// Price of each bucket in nano-USD per million tokens. USD 1 per million is 1,000,000,000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Uncached input.
    pub input: i64,
    /// Input read from the provider's cache.
    pub cached_input: i64,
    /// Input written to the provider's cache.
    pub cache_write: i64,
    /// Visible output.
    pub output: i64,
    /// Reasoning output.
    pub reasoning: i64,
}

/// Tokens in disjoint buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenBuckets {
    /// Uncached input.
    pub input: u64,
    /// Input read from the provider's cache.
    pub cached_input: u64,
    /// Input written to the provider's cache.
    pub cache_write: u64,
    /// Visible output.
    pub output: u64,
    /// Reasoning output.
    pub reasoning: u64,
}

impl Rates {
    /// Exact cost of `tokens`, rounded up to a nano-dollar once.
    #[must_use]
    pub fn cost(&self, tokens: &TokenBuckets) -> NanoUsd {
        let part = |count: u64, rate: i64| i128::from(count).saturating_mul(i128::from(rate));
        let sum = part(tokens.input, self.input)
            .saturating_add(part(tokens.cached_input, self.cached_input))
            .saturating_add(part(tokens.cache_write, self.cache_write))
            .saturating_add(part(tokens.output, self.output))
            .saturating_add(part(tokens.reasoning, self.reasoning));
        NanoUsd::from_millionths(sum)
    }

    /// The most that `input` and `output` tokens can cost, whichever buckets the provider books them in.
    #[must_use]
    pub fn worst_case(&self, input: u64, output: u64) -> NanoUsd {
        let dearest_input = self.input.max(self.cached_input).max(self.cache_write);
        let dearest_output = self.output.max(self.reasoning);
        let dearest = Self { input: dearest_input, output: dearest_output, ..Self::default() };
        dearest.cost(&TokenBuckets { input, output, ..TokenBuckets::default() })
    }

    /// How many output tokens `money` buys after `input` tokens at worst; for clamping. Free output has no limit.
    #[must_use]
    pub fn affordable_output(&self, money: NanoUsd, input: u64) -> u64 {
        let left = money.saturating_sub(self.worst_case(input, 0));
        if !left.is_positive() {
            return 0;
        }
        let rate = self.output.max(self.reasoning);
        match i128::from(left.nanos()).saturating_mul(1_000_000).checked_div(i128::from(rate)) {
            Some(tokens) => u64::try_from(tokens).unwrap_or(u64::MAX),
            None => u64::MAX,
        }
    }
}

#[cfg(test)]
mod tests;

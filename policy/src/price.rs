//! What tokens cost.
//!
//! A price is nano-USD per million tokens of one bucket. Buckets are disjoint (a cached token is not also an input token), so a cost is a
//! plain sum; it is computed exactly in 128 bits and rounded up once, at the end. [`Rates`] are the prices of all buckets at one moment,
//! a [`PriceSheet`] knows that some models have other rates for the whole call where the input is long.
//!
//! Leaves out: what is charged by another unit than the token and the call (searches, pages, hours of sound), and discounts that a
//! provider grants afterwards.

use std::sync::Arc;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::money::NanoUsd;

/// Price of each bucket in nano-USD per million tokens. USD 1 per million is 1,000,000,000.
///
/// The optional ones follow another where they are absent, so that rates written before they existed mean the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Rates {
    /// Uncached input.
    #[n(0)]
    pub input: i64,
    /// Input read from the provider's cache.
    #[n(1)]
    pub cached_input: i64,
    /// Input written to the provider's cache, for as long as the provider keeps it by default.
    #[n(2)]
    pub cache_write: i64,
    /// Visible output.
    #[n(3)]
    pub output: i64,
    /// Reasoning output.
    #[n(4)]
    pub reasoning: i64,
    /// Input written to the cache for an hour; follows `cache_write`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(5)]
    pub cache_write_1h: Option<i64>,
    /// Uncached input that is sound; follows `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(6)]
    pub input_audio: Option<i64>,
    /// Sound read from the cache; follows `input_audio`, and without that `cached_input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(7)]
    pub cached_audio: Option<i64>,
    /// Output that is sound; follows `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(8)]
    pub output_audio: Option<i64>,
    /// Uncached input that is pictures; follows `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(9)]
    pub input_image: Option<i64>,
    /// Pictures read from the cache; follows `input_image`, and without that `cached_input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(10)]
    pub cached_image: Option<i64>,
    /// Output that is pictures; follows `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(11)]
    pub output_image: Option<i64>,
    /// Nano-USD for the call itself; absent is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(12)]
    pub request: Option<i64>,
}

/// Tokens in disjoint buckets.
///
/// Invariant: no token stands in two of them. Their sum is all that the provider counted, whichever of them it tells apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct TokenBuckets {
    /// Uncached input, other than sound and pictures.
    #[n(0)]
    pub input: u64,
    /// Input read from the provider's cache, other than sound and pictures.
    #[n(1)]
    pub cached_input: u64,
    /// Input written to the provider's cache, other than for an hour.
    #[n(2)]
    pub cache_write: u64,
    /// Visible output, other than sound and pictures.
    #[n(3)]
    pub output: u64,
    /// Reasoning output.
    #[n(4)]
    pub reasoning: u64,
    /// Input written to the provider's cache for an hour.
    #[serde(default, skip_serializing_if = "none")]
    #[n(5)]
    pub cache_write_1h: u64,
    /// Uncached input that is sound.
    #[serde(default, skip_serializing_if = "none")]
    #[n(6)]
    pub input_audio: u64,
    /// Sound read from the provider's cache.
    #[serde(default, skip_serializing_if = "none")]
    #[n(7)]
    pub cached_audio: u64,
    /// Output that is sound.
    #[serde(default, skip_serializing_if = "none")]
    #[n(8)]
    pub output_audio: u64,
    /// Uncached input that is pictures.
    #[serde(default, skip_serializing_if = "none")]
    #[n(9)]
    pub input_image: u64,
    /// Pictures read from the provider's cache.
    #[serde(default, skip_serializing_if = "none")]
    #[n(10)]
    pub cached_image: u64,
    /// Output that is pictures.
    #[serde(default, skip_serializing_if = "none")]
    #[n(11)]
    pub output_image: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn none(count: &u64) -> bool {
    *count == 0
}

impl TokenBuckets {
    /// The same tokens in the five buckets that logs and interfaces show: what is told apart only by its price is put back together.
    #[must_use]
    pub fn folded(&self) -> Self {
        let sum = |parts: [u64; 3]| parts.into_iter().fold(0, u64::saturating_add);
        Self {
            input: sum([self.input, self.input_audio, self.input_image]),
            cached_input: sum([self.cached_input, self.cached_audio, self.cached_image]),
            cache_write: self.cache_write.saturating_add(self.cache_write_1h),
            output: sum([self.output, self.output_audio, self.output_image]),
            reasoning: self.reasoning,
            ..Self::default()
        }
    }

    /// All input, cached or not: what the length of a context is.
    #[must_use]
    pub fn all_input(&self) -> u64 {
        let folded = self.folded();
        folded.input.saturating_add(folded.cached_input).saturating_add(folded.cache_write)
    }

    /// All output, reasoning included.
    #[must_use]
    pub fn all_output(&self) -> u64 {
        let folded = self.folded();
        folded.output.saturating_add(folded.reasoning)
    }

    /// Bucket by bucket.
    #[must_use]
    pub fn plus(&self, more: &Self) -> Self {
        Self {
            input: self.input.saturating_add(more.input),
            cached_input: self.cached_input.saturating_add(more.cached_input),
            cache_write: self.cache_write.saturating_add(more.cache_write),
            output: self.output.saturating_add(more.output),
            reasoning: self.reasoning.saturating_add(more.reasoning),
            cache_write_1h: self.cache_write_1h.saturating_add(more.cache_write_1h),
            input_audio: self.input_audio.saturating_add(more.input_audio),
            cached_audio: self.cached_audio.saturating_add(more.cached_audio),
            output_audio: self.output_audio.saturating_add(more.output_audio),
            input_image: self.input_image.saturating_add(more.input_image),
            cached_image: self.cached_image.saturating_add(more.cached_image),
            output_image: self.output_image.saturating_add(more.output_image),
        }
    }
}

impl Rates {
    /// Every token at `input` or `output` whatever its bucket, in nano-USD per million.
    #[must_use]
    pub const fn flat(input: i64, output: i64) -> Self {
        Self {
            input,
            cached_input: input,
            cache_write: input,
            output,
            reasoning: output,
            cache_write_1h: None,
            input_audio: None,
            cached_audio: None,
            output_audio: None,
            input_image: None,
            cached_image: None,
            output_image: None,
            request: None,
        }
    }

    /// Exact cost of one call with `tokens`, rounded up to a nano-dollar once.
    #[must_use]
    pub fn cost(&self, tokens: &TokenBuckets) -> NanoUsd {
        let input = self
            .inputs()
            .into_iter()
            .zip([
                tokens.input,
                tokens.cached_input,
                tokens.cache_write,
                tokens.cache_write_1h,
                tokens.input_audio,
                tokens.cached_audio,
                tokens.input_image,
                tokens.cached_image,
            ])
            .map(part);
        let output = self.outputs().into_iter().zip([tokens.output, tokens.reasoning, tokens.output_audio, tokens.output_image]).map(part);
        let call = part((self.request.unwrap_or(0), 1_000_000));
        NanoUsd::from_millionths(input.chain(output).fold(call, i128::saturating_add))
    }

    /// The most that `input` and `output` tokens can cost, whichever buckets the provider books them in.
    #[must_use]
    pub fn worst_case(&self, input: u64, output: u64) -> NanoUsd {
        let dearest = Self { request: self.request, ..Self::flat(dearest(self.inputs()), dearest(self.outputs())) };
        dearest.cost(&TokenBuckets { input, output, ..TokenBuckets::default() })
    }

    /// So much input and output of the dearest kinds that a call can be about: text, sound or pictures.
    #[must_use]
    pub fn dearest_kinds(&self, input: u64, output: u64) -> TokenBuckets {
        let (sound, picture) = (self.input_audio.unwrap_or(self.input), self.input_image.unwrap_or(self.input));
        let mut tokens = TokenBuckets::default();
        match self.input.max(sound).max(picture) {
            dearest if dearest == self.input => tokens.input = input,
            dearest if dearest == sound => tokens.input_audio = input,
            _ => tokens.input_image = input,
        }
        let (sound, picture) = (self.output_audio.unwrap_or(self.output), self.output_image.unwrap_or(self.output));
        match self.output.max(sound).max(picture) {
            dearest if dearest == self.output => tokens.output = output,
            dearest if dearest == sound => tokens.output_audio = output,
            _ => tokens.output_image = output,
        }
        tokens
    }

    /// How many output tokens `money` buys after `input` tokens at worst; for clamping. Free output has no limit.
    #[must_use]
    pub fn affordable_output(&self, money: NanoUsd, input: u64) -> u64 {
        let left = money.saturating_sub(self.worst_case(input, 0));
        if !left.is_positive() {
            return 0;
        }
        match i128::from(left.nanos()).saturating_mul(1_000_000).checked_div(i128::from(dearest(self.outputs()))) {
            Some(tokens) => u64::try_from(tokens).unwrap_or(u64::MAX),
            None => u64::MAX,
        }
    }

    fn inputs(&self) -> [i64; 8] {
        let cached = |cached: Option<i64>, uncached: Option<i64>| cached.or(uncached).unwrap_or(self.cached_input);
        [
            self.input,
            self.cached_input,
            self.cache_write,
            self.cache_write_1h.unwrap_or(self.cache_write),
            self.input_audio.unwrap_or(self.input),
            cached(self.cached_audio, self.input_audio),
            self.input_image.unwrap_or(self.input),
            cached(self.cached_image, self.input_image),
        ]
    }

    fn outputs(&self) -> [i64; 4] {
        [self.output, self.reasoning, self.output_audio.unwrap_or(self.output), self.output_image.unwrap_or(self.output)]
    }
}

fn part((rate, count): (i64, u64)) -> i128 {
    i128::from(count).saturating_mul(i128::from(rate))
}

fn dearest<const N: usize>(rates: [i64; N]) -> i64 {
    rates.into_iter().fold(0, i64::max)
}

/// Rates that hold for the whole call where all of its input is more than so many tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongContext {
    /// From one token more than these on.
    pub above_input_tokens: u64,
    /// Instead of the usual rates.
    pub rates: Rates,
}

/// What a model's tokens cost, however long the input is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceSheet {
    /// The usual rates.
    pub rates: Rates,
    /// Others where the input is long, in any order; the highest threshold that is passed counts.
    pub long_context: Arc<[LongContext]>,
}

impl PriceSheet {
    /// The rates for a call with so much input, cached or not.
    #[must_use]
    pub fn rates_for(&self, input: u64) -> &Rates {
        let passed = self.reachable(input).max_by_key(|tier| tier.above_input_tokens);
        passed.map_or(&self.rates, |tier| &tier.rates)
    }

    /// Exact cost of one call with `tokens`.
    #[must_use]
    pub fn cost(&self, tokens: &TokenBuckets) -> NanoUsd {
        self.rates_for(tokens.all_input()).cost(tokens)
    }

    /// The most that a call with at most `input` and `output` tokens can cost, wherever its real length puts it.
    #[must_use]
    pub fn worst_case(&self, input: u64, output: u64) -> NanoUsd {
        let usual = self.rates.worst_case(input, output);
        self.reachable(input).map(|tier| tier.rates.worst_case(input, output)).fold(usual, NanoUsd::max)
    }

    /// How many output tokens `money` buys after at most `input` tokens, at worst.
    #[must_use]
    pub fn affordable_output(&self, money: NanoUsd, input: u64) -> u64 {
        let usual = self.rates.affordable_output(money, input);
        self.reachable(input).map(|tier| tier.rates.affordable_output(money, input)).fold(usual, u64::min)
    }

    fn reachable(&self, input: u64) -> impl Iterator<Item = &LongContext> {
        self.long_context.iter().filter(move |tier| input > tier.above_input_tokens)
    }
}

impl From<Rates> for PriceSheet {
    fn from(rates: Rates) -> Self {
        Self { rates, long_context: Arc::default() }
    }
}

#[cfg(test)]
mod tests;

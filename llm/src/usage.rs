//! What a provider says was consumed, and the disjoint buckets that prices are for.
//!
//! [`Usage`] is the report in one normal form: totals include their parts (`input_tokens` the cached ones, `output_tokens` the
//! reasoning). A dialect whose totals exclude parts adds them up when it reads. Absent stays absent and zero stays zero.
//! [`Buckets`] are the same tokens cut so that each stands in exactly one place; their sum is the provider's total, and
//! a report for which that can't be is a [`UsageMismatch`], for the caller to count and to show, not to swallow.
//!
//! Leaves out: prices (that is `policy::price`), and guessing; a guess is [`crate::tokens`] and says so by [`UsageSource`].

pub(crate) mod report;

/// What a provider reported, totals including their parts. Unit everywhere: tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input, cached and newly cached included.
    pub input_tokens: Option<u64>,
    /// Input that was read from the provider's cache.
    pub cached_input_tokens: Option<u64>,
    /// Input that was written to the provider's cache.
    pub cache_write_tokens: Option<u64>,
    /// How much of `cache_write_tokens` was written to be kept for an hour, which Anthropic charges more for than for five minutes.
    pub cache_write_1h_tokens: Option<u64>,
    /// Input that was sound.
    pub input_audio_tokens: Option<u64>,
    /// All output, reasoning included. (xAI's excludes it, which its total gives away: see [`Usage::buckets`].)
    pub output_tokens: Option<u64>,
    /// Output that was reasoning.
    pub reasoning_tokens: Option<u64>,
    /// Output that was sound.
    pub output_audio_tokens: Option<u64>,
    /// Input that was pictures, where that is told apart.
    pub input_image_tokens: Option<u64>,
    /// Output that was pictures, where that is told apart.
    pub output_image_tokens: Option<u64>,
    /// What the provider adds it up to.
    pub total_tokens: Option<u64>,
}

/// Disjoint buckets, as prices are for.
///
/// Invariant: the five buckets add up to the provider's total. `cache_write_1h` and the figures of sound and pictures are *of which*, not
/// further buckets; the first is never more than `cache_write`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Uncached input that was not written to the cache either.
    pub input: u64,
    /// Input read from the cache.
    pub cached_input: u64,
    /// Input written to the cache.
    pub cache_write: u64,
    /// How much of `cache_write` was written for an hour.
    pub cache_write_1h: u64,
    /// Output without reasoning.
    pub output: u64,
    /// Reasoning.
    pub reasoning: u64,
    /// How much of all input was sound.
    pub input_audio: u64,
    /// How much of all output was sound.
    pub output_audio: u64,
    /// How much of all input was pictures.
    pub input_image: u64,
    /// How much of all output was pictures.
    pub output_image: u64,
}

impl Buckets {
    /// The five buckets together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.input
            .saturating_add(self.cached_input)
            .saturating_add(self.cache_write)
            .saturating_add(self.output)
            .saturating_add(self.reasoning)
    }
}

/// Where a usage comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageSource {
    /// The provider reported it.
    Provider,
    /// It was worked out from what had passed when the reply ended without a report.
    PartialEstimate,
}

impl UsageSource {
    /// The name in logs and the interface.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::PartialEstimate => "partial_estimate",
        }
    }
}

/// How a report contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UsageMismatch {
    /// A total that every reply of this kind has is absent.
    #[error("`{field}` is absent from the usage report")]
    Missing {
        /// Which total, by its name in [`Usage`].
        field: &'static str,
    },
    /// The cached parts are more than the whole.
    #[error("{cached} cached input tokens are more than {input} input tokens")]
    CachedExceedsInput {
        /// Read from and written to the cache.
        cached: u64,
        /// All input.
        input: u64,
    },
    /// What was written for an hour is more than all that was written.
    #[error("{hour} input tokens cached for an hour are more than {written} cached at all")]
    HourExceedsCacheWrite {
        /// Written for an hour.
        hour: u64,
        /// All that was written.
        written: u64,
    },
    /// The reasoning is more than the output that contains it.
    #[error("{reasoning} reasoning tokens are more than {output} output tokens")]
    ReasoningExceedsOutput {
        /// Reasoning.
        reasoning: u64,
        /// All output.
        output: u64,
    },
    /// The parts do not add up to the provider's own total.
    #[error("the parts add up to {sum} tokens, the provider says {total}")]
    TotalDiffers {
        /// Input and output together.
        sum: u64,
        /// The provider's total.
        total: u64,
    },
}

/// A member of a usage report that is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadUsageError {
    /// A count that is no whole number.
    #[error("`{field}` of the usage report is not a whole number")]
    NotACount {
        /// Name of the member.
        field: &'static str,
    },
    /// The report is no object.
    #[error("the usage report is not an object")]
    NotAnObject,
    /// The reply is not JSON.
    #[error("the reply is not valid JSON: {0}")]
    Syntax(#[from] crate::json::SyntaxError),
}

impl Usage {
    /// Of what has no output: embeddings.
    #[must_use]
    pub fn of_input(tokens: u64) -> Self {
        Self { input_tokens: Some(tokens), total_tokens: Some(tokens), ..Self::default() }
    }

    /// Whether it says how much went in and how much came out; what has no output (embeddings) says so by its total.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.input_tokens.is_some() && (self.output_tokens.is_some() || self.total_tokens == self.input_tokens)
    }

    /// Cuts the totals into disjoint buckets.
    ///
    /// A provider whose output excludes reasoning is known by its total: input + output is not the total, and with the
    /// reasoning it is. An absent part counts as none; an absent total is a mismatch, but for output when the
    /// provider's total is the input alone (embeddings).
    pub fn buckets(&self) -> Result<Buckets, UsageMismatch> {
        let input = self.input_tokens.ok_or(UsageMismatch::Missing { field: "input_tokens" })?;
        let output = match (self.output_tokens, self.total_tokens) {
            (Some(output), _) => output,
            (None, Some(total)) if total == input => 0,
            (None, _) => return Err(UsageMismatch::Missing { field: "output_tokens" }),
        };
        let (cached, cache_write) = (self.cached_input_tokens.unwrap_or(0), self.cache_write_tokens.unwrap_or(0));
        let from_cache = cached.checked_add(cache_write);
        let uncached = from_cache.and_then(|from_cache| input.checked_sub(from_cache)).ok_or_else(|| {
            let cached = from_cache.unwrap_or(u64::MAX);
            UsageMismatch::CachedExceedsInput { cached, input }
        })?;
        let hour = self.cache_write_1h_tokens.unwrap_or(0);
        if hour > cache_write {
            return Err(UsageMismatch::HourExceedsCacheWrite { hour, written: cache_write });
        }
        let reasoning = self.reasoning_tokens.unwrap_or(0);
        let sum = input.saturating_add(output);
        let apart = reasoning > 0 && self.total_tokens.is_some_and(|total| total != sum && total == sum.saturating_add(reasoning));
        let text = if apart { Some(output) } else { output.checked_sub(reasoning) };
        let text = text.ok_or(UsageMismatch::ReasoningExceedsOutput { reasoning, output })?;
        match self.total_tokens {
            Some(total) if !apart && total != sum => return Err(UsageMismatch::TotalDiffers { sum, total }),
            _ => {}
        }
        Ok(Buckets {
            input: uncached,
            cached_input: cached,
            cache_write,
            cache_write_1h: hour,
            output: text,
            reasoning,
            input_audio: self.input_audio_tokens.unwrap_or(0),
            output_audio: self.output_audio_tokens.unwrap_or(0),
            input_image: self.input_image_tokens.unwrap_or(0),
            output_image: self.output_image_tokens.unwrap_or(0),
        })
    }

    /// Buckets that are no lower than any reading of a report that contradicts itself: nothing counts as cheaply cached, and
    /// what the total has over the parts counts as output. What a mismatch is settled at until somebody has looked.
    #[must_use]
    pub fn ceiling(&self) -> Buckets {
        let cache_write_1h = self.cache_write_1h_tokens.unwrap_or(0);
        let cache_write = self.cache_write_tokens.unwrap_or(0).max(cache_write_1h);
        let from_cache = self.cached_input_tokens.unwrap_or(0).saturating_add(cache_write);
        let input = self.input_tokens.unwrap_or(0).max(from_cache).saturating_sub(cache_write);
        let (output, reasoning) = (self.output_tokens.unwrap_or(0), self.reasoning_tokens.unwrap_or(0));
        let text = if reasoning > output { output } else { output.saturating_sub(reasoning) };
        let parts = Buckets {
            input,
            cached_input: 0,
            cache_write,
            cache_write_1h,
            output: text,
            reasoning,
            input_audio: self.input_audio_tokens.unwrap_or(0),
            output_audio: self.output_audio_tokens.unwrap_or(0),
            input_image: self.input_image_tokens.unwrap_or(0),
            output_image: self.output_image_tokens.unwrap_or(0),
        };
        let beyond = self.total_tokens.unwrap_or(0).saturating_sub(parts.sum());
        Buckets { output: text.saturating_add(beyond), ..parts }
    }
}

#[cfg(test)]
mod find_tests;
#[cfg(test)]
mod tests;

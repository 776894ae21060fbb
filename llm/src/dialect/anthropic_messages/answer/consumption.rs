//! Usage between this dialect, whose input excludes what was read from and written to the cache, and the middle, whose totals
//! include their parts.

use serde::Serialize;

use crate::{convert::Members, request::ReadRequestError, usage::Usage};

/// A report whose input excludes the cache, in pieces: events of a stream bring some figures each, the newest of each counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::dialect) struct Consumption {
    pub(in crate::dialect) uncached: Option<u32>,
    pub(in crate::dialect) cache_read: Option<u32>,
    pub(in crate::dialect) cache_write: Option<u32>,
    pub(in crate::dialect) output: Option<u32>,
    pub(in crate::dialect) thinking: Option<u32>,
}

impl Consumption {
    /// Takes in what a report says.
    pub(in crate::dialect::anthropic_messages) fn read(&mut self, mut report: Members<'_>) -> Result<(), ReadRequestError> {
        self.uncached = report.count("input_tokens")?.or(self.uncached);
        self.cache_read = report.count("cache_read_input_tokens")?.or(self.cache_read);
        self.cache_write = report.count("cache_creation_input_tokens")?.or(self.cache_write);
        self.output = report.count("output_tokens")?.or(self.output);
        if let Some(mut details) = report.object("output_tokens_details")? {
            self.thinking = details.count("thinking_tokens")?.or(self.thinking);
        }
        Ok(())
    }

    /// In the middle's form.
    pub(in crate::dialect) fn usage(&self) -> Usage {
        let of_cache = [self.cache_read, self.cache_write].into_iter().flatten().map(u64::from).sum::<u64>();
        Usage {
            input_tokens: self.uncached.map(|uncached| u64::from(uncached).saturating_add(of_cache)),
            cached_input_tokens: self.cache_read.map(u64::from),
            cache_write_tokens: self.cache_write.map(u64::from),
            output_tokens: self.output.map(u64::from),
            reasoning_tokens: self.thinking.map(u64::from),
            ..Usage::default()
        }
    }
}

/// A report as it is written. Clients add the two totals up without looking, so both are always there: 0 where nothing is known.
#[derive(Debug, Serialize)]
pub(in crate::dialect::anthropic_messages) struct ConsumptionBody {
    input_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_read_input_tokens: Option<u64>,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<DetailsBody>,
}

#[derive(Debug, Serialize)]
struct DetailsBody {
    thinking_tokens: u64,
}

impl From<&Usage> for ConsumptionBody {
    fn from(usage: &Usage) -> Self {
        let of_cache = usage.cached_input_tokens.unwrap_or(0).saturating_add(usage.cache_write_tokens.unwrap_or(0));
        // Some providers' output excludes the reasoning; the buckets know.
        let output = usage.buckets().map_or(usage.output_tokens.unwrap_or(0), |buckets| buckets.output.saturating_add(buckets.reasoning));
        Self {
            input_tokens: usage.input_tokens.unwrap_or(0).saturating_sub(of_cache),
            cache_creation_input_tokens: usage.cache_write_tokens,
            cache_read_input_tokens: usage.cached_input_tokens,
            output_tokens: output,
            output_tokens_details: usage.reasoning_tokens.map(|thinking_tokens| DetailsBody { thinking_tokens }),
        }
    }
}

//! The built-in catalogue: vendors with their addresses and habits, and models with their prices.
//!
//! Models are data (`catalogue/models.json`, each line with its source and the day it was read; `catalogue/generate.py` makes it); what an
//! organization declares overrides them. A line may hold from a day on or until one, so that an announced price needs no release. Vendors
//! are a closed list, because each has its own wire format and authentication.
//!
//! Leaves out: retired models, realtime and speech models, and what is charged by another unit than the token and the call.

mod azure;
mod credential;
mod vendor;

use std::sync::{Arc, LazyLock};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::Deserialize;

use crate::money::Usd;
use crate::price::{LongContext, PriceSheet, Rates};
use crate::source::Tier;

pub use azure::AzureAddress;
pub use credential::{AwsKeys, Credential, CredentialError, EntraClient, ServiceAccount};
pub use vendor::{Interface, OutputMember, Quirks, StreamUsage, VENDORS, Vendor, find_vendor};

/// The name of a catalogue line that is about every model of its vendor that has no line of its own.
pub const ANY_MODEL: &str = "*";

/// What a model without a price is priced at under `unpriced_models: ceiling`: USD 150 per million tokens of input and 600 of output, of
/// whatever kind, and 14 cents a call. No line of the catalogue is dearer in any bucket; a test keeps that true.
pub const CEILING: Rates = Rates { request: Some(140_000_000), ..Rates::flat(150_000_000_000, 600_000_000_000) };

/// What a model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Calls tools.
    Tools,
    /// Calls several tools at once.
    ParallelTools,
    /// Takes pictures.
    Vision,
    /// Answers after a JSON schema.
    JsonSchema,
    /// Reasons before it answers.
    Reasoning,
    /// Input can be cached at the vendor.
    PromptCaching,
    /// Takes sound.
    AudioInput,
    /// Answers with sound.
    AudioOutput,
    /// Takes PDF files.
    PdfInput,
}

/// One model of a vendor as it is sold from one day to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// The vendor's word.
    pub vendor: String,
    /// The vendor's name for the model.
    pub model: String,
    /// What its tokens cost.
    pub prices: PriceSheet,
    /// What a batch costs of that, in percent; absent where the vendor has no batches or no one factor for them.
    pub batch_percent: Option<u8>,
    /// Tokens of input and output together.
    pub context_tokens: Option<u32>,
    /// Tokens of output at most.
    pub max_output_tokens: Option<u32>,
    /// What it can do; absent where that is not on record.
    pub capabilities: Option<Vec<Capability>>,
    /// Quality class; none for models made for one purpose, which nobody wants to come by through their price.
    pub tier: Option<Tier>,
    /// First instant at which this holds; absent for always.
    pub from: Option<DateTime<Utc>>,
    /// First instant at which it no longer holds; absent for never.
    pub until: Option<DateTime<Utc>>,
    /// Where it was read.
    pub source: String,
    /// When it was read.
    pub as_of: NaiveDate,
}

impl Listing {
    /// Whether it holds at `time`.
    #[must_use]
    pub fn holds_at(&self, time: DateTime<Utc>) -> bool {
        self.from.is_none_or(|from| from <= time) && self.until.is_none_or(|until| time < until)
    }
}

/// The catalogue's lines of a vendor, models in no particular order, the lines of one model in the order of time.
pub fn listings_of(vendor: &str) -> impl Iterator<Item = &'static Listing> {
    LISTINGS.iter().filter(move |listing| listing.vendor == vendor)
}

/// The name without the date or `latest` behind it, where it has one: many vendors sell a dated version of a model at the model's price.
#[must_use]
pub fn undated(model: &str) -> Option<&str> {
    let (name, suffix) = model.strip_suffix("-latest").map_or_else(|| split_date(model), |name| Some((name, "")))?;
    let digits = suffix.bytes().filter(u8::is_ascii_digit).count();
    let plain = suffix.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    (!name.is_empty() && plain && (suffix.is_empty() || digits == 8)).then_some(name)
}

/// Cuts off `-20YYMMDD`, `@20YYMMDD` or `-20YY-MM-DD`.
fn split_date(model: &str) -> Option<(&str, &str)> {
    [11, 9].into_iter().find_map(|length| {
        let (name, date) = model.split_at_checked(model.len().checked_sub(length)?)?;
        let date = date.strip_prefix(['-', '@'])?;
        (date.starts_with("20") && date.len().saturating_sub(8) == date.matches('-').count()).then_some((name, date))
    })
}

static LISTINGS: LazyLock<Vec<Listing>> = LazyLock::new(|| {
    // The file is part of the program; a test reads it, so an unreadable one never ships. Empty is the safe meaning: unpriced.
    read_listings(include_str!("../catalogue/models.json")).unwrap_or_default()
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "//")]
    _note: String,
    models: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    vendor: String,
    model: String,
    input: Usd,
    cached_input: Option<Usd>,
    cache_write: Option<Usd>,
    cache_write_1h: Option<Usd>,
    output: Usd,
    reasoning: Option<Usd>,
    input_audio: Option<Usd>,
    cached_audio: Option<Usd>,
    output_audio: Option<Usd>,
    input_image: Option<Usd>,
    cached_image: Option<Usd>,
    output_image: Option<Usd>,
    request: Option<Usd>,
    #[serde(default)]
    above: Vec<Above>,
    batch_percent: Option<u8>,
    context_tokens: Option<u32>,
    max_output_tokens: Option<u32>,
    capabilities: Option<Vec<Capability>>,
    tier: Option<Tier>,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    source: String,
    as_of: NaiveDate,
}

/// Prices above a threshold; what is left out is as below it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Above {
    input_tokens: u64,
    input: Option<Usd>,
    cached_input: Option<Usd>,
    cache_write: Option<Usd>,
    cache_write_1h: Option<Usd>,
    output: Option<Usd>,
}

fn read_listings(json: &str) -> serde_json::Result<Vec<Listing>> {
    let file: File = serde_json::from_str(json)?;
    Ok(file.models.into_iter().map(Listing::from).collect())
}

impl From<Line> for Listing {
    fn from(line: Line) -> Self {
        let start_of = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        let prices = line.prices();
        Self {
            vendor: line.vendor,
            model: line.model,
            prices,
            batch_percent: line.batch_percent,
            context_tokens: line.context_tokens,
            max_output_tokens: line.max_output_tokens,
            capabilities: line.capabilities,
            tier: line.tier,
            from: line.from.map(start_of),
            until: line.to.map(start_of),
            source: line.source,
            as_of: line.as_of,
        }
    }
}

impl Line {
    fn prices(&self) -> PriceSheet {
        let nanos = |usd: Option<Usd>| usd.map(|Usd(price)| price.nanos());
        let (input, output) = (self.input.0.nanos(), self.output.0.nanos());
        let rates = Rates {
            input,
            cached_input: nanos(self.cached_input).unwrap_or(input),
            cache_write: nanos(self.cache_write).unwrap_or(input),
            output,
            reasoning: nanos(self.reasoning).unwrap_or(output),
            cache_write_1h: nanos(self.cache_write_1h),
            input_audio: nanos(self.input_audio),
            cached_audio: nanos(self.cached_audio),
            output_audio: nanos(self.output_audio),
            input_image: nanos(self.input_image),
            cached_image: nanos(self.cached_image),
            output_image: nanos(self.output_image),
            request: nanos(self.request),
        };
        let long_context: Arc<[LongContext]> = self.above.iter().map(|above| above.over(&rates, self)).collect();
        PriceSheet { rates, long_context }
    }
}

impl Above {
    fn over(&self, usual: &Rates, line: &Line) -> LongContext {
        let nanos = |usd: Option<Usd>, usual: i64| usd.map_or(usual, |Usd(price)| price.nanos());
        let (input, output) = (nanos(self.input, usual.input), nanos(self.output, usual.output));
        // What followed its parent below the threshold follows it above, too.
        let cached_input = nanos(self.cached_input, if line.cached_input.is_some() { usual.cached_input } else { input });
        let cache_write = nanos(self.cache_write, if line.cache_write.is_some() { usual.cache_write } else { input });
        let cache_write_1h = self.cache_write_1h.map(|Usd(price)| price.nanos()).or(usual.cache_write_1h);
        let reasoning = if line.reasoning.is_some() { usual.reasoning } else { output };
        let rates = Rates { input, cached_input, cache_write, output, reasoning, cache_write_1h, ..*usual };
        LongContext { above_input_tokens: self.input_tokens, rates }
    }
}

#[cfg(test)]
mod tests;

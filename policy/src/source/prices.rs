//! Prices beyond the five that every model has: finer buckets, a fee for the call, other rates for long inputs.

use serde::{Deserialize, Serialize};

use crate::money::{NanoUsd, Usd};
use crate::price::{LongContext, PriceSheet, Rates};

/// Dearer than USD 1,000,000 per million tokens is a slip of the pen.
const MAX_USD: i64 = 1_000_000;

/// Prices of a model beyond the usual five. A price left out follows its parent bucket: an hour in the cache the cache write, sound and
/// pictures what text costs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FurtherPrices {
    /// USD per million input tokens written to the provider's cache for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h_usd_per_mtok: Option<Usd>,
    /// USD per million uncached input tokens of sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_audio_usd_per_mtok: Option<Usd>,
    /// USD per million input tokens of sound read from the cache; follows uncached sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_audio_usd_per_mtok: Option<Usd>,
    /// USD per million output tokens of sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_audio_usd_per_mtok: Option<Usd>,
    /// USD per million uncached input tokens of pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_image_usd_per_mtok: Option<Usd>,
    /// USD per million input tokens of pictures read from the cache; follows uncached pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_image_usd_per_mtok: Option<Usd>,
    /// USD per million output tokens of pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_image_usd_per_mtok: Option<Usd>,
    /// USD for each call, whatever its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd_per_request: Option<Usd>,
    /// Other rates for the whole call where its input is long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub long_context: Vec<LongContextPrices>,
}

/// Rates for calls with more input than a threshold; a price left out is as below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongContextPrices {
    /// All input, cached or not, from one token more than this on.
    pub above_input_tokens: u64,
    /// USD per million uncached input tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_usd_per_mtok: Option<Usd>,
    /// USD per million input tokens read from the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input_usd_per_mtok: Option<Usd>,
    /// USD per million input tokens written to the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_usd_per_mtok: Option<Usd>,
    /// USD per million input tokens written to the provider's cache for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h_usd_per_mtok: Option<Usd>,
    /// USD per million visible output tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_usd_per_mtok: Option<Usd>,
    /// USD per million reasoning tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_usd_per_mtok: Option<Usd>,
}

impl FurtherPrices {
    /// The price sheet of a model with `usual` rates and these.
    #[must_use]
    pub fn over(&self, usual: Rates) -> PriceSheet {
        let rates = Rates {
            cache_write_1h: nanos(self.cache_write_1h_usd_per_mtok),
            input_audio: nanos(self.input_audio_usd_per_mtok),
            cached_audio: nanos(self.cached_audio_usd_per_mtok),
            output_audio: nanos(self.output_audio_usd_per_mtok),
            input_image: nanos(self.input_image_usd_per_mtok),
            cached_image: nanos(self.cached_image_usd_per_mtok),
            output_image: nanos(self.output_image_usd_per_mtok),
            request: nanos(self.usd_per_request),
            ..usual
        };
        let long_context = self.long_context.iter().map(|prices| prices.over(&rates)).collect();
        PriceSheet { rates, long_context }
    }

    /// The first price that can't be meant, by its place, and why; also a threshold that is there twice.
    #[must_use]
    pub fn refusal(&self) -> Option<(String, &'static str)> {
        let own = [
            ("cache_write_1h_usd_per_mtok", self.cache_write_1h_usd_per_mtok),
            ("input_audio_usd_per_mtok", self.input_audio_usd_per_mtok),
            ("cached_audio_usd_per_mtok", self.cached_audio_usd_per_mtok),
            ("output_audio_usd_per_mtok", self.output_audio_usd_per_mtok),
            ("input_image_usd_per_mtok", self.input_image_usd_per_mtok),
            ("cached_image_usd_per_mtok", self.cached_image_usd_per_mtok),
            ("output_image_usd_per_mtok", self.output_image_usd_per_mtok),
            ("usd_per_request", self.usd_per_request),
        ];
        let bad =
            |prices: &[(&'static str, Option<Usd>)]| prices.iter().find(|(_, price)| !price.is_none_or(is_price)).map(|(name, _)| *name);
        if let Some(name) = bad(&own) {
            return Some((name.to_owned(), NOT_A_PRICE));
        }
        self.long_context.iter().enumerate().find_map(|(at, prices)| {
            if let Some(name) = bad(&prices.all()) {
                return Some((format!("long_context[{at}].{name}"), NOT_A_PRICE));
            }
            let again = self.long_context.iter().take(at).any(|other| other.above_input_tokens == prices.above_input_tokens);
            again.then(|| (format!("long_context[{at}].above_input_tokens"), "this threshold is there twice"))
        })
    }
}

impl LongContextPrices {
    fn over(&self, usual: &Rates) -> LongContext {
        let price = |own: Option<Usd>, usual: i64| nanos(own).unwrap_or(usual);
        let rates = Rates {
            input: price(self.input_usd_per_mtok, usual.input),
            cached_input: price(self.cached_input_usd_per_mtok, usual.cached_input),
            cache_write: price(self.cache_write_usd_per_mtok, usual.cache_write),
            cache_write_1h: nanos(self.cache_write_1h_usd_per_mtok).or(usual.cache_write_1h),
            output: price(self.output_usd_per_mtok, usual.output),
            reasoning: price(self.reasoning_usd_per_mtok, usual.reasoning),
            ..*usual
        };
        LongContext { above_input_tokens: self.above_input_tokens, rates }
    }

    fn all(&self) -> [(&'static str, Option<Usd>); 6] {
        [
            ("input_usd_per_mtok", self.input_usd_per_mtok),
            ("cached_input_usd_per_mtok", self.cached_input_usd_per_mtok),
            ("cache_write_usd_per_mtok", self.cache_write_usd_per_mtok),
            ("cache_write_1h_usd_per_mtok", self.cache_write_1h_usd_per_mtok),
            ("output_usd_per_mtok", self.output_usd_per_mtok),
            ("reasoning_usd_per_mtok", self.reasoning_usd_per_mtok),
        ]
    }
}

/// What is said of a price that can't be meant.
pub(crate) const NOT_A_PRICE: &str = "a price is between 0 and 1,000,000 USD";

/// Whether an operator can mean this.
pub(crate) fn is_price(Usd(price): Usd) -> bool {
    price.nanos() >= 0 && price <= NanoUsd::from_usd(MAX_USD)
}

fn nanos(usd: Option<Usd>) -> Option<i64> {
    usd.map(|Usd(price)| price.nanos())
}

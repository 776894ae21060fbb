//! The built-in catalogue: vendors with their addresses, and models with their prices.
//!
//! Models are data (`catalogue/models.json`, each line with the day it was read); what an organization declares overrides them. Vendors are
//! a closed list, because each has its own wire format and authentication.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::money::Usd;
use crate::source::{Model, Tier};

/// A vendor this program knows by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vendor {
    /// The word in `vendor:`.
    pub name: &'static str,
    /// Where it is served by default; absent where every customer has an address of their own.
    pub base_url: Option<&'static str>,
    /// Whether workers of this version can talk to it.
    pub served: bool,
}

const fn vendor(name: &'static str, base_url: Option<&'static str>, served: bool) -> Vendor {
    Vendor { name, base_url, served }
}

/// All vendors.
pub const VENDORS: [Vendor; 18] = [
    vendor("openai", Some("https://api.openai.com/v1"), true),
    vendor("openai_compatible", None, true),
    vendor("simulated", None, true),
    vendor("anthropic", Some("https://api.anthropic.com"), true),
    vendor("google", Some("https://generativelanguage.googleapis.com"), true),
    vendor("azure", None, false),
    vendor("bedrock", None, false),
    vendor("vertex", None, false),
    vendor("groq", Some("https://api.groq.com/openai/v1"), false),
    vendor("mistral", Some("https://api.mistral.ai/v1"), false),
    vendor("deepseek", Some("https://api.deepseek.com/v1"), false),
    vendor("xai", Some("https://api.x.ai/v1"), false),
    vendor("together", Some("https://api.together.xyz/v1"), false),
    vendor("fireworks", Some("https://api.fireworks.ai/inference/v1"), false),
    vendor("cerebras", Some("https://api.cerebras.ai/v1"), false),
    vendor("perplexity", Some("https://api.perplexity.ai"), false),
    vendor("cohere", Some("https://api.cohere.com"), false),
    vendor("openrouter", Some("https://openrouter.ai/api/v1"), false),
];

/// The name of a catalogue line that is about every model of its vendor that has no line of its own.
pub const ANY_MODEL: &str = "*";

/// The vendor of that name.
#[must_use]
pub fn find_vendor(name: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.name == name)
}

/// The catalogue's models of a vendor; `model` holds the bare name.
pub fn models_of(vendor: &str) -> impl Iterator<Item = &'static Model> {
    MODELS.iter().filter(move |(of, _)| of == vendor).map(|(_, model)| model)
}

static MODELS: LazyLock<Vec<(String, Model)>> = LazyLock::new(|| {
    // The file is part of the program; a test reads it, so an unreadable one never ships. Empty is the safe meaning: unpriced.
    read_models(include_str!("../catalogue/models.json")).unwrap_or_default()
});

#[derive(Deserialize)]
struct File {
    models: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    vendor: String,
    model: String,
    input: Usd,
    cached_input: Option<Usd>,
    cache_write: Option<Usd>,
    output: Usd,
    reasoning: Option<Usd>,
    context_tokens: Option<u32>,
    max_output_tokens: Option<u32>,
    tier: Option<Tier>,
}

fn read_models(json: &str) -> serde_json::Result<Vec<(String, Model)>> {
    let file: File = serde_json::from_str(json)?;
    let entry = |line: Line| {
        let model = Model {
            model: line.model,
            input_usd_per_mtok: Some(line.input),
            cached_input_usd_per_mtok: line.cached_input,
            cache_write_usd_per_mtok: line.cache_write,
            output_usd_per_mtok: Some(line.output),
            reasoning_usd_per_mtok: line.reasoning,
            context_tokens: line.context_tokens,
            max_output_tokens: line.max_output_tokens,
            quality_tier: line.tier,
        };
        (line.vendor, model)
    };
    Ok(file.models.into_iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_catalogue_reads_and_names_known_vendors() {
        let models = read_models(include_str!("../catalogue/models.json")).unwrap();
        assert!(!models.is_empty());
        assert!(models.iter().all(|(vendor, _)| find_vendor(vendor).is_some()));
    }
}

//! The usage report, for conversion.

use serde::{Deserialize, Serialize};

use crate::usage::Usage;

/// A usage report in this dialect's members. Clients count on the three totals; of the parts, absent stays absent.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Report {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input_tokens_details: Option<InputDetails>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputDetails>,
    #[serde(default)]
    total_tokens: Option<u64>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct InputDetails {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cached_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_write_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audio_tokens: Option<u64>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct OutputDetails {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reasoning_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audio_tokens: Option<u64>,
}

impl Report {
    /// In the normal form.
    pub(super) fn usage(&self) -> Usage {
        let input = self.input_tokens_details.as_ref();
        let output = self.output_tokens_details.as_ref();
        Usage {
            input_tokens: self.input_tokens,
            cached_input_tokens: input.and_then(|details| details.cached_tokens),
            cache_write_tokens: input.and_then(|details| details.cache_write_tokens),
            cache_write_1h_tokens: None,
            input_audio_tokens: input.and_then(|details| details.audio_tokens),
            output_tokens: self.output_tokens,
            reasoning_tokens: output.and_then(|details| details.reasoning_tokens),
            output_audio_tokens: output.and_then(|details| details.audio_tokens),
            input_image_tokens: None,
            output_image_tokens: None,
            total_tokens: self.total_tokens,
        }
    }

    /// Of a usage; `None` where a total is not known, as clients would refuse the report.
    pub(super) fn of(usage: &Usage) -> Option<Self> {
        let (input, output) = (usage.input_tokens?, usage.output_tokens?);
        // Codex refuses details without the one figure that it knows.
        let input_details = InputDetails {
            cached_tokens: usage.cached_input_tokens.or(Some(0)),
            cache_write_tokens: usage.cache_write_tokens,
            audio_tokens: usage.input_audio_tokens,
        };
        let output_details =
            OutputDetails { reasoning_tokens: usage.reasoning_tokens.or(Some(0)), audio_tokens: usage.output_audio_tokens };
        let has_input = usage.cached_input_tokens.or(usage.cache_write_tokens).or(usage.input_audio_tokens).is_some();
        let has_output = usage.reasoning_tokens.or(usage.output_audio_tokens).is_some();
        Some(Self {
            input_tokens: Some(input),
            input_tokens_details: has_input.then_some(input_details),
            output_tokens: Some(output),
            output_tokens_details: has_output.then_some(output_details),
            total_tokens: Some(usage.total_tokens.unwrap_or(input.saturating_add(output))),
        })
    }
}

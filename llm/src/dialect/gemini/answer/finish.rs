//! Why an answer ended.

use crate::convert::FinishReason;

/// Reads `finishReason`. Gemini has no reason of its own for calls: `called` says whether there were any.
pub(in crate::dialect::gemini) fn read_finish(name: &str, called: bool) -> FinishReason {
    match name {
        "STOP" if called => FinishReason::ToolCalls,
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" | "CONTINUATION" => FinishReason::Length,
        "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "MODEL_ARMOR" => FinishReason::Refusal,
        "IMAGE_SAFETY" | "IMAGE_PROHIBITED_CONTENT" | "IMAGE_RECITATION" => FinishReason::Refusal,
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" => FinishReason::MalformedCall,
        _ => FinishReason::Other,
    }
}

/// Writes `finishReason`.
pub(super) fn finish_name(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolCalls => "STOP",
        FinishReason::Length => "MAX_TOKENS",
        FinishReason::Refusal => "SAFETY",
        FinishReason::MalformedCall => "MALFORMED_FUNCTION_CALL",
        FinishReason::Pause | FinishReason::Other => "OTHER",
    }
}

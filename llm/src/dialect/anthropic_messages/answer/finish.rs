//! Why an answer ended, in this dialect's words.

use crate::convert::FinishReason;

/// Reads `stop_reason`.
pub(in crate::dialect) fn read_finish(word: &str) -> FinishReason {
    match word {
        "end_turn" => FinishReason::Stop,
        "stop_sequence" => FinishReason::StopSequence,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::Refusal,
        "pause_turn" => FinishReason::Pause,
        _ => FinishReason::Other,
    }
}

/// What a caller is told of a call that is none.
pub(in crate::dialect::anthropic_messages) const MALFORMED_CALL: &str = "the model wrote a malformed tool call; send the request again";

/// Writes `stop_reason`; `None` for a malformed call, which is an error here. A model that `called` wants its calls answered,
/// whatever the provider says of the end. An end that there is no word for becomes `max_tokens`: the one word that tells every client that
/// the answer may not be whole.
pub(in crate::dialect::anthropic_messages) fn finish_word(reason: FinishReason, called: bool) -> Option<&'static str> {
    Some(match reason {
        FinishReason::Stop if called => "tool_use",
        FinishReason::Stop => "end_turn",
        FinishReason::StopSequence => "stop_sequence",
        FinishReason::Length | FinishReason::Other => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::Refusal => "refusal",
        FinishReason::Pause => "pause_turn",
        FinishReason::MalformedCall => return None,
    })
}

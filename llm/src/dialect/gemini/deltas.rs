//! Streams: each event is a whole `GenerateContentResponse` that brings the next pieces.
//!
//! Calls come whole, in one piece. There is no terminator: the answers' `finishReason` is the end.
//!
//! Leaves out: pictures and parts that only Gemini knows, for which the pieces in the middle have no place. They end the text they
//! interrupt, as they do in a whole reply.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use read::DeltaReader;
pub(crate) use write::DeltaWriter;

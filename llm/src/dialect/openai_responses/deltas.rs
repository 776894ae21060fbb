//! Streamed answers to and from the typed form in the middle.

mod event;
mod read;
mod write;

pub(crate) use read::DeltaReader;
pub(crate) use write::DeltaWriter;

#[cfg(test)]
mod tests;

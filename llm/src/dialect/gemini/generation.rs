//! `generationConfig`: sampling, limits, the form of the answer, and thinking.
//!
//! Thinking: a level since Gemini 3, a budget of tokens before; both at once are refused by the API. Words and numbers are turned
//! into each other by the figures of Google's own OpenAI-compatible surface.

mod read;
mod write;

pub(super) use read::read_generation;
pub(super) use write::GenerationBody;

/// The number of the generation in a model's name, where it says (`gemini-2.5-pro`: 2); names without one mean a current model.
pub(super) fn generation_of(model: &str) -> Option<u32> {
    let (_, version) = model.split_once("gemini-")?;
    version.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

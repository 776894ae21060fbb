//! Embeddings of our own: what was asked for, and vectors that mean nothing but are the same for the same text.

use crate::usage::Usage;

/// Dimensions of a vector where nobody asked for a number.
const DIMENSIONS: u32 = 1536;
/// Dimensions at most.
const MOST_DIMENSIONS: u32 = 4096;

/// What is to be embedded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingRequest<'a> {
    /// Each text, or list of tokens, as it stands in the body.
    pub inputs: Vec<&'a [u8]>,
    /// How long the vectors shall be.
    pub dimensions: Option<u32>,
    /// Whether they shall be written as base64 of little-endian 32-bit floats (OpenAI).
    pub base64: bool,
    /// Whether the reply is a list even for one of them (Gemini).
    pub batched: bool,
}

/// Embeddings as the simulated provider makes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings<'a> {
    /// The model that answered.
    pub model: &'a str,
    /// A vector for each input.
    pub vectors: Vec<Vec<f32>>,
    /// See [`EmbeddingRequest::base64`].
    pub base64: bool,
    /// See [`EmbeddingRequest::batched`].
    pub batched: bool,
    /// What it consumed.
    pub usage: Usage,
}

impl EmbeddingRequest<'_> {
    /// Vectors at most, as OpenAI has it.
    pub(crate) const MOST_INPUTS: usize = 2048;

    /// Answers with vectors made up from the inputs: the same for the same one, of length 1.
    #[must_use]
    pub fn simulate<'m>(&self, model: &'m str, usage: Usage) -> Embeddings<'m> {
        let dimensions = self.dimensions.unwrap_or(DIMENSIONS).clamp(1, MOST_DIMENSIONS);
        let vectors = self.inputs.iter().map(|input| made_up(input, dimensions)).collect();
        Embeddings { model, vectors, base64: self.base64, batched: self.batched, usage }
    }
}

/// A hash of the input (`FNV-1a`) seeds a generator (`SplitMix64`), whose numbers are scaled to a vector of length 1.
fn made_up(input: &[u8], dimensions: u32) -> Vec<f32> {
    let mut state = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let numbers: Vec<f32> = (0..dimensions).map(|_| next_number(&mut state)).collect();
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    // Never zero: no number of the generator is.
    numbers.into_iter().map(|number| number / length).collect()
}

/// A number between -1 and 1, and neither of them nor zero.
fn next_number(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let [high, low, ..] = (mixed ^ (mixed >> 31)).to_be_bytes();
    (f32::from(u16::from_be_bytes([high, low])) - 32767.5) / 32768.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_the_same_for_the_same_text_and_have_length_1() {
        let inputs = vec![&b"\"a\""[..], b"\"b\"", b"\"a\""];
        let request = EmbeddingRequest { inputs, dimensions: Some(256), base64: false, batched: false };
        let vectors = request.simulate("m", Usage::default()).vectors;
        assert_eq!(vectors[0], vectors[2]);
        assert_ne!(vectors[0], vectors[1]);
        for vector in vectors {
            assert_eq!(vector.len(), 256);
            assert!((vector.iter().map(|number| number * number).sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn absurd_dimensions_are_bounded() {
        for (asked, given) in [(0, 1), (u32::MAX, 4096)] {
            let request = EmbeddingRequest { inputs: vec![b"1"], dimensions: Some(asked), base64: false, batched: false };
            assert_eq!(request.simulate("m", Usage::default()).vectors[0].len(), given);
        }
    }
}

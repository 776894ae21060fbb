//! How many tokens a prompt will have, guessed before it is sent, from lengths alone.
//!
//! Two figures: `likely` is for showing and for routing, `bound` is for reserving money and must not be passed.
//!
//! # Why `bound` is a bound
//!
//! Byte-level BPE (`tiktoken`, the families of Llama 3, Qwen, `deepseek` and Mistral; `sentencepiece` with byte fall-back too) gives each
//! token at least one byte of the text, so a text of *b* bytes has at most *b* tokens. The text that a provider gets out of JSON is never
//! longer than the JSON: an escape of 2 bytes stands for 1, one of 6 for at most 3, a surrogate pair of 12 for 4.
//!
//! What a chat template adds around a message (begin, role, end: at most 8 special tokens in the templates known) is paid by the
//! JSON around it, of which nothing but the role reaches the model: `{"role":"","content":""}` is 24 bytes. Messages shorter than
//! that have less to say and still count [`MESSAGE_FLOOR`]. Tools are often printed again with indentation, at most one break and
//! one run of blanks for each of their structural bytes, hence they count twice. [`FIXED`] is for what opens and closes a
//! prompt and for a template's own preamble. Gemini's and Anthropic's tokenizers are not published; what is known of them (`sentencepiece`
//! with byte fall-back; counts of both against lengths) keeps to the same.
//!
//! What a provider puts in by itself counts where it is known: Anthropic explains tools and forms of answers to the model
//! ([`ANTHROPIC_PREAMBLE`]), and a tool that is the provider's own brings a description that is not in the request
//! ([`HOSTED_TOOL_BOUND`]).
//!
//! Texts to embed have no template; a list of token numbers has at least two bytes for each.
//!
//! Pictures and files are counted by the provider from what is in them, which no length tells: each counts as the dearest
//! known ([`IMAGE_BOUND`], [`FILE_BOUND`]), and the bytes of an inline picture then count no more; those of a file and of sound do, which
//! are more than their tokens. OpenAI's pictures are the dearest: Anthropic's have at most 4,784 tokens, Gemini's 258 for each tile of 768 pixels.
//!
//! # Where it is none
//!
//! A referenced file can be longer than that (an hour of video is a million tokens to Gemini); what the provider keeps
//! ([`crate::request::Head::provider_state`]) and what its own tools find ([`crate::request::Head::provider_tool`]) is not in the request
//! at all. Of files and of what is kept a model takes no more than its whole context, which whoever holds money for it must know; of tools
//! that the provider runs nothing tells how often.

/// Tokens for the opening and the preamble of a prompt.
pub const FIXED: u64 = 64;
/// Tokens that even the shortest message may take.
pub const MESSAGE_FLOOR: u64 = 24;
/// Tokens of the dearest picture known: `gpt-4o-mini` at high detail, 2,833 and 8 tiles of 5,667.
pub const IMAGE_BOUND: u64 = 48_169;
/// Tokens of a picture of ordinary size at ordinary prices.
pub const IMAGE_LIKELY: u64 = 1_000;
/// Tokens of a file of about a hundred pages, each as text and as a picture.
pub const FILE_BOUND: u64 = 200_000;

/// Tokens of what Anthropic tells its models about tools and forms of answers; 346 to 530 are documented.
pub const ANTHROPIC_PREAMBLE: u64 = 1_024;
/// Tokens of the description of a provider's own tool; 735 (computer use) is the most that is documented.
pub const HOSTED_TOOL_BOUND: u64 = 2_000;

/// Bytes of the longest token that OpenAI's vocabularies have: a run of blanks.
pub const LONGEST_TOKEN: u64 = 128;

/// Lengths of what makes the prompt, as they stand in the request body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PromptSizes {
    /// Bytes of the messages, brackets included.
    pub message_bytes: u64,
    /// How many messages there are.
    pub messages: u64,
    /// Bytes of the definitions of tools.
    pub tool_bytes: u64,
    /// Bytes of other members that may reach the model (a response schema, a prediction, anything unknown).
    pub other_bytes: u64,
    /// How many pictures the messages have.
    pub images: u64,
    /// Bytes of the parts of messages that are pictures; contained in `message_bytes`.
    pub image_bytes: u64,
    /// How many files and videos the messages have.
    pub files: u64,
    /// How many of the tools are the provider's own. (Chat's are not looked at.)
    pub hosted_tools: u64,
    /// Tokens that the provider is known to put in by itself.
    pub preamble: u64,
}

/// Input tokens before sending.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenEstimate {
    /// What it will about be: a token for four bytes.
    pub likely: u64,
    /// What it can't be more than; never below `likely`.
    pub bound: u64,
}

/// Estimates a prompt from its lengths.
#[must_use]
pub fn estimate(sizes: &PromptSizes) -> TokenEstimate {
    let text = sizes.message_bytes.saturating_sub(sizes.image_bytes);
    let all = text.saturating_add(sizes.tool_bytes).saturating_add(sizes.other_bytes);
    let likely = all.div_ceil(4).saturating_add(sizes.images.saturating_mul(IMAGE_LIKELY));
    let bound = text
        .max(sizes.messages.saturating_mul(MESSAGE_FLOOR))
        .saturating_add(sizes.tool_bytes.saturating_mul(2))
        .saturating_add(sizes.other_bytes)
        .saturating_add(sizes.images.saturating_mul(IMAGE_BOUND))
        .saturating_add(sizes.files.saturating_mul(FILE_BOUND))
        .saturating_add(sizes.hosted_tools.saturating_mul(HOSTED_TOOL_BOUND))
        .saturating_add(sizes.preamble)
        .saturating_add(FIXED);
    TokenEstimate { likely: likely.min(bound), bound }
}

/// The least that [`estimate`]'s bound can come down to where texts are counted rather than measured; worth knowing before the counting.
#[must_use]
pub fn least_counted(sizes: &PromptSizes) -> u64 {
    let shortest = |bytes: u64| bytes.div_ceil(LONGEST_TOKEN);
    let text = sizes.message_bytes.saturating_sub(sizes.image_bytes);
    let (message_bytes, other_bytes) = (shortest(text), shortest(sizes.other_bytes));
    estimate(&PromptSizes { message_bytes, image_bytes: 0, other_bytes, ..*sizes }).bound
}

/// Tokens of output that was seen as bytes only: one for four bytes, and at least one for each piece it came in.
#[must_use]
pub fn output_from_bytes(bytes: u64, pieces: u64) -> u64 {
    bytes.div_ceil(4).max(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_can_not_have_more_tokens_than_bytes() {
        let sizes = PromptSizes { message_bytes: 1000, messages: 2, ..PromptSizes::default() };
        assert_eq!(estimate(&sizes), TokenEstimate { likely: 250, bound: 1000 + FIXED });
    }

    #[test]
    fn an_inline_picture_counts_as_a_picture_and_not_by_its_bytes() {
        let sizes = PromptSizes { message_bytes: 1_000_100, messages: 1, images: 1, image_bytes: 1_000_000, ..PromptSizes::default() };
        assert_eq!(estimate(&sizes).bound, 100 + IMAGE_BOUND + FIXED);
    }

    #[test]
    fn counting_leaves_pictures_tools_and_the_least_of_messages_as_they_are() {
        let sizes =
            PromptSizes { message_bytes: 1_280, messages: 1, tool_bytes: 50, images: 1, image_bytes: 640, ..PromptSizes::default() };
        assert_eq!(least_counted(&sizes), MESSAGE_FLOOR + 100 + IMAGE_BOUND + FIXED);
        let long = PromptSizes { message_bytes: 1_280_000, other_bytes: 129, ..PromptSizes::default() };
        assert_eq!(least_counted(&long), 10_000 + 2 + FIXED);
    }

    #[test]
    fn absurd_sizes_saturate() {
        let sizes = PromptSizes { message_bytes: u64::MAX, tool_bytes: u64::MAX, images: u64::MAX, ..PromptSizes::default() };
        assert_eq!(estimate(&sizes).bound, u64::MAX);
    }

    #[test]
    fn each_piece_of_output_is_at_least_one_token() {
        assert_eq!(output_from_bytes(5, 4), 4);
        assert_eq!(output_from_bytes(400, 4), 100);
        assert_eq!(output_from_bytes(0, 0), 0);
    }
}

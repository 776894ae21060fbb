//! What could not be said in the target's dialect.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::Members;
use crate::dialect::Dialect;

/// Names more than this are not listed one by one.
const LISTED: usize = 32;

/// Settings by their names in OpenAI's chat and in Anthropic's messages.
const ANTHROPIC_WORDS: &[(&str, &str)] = &[("stop", "stop_sequences"), ("user", "metadata.user_id")];

/// Settings by their names in OpenAI's chat and in Gemini.
const GEMINI_WORDS: &[(&str, &str)] = &[
    ("frequency_penalty", "generationConfig.frequencyPenalty"),
    ("logprobs", "generationConfig.responseLogprobs"),
    ("n", "generationConfig.candidateCount"),
    ("presence_penalty", "generationConfig.presencePenalty"),
    ("seed", "generationConfig.seed"),
    ("stop", "generationConfig.stopSequences"),
    ("temperature", "generationConfig.temperature"),
    ("top_k", "generationConfig.topK"),
    ("top_p", "generationConfig.topP"),
];

/// Fields of the request that the target has no place for, by their names in the caller's dialect: top-level members by name, parts of messages
/// by what they are (`cache_control`, `tools.web_search`), each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped {
    fields: BTreeSet<Cow<'static, str>>,
    more: usize,
}

impl Dropped {
    /// Notes a field.
    pub fn note(&mut self, field: impl Into<Cow<'static, str>>) {
        let field = field.into();
        if self.fields.len() < LISTED {
            self.fields.insert(field);
        } else if !self.fields.contains(&field) {
            self.more = self.more.saturating_add(1);
        }
    }

    /// Notes a part that only its own dialect knows, by its `type`.
    pub(crate) fn note_part(&mut self, part: &RawValue) {
        let kind = Members::read("", part.get().as_bytes()).ok().and_then(|mut part| part.text("type").ok().flatten());
        self.note(kind.map_or(Cow::Borrowed("part"), |kind| Cow::Owned(kind.into_owned())));
    }

    /// The same in the words of the caller's dialect, where a setting is called otherwise than in OpenAI's chat, by whose names writers note
    /// them.
    #[must_use]
    pub(super) fn in_words_of(self, dialect: Dialect) -> Self {
        let words = match dialect {
            Dialect::AnthropicMessages => ANTHROPIC_WORDS,
            Dialect::Gemini => GEMINI_WORDS,
            Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::OpenAiEmbeddings | Dialect::BedrockConverse => &[],
        };
        let word = |field: Cow<'static, str>| {
            let own = words.iter().find_map(|(chat, own)| (*chat == field).then_some(*own));
            own.map_or(field, Cow::Borrowed)
        };
        Self { fields: self.fields.into_iter().map(word).collect(), more: self.more }
    }

    /// Whether everything could be said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The names in order, with a count of those beyond the list (`X-Modelux-Dropped`).
    #[must_use]
    pub fn header(&self) -> String {
        let mut text = self.fields.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(",");
        if self.more > 0 {
            text.push_str(&format!(",+{}", self.more));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_named_once_and_a_flood_is_counted() {
        let mut dropped = Dropped::default();
        for _ in 0..3 {
            dropped.note("seed");
        }
        dropped.note("logit_bias");
        assert_eq!(dropped.header(), "logit_bias,seed");
        for number in 0..100 {
            dropped.note(format!("f{number}"));
        }
        assert!(dropped.header().ends_with(",+70"), "{}", dropped.header());
    }

    #[test]
    fn settings_are_named_as_the_caller_wrote_them() {
        let mut dropped = Dropped::default();
        dropped.note("stop");
        dropped.note("cache_control");
        assert_eq!(dropped.clone().in_words_of(Dialect::OpenAiChat).header(), "cache_control,stop");
        assert_eq!(dropped.clone().in_words_of(Dialect::AnthropicMessages).header(), "cache_control,stop_sequences");
        assert_eq!(dropped.in_words_of(Dialect::Gemini).header(), "cache_control,generationConfig.stopSequences");
    }
}

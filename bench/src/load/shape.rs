//! What a request and its answer look like: the dialect, how much is said, and whether the answer is streamed.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::dialect::{self, Dialect};

/// Body lengths the figures are quoted for.
const SHORT_BODY: usize = 1_024;
const LONG_BODY: usize = 32_600;
const HUGE_BODY: usize = 1_000_000;
/// Messages in a body that is not short.
const TURNS: usize = 22;
/// Base64 of one picture.
const PICTURE: usize = 200_000;
/// Of what is short or long, and of what is measured in hundreds of kilobytes: there few requests finish inside a window, and those that its
/// edges cut would weigh too much.
const CONNECTIONS: usize = 32;
const CONNECTIONS_OF_LARGE: usize = 8;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Prompt {
    /// 1 kB: a system prompt and a question, or a text to embed.
    Short,
    /// 32 kB in 22 messages; chat only.
    Long,
    /// 1 MB in 22 messages; chat only.
    Huge,
    /// Two pictures of 200 kB base64 each; chat only.
    Pictures,
}

/// What is asked, and how it is answered.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Shape {
    #[arg(long, value_enum, default_value = "chat")]
    pub(crate) dialect: Dialect,
    #[arg(long, value_enum, default_value = "short")]
    pub(crate) prompt: Prompt,
    /// Ask for a stream.
    #[arg(long)]
    pub(crate) streamed: bool,
}

impl Shape {
    /// 1 kB chat, buffered answer.
    pub(crate) const SHORT: Self = Self { dialect: Dialect::Chat, prompt: Prompt::Short, streamed: false };
    /// 32 kB chat, buffered answer.
    pub(crate) const LONG: Self = Self { dialect: Dialect::Chat, prompt: Prompt::Long, streamed: false };
    /// 1 kB chat, 23 events in answer.
    pub(crate) const STREAM: Self = Self { dialect: Dialect::Chat, prompt: Prompt::Short, streamed: true };
    /// What proxies are compared by.
    pub(crate) const CHAT: [Self; 3] = [Self::SHORT, Self::LONG, Self::STREAM];

    /// Streams of all dialects that have any.
    pub(crate) fn streams() -> Vec<Self> {
        let dialects = Dialect::ALL.into_iter().filter(|dialect| dialect.streams());
        dialects.map(|dialect| Self { dialect, ..Self::STREAM }).collect()
    }

    /// Every dialect, buffered and streamed, and the large chats.
    pub(crate) fn all() -> Vec<Self> {
        let buffered = Dialect::ALL.into_iter().map(|dialect| Self { dialect, ..Self::SHORT });
        let large = [Prompt::Long, Prompt::Huge, Prompt::Pictures].map(|prompt| Self { prompt, ..Self::SHORT });
        Self::streams().into_iter().chain(buffered).chain(large).collect()
    }

    pub(crate) fn title(self) -> String {
        format!("{}, {}", self.dialect.title(), self.size())
    }

    /// The title without the dialect.
    pub(crate) fn size(self) -> &'static str {
        match self.prompt {
            _ if self.streamed => "stream, 23 events",
            Prompt::Short => "1 kB",
            Prompt::Long => "32 kB",
            Prompt::Huge => "1 MB",
            Prompt::Pictures => "two pictures of 200 kB",
        }
    }

    /// The words after which the load generator has it again.
    pub(crate) fn arguments(self) -> Vec<String> {
        let mut words = vec!["--dialect".to_owned(), word(self.dialect), "--prompt".to_owned(), word(self.prompt)];
        words.extend(self.streamed.then(|| "--streamed".to_owned()));
        words
    }

    /// Connections that saturate a proxy with it.
    pub(crate) fn connections(self) -> usize {
        match self.prompt {
            Prompt::Short | Prompt::Long => CONNECTIONS,
            Prompt::Huge | Prompt::Pictures => CONNECTIONS_OF_LARGE,
        }
    }

    /// The body of a request.
    pub(super) fn body(self, model: &str) -> String {
        let of = |length, texts| self.dialect.request(model, self.streamed, length, texts);
        match self.prompt {
            Prompt::Short if self.dialect == Dialect::Embeddings => of(SHORT_BODY, 1),
            Prompt::Short => of(SHORT_BODY, 2),
            Prompt::Long => of(LONG_BODY, TURNS),
            Prompt::Huge => of(HUGE_BODY, TURNS),
            Prompt::Pictures => dialect::chat_with_pictures(model, PICTURE),
        }
    }

    /// By what a whole answer is told.
    pub(crate) fn end(self) -> &'static str {
        self.dialect.end(self.streamed)
    }
}

fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_the_length_the_figures_are_quoted_for() {
        for shape in Shape::all() {
            let body = shape.body(shape.dialect.own_model());
            let length = match shape.prompt {
                Prompt::Short => SHORT_BODY,
                Prompt::Long => LONG_BODY,
                Prompt::Huge => HUGE_BODY,
                Prompt::Pictures => 2 * PICTURE + 500,
            };
            assert!(length.abs_diff(body.len()) < 150, "{shape:?}: {}", body.len());
            serde_json::from_str::<serde_json::Value>(&body).unwrap();
        }
    }

    #[test]
    fn the_load_generator_reads_a_shape_as_it_was_given() {
        #[derive(clap::Parser)]
        struct Words {
            #[command(flatten)]
            shape: Shape,
        }
        for shape in Shape::all() {
            let words = std::iter::once("load".to_owned()).chain(shape.arguments());
            let read = <Words as clap::Parser>::try_parse_from(words).unwrap();
            assert_eq!(read.shape, shape);
        }
    }
}

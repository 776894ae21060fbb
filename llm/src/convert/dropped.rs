//! What could not be said in the target's dialect, in the words of who asked.
//!
//! Promises: a list is made for one caller's dialect and can hold nothing but fields of it: what writers note is a [`Feature`], which the list
//! names, or came from the caller. Leaves out: what becomes of the list.

mod feature;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::value::RawValue;

pub use feature::Feature;

use super::{Json, Members, Reasoning};
use crate::dialect::{Dialect, openai_chat};

/// Names more than this are not listed one by one.
const LISTED: usize = 32;

/// Fields of the request that the target has no place for, by their names in the caller's dialect, each once: top-level members by name, members
/// of others by dotted names (`messages.name`, `tools.web_search`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    dialect: Dialect,
    written_as: Vec<(Feature, &'static str)>,
    fields: BTreeSet<Cow<'static, str>>,
    more: usize,
}

impl Dropped {
    /// Nothing of a request in this dialect, so far.
    #[must_use]
    pub const fn of(dialect: Dialect) -> Self {
        Self { dialect, written_as: Vec::new(), fields: BTreeSet::new(), more: 0 }
    }

    /// Of a request in which some fields stand under another of their names.
    pub(super) fn written_as(self, written_as: Vec<(Feature, &'static str)>) -> Self {
        Self { written_as, ..self }
    }

    /// Notes what the target lacks.
    pub fn note(&mut self, feature: Feature) {
        let other = self.written_as.iter().find_map(|(known, name)| (*known == feature).then_some(*name));
        self.add(Cow::Borrowed(other.unwrap_or_else(|| feature.name_in(self.dialect))));
    }

    /// Notes that the target refuses a top-level member of a chat's body, which the caller wrote or which says what the caller wrote.
    pub fn note_chat_member(&mut self, member: &'static str) {
        match self.dialect {
            Dialect::OpenAiChat => self.add(Cow::Borrowed(member)),
            _ => match Feature::of_chat_member(member) {
                Some(feature) => self.note(feature),
                // All that chat and responses share beside features; other dialects have none of it.
                None => self.add(Cow::Borrowed(openai_chat::shared_with_responses(member).unwrap_or(member))),
            },
        }
    }

    /// Notes a member that the caller wrote and only its own dialect knows, by the name that its reader gave it.
    pub(crate) fn note_member(&mut self, name: &str) {
        self.add(Cow::Owned(name.to_owned()));
    }

    /// Notes all of such members.
    pub(crate) fn note_members(&mut self, others: &[(Cow<'_, str>, Json<'_>)]) {
        others.iter().for_each(|(name, _)| self.note_member(name));
    }

    /// Notes a tool that only the caller's dialect knows.
    pub(crate) fn note_tool(&mut self, name: &str) {
        self.add(Cow::Owned(format!("tools.{name}")));
    }

    /// Notes a part that only the caller's dialect knows, by its `type`; Gemini's say what they are by their one member.
    pub(crate) fn note_part(&mut self, part: &RawValue) {
        let members = Members::read("", part.get().as_bytes()).ok();
        let name = match self.dialect {
            Dialect::Gemini => members.and_then(|part| part.rest().next()).map(|(name, _)| format!("contents.parts.{name}")),
            _ => members.and_then(|mut part| part.text("type").ok().flatten()).map(Cow::into_owned),
        };
        self.add(name.map_or(Cow::Borrowed("part"), Cow::Owned));
    }

    /// Notes how much shall be thought, by all the fields that say so.
    pub(crate) fn note_reasoning(&mut self, reasoning: &Reasoning) {
        let Reasoning { effort, budget_tokens, shown } = *reasoning;
        if budget_tokens.is_some() || shown.is_some() {
            self.note(Feature::Thinking);
        }
        // A budget of nothing is how a dialect without a word for it says that nothing shall be thought.
        if effort.is_some() && budget_tokens != Some(0) {
            self.note(Feature::Effort);
        }
    }

    fn add(&mut self, field: Cow<'static, str>) {
        if self.fields.len() < LISTED {
            self.fields.insert(field);
        } else if !self.fields.contains(&field) {
            self.more = self.more.saturating_add(1);
        }
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
mod tests;

//! What could not be said in the target's dialect.

use std::borrow::Cow;
use std::collections::BTreeSet;

/// Names more than this are not listed one by one.
const LISTED: usize = 32;

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
}

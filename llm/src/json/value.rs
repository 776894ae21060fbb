//! One JSON value as its place in a document, read only when somebody asks.

use std::{borrow::Cow, ops::Range};

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number of any form.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A value that was passed over: kind, place, and its bytes as they stand.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    kind: Kind,
    start: usize,
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Value<'a> {
    pub(super) fn new(kind: Kind, start: usize, raw: &'a [u8], escaped: bool) -> Self {
        Self { kind, start, raw, escaped }
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it stands in the document, quotes and brackets included.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.end()
    }

    /// Offset of its first byte.
    #[must_use]
    pub fn start(&self) -> usize {
        self.start
    }

    /// Offset behind its last byte.
    #[must_use]
    pub fn end(&self) -> usize {
        self.start.saturating_add(self.raw.len())
    }

    /// Its bytes as written.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.kind == Kind::Null
    }

    /// The boolean, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        (self.kind == Kind::Bool).then(|| self.raw.first() == Some(&b't'))
    }

    /// The number, if it is a whole one from 0 to `u64::MAX` written without fraction and exponent.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        if self.kind != Kind::Number {
            return None;
        }
        std::str::from_utf8(self.raw).ok()?.parse().ok()
    }

    /// The bytes between the quotes, escapes and all, if it is a string.
    #[must_use]
    #[inline]
    pub fn inner(&self) -> Option<&'a [u8]> {
        if self.kind != Kind::String {
            return None;
        }
        self.raw.strip_prefix(b"\"")?.strip_suffix(b"\"")
    }

    /// The text of a string; borrowed when nothing in it is escaped. `None` also when it is not valid Unicode.
    #[must_use]
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        let inner = self.inner()?;
        if self.escaped {
            return serde_json::from_slice::<String>(self.raw).ok().map(Cow::Owned);
        }
        std::str::from_utf8(inner).ok().map(Cow::Borrowed)
    }

    /// Whether it is a string with exactly this text.
    #[must_use]
    #[inline]
    pub fn is_text(&self, text: &str) -> bool {
        if self.escaped {
            return self.as_str().is_some_and(|own| own == text);
        }
        // The length first: with a literal it is a constant, and most keys differ in it.
        self.raw.len() == text.len().saturating_add(2) && self.inner() == Some(text.as_bytes())
    }

    /// The bytes that tell one key from another: the text between the quotes, without escapes where it can be had.
    pub(crate) fn key_bytes(&self) -> Cow<'a, [u8]> {
        let inner = self.inner().unwrap_or(self.raw);
        if !self.escaped {
            return Cow::Borrowed(inner);
        }
        match self.as_str() {
            Some(text) => Cow::Owned(text.into_owned().into_bytes()),
            None => Cow::Borrowed(inner),
        }
    }
}

//! An object's members while they are taken out one by one; what nobody took is left, by name.
//!
//! Reading into fixed structures would either lose members that a newer client sends or decode everything twice. Here a reader takes what
//! it knows, and what remains is opaque and can be passed on or named as dropped.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::json::{Cursor, Kind};
use crate::request::ReadRequestError;

/// Members in the order they came, as written.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    /// Dotted path of the object, for errors; empty for the body.
    path: String,
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Members<'a> {
    /// Reads an object. Refused: what is none, and a member that is given twice.
    pub(crate) fn read(path: &str, json: &'a [u8]) -> Result<Self, ReadRequestError> {
        let wrong = || ReadRequestError::WrongType { field: path.to_owned(), expected: "an object" };
        let mut cursor = Cursor::new(json);
        if cursor.kind()? != Kind::Object {
            return Err(if path.is_empty() { ReadRequestError::NotAnObject } else { wrong() });
        }
        let mut members: Vec<(Cow<'a, str>, &'a RawValue)> = Vec::new();
        let mut walk = cursor.begin_object()?;
        while let Some(key) = cursor.next_key(&mut walk)? {
            let name = key.as_str().ok_or_else(wrong)?;
            if members.iter().any(|(known, _)| *known == name) {
                return Err(ReadRequestError::Duplicate { field: join(path, &name) });
            }
            let value = cursor.value()?;
            let raw = serde_json::from_slice(value.raw()).map_err(|_| wrong())?;
            members.push((name, raw));
        }
        cursor.end()?;
        Ok(Self { path: path.to_owned(), members })
    }

    /// Takes a member out; `null` is as good as absent.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let place = self.members.iter().position(|(known, _)| known == name)?;
        let (_, value) = self.members.remove(place);
        (value.get() != "null").then_some(value)
    }

    /// Takes text out.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, ReadRequestError> {
        self.take(name).map(|value| text_of(value).ok_or_else(|| self.wrong(name, "a string"))).transpose()
    }

    /// Takes text out that must be there.
    pub(crate) fn required_text(&mut self, name: &str) -> Result<Cow<'a, str>, ReadRequestError> {
        self.text(name)?.ok_or_else(|| self.wrong(name, "a string"))
    }

    /// Takes a boolean out.
    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, ReadRequestError> {
        self.parse(name, "a boolean")
    }

    /// Takes a whole number out that fits 32 bits.
    pub(crate) fn count(&mut self, name: &str) -> Result<Option<u32>, ReadRequestError> {
        let expected = "a whole number from 0 to 4294967295";
        self.parse(name, expected)
    }

    /// Takes a number out, as written.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<Cow<'a, RawValue>>, ReadRequestError> {
        let is_number = |value: &RawValue| value.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
        self.take(name)
            .map(|value| is_number(value).then_some(Cow::Borrowed(value)).ok_or_else(|| self.wrong(name, "a number")))
            .transpose()
    }

    /// Takes an object out.
    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Members<'a>>, ReadRequestError> {
        self.take(name).map(|value| Self::read(&self.field(name), value.get().as_bytes())).transpose()
    }

    /// Takes the elements of an array out.
    pub(crate) fn array(&mut self, name: &str) -> Result<Option<Vec<&'a RawValue>>, ReadRequestError> {
        self.parse(name, "an array")
    }

    /// Whether everything was taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// What nobody took, in order, by dotted names.
    pub(crate) fn rest(self) -> impl Iterator<Item = (Cow<'a, str>, &'a RawValue)> {
        let path = self.path;
        self.members.into_iter().map(move |(name, value)| (if path.is_empty() { name } else { join(&path, &name).into() }, value))
    }

    /// The dotted name of a member.
    pub(crate) fn field(&self, name: &str) -> String {
        join(&self.path, name)
    }

    /// The error that a member is not what it must be.
    pub(crate) fn wrong(&self, name: &str, expected: &'static str) -> ReadRequestError {
        ReadRequestError::WrongType { field: self.field(name), expected }
    }

    fn parse<T: serde::Deserialize<'a>>(&mut self, name: &str, expected: &'static str) -> Result<Option<T>, ReadRequestError> {
        self.take(name).map(|value| serde_json::from_str(value.get()).map_err(|_| self.wrong(name, expected))).transpose()
    }
}

/// The text of a JSON string, borrowed where nothing in it is escaped.
pub(crate) fn text_of(value: &RawValue) -> Option<Cow<'_, str>> {
    let mut cursor = Cursor::new(value.get().as_bytes());
    cursor.value().ok()?.as_str()
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

//! One member of a request: its path and value, and the readers that refuse it by name.

use std::borrow::Cow;

use super::ReadRequestError;
use crate::json::{Cursor, Kind, Value};

/// Names longer than this are cut in messages.
const NAME_LIMIT: usize = 64;

/// A member's value together with the path that messages call it by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'p, 'a> {
    parent: &'p str,
    name: &'p str,
    value: Value<'a>,
}

impl<'p, 'a> Field<'p, 'a> {
    /// A member of the body itself.
    pub(crate) fn top(name: &'p str, value: Value<'a>) -> Self {
        Self { parent: "", name, value }
    }

    /// A member of the object `parent`.
    pub(crate) fn within(parent: &'p str, name: &'p str, value: Value<'a>) -> Self {
        Self { parent, name, value }
    }

    pub(crate) fn text(&self) -> Result<Cow<'a, str>, ReadRequestError> {
        self.value.as_str().ok_or_else(|| self.wrong("a string"))
    }

    /// Text, with `null` as absent.
    pub(crate) fn optional_text(&self) -> Result<Option<Cow<'a, str>>, ReadRequestError> {
        if self.value.is_null() {
            return Ok(None);
        }
        self.value.as_str().map(Some).ok_or_else(|| self.wrong("a string or null"))
    }

    /// A boolean, with `null` as false.
    pub(crate) fn flag(&self) -> Result<bool, ReadRequestError> {
        if self.value.is_null() {
            return Ok(false);
        }
        self.value.as_bool().ok_or_else(|| self.wrong("a boolean"))
    }

    /// A whole number from `least` that fits 32 bits, with `null` as absent.
    pub(crate) fn count(&self, least: u32, expected: &'static str) -> Result<Option<u32>, ReadRequestError> {
        if self.value.is_null() {
            return Ok(None);
        }
        let number = self.value.as_u64().and_then(|number| u32::try_from(number).ok());
        number.filter(|number| *number >= least).map(Some).ok_or_else(|| self.wrong(expected))
    }

    /// Reads an object's members in turn; `null` has none. `read` gets each key and value; offsets count from the object.
    pub(crate) fn members(&self, mut read: impl FnMut(&str, Value<'a>) -> Result<(), ReadRequestError>) -> Result<(), ReadRequestError> {
        match self.value.kind() {
            Kind::Null => return Ok(()),
            Kind::Object => {}
            _ => return Err(self.wrong("an object")),
        }
        let mut cursor = Cursor::new(self.value.raw());
        let mut walk = cursor.begin_object()?;
        while let Some(key) = cursor.next_key(&mut walk)? {
            let name = key.as_str().ok_or_else(|| self.wrong("an object with readable keys"))?;
            read(&name, cursor.value()?)?;
        }
        Ok(())
    }

    pub(crate) fn wrong(&self, expected: &'static str) -> ReadRequestError {
        ReadRequestError::WrongType { field: self.path(), expected }
    }

    pub(crate) fn duplicate(&self) -> ReadRequestError {
        ReadRequestError::Duplicate { field: self.path() }
    }

    pub(crate) fn unknown_extension(&self) -> ReadRequestError {
        ReadRequestError::UnknownExtension { field: self.path() }
    }

    /// Keeps `value` in `slot`, or refuses the member because something is there already.
    pub(crate) fn keep<T>(&self, slot: &mut Option<T>, value: T) -> Result<(), ReadRequestError> {
        if slot.is_some() {
            return Err(self.duplicate());
        }
        *slot = Some(value);
        Ok(())
    }

    fn path(&self) -> String {
        let name = self.name.chars().take(NAME_LIMIT).collect::<String>();
        if self.parent.is_empty() { name } else { format!("{}.{name}", self.parent) }
    }
}

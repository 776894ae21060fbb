//! Members of Gemini's objects, which clients write in camel case and in snake case alike.
//!
//! Promises: a member that is given in both spellings is refused; what is left over is named in camel case, whichever way it came.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{convert::Members, request::ReadRequestError};

/// An object of which members are taken by their names in camel case.
#[derive(Debug)]
pub(super) struct Fields<'a>(Members<'a>);

impl<'a> Fields<'a> {
    /// Reads a whole body.
    pub(super) fn read_body(body: &'a [u8]) -> Result<Self, ReadRequestError> {
        Members::read("", body).map(Self)
    }

    /// Reads an object that stands at `path`.
    pub(super) fn read(path: &str, json: &'a RawValue) -> Result<Self, ReadRequestError> {
        Members::read(path, json.get().as_bytes()).map(Self)
    }

    /// Takes a member out as written.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<&'a RawValue>, ReadRequestError> {
        self.either(name, |members, name| Ok(members.take(name)))
    }

    /// Takes text out.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, ReadRequestError> {
        self.either(name, Members::text)
    }

    /// Takes text out that must be there.
    pub(super) fn required_text(&mut self, name: &str) -> Result<Cow<'a, str>, ReadRequestError> {
        self.text(name)?.ok_or_else(|| self.wrong(name, "a string"))
    }

    /// Takes a boolean out.
    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, ReadRequestError> {
        self.either(name, Members::flag)
    }

    /// Takes a whole number out that fits 32 bits.
    pub(super) fn count(&mut self, name: &str) -> Result<Option<u32>, ReadRequestError> {
        self.either(name, Members::count)
    }

    /// Takes a number out as written.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<Cow<'a, RawValue>>, ReadRequestError> {
        self.either(name, Members::number)
    }

    /// Takes an object out.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<Self>, ReadRequestError> {
        Ok(self.either(name, Members::object)?.map(Self))
    }

    /// Takes the elements of a list out; an object alone is a list of one, as the API has it.
    pub(super) fn list(&mut self, name: &str) -> Result<Vec<&'a RawValue>, ReadRequestError> {
        let Some(value) = self.take(name)? else { return Ok(Vec::new()) };
        if value.get().starts_with('{') {
            return Ok(vec![value]);
        }
        serde_json::from_str(value.get()).map_err(|_| self.wrong(name, "an array"))
    }

    /// Takes a list of texts out.
    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<Cow<'a, str>>, ReadRequestError> {
        let elements = self.list(name)?;
        let text = |element: &'a RawValue| crate::convert::text_of(element).ok_or_else(|| self.wrong(name, "an array of strings"));
        elements.into_iter().map(text).collect()
    }

    /// Whether everything was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What nobody took, in order, by dotted names in camel case.
    pub(super) fn rest(self) -> impl Iterator<Item = (Cow<'a, str>, &'a RawValue)> {
        self.0.rest().map(|(name, value)| (camel(name), value))
    }

    /// The dotted name of a member.
    pub(super) fn field(&self, name: &str) -> String {
        self.0.field(name)
    }

    /// The error that a member is not what it must be.
    pub(super) fn wrong(&self, name: &str, expected: &'static str) -> ReadRequestError {
        self.0.wrong(name, expected)
    }

    fn either<T>(
        &mut self,
        name: &str,
        mut take: impl FnMut(&mut Members<'a>, &str) -> Result<Option<T>, ReadRequestError>,
    ) -> Result<Option<T>, ReadRequestError> {
        let camel = take(&mut self.0, name)?;
        if !name.contains(|letter: char| letter.is_ascii_uppercase()) {
            return Ok(camel);
        }
        match (camel, take(&mut self.0, &snake(name))?) {
            (Some(_), Some(_)) => Err(ReadRequestError::Duplicate { field: self.field(name) }),
            (camel, snake) => Ok(camel.or(snake)),
        }
    }
}

fn snake(name: &str) -> String {
    let mut text = String::with_capacity(name.len().saturating_add(4));
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

fn camel(name: Cow<'_, str>) -> Cow<'_, str> {
    if !name.contains('_') {
        return name;
    }
    let mut words = name.split('_');
    let mut text = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        text.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        text.push_str(letters.as_str());
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_known_in_both_spellings() {
        for body in [r#"{"maxOutputTokens":5}"#, r#"{"max_output_tokens":5}"#] {
            assert_eq!(Fields::read_body(body.as_bytes()).unwrap().count("maxOutputTokens").unwrap(), Some(5));
        }
    }

    #[test]
    fn a_member_in_both_spellings_is_refused() {
        let mut fields = Fields::read_body(br#"{"topP":1,"top_p":0.5}"#).unwrap();
        assert_eq!(fields.number("topP").unwrap_err().to_string(), "`topP` is given more than once");
    }

    #[test]
    fn what_is_left_is_named_in_camel_case() {
        let fields = Fields::read_body(br#"{"safety_settings":[],"cachedContent":"x"}"#).unwrap();
        let names: Vec<_> = fields.rest().map(|(name, _)| name).collect();
        assert_eq!(names, ["safetySettings", "cachedContent"]);
    }
}

//! How many numbers a vector shall have: what a request for embeddings says of it, and saying it where it says nothing.
//!
//! OpenAI's requests say it at the top (`dimensions`). Gemini's say it beside the text (`outputDimensionality`), each of a batch by itself, or
//! in an object of their own (`embedContentConfig`); every name may be in snake case. `null` says nothing. Read only where somebody has
//! another say in it, so that other requests pay nothing for it.
//!
//! Leaves out: who has the say.

use std::ops::Range;

use super::{Field, ReadRequestError};
use crate::{
    dialect::Dialect,
    json::{Cursor, Kind, Value},
    splice::Edits,
};

/// Numbers that can be asked for, in words.
const POSITIVE: &str = "a whole number from 1 to 4294967295";

/// What the member is called in a dialect.
#[must_use]
pub fn dimensions_member(dialect: Dialect) -> &'static str {
    if dialect == Dialect::Gemini { "outputDimensionality" } else { "dimensions" }
}

/// The first number that `body` asks for and that is another one than `number`.
///
/// # Errors
/// When it asks for what is no number.
pub fn other_dimensions(dialect: Dialect, body: &[u8], number: u32) -> Result<Option<u32>, ReadRequestError> {
    let said = read(dialect, body)?.into_iter().filter_map(|one| one.number());
    Ok(said.into_iter().find(|asked| *asked != number))
}

/// Says `number` in every request of `body` that says nothing.
pub(super) fn say(dialect: Dialect, body: &[u8], number: u32, edits: &mut Edits<'static>) {
    // It was read before, so it can be read; were it not so, the provider has the last word.
    for one in read(dialect, body).unwrap_or_default() {
        match one.said {
            Some((_, Some(_))) => {}
            Some((null, None)) => drop(edits.replace(null, number.to_string().into_bytes())),
            None => {
                let comma = if one.empty { "" } else { "," };
                edits.insert(one.open, format!("\"{}\":{number}{comma}", dimensions_member(dialect)).into_bytes());
            }
        }
    }
}

/// One request for a vector, or for several of one length.
#[derive(Debug)]
struct One {
    /// Behind its brace.
    open: usize,
    empty: bool,
    /// The value's place, and the number unless it is `null`.
    said: Option<(Range<usize>, Option<u32>)>,
}

impl One {
    fn number(&self) -> Option<u32> {
        self.said.as_ref().and_then(|(_, number)| *number)
    }
}

fn read(dialect: Dialect, body: &[u8]) -> Result<Vec<One>, ReadRequestError> {
    let mut all = Vec::with_capacity(1);
    read_one(dialect, &mut Cursor::new(body), true, &mut all)?;
    Ok(all)
}

fn read_one(dialect: Dialect, cursor: &mut Cursor<'_>, top: bool, all: &mut Vec<One>) -> Result<(), ReadRequestError> {
    let mut walk = cursor.begin_object()?;
    let mut one = One { open: cursor.position(), empty: true, said: None };
    let mut batch = false;
    while let Some(key) = cursor.next_key(&mut walk)? {
        one.empty = false;
        match (dialect, &*key.key_bytes()) {
            (Dialect::Gemini, b"requests") if top && cursor.kind()? == Kind::Array => {
                batch = true;
                let mut elements = cursor.begin_array()?;
                while cursor.next_element(&mut elements)? {
                    read_one(dialect, cursor, false, all)?;
                }
            }
            (Dialect::Gemini, b"embedContentConfig" | b"embed_content_config") => take_config(&mut one, &cursor.value()?)?,
            (Dialect::Gemini, b"outputDimensionality" | b"output_dimensionality") | (Dialect::OpenAiEmbeddings, b"dimensions") => {
                take(&mut one, dialect, &cursor.value()?, 0)?;
            }
            _ => drop(cursor.value()?),
        }
    }
    if !batch {
        all.push(one);
    }
    Ok(())
}

/// What stands in an object of its own is as good as what stands beside the text.
fn take_config(one: &mut One, config: &Value<'_>) -> Result<(), ReadRequestError> {
    if config.kind() != Kind::Object {
        return Ok(());
    }
    let mut cursor = Cursor::new(config.raw());
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        let value = cursor.value()?;
        if matches!(&*key.key_bytes(), b"outputDimensionality" | b"output_dimensionality") && !value.is_null() {
            take(one, Dialect::Gemini, &value, config.start())?;
        }
    }
    Ok(())
}

/// Of two places that say something the first counts, as both have to say the same.
fn take(one: &mut One, dialect: Dialect, value: &Value<'_>, offset: usize) -> Result<(), ReadRequestError> {
    let number = Field::top(dimensions_member(dialect), *value).count(1, POSITIVE)?;
    let range = value.start().saturating_add(offset)..value.end().saturating_add(offset);
    match (one.number(), number) {
        (Some(first), Some(second)) if first != second => return Err(Field::top(dimensions_member(dialect), *value).duplicate()),
        (Some(_), _) => {}
        (None, _) => one.said = Some((range, number)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::request::Rewrite;

    fn said(dialect: Dialect, body: &'static str) -> String {
        let body = Bytes::from_static(body.as_bytes());
        let head = dialect.read_head(&body, None).unwrap();
        let rewrite = Rewrite { dimensions: Some(256), ..Rewrite::default() };
        String::from_utf8(head.layout.upstream_body(&body, &rewrite).to_vec()).unwrap()
    }

    #[test]
    fn a_length_is_said_where_the_request_says_none_and_nowhere_else() {
        for (dialect, body, expected) in [
            (Dialect::OpenAiEmbeddings, r#"{"model":"m","input":"a"}"#, r#"{"dimensions":256,"model":"m","input":"a"}"#),
            (Dialect::OpenAiEmbeddings, r#"{"model":"m","input":"a","dimensions":null}"#, r#"{"model":"m","input":"a","dimensions":256}"#),
            (Dialect::OpenAiEmbeddings, r#"{"mlx:trace":true,"model":"m","input":"a"}"#, r#"{"dimensions":256,"model":"m","input":"a"}"#),
            (
                Dialect::OpenAiEmbeddings,
                r#"{"d\u0069mensions":256,"model":"m","input":"a"}"#,
                r#"{"d\u0069mensions":256,"model":"m","input":"a"}"#,
            ),
            (Dialect::OpenAiChat, r#"{"model":"m","messages":[]}"#, r#"{"model":"m","messages":[]}"#),
            (
                Dialect::Gemini,
                r#"{"model":"m","content":{"parts":[]}}"#,
                r#"{"outputDimensionality":256,"model":"m","content":{"parts":[]}}"#,
            ),
            (
                Dialect::Gemini,
                r#"{"model":"m","content":{},"embedContentConfig":{"outputDimensionality":256}}"#,
                r#"{"model":"m","content":{},"embedContentConfig":{"outputDimensionality":256}}"#,
            ),
            (
                Dialect::Gemini,
                r#"{"requests":[{"model":"m","content":{}},{"output_dimensionality":256},{}],"model":"m"}"#,
                concat!(
                    r#"{"requests":[{"outputDimensionality":256,"model":"m","content":{}},{"output_dimensionality":256},"#,
                    r#"{"outputDimensionality":256}],"model":"m"}"#
                ),
            ),
            (Dialect::Gemini, r#"{"model":"m","contents":[]}"#, r#"{"model":"m","contents":[]}"#),
        ] {
            assert_eq!(said(dialect, body), expected, "{body}");
        }
    }

    #[test]
    fn another_number_is_found_wherever_it_stands() {
        let other = |dialect, body: &str| other_dimensions(dialect, body.as_bytes(), 256).map_err(|error| error.to_string());
        assert_eq!(other(Dialect::OpenAiEmbeddings, r#"{"input":"a","dimensions":512}"#), Ok(Some(512)));
        assert_eq!(other(Dialect::OpenAiEmbeddings, r#"{"input":"a","dimensions":256,"other":{"dimensions":512}}"#), Ok(None));
        assert_eq!(other(Dialect::Gemini, r#"{"requests":[{"outputDimensionality":256},{"output_dimensionality":1}]}"#), Ok(Some(1)));
        assert_eq!(other(Dialect::Gemini, r#"{"content":{},"embedContentConfig":{"outputDimensionality":8}}"#), Ok(Some(8)));
        assert!(other(Dialect::OpenAiEmbeddings, r#"{"input":"a","dimensions":"many"}"#).unwrap_err().contains("dimensions"));
        let twice = r#"{"outputDimensionality":256,"embed_content_config":{"outputDimensionality":8}}"#;
        assert!(other(Dialect::Gemini, twice).is_err());
    }
}

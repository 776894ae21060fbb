//! Gemini's own schemas (a part of `OpenAPI`'s, with types in capitals) written as JSON schema.
//!
//! Promises: numbers, texts and the order of properties stay as written; a keyword that JSON schema has too is kept, one that it has not
//! (`nullable`, `propertyOrdering`, `example`) is said in its words or left out. A schema that is JSON schema already comes out the same
//! but for white space. Leaves out: checking it.

use serde_json::value::RawValue;

use crate::{
    convert::Json,
    json::{Cursor, Kind, SyntaxError, Value},
};

/// Writes a schema as JSON schema.
pub(super) fn to_json_schema(schema: &RawValue) -> Json<'_> {
    let mut out = Vec::with_capacity(schema.get().len());
    let written = write_schema(&mut Cursor::new(schema.get().as_bytes()), &mut out).ok();
    let text = written.and_then(|()| String::from_utf8(out).ok());
    // What was read as JSON is written as JSON; should that fail, the schema goes on as it came.
    text.and_then(|text| RawValue::from_string(text).ok()).map_or(Json::Borrowed(schema), Json::Owned)
}

/// Writes the schema that comes next; what is no object (`additionalProperties: false`) is written as it is.
fn write_schema(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), SyntaxError> {
    if cursor.kind()? != Kind::Object {
        out.extend_from_slice(cursor.value()?.raw());
        return Ok(());
    }
    let nullable = is_nullable(&mut cursor.clone())?;
    out.push(b'{');
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        write_keyword(&key, cursor, nullable, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn is_nullable(cursor: &mut Cursor<'_>) -> Result<bool, SyntaxError> {
    let mut walk = cursor.begin_object()?;
    let mut nullable = false;
    while let Some(key) = cursor.next_key(&mut walk)? {
        let value = cursor.value()?;
        nullable |= key.is_text("nullable") && value.as_bool() == Some(true);
    }
    Ok(nullable)
}

fn write_keyword(key: &Value<'_>, cursor: &mut Cursor<'_>, nullable: bool, out: &mut Vec<u8>) -> Result<(), SyntaxError> {
    let name = key.key_bytes();
    let name = std::str::from_utf8(&name).unwrap_or_default();
    let keyword = match name {
        "nullable" | "propertyOrdering" | "property_ordering" | "example" => return cursor.value().map(drop),
        "any_of" => "anyOf",
        "max_items" => "maxItems",
        "min_items" => "minItems",
        "max_length" => "maxLength",
        "min_length" => "minLength",
        "max_properties" => "maxProperties",
        "min_properties" => "minProperties",
        "additional_properties" => "additionalProperties",
        "defs" => "$defs",
        "ref" => "$ref",
        _ => name,
    };
    write_key(keyword, out);
    match keyword {
        "type" => write_type(&cursor.value()?, nullable, out),
        "enum" => write_choices(cursor, nullable, out)?,
        "anyOf" => {
            let null = nullable.then_some(&b"{\"type\":\"null\"}"[..]);
            write_list(cursor, null, write_schema, out)?;
        }
        "properties" | "$defs" | "definitions" => write_properties(cursor, out)?,
        "items" | "additionalProperties" | "not" => write_schema(cursor, out)?,
        "oneOf" | "allOf" | "prefixItems" => write_list(cursor, None, write_schema, out)?,
        "maxItems" | "minItems" | "maxLength" | "minLength" | "maxProperties" | "minProperties" => write_count(&cursor.value()?, out),
        _ => out.extend_from_slice(cursor.value()?.raw()),
    }
    Ok(())
}

fn write_key(name: &str, out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
    out.push(b':');
}

/// `STRING` is `"string"`, and `["string","null"]` where it is nullable.
fn write_type(value: &Value<'_>, nullable: bool, out: &mut Vec<u8>) {
    if value.kind() != Kind::String {
        out.extend_from_slice(value.raw());
        return;
    }
    let lower = value.raw().to_ascii_lowercase();
    if nullable {
        out.extend_from_slice(&[b"[", &lower[..], b",\"null\"]"].concat());
    } else {
        out.extend_from_slice(&lower);
    }
}

fn write_choices(cursor: &mut Cursor<'_>, nullable: bool, out: &mut Vec<u8>) -> Result<(), SyntaxError> {
    let as_written = |cursor: &mut Cursor<'_>, out: &mut Vec<u8>| {
        out.extend_from_slice(cursor.value()?.raw());
        Ok(())
    };
    write_list(cursor, nullable.then_some(&b"null"[..]), as_written, out)
}

/// Writes a list element by element, and `more` behind it.
fn write_list(
    cursor: &mut Cursor<'_>,
    more: Option<&[u8]>,
    mut write: impl FnMut(&mut Cursor<'_>, &mut Vec<u8>) -> Result<(), SyntaxError>,
    out: &mut Vec<u8>,
) -> Result<(), SyntaxError> {
    if cursor.kind()? != Kind::Array {
        out.extend_from_slice(cursor.value()?.raw());
        return Ok(());
    }
    out.push(b'[');
    let mut walk = cursor.begin_array()?;
    let mut first = true;
    while cursor.next_element(&mut walk)? {
        if !first {
            out.push(b',');
        }
        first = false;
        write(cursor, out)?;
    }
    if let Some(more) = more {
        if !first {
            out.push(b',');
        }
        out.extend_from_slice(more);
    }
    out.push(b']');
    Ok(())
}

fn write_properties(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), SyntaxError> {
    if cursor.kind()? != Kind::Object {
        out.extend_from_slice(cursor.value()?.raw());
        return Ok(());
    }
    out.push(b'{');
    let mut walk = cursor.begin_object()?;
    let mut first = true;
    while let Some(key) = cursor.next_key(&mut walk)? {
        if !first {
            out.push(b',');
        }
        first = false;
        out.extend_from_slice(key.raw());
        out.push(b':');
        write_schema(cursor, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// Limits are 64-bit numbers to Gemini, which its clients may write as text.
fn write_count(value: &Value<'_>, out: &mut Vec<u8>) {
    let digits = value.inner().filter(|inner| !inner.is_empty() && inner.iter().all(u8::is_ascii_digit));
    out.extend_from_slice(digits.unwrap_or(value.raw()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(schema: &str) -> String {
        let schema: &RawValue = serde_json::from_str(schema).unwrap();
        to_json_schema(schema).get().to_owned()
    }

    #[test]
    fn types_limits_and_null_are_said_in_the_words_of_json_schema() {
        for (gemini, expected) in [
            (r#"{"type":"STRING","nullable":true}"#, r#"{"type":["string","null"]}"#),
            (r#"{"type":"STRING","enum":["a"],"nullable":true}"#, r#"{"type":["string","null"],"enum":["a",null]}"#),
            (r#"{"type":"ARRAY","items":{"type":"NUMBER"},"minItems":"2"}"#, r#"{"type":"array","items":{"type":"number"},"minItems":2}"#),
            (r#"{"any_of":[{"type":"INTEGER"}],"nullable":true}"#, r#"{"anyOf":[{"type":"integer"},{"type":"null"}]}"#),
            (
                r#"{"type":"OBJECT","properties":{"b":{"type":"BOOLEAN"},"a":{"type":"NULL"}},"propertyOrdering":["a","b"]}"#,
                r#"{"type":"object","properties":{"b":{"type":"boolean"},"a":{"type":"null"}}}"#,
            ),
        ] {
            assert_eq!(converted(gemini), expected);
        }
    }

    #[test]
    fn a_property_may_be_called_like_a_keyword() {
        let schema = r#"{"properties":{"type":{"type":"STRING"},"nullable":{"type":"BOOLEAN"},"enum":{"type":"STRING"}}}"#;
        let expected = r#"{"properties":{"type":{"type":"string"},"nullable":{"type":"boolean"},"enum":{"type":"string"}}}"#;
        assert_eq!(converted(schema), expected);
    }

    #[test]
    fn json_schema_stays_json_schema_and_numbers_stay_as_written() {
        let schema =
            r##"{"type":["string","null"],"$ref":"#/$defs/a","$defs":{"a":{"const":1.50}},"additionalProperties":false,"minimum":1e400}"##;
        assert_eq!(converted(schema), schema);
    }
}

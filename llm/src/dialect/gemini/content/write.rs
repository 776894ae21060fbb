//! Contents and parts as they are written.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::write_signature;
use crate::{
    convert::{Json, ToolCall},
    json::{Cursor, Kind},
};

/// A content: who said what.
#[derive(Debug, Serialize)]
pub(in crate::dialect::gemini) struct ContentBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::dialect::gemini) role: Option<&'static str>,
    pub(in crate::dialect::gemini) parts: Vec<PartBody<'a>>,
}

/// A part.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in crate::dialect::gemini) enum PartBody<'a> {
    /// One that we know.
    Said(Box<SaidBody<'a>>),
    /// One that only Gemini knows.
    Opaque(&'a RawValue),
}

/// A part that we know; exactly one of its contents is given.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::dialect::gemini) struct SaidBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::dialect::gemini) text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::dialect::gemini) thought: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::dialect::gemini) inline_data: Option<Blob<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::dialect::gemini) file_data: Option<FileBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::dialect::gemini) function_call: Option<CallBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::dialect::gemini) function_response: Option<ResponseBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::dialect::gemini) thought_signature: Option<Cow<'a, str>>,
}

impl<'a> PartBody<'a> {
    /// Text.
    pub(in crate::dialect::gemini) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        SaidBody { text: Some(text.into()), ..SaidBody::default() }.into()
    }

    /// Thought.
    pub(in crate::dialect::gemini) fn thought(text: impl Into<Cow<'a, str>>, thought_signature: Option<Cow<'a, str>>) -> Self {
        SaidBody { text: Some(text.into()), thought: true, thought_signature, ..SaidBody::default() }.into()
    }

    /// A picture or a file that is given here.
    pub(in crate::dialect::gemini) fn blob(mime_type: &'a str, data: &'a str) -> Self {
        SaidBody { inline_data: Some(Blob { mime_type, data }), ..SaidBody::default() }.into()
    }
}

impl<'a> From<SaidBody<'a>> for PartBody<'a> {
    fn from(said: SaidBody<'a>) -> Self {
        Self::Said(Box::new(said))
    }
}

/// Bytes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::dialect::gemini) struct Blob<'a> {
    pub(in crate::dialect::gemini) mime_type: &'a str,
    pub(in crate::dialect::gemini) data: &'a str,
}

/// A file somewhere.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::dialect::gemini) struct FileBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::dialect::gemini) mime_type: Option<&'static str>,
    pub(in crate::dialect::gemini) file_uri: &'a str,
}

/// A call.
#[derive(Debug, Serialize)]
pub(in crate::dialect::gemini) struct CallBody<'a> {
    pub(in crate::dialect::gemini) id: Cow<'a, str>,
    pub(in crate::dialect::gemini) name: Cow<'a, str>,
    pub(in crate::dialect::gemini) args: Json<'a>,
}

/// A result.
#[derive(Debug, Serialize)]
pub(in crate::dialect::gemini) struct ResponseBody<'a> {
    pub(in crate::dialect::gemini) id: &'a str,
    pub(in crate::dialect::gemini) name: &'a str,
    pub(in crate::dialect::gemini) response: Json<'a>,
}

/// A call as a caller sees it.
pub(in crate::dialect::gemini) fn call_part<'a>(call: &'a ToolCall<'_>) -> PartBody<'a> {
    let body = CallBody { id: Cow::Borrowed(&call.id), name: Cow::Borrowed(&call.name), args: arguments_object(&call.arguments) };
    let thought_signature = call.signature.as_ref().map(write_signature);
    SaidBody { function_call: Some(body), thought_signature, ..SaidBody::default() }.into()
}

/// Arguments as an object, which is all that Gemini takes: nothing is none at all, and what is no object stands whole in `input`.
pub(in crate::dialect::gemini) fn arguments_object(arguments: &str) -> Json<'_> {
    if arguments.trim().is_empty() {
        return object_of(&[]);
    }
    match json_of(arguments) {
        Some((json, Kind::Object)) => Cow::Borrowed(json),
        _ => object_of(&[("input", text_json(arguments))]),
    }
}

/// A result as an object: JSON goes in as JSON, anything else as text.
pub(super) fn response_object(text: &str, is_error: bool) -> Json<'_> {
    let value = match json_of(text) {
        Some((json, Kind::Object | Kind::Array)) => json.get().to_owned(),
        _ => text_json(text),
    };
    object_of(&[(if is_error { "error" } else { "output" }, value)])
}

impl<'a> ResponseBody<'a> {
    /// The result `text` of the call `id` of the tool `name`.
    pub(in crate::dialect::gemini) fn new(id: &'a str, name: &'a str, text: &str, is_error: bool) -> Self {
        Self { id, name, response: Cow::Owned(response_object(text, is_error).into_owned()) }
    }
}

/// An object of these members, whose values are JSON.
pub(in crate::dialect::gemini) fn object_of<'a>(members: &[(&str, String)]) -> Json<'a> {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("{}:{value}", text_json(name))).collect();
    let object = RawValue::from_string(format!("{{{}}}", members.join(",")));
    // Members made of JSON make JSON; should they not, there is still a literal.
    object.map_or(Cow::Borrowed(RawValue::NULL), Cow::Owned)
}

fn text_json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn json_of(text: &str) -> Option<(&RawValue, Kind)> {
    let kind = Cursor::new(text.as_bytes()).kind().ok()?;
    serde_json::from_str(text).ok().map(|json| (json, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_always_an_object() {
        for (arguments, expected) in [
            ("", "{}"),
            ("{}", "{}"),
            (r#"{"a": 1.50}"#, r#"{"a": 1.50}"#),
            (r#"{"a": 1"#, r#"{"input":"{\"a\": 1"}"#),
            ("[1]", r#"{"input":"[1]"}"#),
            ("*** patch", r#"{"input":"*** patch"}"#),
        ] {
            assert_eq!(arguments_object(arguments).get(), expected);
        }
    }

    #[test]
    fn results_are_json_where_they_are_json() {
        for (text, expected) in [("5 °C", r#"{"output":"5 °C"}"#), (r#"{"t":5}"#, r#"{"output":{"t":5}}"#), ("5", r#"{"output":"5"}"#)] {
            assert_eq!(response_object(text, false).get(), expected);
        }
        assert_eq!(response_object("no", true).get(), r#"{"error":"no"}"#);
    }
}

//! Making a body that OpenAI takes into one that a server takes which is only nearly like it.
//!
//! Members that the server answers with an error are taken out and named, what it knows by another name gets that, and the limit of the output
//! the one name that it knows. `developer` is another word for `system`, so that it is replaced without a word; a schema for the answer is more
//! than some JSON, so that it is named. All other bytes stay as they came (R-45). Leaves out: which server is how, which is data of the caller's.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use crate::{
    json::{Cursor, Kind, SyntaxError, Value},
    splice::Edits,
};

/// How a server differs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Adaptation<'q> {
    /// It knows `max_tokens` alone, not `max_completion_tokens`.
    pub max_tokens_only: bool,
    /// Top-level members that it refuses.
    pub refuses: &'q [&'q str],
    /// A top-level member that it knows by another name: ours, and its own.
    pub renames: Option<(&'q str, &'q str)>,
    /// It does not know the role `developer`, which says the same as `system`.
    pub no_developer: bool,
    /// It can be asked for some JSON, not for JSON of a schema.
    pub no_schemas: bool,
}

/// A body as the server takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapted<'q> {
    /// The body; the very same bytes where nothing had to change.
    pub body: Bytes,
    /// What was asked for and taken out. Not `stream_options`: a server that refuses them sends usage in every stream.
    pub dropped: Vec<&'q str>,
}

/// One member at the top.
struct Member<'a> {
    name: Cow<'a, [u8]>,
    key: Range<usize>,
    value: Value<'a>,
}

const OLD: &[u8] = b"max_tokens";
const NEW: &[u8] = b"max_completion_tokens";
const DEVELOPER: &str = "developer";
const FORMAT: &str = "response_format";

/// Whether the role `developer` can occur in a body, which few bodies have. (A client that writes its letters as escapes is not heard of.)
#[must_use]
pub fn mentions_developer(body: &[u8]) -> bool {
    memchr::memmem::find(body, DEVELOPER.as_bytes()).is_some()
}

/// Adapts a body that was read as a request for chat or embeddings before.
///
/// # Errors
/// When it is not an object of valid JSON after all.
pub fn adapt<'q>(body: &Bytes, to: &Adaptation<'q>) -> Result<Adapted<'q>, SyntaxError> {
    let members = members(body)?;
    let has_old = members.iter().any(|member| *member.name == *OLD && !member.value.is_null());
    let (mut edits, mut dropped) = (Edits::new(body.len()), Vec::new());
    let (mut previous_end, mut kept, mut front) = (0, false, None);
    for member in &members {
        let refused = to.refuses.iter().find(|name| name.as_bytes() == &*member.name);
        // Of the two limits the one that the server knows stays, if it says anything.
        let limit_goes = to.max_tokens_only
            && match &*member.name {
                NEW => has_old,
                OLD => !has_old,
                _ => false,
            };
        if refused.is_some() || limit_goes {
            if kept {
                edits.remove(previous_end..member.value.end());
            } else {
                front.get_or_insert(member.key.start);
            }
            dropped.extend(refused.filter(|name| **name != "stream_options" && !member.value.is_null()));
        } else {
            kept = true;
            if let Some(start) = front.take() {
                edits.remove(start..member.key.start);
            }
            if to.max_tokens_only && *member.name == *NEW {
                edits.replace(member.key.clone(), &br#""max_tokens""#[..]);
            }
            if adapt_within(member, to, &mut edits)? {
                dropped.push(FORMAT);
            }
            if let Some((_, own)) = to.renames.filter(|(name, _)| name.as_bytes() == &*member.name) {
                edits.replace(member.key.clone(), format!("\"{own}\"").into_bytes());
            }
        }
        previous_end = member.value.end();
    }
    Ok(Adapted { body: edits.apply(body), dropped })
}

/// Adapts what stands within a member; says whether a schema for the answer had to go.
fn adapt_within(member: &Member<'_>, to: &Adaptation<'_>, edits: &mut Edits<'static>) -> Result<bool, SyntaxError> {
    if to.no_developer && *member.name == *b"messages" {
        for role in developers(&member.value)? {
            edits.replace(role, &br#""system""#[..]);
        }
    }
    let goes = to.no_schemas && *member.name == *FORMAT.as_bytes() && wants_schema(&member.value)?;
    if goes {
        edits.replace(member.value.range(), &br#"{"type":"json_object"}"#[..]);
    }
    Ok(goes)
}

/// Where the role of a message is `developer`.
fn developers(messages: &Value<'_>) -> Result<Vec<Range<usize>>, SyntaxError> {
    let mut found = Vec::new();
    if messages.kind() != Kind::Array {
        return Ok(found);
    }
    let mut cursor = Cursor::new(messages.raw());
    let mut walk = cursor.begin_array()?;
    while cursor.next_element(&mut walk)? {
        if cursor.kind()? != Kind::Object {
            cursor.value()?;
            continue;
        }
        let mut message = cursor.begin_object()?;
        while let Some(key) = cursor.next_key(&mut message)? {
            let value = cursor.value()?;
            if key.is_text("role") && value.is_text(DEVELOPER) {
                let place = |at: usize| messages.start().saturating_add(at);
                found.push(place(value.start())..place(value.end()));
            }
        }
    }
    Ok(found)
}

fn wants_schema(format: &Value<'_>) -> Result<bool, SyntaxError> {
    if format.kind() != Kind::Object {
        return Ok(false);
    }
    let mut cursor = Cursor::new(format.raw());
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        if key.is_text("type") {
            return Ok(cursor.value()?.is_text("json_schema"));
        }
        cursor.value()?;
    }
    Ok(false)
}

fn members(body: &[u8]) -> Result<Vec<Member<'_>>, SyntaxError> {
    let mut cursor = Cursor::new(body);
    let mut walk = cursor.begin_object()?;
    let mut members = Vec::with_capacity(16);
    while let Some(key) = cursor.next_key(&mut walk)? {
        let value = cursor.value()?;
        members.push(Member { name: key.key_bytes(), key: key.range(), value });
    }
    cursor.end()?;
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Adaptation<'_> = Adaptation {
        max_tokens_only: true,
        refuses: &["seed", "stream_options", "logit_bias"],
        renames: Some(("dimensions", "output_dimension")),
        no_developer: true,
        no_schemas: true,
    };

    fn adapted(body: &str) -> (String, Vec<&'static str>) {
        let Adapted { body, dropped } = adapt(&Bytes::copy_from_slice(body.as_bytes()), &STRICT).unwrap();
        (String::from_utf8(body.to_vec()).unwrap(), dropped)
    }

    #[test]
    fn refused_members_go_wherever_they_stand_and_are_named() {
        for (body, expected) in [
            (r#"{"seed":1,"model":"m"}"#, r#"{"model":"m"}"#),
            (r#"{"model":"m" , "seed":1}"#, r#"{"model":"m"}"#),
            (r#"{"seed":1,"logit_bias":{},"model":"m","a":[1, 2]}"#, r#"{"model":"m","a":[1, 2]}"#),
            (r#"{"model":"m","seed":1,"logit_bias":{},"a":1}"#, r#"{"model":"m","a":1}"#),
            (r#"{"s\u0065ed":1,"model":"m","messages":[{"seed":1}]}"#, r#"{"model":"m","messages":[{"seed":1}]}"#),
        ] {
            let (text, dropped) = adapted(body);
            assert_eq!(text, expected, "{body}");
            assert!(dropped.contains(&"seed"), "{body}");
        }
    }

    #[test]
    fn a_null_that_is_refused_goes_without_a_word_as_do_stream_options() {
        let (text, dropped) = adapted(r#"{"model":"m","seed":null,"stream_options":{"include_usage":true}}"#);
        assert_eq!((text.as_str(), dropped.len()), (r#"{"model":"m"}"#, 0));
    }

    #[test]
    fn the_limit_of_the_output_is_kept_under_the_name_that_is_known() {
        for (body, expected) in [
            (r#"{"max_completion_tokens":5,"model":"m"}"#, r#"{"max_tokens":5,"model":"m"}"#),
            (r#"{"model":"m","max_tokens":3,"max_completion_tokens":5}"#, r#"{"model":"m","max_tokens":3}"#),
            (r#"{"model":"m","max_tokens":null,"max_completion_tokens":5}"#, r#"{"model":"m","max_tokens":5}"#),
            (r#"{"model":"m","max_tokens":3}"#, r#"{"model":"m","max_tokens":3}"#),
        ] {
            assert_eq!(adapted(body), (expected.to_owned(), Vec::new()), "{body}");
        }
    }

    #[test]
    fn a_member_that_has_another_name_there_keeps_its_value() {
        for (body, expected) in [
            (r#"{"dimensions":9,"model":"m"}"#, r#"{"output_dimension":9,"model":"m"}"#),
            (r#"{"seed":1, "model":"m","d\u0069mensions" : 9}"#, r#"{"model":"m","output_dimension" : 9}"#),
        ] {
            assert_eq!(adapted(body).0, expected, "{body}");
        }
    }

    #[test]
    fn a_developer_speaks_as_the_system_does_and_nobody_elses_words_change() {
        for (body, expected) in [
            (
                r#"{"model":"m","messages":[ {"role" : "developer","content":"\"developer\""}, {"content":"developer","role":"user"},"developer"]}"#,
                r#"{"model":"m","messages":[ {"role" : "system","content":"\"developer\""}, {"content":"developer","role":"user"},"developer"]}"#,
            ),
            (
                r#"{"seed":1,"messages":[{"role":"system"},{"role":"d\u0065veloper","content":[{"role":"developer"}]}],"role":"developer"}"#,
                r#"{"messages":[{"role":"system"},{"role":"system","content":[{"role":"developer"}]}],"role":"developer"}"#,
            ),
        ] {
            assert_eq!(adapted(body).0, expected, "{body}");
        }
        let taken = adapt(&Bytes::from_static(br#"{"messages":[{"role":"developer"}]}"#), &Adaptation::default()).unwrap();
        assert_eq!(taken.body, br#"{"messages":[{"role":"developer"}]}"#[..]);
    }

    #[test]
    fn a_schema_becomes_some_json_and_is_named() {
        let schema = r#"{"response_format":{"json_schema":{"schema":{"type":"object"}},"type":"json_schema"},"model":"m"}"#;
        let (text, dropped) = adapted(schema);
        assert_eq!((text.as_str(), dropped), (r#"{"response_format":{"type":"json_object"},"model":"m"}"#, vec!["response_format"]));
        for kept in
            [r#"{"response_format":{"type":"json_object"}}"#, r#"{"response_format":null}"#, r#"{"response_format":{"type":"text"}}"#]
        {
            assert_eq!(adapted(kept), (kept.to_owned(), Vec::new()));
        }
    }

    #[test]
    fn a_body_with_nothing_to_change_is_not_copied() {
        let body = Bytes::from_static(br#"{"model":"m","messages":[],"max_tokens":9}"#);
        let same = adapt(&body, &STRICT).unwrap().body;
        assert_eq!(same.as_ptr(), body.as_ptr());
    }
}

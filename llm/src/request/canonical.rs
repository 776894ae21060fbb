//! What of a request decides its answer, as a digest: two requests with one digest may have one answer.
//!
//! Left out is what can't change an answer: spaces, the order of members, how a string is escaped, our own members, and those that only name
//! the caller ([`names_the_caller`]). Model and `stream` are left out as well, because dialects say them in two places; whoever compares
//! requests compares these himself. Everything else counts as it is written, numbers too (`0` is not `0.0`): better one answer too many
//! asked for than one that was meant for somebody else.
//!
//! Promises: one pass, in time linear in the length. Each object has a digest of its own in which its members stand sorted, and every part is
//! marked with its kind and its length, so that no two different requests give the same bytes to the hash.

use sha2::{Digest as _, Sha256};

use crate::{
    dialect::Dialect,
    json::{Cursor, Kind, SyntaxError, Value},
    request::PREFIX,
};

/// A request, as far as its answer hangs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canonical {
    /// SHA-256 of what decides the answer, but for model and `stream`.
    pub digest: [u8; 32],
    /// Whether a temperature of 0 is asked for, so that a model that speaks says the same each time, as far as any does.
    pub cold: bool,
    /// Whether the answer is not waited for, so that what comes back is none.
    pub background: bool,
}

impl Canonical {
    /// Reads a request body of `dialect`.
    ///
    /// # Errors
    /// When the body is not an object in JSON, which a body whose head was read is.
    pub fn read(dialect: Dialect, body: &[u8]) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(body);
        let (mut cold, mut background) = (false, false);
        let mut members = Vec::with_capacity(16);
        let mut walk = cursor.begin_object()?;
        while let Some(key) = cursor.next_key(&mut walk)? {
            let name = key.key_bytes();
            if is_left_out(dialect, &name) {
                cursor.value()?;
                continue;
            }
            // Looked at on the side; the digest of the member is that of all its bytes.
            let mut aside = cursor.clone();
            match &*name {
                b"temperature" => cold |= is_zero(&aside.value()?),
                b"generationConfig" | b"generation_config" => cold |= has_zero_temperature(&mut aside)?,
                b"background" => background |= aside.value()?.as_bool() == Some(true),
                _ => {}
            }
            members.push((name, value(&mut cursor)?));
        }
        cursor.end()?;
        Ok(Self { digest: object(members), cold, background })
    }
}

/// Whether a top-level member stays out of the digest.
fn is_left_out(dialect: Dialect, name: &[u8]) -> bool {
    name.starts_with(PREFIX) || matches!(name, b"model" | b"stream") || names_the_caller(dialect, name)
}

/// Members that say who asks and not what. Responses have none: its answers repeat them.
fn names_the_caller(dialect: Dialect, name: &[u8]) -> bool {
    match dialect {
        Dialect::OpenAiChat => matches!(name, b"user" | b"safety_identifier" | b"metadata" | b"prompt_cache_key"),
        Dialect::OpenAiEmbeddings => name == b"user",
        Dialect::AnthropicMessages => name == b"metadata",
        Dialect::Gemini => name == b"labels",
        Dialect::BedrockConverse => name == b"requestMetadata",
        Dialect::OpenAiResponses => false,
    }
}

fn is_zero(value: &Value<'_>) -> bool {
    let number = std::str::from_utf8(value.raw()).ok().filter(|_| value.kind() == Kind::Number);
    number.and_then(|number| number.parse::<f64>().ok()) == Some(0.0)
}

fn has_zero_temperature(cursor: &mut Cursor<'_>) -> Result<bool, SyntaxError> {
    if cursor.kind()? != Kind::Object {
        return Ok(false);
    }
    let (mut walk, mut cold) = (cursor.begin_object()?, false);
    while let Some(key) = cursor.next_key(&mut walk)? {
        let value = cursor.value()?;
        cold |= key.is_text("temperature") && is_zero(&value);
    }
    Ok(cold)
}

/// The digest of the next value.
fn value(cursor: &mut Cursor<'_>) -> Result<[u8; 32], SyntaxError> {
    let mut hash = Sha256::new();
    feed(cursor, &mut hash)?;
    Ok(hash.finalize().into())
}

fn feed(cursor: &mut Cursor<'_>, hash: &mut Sha256) -> Result<(), SyntaxError> {
    match cursor.kind()? {
        Kind::Object => {
            let (mut walk, mut members) = (cursor.begin_object()?, Vec::new());
            while let Some(key) = cursor.next_key(&mut walk)? {
                members.push((key.key_bytes(), value(cursor)?));
            }
            hash.update(b"o");
            hash.update(object(members));
        }
        Kind::Array => {
            let mut walk = cursor.begin_array()?;
            hash.update(b"[");
            while cursor.next_element(&mut walk)? {
                feed(cursor, hash)?;
            }
            hash.update(b"]");
        }
        Kind::String => {
            let text = cursor.value()?;
            match text.as_str() {
                Some(text) => part(hash, b"s", text.as_bytes()),
                // Half a pair of surrogates is no text, and means nothing but itself.
                None => part(hash, b"r", text.raw()),
            }
        }
        Kind::Number | Kind::Bool | Kind::Null => part(hash, b"l", cursor.value()?.raw()),
    }
    Ok(())
}

/// The digest of an object. Of members with one name the order counts: who reads them may take the first or the last.
fn object<N: AsRef<[u8]>>(mut members: Vec<(N, [u8; 32])>) -> [u8; 32] {
    members.sort_by(|(one, _), (other, _)| one.as_ref().cmp(other.as_ref()));
    let mut hash = Sha256::new();
    for (name, digest) in members {
        part(&mut hash, b"m", name.as_ref());
        hash.update(digest);
    }
    hash.finalize().into()
}

fn part(hash: &mut Sha256, mark: &[u8; 1], bytes: &[u8]) {
    hash.update(mark);
    hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dialect: Dialect, body: &str) -> Canonical {
        Canonical::read(dialect, body.as_bytes()).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    fn chat(body: &str) -> [u8; 32] {
        read(Dialect::OpenAiChat, body).digest
    }

    #[test]
    fn what_can_not_change_an_answer_changes_no_digest() {
        let plain = chat(r#"{"messages":[{"role":"user","content":"a\nb"}],"tools":[1,{"x":1,"y":[true,null]}]}"#);
        for same in [
            r#"{"tools":[1,{"y":[true,null],"x":1}],"messages":[{"content":"a\nb","role":"user"}]}"#,
            "{ \"messages\" : [ {\"role\": \"user\",\n\"content\":\"\\u0061\\nb\"}] , \"tools\":[1, {\"x\":1,\"y\":[true,null]}]}",
            r#"{"messages":[{"role":"user","content":"a\nb"}],"tools":[1,{"x":1,"y":[true,null]}],"model":"m","stream":true,"user":"anna",
               "metadata":{"a":"b"},"safety_identifier":"c","prompt_cache_key":"d","mlx:tags":{"a":"b"},"mlx:trace":true}"#,
        ] {
            assert_eq!(chat(same), plain, "{same}");
        }
    }

    #[test]
    fn whatever_may_change_an_answer_changes_the_digest() {
        let bodies = [
            r#"{"messages":[]}"#,
            r#"{"messages":[[]]}"#,
            r#"{"messages":[[],[]]}"#,
            r#"{"messages":{}}"#,
            r#"{"messages":""}"#,
            r#"{"messages":null}"#,
            r#"{"messages":"null"}"#,
            r#"{"messages":["a","b"]}"#,
            r#"{"messages":["b","a"]}"#,
            r#"{"messages":["ab"]}"#,
            r#"{"messages":["a,b"]}"#,
            r#"{"messages":[{"a":1,"a":2}]}"#,
            r#"{"messages":[{"a":2,"a":1}]}"#,
            r#"{"messages":[{"a":1}]}"#,
            r#"{"messages":[{"a":{"b":1}}]}"#,
            r#"{"messages":[{"a":{"b":1},"c":{}}]}"#,
            r#"{"messages":[{"a":{"b":1,"c":{}}}]}"#,
            r#"{"messages":["\ud800"]}"#,
            r#"{"messages":["\\ud800"]}"#,
            r#"{"messages":[],"temperature":0}"#,
            r#"{"messages":[],"temperature":1}"#,
            r#"{"messages":[],"stream_options":{"include_usage":true}}"#,
            r#"{"messages":[],"max_tokens":5}"#,
            r#"{"messages":[],"store":true}"#,
        ];
        for (position, one) in bodies.iter().enumerate() {
            for other in &bodies[position + 1..] {
                assert_ne!(chat(one), chat(other), "{one} and {other}");
            }
        }
    }

    #[test]
    fn answers_that_repeat_who_asked_are_kept_apart() {
        let of = |user: &str| read(Dialect::OpenAiResponses, &format!(r#"{{"input":"x","user":"{user}"}}"#)).digest;
        assert_ne!(of("anna"), of("ben"));
        let of = |user: &str| read(Dialect::AnthropicMessages, &format!(r#"{{"messages":[],"metadata":{{"user_id":"{user}"}}}}"#)).digest;
        assert_eq!(of("anna"), of("ben"));
        let of = |team: &str| read(Dialect::Gemini, &format!(r#"{{"contents":[],"labels":{{"team":"{team}"}}}}"#)).digest;
        assert_eq!(of("a"), of("b"));
    }

    #[test]
    fn only_a_temperature_of_zero_is_cold_wherever_a_dialect_says_it() {
        for (dialect, body, cold) in [
            (Dialect::OpenAiChat, r#"{"messages":[]}"#, false),
            (Dialect::OpenAiChat, r#"{"messages":[],"temperature":null}"#, false),
            (Dialect::OpenAiChat, r#"{"messages":[],"temperature":"0"}"#, false),
            (Dialect::OpenAiChat, r#"{"messages":[],"temperature":0.2}"#, false),
            (Dialect::OpenAiChat, r#"{"messages":[],"temperature":0.2,"seed":7}"#, false),
            (Dialect::OpenAiChat, r#"{"messages":[{"temperature":0}]}"#, false),
            (Dialect::OpenAiChat, r#"{"messages":[],"temperature":0}"#, true),
            (Dialect::AnthropicMessages, r#"{"messages":[],"temperature":0.0}"#, true),
            (Dialect::OpenAiResponses, r#"{"input":"x","temperature":0e1}"#, true),
            (Dialect::Gemini, r#"{"contents":[],"generationConfig":{"topK":1,"temperature":0}}"#, true),
            (Dialect::Gemini, r#"{"contents":[],"generation_config":{"temperature":0}}"#, true),
            (Dialect::Gemini, r#"{"contents":[],"generationConfig":{"topK":1}}"#, false),
        ] {
            assert_eq!(read(dialect, body).cold, cold, "{body}");
        }
        assert!(read(Dialect::OpenAiResponses, r#"{"input":"x","background":true}"#).background);
        assert!(!read(Dialect::OpenAiResponses, r#"{"input":"x","background":false}"#).background);
    }

    #[test]
    fn what_is_no_json_has_no_digest() {
        for body in ["", "[]", r#"{"messages":[}"#, r#"{"messages":[]"#, r#"{"messages":[]} x"#] {
            assert!(Canonical::read(Dialect::OpenAiChat, body.as_bytes()).is_err(), "{body}");
        }
    }
}

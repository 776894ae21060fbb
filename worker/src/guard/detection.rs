//! Looking into the texts of a body for what the project's detectors know.

use llm::json::SyntaxError;
use llm::splice::Edits;
use llm::texts;
use policy::guardrail::{Detectors, Findings};

/// What was found in a body.
pub(super) struct Found {
    /// By kind.
    pub(super) findings: Findings,
    /// Marks in the place of all of it.
    pub(super) edits: Edits<'static>,
}

pub(super) fn look(detectors: &Detectors, body: &[u8]) -> Result<Found, SyntaxError> {
    let mut found = Found { findings: Findings::default(), edits: Edits::new(body.len()) };
    texts::visit(body, &mut |text| {
        for part in detectors.scan(text.as_str()) {
            found.findings.add(part.kind, 1);
            found.edits.replace(text.place(&part.range), text.written(part.kind.mark()));
        }
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use policy::guardrail::FindingKind;
    use serde_json::Value;

    use super::*;

    fn redacted(body: &str) -> (String, Findings) {
        let found = look(&Detectors::new(&FindingKind::ALL), body.as_bytes()).expect("a body");
        let redacted = found.edits.apply(&Bytes::from(body.to_owned()));
        (String::from_utf8(redacted.to_vec()).expect("text"), found.findings)
    }

    #[test]
    fn what_was_found_is_replaced_where_it_stands_and_every_other_byte_stays() {
        let body = r#"{ "model":"a@b.io", "messages" : [ {"role":"user","content":"Mail alice\u0040example.com,\n4111 1111 1111 1111"} ] , "n":1 }"#;
        let (text, findings) = redacted(body);
        assert_eq!(text, r#"{ "model":"a@b.io", "messages" : [ {"role":"user","content":"Mail [EMAIL],\n[CARD]"} ] , "n":1 }"#);
        assert_eq!((findings.named("email"), findings.named("card")), (1, 1));
    }

    #[test]
    fn arguments_of_calls_stay_json() {
        let body = r#"{"messages":[{"tool_calls":[{"function":{"arguments":"{\"to\":\"a\\u0040b.io\",\"card\":4111111111111111}"}}]}]}"#;
        let (text, findings) = redacted(body);
        let read: Value = serde_json::from_str(&text).expect("JSON");
        let arguments = read.pointer("/messages/0/tool_calls/0/function/arguments").and_then(Value::as_str).expect("arguments");
        assert_eq!(serde_json::from_str::<Value>(arguments).expect("JSON"), serde_json::json!({"to": "[EMAIL]", "card": "[CARD]"}));
        assert_eq!(findings.named("pii"), 2);
    }
}

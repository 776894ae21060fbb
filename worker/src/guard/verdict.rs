//! What a webhook answers, and replacing what it says is to be replaced.

use std::collections::BTreeMap;

use bytes::Bytes;
use llm::splice::Edits;
use llm::texts;
use policy::guardrail::{FindingKind, Findings};
use serde::Deserialize;

/// Redactions in one answer at most: each is looked for in every text.
const REDACTIONS: usize = 256;
/// Characters of a message that callers see at most.
const MESSAGE_LIMIT: usize = 300;

/// What a webhook says of a request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It may go on.
    Allow(Findings),
    /// It is refused.
    Deny {
        /// For the caller.
        message: Option<String>,
        /// Why.
        findings: Findings,
    },
    /// It may go on without these.
    Redact {
        /// What is to be replaced.
        redactions: Vec<Redaction>,
        /// What else was found.
        findings: Findings,
    },
}

/// A text that is to be replaced wherever it stands.
#[derive(Debug, Deserialize)]
pub(super) struct Redaction {
    text: String,
    /// What it is; `other` where that is no kind of ours.
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
struct Answer {
    verdict: Word,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    findings: BTreeMap<String, u32>,
    #[serde(default)]
    redactions: Vec<Redaction>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Allow,
    Deny,
    Redact,
}

impl Redaction {
    fn kind(&self) -> FindingKind {
        FindingKind::named(&self.kind).unwrap_or(FindingKind::Other)
    }
}

/// Reads an answer; none where it is no verdict.
pub(super) fn read(body: &[u8]) -> Option<Verdict> {
    let Answer { verdict, message, findings, redactions } = serde_json::from_slice(body).ok()?;
    let kinds = findings.into_iter().map(|(name, count)| (FindingKind::named(&name).unwrap_or(FindingKind::Other), count));
    let findings: Findings = kinds.collect();
    Some(match verdict {
        Word::Allow => Verdict::Allow(findings),
        Word::Deny => Verdict::Deny { message: message.map(|message| shown(&message)), findings },
        Word::Redact if redactions.is_empty() || redactions.len() > REDACTIONS => return None,
        Word::Redact if redactions.iter().any(|redaction| redaction.text.is_empty()) => return None,
        Word::Redact => Verdict::Redact { redactions, findings },
    })
}

fn shown(message: &str) -> String {
    message.chars().filter(|character| !character.is_control()).take(MESSAGE_LIMIT).collect()
}

/// `body` with marks in the place of `redactions`, and how many of each kind; none where one of them stands nowhere.
pub(super) fn replace(redactions: &[Redaction], body: &Bytes) -> Option<(Bytes, Findings)> {
    let mut edits = Edits::new(body.len());
    let mut findings = Findings::default();
    let mut met = vec![false; redactions.len()];
    texts::visit(body, &mut |text| {
        for (redaction, met) in redactions.iter().zip(&mut met) {
            for (start, part) in text.as_str().match_indices(redaction.text.as_str()) {
                *met = true;
                let range = start..start.saturating_add(part.len());
                if edits.replace(text.place(&range), text.written(redaction.kind().mark())) {
                    findings.add(redaction.kind(), 1);
                }
            }
        }
    })
    .ok()?;
    met.into_iter().all(|met| met).then(|| (edits.apply(body), findings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_verdict_is_none() {
        for body in
            ["", "{}", "[]", r#"{"verdict":"maybe"}"#, r#"{"verdict":"redact"}"#, r#"{"verdict":"redact","redactions":[{"text":""}]}"#]
        {
            assert!(read(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn kinds_that_nobody_knows_are_others() {
        let Some(Verdict::Allow(findings)) = read(br#"{"verdict":"allow","findings":{"toxic":2,"email":1},"more":1}"#) else {
            panic!("no verdict");
        };
        assert_eq!((findings.named("other"), findings.named("email")), (2, 1));
    }

    #[test]
    fn every_occurrence_is_replaced_and_one_that_stands_nowhere_is_no_redaction() {
        let body = Bytes::from_static(br#"{"model":"Falcon","input":["Project Falc\u006fn","Falcon and Jane"]}"#);
        let redaction = |text: &str, kind: &str| Redaction { text: text.to_owned(), kind: kind.to_owned() };
        let (replaced, findings) = replace(&[redaction("Falcon", ""), redaction("Jane", "person")], &body).expect("replaced");
        assert_eq!(replaced, r#"{"model":"Falcon","input":["Project [REDACTED]","[REDACTED] and [REDACTED]"]}"#);
        assert_eq!(findings.named("other"), 3);
        assert!(replace(&[redaction("Eagle", "")], &body).is_none());
    }
}

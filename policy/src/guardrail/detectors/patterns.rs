//! The patterns, as a table: what proposes, what it needs, and what checks.
//!
//! Word boundaries are ASCII ones (`(?-u:\b)`). Where a pattern has a group, the group is what was found and the rest is what tells it apart.

use super::Candidate;
use super::{checks, numbers};
use crate::guardrail::FindingKind::{self, AccessToken, Card, CloudSecret, Email, Iban, NationalId, Phone, PrivateKey, ProviderSecret};

/// What a text must have for a pattern to be tried.
#[derive(Debug, Clone, Copy)]
pub(super) enum Needs {
    Nothing,
    AtSign,
    Digits,
}

/// One way to recognise a kind.
pub(super) struct Pattern {
    pub(super) kind: FindingKind,
    pub(super) needs: Needs,
    pub(super) source: &'static str,
    /// How many bytes of the candidate it is; none where it is not.
    pub(super) check: fn(&Candidate<'_>) -> Option<usize>,
}

const fn word(kind: FindingKind, source: &'static str) -> Pattern {
    Pattern { kind, needs: Needs::Nothing, source, check: checks::apart }
}

const fn within(kind: FindingKind, source: &'static str) -> Pattern {
    Pattern { kind, needs: Needs::Nothing, source, check: checks::as_it_is }
}

const fn number(kind: FindingKind, source: &'static str, check: fn(&Candidate<'_>) -> Option<usize>) -> Pattern {
    Pattern { kind, needs: Needs::Digits, source, check }
}

pub(super) const PATTERNS: &[Pattern] = &[
    Pattern {
        kind: Email,
        needs: Needs::AtSign,
        source: r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}(?-u:\b)",
        check: checks::email,
    },
    number(Phone, r"\+[1-9][0-9() ./-]{6,22}[0-9]", checks::international_phone),
    number(Phone, r"(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[.-])[2-9][0-9]{2}[ .-][0-9]{4}", checks::plain_number),
    number(Phone, r"0[1-9][0-9]{0,4}(?:[ ./-][0-9]{2,8}){1,5}", checks::national_phone),
    number(Iban, r"[A-Z]{2}[0-9]{2}(?:[ \u{a0}\u{202f}]?[A-Z0-9]){11,30}", checks::iban),
    number(
        Card,
        r"[2-68][0-9]{3}(?:[ \u{a0}\u{202f}-]?[0-9]{4}){3}(?:[ \u{a0}\u{202f}-]?[0-9]{3})?|3[0-9]{3}[ \u{a0}\u{202f}-]?[0-9]{6}[ \u{a0}\u{202f}-]?[0-9]{4,5}",
        checks::card,
    ),
    number(NationalId, r"[0-9]{3}-[0-9]{2}-[0-9]{4}", numbers::us_social_security),
    number(NationalId, r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]", numbers::uk_national_insurance),
    number(NationalId, r"[0-9XYZ][0-9]{7}-?[A-HJ-NP-TV-Z]", numbers::spanish),
    number(NationalId, r"[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}", numbers::french),
    number(NationalId, r"[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]", numbers::italian),
    number(NationalId, r"[1-9][0-9] ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}", numbers::german_or_polish),
    number(NationalId, r"0[0-9]{10}", numbers::german_or_polish),
    number(NationalId, r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", numbers::brazilian),
    number(NationalId, r"[0-9]{6}[+-][0-9]{4}", numbers::swedish),
    word(CloudSecret, r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"),
    within(CloudSecret, r#"(?i:aws_?secret_?(?:access_?)?key|secretaccesskey)["']?\s{0,4}[:=]\s{0,4}["']?([A-Za-z0-9/+]{40})"#),
    word(CloudSecret, r"AIza[0-9A-Za-z_-]{35}"),
    word(CloudSecret, r"ya29\.[0-9A-Za-z_-]{20,}"),
    within(CloudSecret, r"(?i:accountkey|sharedaccesskey)=([A-Za-z0-9+/]{42,88}={0,2})"),
    word(CloudSecret, r"[A-Za-z0-9_~.]{3}8Q~[A-Za-z0-9_~.-]{31,34}"),
    word(CloudSecret, r"do[opr]_v1_[0-9a-f]{64}"),
    word(ProviderSecret, r"sk-(?:ant|proj|svcacct|admin|or)-[A-Za-z0-9_-]{20,}"),
    word(ProviderSecret, r"sk-[A-Za-z0-9]{32,}"),
    word(ProviderSecret, r"(?:gsk_|xai-|hf_|pplx-|r8_|csk-|fw_)[A-Za-z0-9]{24,}"),
    word(ProviderSecret, r"mlx_(?:sk|mk|wk|scim)_[A-Za-z0-9_-]{16,}"),
    word(AccessToken, r"gh[pousr]_[A-Za-z0-9]{36,}"),
    word(AccessToken, r"github_pat_[A-Za-z0-9_]{50,}"),
    word(AccessToken, r"glpat-[A-Za-z0-9_-]{20,}"),
    word(AccessToken, r"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
    word(AccessToken, r"https://hooks\.slack\.com/services/[A-Za-z0-9/]{20,}"),
    word(AccessToken, r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}"),
    word(AccessToken, r"npm_[A-Za-z0-9]{36}"),
    word(AccessToken, r"pypi-[A-Za-z0-9_-]{50,}"),
    word(AccessToken, r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    word(AccessToken, r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    Pattern {
        kind: AccessToken,
        needs: Needs::AtSign,
        source: r"(?-u:\b)[a-z][a-z0-9+.-]{1,20}://[A-Za-z0-9._%+-]{0,64}:([^\s/@:]{3,128})@",
        check: checks::password,
    },
    within(
        PrivateKey,
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----|\z)",
    ),
];

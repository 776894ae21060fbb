//! What is found, and what only looks like it.
//!
//! Secrets are put together here, so that no scanner takes this file for one.

use proptest::prelude::*;

use super::*;
use crate::guardrail::Findings;

fn everything() -> Detectors {
    Detectors::new(&FindingKind::ALL)
}

/// `text` with marks in the place of what was found.
fn redacted(text: &str) -> String {
    let mut redacted = text.to_owned();
    for found in everything().scan(text).iter().rev() {
        redacted.replace_range(found.range.clone(), found.kind.mark());
    }
    redacted
}

#[test]
fn every_pattern_compiles() {
    assert_eq!(READY.len(), PATTERNS.len());
}

#[test]
fn personal_data_is_found_where_it_stands() {
    for (text, expected) in [
        ("write to Alice.O'Neil+x@mail.example.co.uk, please", "write to [EMAIL], please"),
        ("<a@b.io>;c@d.dev", "<[EMAIL]>;[EMAIL]"),
        ("call +49 (0)151 2345-6789 now", "call [PHONE] now"),
        ("+14155550132", "[PHONE]"),
        ("(415) 555-0132 or 415-555-0132", "[PHONE] or [PHONE]"),
        ("Tel. 030/1234567, mobil 0151 2345 6789", "Tel. [PHONE], mobil [PHONE]"),
        ("06 12 34 56 78", "[PHONE]"),
        ("IBAN DE89 3704 0044 0532 0130 00 BIC COBADEFF", "IBAN [IBAN] BIC COBADEFF"),
        ("GB82WEST12345698765432", "[IBAN]"),
        ("4111 1111 1111 1111 12/27 123", "[CARD] 12/27 123"),
        ("4111111111111111,378282246310005,5555-5555-5555-4444", "[CARD],[CARD],[CARD]"),
        ("order 12 4012888888881881", "order 12 [CARD]"),
        ("3056 930902 5904, 4111\u{a0}1111\u{a0}1111\u{a0}1111", "[CARD], [CARD]"),
        ("x4111111111111111 4111-1111-1111-1111", "x4111111111111111 [CARD]"),
        ("ssn 078-05-1120", "ssn [NATIONAL_ID]"),
        ("AB 12 34 56 C and AB123456C", "[NATIONAL_ID] and [NATIONAL_ID]"),
        ("12345678Z X1234567L", "[NATIONAL_ID] [NATIONAL_ID]"),
        ("2 55 08 14 168 025 38", "[NATIONAL_ID]"),
        ("RSSMRA85T10A562S", "[NATIONAL_ID]"),
        ("86095742719 and 86 095 742 719", "[NATIONAL_ID] and [NATIONAL_ID]"),
        ("44051401359", "[NATIONAL_ID]"),
        ("529.982.247-25", "[NATIONAL_ID]"),
        ("811228-9874", "[NATIONAL_ID]"),
    ] {
        assert_eq!(redacted(text), expected, "{text}");
    }
}

#[test]
fn secrets_are_found_whoever_gave_them_out() {
    let forty = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let long = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0";
    for (text, expected) in [
        (format!("id {}IOSFODNN7EXAMPLE", "AKIA"), "id [CLOUD_SECRET]".to_owned()),
        (format!("aws_secret_access_key = {forty}"), "aws_secret_access_key = [CLOUD_SECRET]".to_owned()),
        (format!("\"SecretAccessKey\": \"{forty}\""), "\"SecretAccessKey\": \"[CLOUD_SECRET]\"".to_owned()),
        (format!("{}{}", "AIza", long.get(..35).unwrap()), "[CLOUD_SECRET]".to_owned()),
        (format!("key {}-proj-{long}.", "sk"), "key [PROVIDER_SECRET].".to_owned()),
        (format!("{}-ant-api03-{long}", "sk"), "[PROVIDER_SECRET]".to_owned()),
        (format!("{}-{long}", "sk"), "[PROVIDER_SECRET]".to_owned()),
        (format!("mlx_{}_{long}", "sk"), "[PROVIDER_SECRET]".to_owned()),
        (format!("{}_{long}", "gsk"), "[PROVIDER_SECRET]".to_owned()),
        (format!("token {}_{}", "ghp", long.get(..36).unwrap()), "token [ACCESS_TOKEN]".to_owned()),
        (format!("{}-{long}", "glpat"), "[ACCESS_TOKEN]".to_owned()),
        (format!("{}-123456789012-{long}", "xoxb"), "[ACCESS_TOKEN]".to_owned()),
        (format!("{}_live_{long}", "sk"), "[ACCESS_TOKEN]".to_owned()),
        (format!("{}0eXAiOiJKV1QiLCJhbGciOi.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{long}", "eyJ"), "[ACCESS_TOKEN]".to_owned()),
        ("postgres://app:hunter2x@db.internal/app".to_owned(), "postgres://app:[ACCESS_TOKEN]/app".to_owned()),
        (format!("-----BEGIN {0}-----\nMIIE\n-----END {0}-----\nthen", "RSA PRIVATE KEY"), "[PRIVATE_KEY]\nthen".to_owned()),
        (format!("x -----BEGIN {}-----\nMIIE cut", "PRIVATE KEY"), "x [PRIVATE_KEY]".to_owned()),
    ] {
        assert_eq!(redacted(&text), expected, "{text}");
    }
}

#[test]
fn what_only_looks_like_it_is_left_alone() {
    for text in [
        "git clone git@github.com:owner/name.git",
        "npm i @scope/name@1.2.3 && user@host",
        "4111 1111 1111 1112",
        "1234567890123456 and 9999999999999999",
        "0.4111111111111111",
        "DE89 3704 0044 0532 0130 01",
        "2026-11-25T13:25:00Z, 25.11.2026 13:25, 01-02-2026 14",
        "000-12-3456 666-12-3456 987-65-4321 123-00-4567",
        "12345678A",
        "86095742718",
        "111.111.111-11",
        "192.168.100.200 10.0.0.1:8080 1.2.3-4567",
        "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "sk-learn and sk-short",
        "AKIASHORT",
        "https://user:${PASSWORD}@host https://host:8080/a@b",
        "-----BEGIN PUBLIC KEY-----",
        "+1 and 1+23456789012",
        "1764076800 1764076800123 1764076800123456",
        "@@ -12,7 +12,7 @@",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn only_the_kinds_that_are_wanted_are_looked_for() {
    let detectors = Detectors::new(&[FindingKind::Card]);
    assert!(detectors.scan("a@b.io +14155550132").is_empty());
    assert_eq!(detectors.scan("4111111111111111").len(), 1);
}

#[test]
fn personal_data_goes_before_secrets_in_what_a_request_is_called() {
    let mut findings = Findings::default();
    assert_eq!((findings.sensitivity(), findings.is_empty()), ("", true));
    findings.add(FindingKind::AccessToken, 2);
    assert_eq!((findings.sensitivity(), findings.named("secret")), ("secret", 2));
    findings.add(FindingKind::Email, 1);
    assert_eq!((findings.sensitivity(), findings.to_string().as_str()), ("pii", "email, access_token"));
    assert_eq!(serde_json::to_string(&findings).unwrap(), r#"{"email":1,"access_token":2}"#);
}

proptest! {
    #[test]
    fn what_is_found_lies_in_the_text_in_order_and_is_gone_once_it_is_replaced(text in r"(?s)([ -~é\n]|[0-9 -]{4,20}|\+?[0-9]{9,20}|a@b\.io){0,20}") {
        let found = everything().scan(&text);
        let mut end = 0;
        for one in &found {
            prop_assert!(end <= one.range.start && one.range.start < one.range.end);
            prop_assert!(text.get(one.range.clone()).is_some());
            end = one.range.end;
        }
    }

    #[test]
    fn an_address_is_found_whatever_stands_around_it(before in r"(?s)[^A-Za-z0-9._%+'@-]{0,20}", after in r"(?s)([^A-Za-z0-9._%+'@-].{0,20})?") {
        let text = format!("{before}alice@example.com{after}");
        let kinds: Vec<_> = everything().scan(&text).into_iter().map(|found| found.kind).collect();
        prop_assert!(kinds.contains(&FindingKind::Email) || kinds.contains(&FindingKind::AccessToken), "{text:?}");
    }
}

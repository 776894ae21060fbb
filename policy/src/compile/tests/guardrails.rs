//! Guardrails that can't be used are refused under their field.

use serde_json::{Value, json};

use super::rejection;

fn refused(guardrails: Value) -> String {
    rejection(json!({"projects": [{"name": "support", "settings": {"guardrails": guardrails}}]}))
}

#[test]
fn guardrails_that_can_not_be_used_are_refused_by_field() {
    for (guardrails, expected) in [
        (json!({"models": {"allow": []}}), "models.allow`: an empty list allows nothing"),
        (json!({"models": {"deny": [""]}}), "models.deny`: an empty pattern"),
        (json!({"detection": {"action": "deny", "kinds": []}}), "detection.kinds`: an empty list finds nothing"),
        (json!({"detection": {"action": "deny", "kinds": ["other"]}}), "detection.kinds`: there is no detector for `other`"),
        (json!({"webhook": {"url": "ftp://x", "fail": "open"}}), "webhook.url`: `ftp` is not http or https"),
        (json!({"webhook": {"url": "http://169.254.169.254/", "fail": "open"}}), "webhook.url`: `169.254.169.254` is a link-local"),
        (json!({"webhook": {"url": "https://x", "fail": "open", "timeout_ms": 0}}), "webhook.timeout_ms`: must be between 1 and 30000"),
    ] {
        let said = refused(guardrails);
        assert!(said.starts_with("project `support`, field `settings.guardrails.") && said.contains(expected), "{said}");
    }
}

#[test]
fn a_webhook_has_to_say_how_it_fails() {
    let manifest = json!({"org": "o", "projects": [{"name": "p", "settings": {"guardrails": {"webhook": {"url": "https://x"}}}}]});
    let error = serde_json::from_value::<crate::source::Manifest>(manifest).unwrap_err();
    assert!(error.to_string().contains("missing field `fail`"), "{error}");
}

//! What a webhook is asked, as bytes of an HTTP request: signed as Standard Webhooks has it, so that receivers can use its libraries.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use policy::bundle::v1;
use policy::facts::RequestFacts;
use policy::guardrail::Findings;
use policy::source::WebhookContent;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::value::RawValue;

use super::webhook::Webhook;
use crate::exchange::call::Exchange;

/// What marks a secret that is base 64.
const ENCODED: &str = "whsec_";

#[derive(Serialize)]
struct Question<'q> {
    request_id: &'q str,
    org: &'q str,
    project: &'q str,
    key: &'q str,
    surface: &'static str,
    model: &'q str,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_user: Option<&'q str>,
    tags: &'q policy::facts::Tags,
    findings: &'q Findings,
    #[serde(skip_serializing_if = "Option::is_none")]
    texts: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'q RawValue>,
}

/// The body of the question about a request whose own body is `body`.
pub(super) fn body_of(
    exchange: Exchange<'_>,
    settings: &v1::WebhookGuardrail,
    body: &Bytes,
    facts: &RequestFacts,
    findings: &Findings,
) -> Option<Vec<u8>> {
    let (engine, subject) = (&exchange.caller.policy.engine, &exchange.caller.subject);
    let (texts, request) = match settings.sends {
        WebhookContent::Texts => {
            let mut texts = Vec::new();
            llm::texts::visit(body, &mut |text| texts.push(text.as_str().to_owned())).ok()?;
            (Some(texts), None)
        }
        WebhookContent::Request => (None, Some(serde_json::from_slice(body).ok()?)),
    };
    let question = Question {
        request_id: &exchange.arrival.request_id,
        org: &engine.bundle().org.slug,
        project: &engine.project(subject.project)?.name,
        key: &engine.key(subject.key)?.name,
        surface: facts.surface.as_str(),
        model: &facts.model,
        stream: facts.stream,
        end_user: facts.end_user.as_deref(),
        tags: &facts.tags,
        findings,
        texts,
        request,
    };
    serde_json::to_vec(&question).ok()
}

/// The whole HTTP request.
pub(super) fn to_wire(webhook: &Webhook, id: &str, now: i64, body: &[u8]) -> Vec<u8> {
    let signature = webhook.secret.as_ref().map(|secret| format!("webhook-signature: {}\r\n", sign(secret, id, now, body)));
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: application/json\r\nUser-Agent: modelux\r\n\
         webhook-id: {id}\r\nwebhook-timestamp: {now}\r\n{}Content-Length: {}\r\n\r\n",
        webhook.path,
        webhook.site.authority,
        signature.unwrap_or_default(),
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn sign(secret: &SecretString, id: &str, now: i64, body: &[u8]) -> String {
    let secret = secret.expose_secret();
    let encoded = secret.strip_prefix(ENCODED).and_then(|encoded| STANDARD.decode(encoded).ok());
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, encoded.as_deref().unwrap_or(secret.as_bytes()));
    let mut signing = ring::hmac::Context::with_key(&key);
    signing.update(format!("{id}.{now}.").as_bytes());
    signing.update(body);
    format!("v1,{}", STANDARD.encode(signing.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_signed_as_the_standard_has_it() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}

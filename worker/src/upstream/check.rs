//! Asking a provider whether it is there: a GET with its own credential, which no model answers and nobody is billed for.
//!
//! Beside the exchange of credentials for tokens this is all that is sent without an admission: there is nothing to hold money for. It goes where requests go:
//! the same addresses are forbidden, and the same connections are used.
//!
//! Meaning: an answer is what counts, not what it says. A check has failed where no answer came in time, where it is a 5xx, and where a
//! credential was shown that is not known (401). Any other status says that somebody is there: a list of models may be missing, or more than
//! a key may see, and requests are served all the same.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use secrecy::SecretString;

use super::access::Access;
use super::reach::Line;
use super::{Connections, Reach, Reply};
use crate::policy_feed::OrgPolicy;

/// Bytes of an answer that are read for the sake of its connection.
const ANSWER_LIMIT: usize = 1 << 20;

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// `ok`; else `connect`, `timeout`, `status`, `credential` or `token`.
    pub word: &'static str,
    pub good: bool,
}

impl Outcome {
    const fn failed(word: &'static str) -> Self {
        Self { word, good: false }
    }

    fn of(status: u16, shown: bool) -> Self {
        match status {
            500.. => Self::failed("status"),
            401 if shown => Self::failed("credential"),
            _ => Self { word: "ok", good: true },
        }
    }
}

/// Asks the provider at `path`; nothing where it is not on the network, or can't be called at all.
pub(crate) async fn check(connections: &Connections, policy: &OrgPolicy, provider: u32, path: &str, limit: Duration) -> Option<Outcome> {
    let Some(Reach::Network(line)) = policy.reach(provider) else { return None };
    let deny_private = policy.engine.bundle().deny_private_upstreams;
    let asked = tokio::time::timeout(limit, ask(connections, line, path, deny_private)).await;
    asked.unwrap_or(Some(Outcome::failed("timeout")))
}

async fn ask(connections: &Connections, line: &Line, path: &str, deny_private: bool) -> Option<Outcome> {
    let token = match &line.access {
        Access::Token(slot) => match slot.token().await {
            Ok(token) => Some(token),
            Err(_) => return Some(Outcome::failed("token")),
        },
        Access::Open | Access::Key(_) | Access::Signed(_) => None,
    };
    let request = to_wire(line, path, token.as_deref())?;
    let Ok(addresses) = connections.resolve(&line.site, deny_private).await else { return Some(Outcome::failed("connect")) };
    let Ok(reply) = connections.exchange(&addresses, &request).await else { return Some(Outcome::failed("connect")) };
    let outcome = Outcome::of(reply.status, !matches!(line.access, Access::Open));
    pass_over(reply).await;
    Some(outcome)
}

/// The whole request; `None` where its credential can't be sent.
fn to_wire(line: &Line, path: &str, token: Option<&SecretString>) -> Option<Bytes> {
    let Line { vendor, site, .. } = line;
    let mut wire = BytesMut::with_capacity(512);
    wire.put_slice(b"GET ");
    let begin = wire.len();
    wire.put_slice(site.path.as_bytes());
    wire.put_slice(path.as_bytes());
    let target = begin..wire.len();
    wire.put_slice(b" HTTP/1.1\r\nHost: ");
    wire.put_slice(site.authority.as_bytes());
    wire.put_slice(b"\r\nAccept: application/json\r\nAccept-Encoding: identity\r\nUser-Agent: modelux-health-check");
    let shown = line.write_credential((None, token), &mut wire, |signer, wire| {
        let url = wire.get(target).and_then(|target| site.url_of(target));
        url.is_some_and(|url| signer.write_get(&url, wire))
    });
    vendor.write_version(b"", &mut wire);
    wire.put_slice(b"\r\n\r\n");
    shown.then(|| wire.freeze())
}

/// Reads an answer to its end, so that its connection can be used again; one that is long is not worth it.
async fn pass_over(mut reply: Reply) {
    if let Ok(Some(_)) = reply.body.collect(ANSWER_LIMIT).await {
        reply.body.finish().await;
    }
}

#[cfg(test)]
mod tests {
    use policy::bundle::v1;

    use super::*;

    fn written(vendor: &str, base_url: &str, key: Option<&str>, path: &str) -> String {
        let provider = v1::Provider {
            id: "prv_1".to_owned(),
            name: "p".into(),
            vendor: vendor.to_owned(),
            base_url: Some(base_url.to_owned()),
            api_key: None,
            health_check: None,
        };
        let Reach::Network(line) = Reach::of(&provider, key.map(SecretString::from)) else { panic!("a provider on the network") };
        let wire = to_wire(&line, path, None).expect("a request");
        String::from_utf8(wire.to_vec()).expect("text")
    }

    #[test]
    fn each_vendor_is_shown_its_credential_in_its_own_way_and_nothing_else_is_asked() {
        for (vendor, base_url, path, first, shown) in [
            (
                "openai",
                "https://api.example/v1",
                "/models",
                "GET /v1/models HTTP/1.1\r\nHost: api.example\r\n",
                "Authorization: Bearer k-1\r\n",
            ),
            ("anthropic", "https://api.example", "/v1/models", "GET /v1/models HTTP/1.1\r\n", "x-api-key: k-1\r\nanthropic-version: "),
            ("google", "https://api.example", "/v1beta/models", "GET /v1beta/models HTTP/1.1\r\n", "x-goog-api-key: k-1\r\n"),
            ("azure", "https://x.example/openai/v1", "/openai/v1/models", "GET /openai/v1/models HTTP/1.1\r\n", "api-key: k-1\r\n"),
        ] {
            let wire = written(vendor, base_url, Some("k-1"), path);
            assert!(wire.starts_with(first) && wire.contains(shown) && wire.ends_with("\r\n\r\n"), "{vendor}: {wire}");
            assert!(!wire.to_ascii_lowercase().contains("content-length"), "{wire}");
        }
    }

    #[test]
    fn a_get_is_signed_for_who_wants_signatures() {
        let keys = r#"{"access_key_id": "AKIDEXAMPLE", "secret_access_key": "secret", "region": "us-east-1"}"#;
        let wire = written("bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com", Some(keys), "/async-invoke?maxResults=1");
        assert!(wire.starts_with("GET /async-invoke?maxResults=1 HTTP/1.1\r\n"), "{wire}");
        assert!(wire.contains("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") && wire.contains("x-amz-date"), "{wire}");
    }

    #[test]
    fn an_answer_counts_unless_it_is_a_failure_or_knows_no_such_credential() {
        for (status, shown, good) in [
            (200, true, true),
            (404, true, true),
            (403, true, true),
            (429, true, true),
            (401, false, true),
            (401, true, false),
            (503, true, false),
        ] {
            assert_eq!(Outcome::of(status, shown).good, good, "{status} {shown}");
        }
    }
}

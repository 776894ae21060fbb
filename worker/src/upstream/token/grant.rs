//! How a credential is exchanged for a token: what is posted to which endpoint, and what its answer means.
//!
//! Two kinds: a service account of Google's signs a statement about itself (RFC 7523), a client at Microsoft Entra shows its secret
//! (RFC 6749, section 4.4). Leaves out: sockets and time-outs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use policy::catalogue::{EntraClient, ServiceAccount};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded::Serializer;

use super::Granted;
use crate::clock;
use crate::upstream::site::Site;

const GOOGLE_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const AZURE_SCOPE: &str = "https://cognitiveservices.azure.com/.default";
/// Seconds for which a statement holds; Google takes no longer ones.
const STATEMENT_SECONDS: i64 = 3600;
/// What a token is taken to last where the endpoint does not say.
const DEFAULT_SECONDS: u64 = 600;

/// A credential with the endpoint that takes it.
pub(crate) struct Grant {
    site: Site,
    holder: Holder,
}

enum Holder {
    Account { email: String, key_id: Option<String>, endpoint: String, private_key: SecretString, signer: Box<RsaKeyPair> },
    Client { id: String, secret: SecretString },
}

impl PartialEq for Grant {
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.holder, &other.holder) {
            (Holder::Account { email, private_key, .. }, Holder::Account { email: other_email, private_key: other_key, .. }) => {
                email == other_email && private_key.expose_secret() == other_key.expose_secret()
            }
            (Holder::Client { id, secret }, Holder::Client { id: other_id, secret: other_secret }) => {
                id == other_id && secret.expose_secret() == other_secret.expose_secret()
            }
            (Holder::Account { .. }, Holder::Client { .. }) | (Holder::Client { .. }, Holder::Account { .. }) => false,
        };
        same && self.site == other.site
    }
}

/// What an endpoint answers.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: Option<u64>,
}

/// What it answers where it grants nothing.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Grant {
    /// The grant of a service account.
    pub(crate) fn of_account(account: &ServiceAccount<'_>) -> Result<Self, &'static str> {
        let site = Site::parse(&account.token_uri).ok_or("the `token_uri` of its service account can't be read")?;
        let unreadable = "the `private_key` of its service account can't be read";
        let der = PrivatePkcs8KeyDer::from_pem_slice(account.private_key.as_bytes()).map_err(|_| unreadable)?;
        let signer = Box::new(RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| unreadable)?);
        let holder = Holder::Account {
            email: account.client_email.to_string(),
            key_id: account.private_key_id.as_deref().map(str::to_owned),
            endpoint: account.token_uri.to_string(),
            private_key: SecretString::from(&*account.private_key),
            signer,
        };
        Ok(Self { site, holder })
    }

    /// The grant of a client.
    pub(crate) fn of_client(client: &EntraClient<'_>) -> Result<Self, &'static str> {
        let site = Site::parse(&client.token_endpoint()).ok_or("the `authority` of its Entra client can't be read")?;
        let holder = Holder::Client { id: client.client_id.to_string(), secret: SecretString::from(&*client.client_secret) };
        Ok(Self { site, holder })
    }

    /// Where the endpoint is.
    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    /// For logs.
    pub(super) fn origin(&self) -> &str {
        &self.site.origin
    }

    /// The whole request to the endpoint.
    pub(super) fn request(&self) -> Result<Vec<u8>, String> {
        let mut form = Serializer::new(String::new());
        match &self.holder {
            Holder::Account { .. } => {
                form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
                form.append_pair("assertion", &self.statement()?);
            }
            Holder::Client { id, secret } => {
                form.append_pair("grant_type", "client_credentials");
                form.append_pair("client_id", id).append_pair("client_secret", secret.expose_secret());
                form.append_pair("scope", AZURE_SCOPE);
            }
        }
        let body = form.finish();
        let Site { path, authority, .. } = &self.site;
        let path = if path.is_empty() { "/" } else { path };
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/x-www-form-urlencoded\r\nAccept: application/json\r\n\
            Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        Ok([head.into_bytes(), body.into_bytes()].concat())
    }

    /// What a service account says of itself, signed: a JWT.
    fn statement(&self) -> Result<String, String> {
        let Holder::Account { email, key_id, endpoint, signer, .. } = &self.holder else { return Err("no service account".to_owned()) };
        let now = clock::now().timestamp();
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let (Some(id), Some(header)) = (key_id, header.as_object_mut()) {
            header.insert("kid".to_owned(), id.as_str().into());
        }
        let until = now.saturating_add(STATEMENT_SECONDS);
        let claims = json!({"iss": email, "scope": GOOGLE_SCOPE, "aud": endpoint, "iat": now, "exp": until});
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let mut signature = vec![0; signer.public().modulus_len()];
        let unsigned = |_| "the service account's key does not sign".to_owned();
        signer.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).map_err(unsigned)?;
        Ok(format!("{signed}.{}", BASE64.encode(&signature)))
    }

    /// What an answer of the endpoint's means.
    pub(super) fn read(status: u16, body: &[u8]) -> Result<Granted, String> {
        if status != 200 {
            let said = serde_json::from_slice::<Refusal>(body).ok().map(|refusal| refusal.error);
            let plain = |word: &String| word.len() <= 64 && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let word = said.filter(plain).map(|word| format!(" (`{word}`)")).unwrap_or_default();
            return Err(format!("the token endpoint answered {status}{word}"));
        }
        let Answer { access_token, expires_in } =
            serde_json::from_slice(body).map_err(|_| "the token endpoint's answer can't be read".to_owned())?;
        if access_token.is_empty() || !access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the token endpoint's token is none that a header can carry".to_owned());
        }
        let lasts = Duration::from_secs(expires_in.unwrap_or(DEFAULT_SECONDS).min(24 * 3600));
        Ok(Granted { token: SecretString::from(access_token), lasts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_token_or_says_why_not_without_repeating_what_it_does_not_know() {
        let Ok(granted) = Grant::read(200, br#"{"access_token":"t","expires_in":3599,"token_type":"Bearer"}"#) else { panic!("no token") };
        assert_eq!((granted.token.expose_secret(), granted.lasts), ("t", Duration::from_secs(3599)));
        for (status, body, problem) in [
            (400, r#"{"error":"invalid_grant","error_description":"secret"}"#, "the token endpoint answered 400 (`invalid_grant`)"),
            (503, "<html>", "the token endpoint answered 503"),
            (400, r#"{"error":"a b"}"#, "the token endpoint answered 400"),
            (200, "{}", "the token endpoint's answer can't be read"),
            (200, r#"{"access_token":"a\r\nb"}"#, "the token endpoint's token is none that a header can carry"),
        ] {
            assert_eq!(Grant::read(status, body.as_bytes()).map(drop), Err(problem.to_owned()), "{body}");
        }
    }
}

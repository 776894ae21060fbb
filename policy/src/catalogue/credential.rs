//! What an `api_key` is: for most vendors a word that goes into a header, for some a JSON object with what requests are signed with.
//!
//! Read when a provider is saved and again where it is called, so that both mean the same by it. Promises: no refusal repeats anything of
//! what was given. Leaves out: whether the vendor accepts it.

use std::borrow::Cow;

use serde::Deserialize;

/// Where Google exchanges a service account's word for a token.
const GOOGLE_TOKENS: &str = "https://oauth2.googleapis.com/token";
/// Microsoft Entra's public cloud.
const ENTRA: &str = "https://login.microsoftonline.com";

/// A credential, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential<'a> {
    /// Sent as it is.
    Key(&'a str),
    /// Requests are signed with it.
    Aws(AwsKeys<'a>),
    /// Exchanged for a token at Google's.
    Google(ServiceAccount<'a>),
    /// Exchanged for a token at Microsoft Entra.
    Entra(EntraClient<'a>),
}

/// Keys of an identity at AWS.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsKeys<'a> {
    /// Names the secret.
    pub access_key_id: Cow<'a, str>,
    /// Signs.
    pub secret_access_key: Cow<'a, str>,
    /// Goes along with keys that hold for some hours only.
    pub session_token: Option<Cow<'a, str>>,
    /// Where the address does not say it.
    pub region: Option<Cow<'a, str>>,
}

/// A service account of Google's, as its key file has it.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceAccount<'a> {
    /// Whose it is.
    pub client_email: Cow<'a, str>,
    /// Which of its keys this is.
    pub private_key_id: Option<Cow<'a, str>>,
    /// Signs; in PEM.
    pub private_key: Cow<'a, str>,
    /// Where a token is had for it.
    pub token_uri: Cow<'a, str>,
}

/// A client that Microsoft Entra knows by its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct EntraClient<'a> {
    /// Directory.
    pub tenant_id: Cow<'a, str>,
    /// Which client.
    pub client_id: Cow<'a, str>,
    /// Shown for a token.
    pub client_secret: Cow<'a, str>,
    /// Where the directory is asked; clouds apart have their own.
    pub authority: Cow<'a, str>,
}

/// Why a credential can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CredentialError {
    /// `api_key`, or a member of it.
    pub field: &'static str,
    /// What is wrong and what to write instead.
    pub message: &'static str,
}

impl<'a> Credential<'a> {
    /// Takes the `api_key` of a provider of `vendor` apart.
    ///
    /// # Errors
    /// The member that can't be used, and why.
    pub fn read(vendor: &str, api_key: &'a str) -> Result<Self, CredentialError> {
        match vendor {
            "bedrock" if is_object(api_key) => AwsKeys::read(api_key).map(Self::Aws),
            "azure" if is_object(api_key) => EntraClient::read(api_key).map(Self::Entra),
            "vertex" => ServiceAccount::read(api_key).map(Self::Google),
            _ => Ok(Self::Key(api_key)),
        }
    }

    /// Whether it says all that is needed at `base_url`.
    ///
    /// # Errors
    /// The member that is missing.
    pub fn check_at(&self, base_url: &str) -> Result<(), CredentialError> {
        match self {
            Self::Key(_) | Self::Google(_) | Self::Entra(_) => Ok(()),
            Self::Aws(keys) => keys.region_at(base_url).map(drop),
        }
    }

    /// The address that it is shown to, beside the provider's, and the member that says it.
    #[must_use]
    pub fn endpoint(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Key(_) | Self::Aws(_) => None,
            Self::Google(account) => Some(("api_key.token_uri", &account.token_uri)),
            Self::Entra(client) => Some(("api_key.authority", &client.authority)),
        }
    }
}

fn is_object(api_key: &str) -> bool {
    api_key.trim_start().starts_with('{')
}

/// As it is written, so that what is missing can be named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAwsKeys<'a> {
    #[serde(borrow)]
    access_key_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    secret_access_key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    session_token: Option<Cow<'a, str>>,
    #[serde(borrow)]
    region: Option<Cow<'a, str>>,
}

impl<'a> AwsKeys<'a> {
    fn read(api_key: &'a str) -> Result<Self, CredentialError> {
        let WrittenAwsKeys { access_key_id, secret_access_key, session_token, region } =
            serde_json::from_str(api_key).map_err(|_| CredentialError {
                field: "api_key",
                message: "write a Bedrock API key, or JSON with `access_key_id`, `secret_access_key` and, where they are wanted, `session_token` and `region`",
            })?;
        let keys = Self {
            access_key_id: needed(access_key_id, "api_key.access_key_id", "write the id of an access key, such as `AKIA…`")?,
            secret_access_key: needed(secret_access_key, "api_key.secret_access_key", "write the secret of the access key")?,
            session_token: session_token.filter(|token| !token.is_empty()),
            region: region.filter(|region| !region.is_empty()),
        };
        if keys.session_token.as_deref().is_some_and(|token| !is_word(token)) {
            return Err(CredentialError {
                field: "api_key.session_token",
                message: "write it as AWS gave it, without blanks or line breaks",
            });
        }
        if keys.region.as_deref().is_some_and(|region| !is_region(region)) {
            return Err(CredentialError { field: "api_key.region", message: "write a region, such as `us-east-1`" });
        }
        Ok(keys)
    }

    /// The region that requests to `base_url` are signed for.
    ///
    /// # Errors
    /// Where neither these keys nor the address says it.
    pub fn region_at<'r>(&'r self, base_url: &'r str) -> Result<&'r str, CredentialError> {
        self.region.as_deref().or_else(|| region_in(base_url)).ok_or(CredentialError {
            field: "api_key.region",
            message: "add the `region`, such as `us-east-1`: the provider's `base_url` does not name it",
        })
    }
}

/// As a key file has it; what else is in there is Google's business.
#[derive(Deserialize)]
struct WrittenServiceAccount<'a> {
    #[serde(borrow)]
    client_email: Option<Cow<'a, str>>,
    #[serde(borrow)]
    private_key_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    private_key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    token_uri: Option<Cow<'a, str>>,
}

impl<'a> ServiceAccount<'a> {
    fn read(api_key: &'a str) -> Result<Self, CredentialError> {
        let message = "write the JSON of the key file of a service account, as in `api_key: {file: account.json}`";
        let written = serde_json::from_str(api_key).map_err(|_| CredentialError { field: "api_key", message })?;
        let WrittenServiceAccount { client_email, private_key_id, private_key, token_uri } = written;
        let is_pem = |key: &Cow<'_, str>| key.trim_start().starts_with("-----BEGIN PRIVATE KEY-----");
        let no_key = CredentialError {
            field: "api_key.private_key",
            message: "write the PEM text of the key file, which begins with `-----BEGIN PRIVATE KEY-----`",
        };
        Ok(Self {
            client_email: needed(client_email, "api_key.client_email", "write the address of the service account")?,
            private_key_id: private_key_id.filter(|id| !id.is_empty()),
            private_key: private_key.filter(is_pem).ok_or(no_key)?,
            token_uri: token_uri.unwrap_or(Cow::Borrowed(GOOGLE_TOKENS)),
        })
    }
}

/// As it is written, so that what is missing can be named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEntraClient<'a> {
    #[serde(borrow)]
    tenant_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    client_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    client_secret: Option<Cow<'a, str>>,
    #[serde(borrow)]
    authority: Option<Cow<'a, str>>,
}

impl<'a> EntraClient<'a> {
    fn read(api_key: &'a str) -> Result<Self, CredentialError> {
        let message =
            "write the key of the resource, or JSON with `tenant_id`, `client_id`, `client_secret` and, for a cloud apart, `authority`";
        let written = serde_json::from_str(api_key).map_err(|_| CredentialError { field: "api_key", message })?;
        let WrittenEntraClient { tenant_id, client_id, client_secret, authority } = written;
        let is_tenant = |tenant: &Cow<'_, str>| tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        let tenant = "write the id or the domain of the directory";
        Ok(Self {
            tenant_id: needed(tenant_id.filter(is_tenant), "api_key.tenant_id", tenant)?,
            client_id: needed(client_id, "api_key.client_id", "write the id of the client")?,
            client_secret: needed(client_secret, "api_key.client_secret", "write the secret of the client, not its id")?,
            authority: authority.unwrap_or(Cow::Borrowed(ENTRA)),
        })
    }

    /// Where a token is had for it.
    #[must_use]
    pub fn token_endpoint(&self) -> String {
        format!("{}/{}/oauth2/v2.0/token", self.authority.trim_end_matches('/'), self.tenant_id)
    }
}

/// The region in an address of AWS's own: what stands behind the service.
fn region_in(base_url: &str) -> Option<&str> {
    let (_, rest) = base_url.split_once("://")?;
    let host = rest.split(['/', ':']).next()?;
    let mut labels = host.split('.').skip_while(|label| !matches!(*label, "bedrock-runtime" | "bedrock-runtime-fips"));
    let region = labels.nth(1)?;
    (host.contains(".amazonaws.com") && is_region(region)).then_some(region)
}

fn is_region(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= 32 && text.contains('-') && text.bytes().all(plain)
}

/// A member without which there is no credential.
fn needed<'a>(given: Option<Cow<'a, str>>, field: &'static str, message: &'static str) -> Result<Cow<'a, str>, CredentialError> {
    given.filter(|given| is_word(given)).ok_or(CredentialError { field, message })
}

/// What can stand in a header.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(vendor: &str, api_key: &str) -> &'static str {
        Credential::read(vendor, api_key).err().map_or("", |error| error.field)
    }

    #[test]
    fn a_key_of_one_word_is_sent_as_it_is() {
        for vendor in ["openai", "bedrock"] {
            assert!(matches!(Credential::read(vendor, "a-key"), Ok(Credential::Key("a-key"))), "{vendor}");
        }
        assert!(matches!(Credential::read("openai", "{}"), Ok(Credential::Key("{}"))));
    }

    #[test]
    fn what_is_wrong_with_keys_of_aws_is_named() {
        for (api_key, field) in [
            (r#"{"access_key_id":"AKIA1"}"#, "api_key.secret_access_key"),
            (r#"{"access_key_id":"","secret_access_key":"s"}"#, "api_key.access_key_id"),
            (r#"{"access_key_id":"AKIA1","secret_access_key":"s","region":"Virginia"}"#, "api_key.region"),
            (r#"{"access_key_id":"AKIA1","secret_access_key":"s","session_token":"a b"}"#, "api_key.session_token"),
            (r#"{"access_key_id":"AKIA1","secret_access_key":"s","profile":"p"}"#, "api_key"),
            (r#"{"access_key_id":"AKIA1""#, "api_key"),
            (r#"{"access_key_id":"AKIA1","secret_access_key":"s"}"#, ""),
        ] {
            assert_eq!(refusal("bedrock", api_key), field, "{api_key}");
        }
    }

    #[test]
    fn what_is_wrong_with_what_is_exchanged_for_tokens_is_named() {
        let pem = "-----BEGIN PRIVATE KEY-----\\nAA==\\n-----END PRIVATE KEY-----\\n";
        for (vendor, api_key, field) in [
            ("vertex", "a-key".to_owned(), "api_key"),
            ("vertex", format!(r#"{{"private_key":"{pem}"}}"#), "api_key.client_email"),
            ("vertex", r#"{"client_email":"a@b","private_key":"x"}"#.to_owned(), "api_key.private_key"),
            ("vertex", format!(r#"{{"client_email":"a@b","private_key":"{pem}","project_id":"p"}}"#), ""),
            ("azure", r#"{"tenant_id":"t/../u","client_id":"c","client_secret":"s"}"#.to_owned(), "api_key.tenant_id"),
            ("azure", r#"{"tenant_id":"t","client_id":"c"}"#.to_owned(), "api_key.client_secret"),
            ("azure", r#"{"tenant_id":"t","client_id":"c","client_secret":"s","scope":"x"}"#.to_owned(), "api_key"),
            ("azure", r#"{"tenant_id":"t","client_id":"c","client_secret":"s"}"#.to_owned(), ""),
            ("azure", "a-key".to_owned(), ""),
        ] {
            assert_eq!(refusal(vendor, &api_key), field, "{api_key}");
        }
    }

    #[test]
    fn the_region_is_that_of_the_keys_or_of_the_address() {
        let keys = |region: Option<&'static str>| AwsKeys {
            access_key_id: "a".into(),
            secret_access_key: "s".into(),
            session_token: None,
            region: region.map(Cow::from),
        };
        for (base_url, region, expected) in [
            ("https://bedrock-runtime.eu-west-1.amazonaws.com", None, Some("eu-west-1")),
            ("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com/", None, Some("us-gov-west-1")),
            ("https://vpce-1-x.bedrock-runtime.us-east-1.vpce.amazonaws.com:443", None, Some("us-east-1")),
            ("https://bedrock-runtime.eu-west-1.amazonaws.com", Some("us-east-1"), Some("us-east-1")),
            ("http://127.0.0.1:9000", Some("us-east-1"), Some("us-east-1")),
            ("http://127.0.0.1:9000", None, None),
            ("https://bedrock-runtime.eu-west-1.example.com", None, None),
        ] {
            assert_eq!(keys(region).region_at(base_url).ok(), expected, "{base_url} {region:?}");
        }
    }
}

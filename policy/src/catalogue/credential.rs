//! What an `api_key` is: for most vendors a word that goes into a header, for some a JSON object with what requests are signed with.
//!
//! Read when a provider is saved and again where it is called, so that both mean the same by it. Promises: no refusal repeats anything of
//! what was given. Leaves out: whether the vendor accepts it.

use std::borrow::Cow;

use serde::Deserialize;

/// A credential, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential<'a> {
    /// Sent as it is.
    Key(&'a str),
    /// Requests are signed with it.
    Aws(AwsKeys<'a>),
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
            _ => Ok(Self::Key(api_key)),
        }
    }

    /// Whether it says all that is needed at `base_url`.
    ///
    /// # Errors
    /// The member that is missing.
    pub fn check_at(&self, base_url: &str) -> Result<(), CredentialError> {
        match self {
            Self::Key(_) => Ok(()),
            Self::Aws(keys) => keys.region_at(base_url).map(drop),
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

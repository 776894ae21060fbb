//! With what a provider is called: a key in a header, a signature, a token, or nothing.
//!
//! Worked out once when the bundle is loaded. Leaves out: in which header a vendor wants its key (`vendor`).

use std::sync::Arc;

use policy::catalogue::Credential;
use secrecy::{ExposeSecret as _, SecretString};

use super::bedrock::Signer;
use super::token::{Grant, Slot};

/// With what a provider is called where the caller brings no key.
pub(crate) enum Access {
    /// It wants nothing, or callers bring their own.
    Open,
    /// A key in a header.
    Key(SecretString),
    /// Each request is signed.
    Signed(Signer),
    /// A token in a header.
    Token(Arc<Slot>),
}

impl Access {
    /// The access that the opened `api_key` of a provider of `vendor` at `base_url` gives.
    pub(crate) fn of(vendor: &str, base_url: &str, api_key: Option<SecretString>) -> Result<Self, &'static str> {
        let Some(api_key) = api_key else { return Ok(Self::Open) };
        match Credential::read(vendor, api_key.expose_secret()).map_err(|_| "its `api_key` can't be read")? {
            Credential::Key(_) => {}
            Credential::Google(account) => return Ok(Self::Token(Arc::new(Slot::new(Grant::of_account(&account)?)))),
            Credential::Entra(client) => return Ok(Self::Token(Arc::new(Slot::new(Grant::of_client(&client)?)))),
            Credential::Aws(keys) => {
                let region = keys.region_at(base_url).map_err(|error| error.message)?;
                return Ok(Self::Signed(Signer::new(&keys, region)));
            }
        }
        Ok(Self::Key(api_key))
    }
}

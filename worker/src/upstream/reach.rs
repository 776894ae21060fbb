//! How a provider of the bundle is reached: vendor, address and key, worked out once when the bundle is loaded.
//!
//! A provider that can't be reached does not spoil the bundle: it keeps the reason for whoever is routed to it, and the others serve.

use std::sync::Arc;

use bytes::BytesMut;
use policy::bundle::v1;
use policy::catalogue::find_vendor;
use secrecy::SecretString;

use super::access::Access;
use super::bedrock::Signer;
use super::site::Site;
use super::token::Slot;
use super::vendor::{Vendor, write_bearer};

/// How a provider is reached.
#[expect(clippy::large_enum_variant, reason = "one for each provider, made when a bundle is loaded and never moved")]
pub(crate) enum Reach {
    /// By a program inside this one.
    Simulated,
    /// Over the network.
    Network(Line),
    /// Not at all, for this reason.
    Unusable(&'static str),
}

/// A provider on the network.
pub(crate) struct Line {
    /// How it takes requests.
    pub vendor: Vendor,
    /// Where it is.
    pub site: Site,
    /// With what it is called.
    pub access: Access,
}

impl Reach {
    /// The reach of `provider`, whose opened key is `key`.
    pub(crate) fn of(provider: &v1::Provider, key: Option<SecretString>) -> Self {
        if provider.vendor == "simulated" {
            return Self::Simulated;
        }
        Line::to(provider, key).map_or_else(Self::Unusable, Self::Network)
    }

    /// Where its token is kept, if it takes one.
    pub(crate) fn token_slot(&self) -> Option<&Arc<Slot>> {
        match self {
            Self::Network(Line { access: Access::Token(slot), .. }) => Some(slot),
            _ => None,
        }
    }

    /// The same, to be replaced.
    pub(crate) fn token_slot_mut(&mut self) -> Option<&mut Arc<Slot>> {
        match self {
            Self::Network(Line { access: Access::Token(slot), .. }) => Some(slot),
            _ => None,
        }
    }
}

impl Line {
    fn to(provider: &v1::Provider, key: Option<SecretString>) -> Result<Self, &'static str> {
        let base_url = provider.base_url.as_deref().ok_or("it has no `base_url`")?;
        let vendor = Vendor::at(&provider.vendor, base_url)?;
        let place = find_vendor(&provider.vendor).map_or(Ok(base_url), |vendor| vendor.place(base_url))?;
        let site = Site::parse(place).ok_or("its `base_url` can't be read")?;
        Ok(Self { vendor, site, access: Access::of(&provider.vendor, base_url, key)? })
    }

    /// Writes the credential into a head in the making: the caller's own key, or what the provider is called with. False where it can't be
    /// sent. A signature covers more than the head so far, so `sign` writes it.
    pub(super) fn write_credential(
        &self,
        (callers, token): (Option<&SecretString>, Option<&SecretString>),
        wire: &mut BytesMut,
        sign: impl FnOnce(&Signer, &mut BytesMut) -> bool,
    ) -> bool {
        match (callers, &self.access) {
            (Some(key), _) | (None, Access::Key(key)) => self.vendor.write_key(key, wire),
            (None, Access::Signed(signer)) => sign(signer, wire),
            (None, Access::Token(_)) => token.is_some_and(|token| write_bearer(token, wire)),
            (None, Access::Open) => true,
        }
    }
}

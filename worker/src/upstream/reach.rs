//! How a provider of the bundle is reached: vendor, address and key, worked out once when the bundle is loaded.
//!
//! A provider that can't be reached does not spoil the bundle: it keeps the reason for whoever is routed to it, and the others serve.

use policy::bundle::v1;
use secrecy::SecretString;

use super::site::Site;
use super::vendor::Vendor;

/// How a provider is reached.
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
    /// Its key, opened; absent where it wants none or callers bring their own.
    pub key: Option<SecretString>,
}

impl Reach {
    /// The reach of `provider`, whose opened key is `key`.
    pub(crate) fn of(provider: &v1::Provider, key: Option<SecretString>) -> Self {
        if provider.vendor == "simulated" {
            return Self::Simulated;
        }
        let Some(vendor) = Vendor::named(&provider.vendor) else {
            return Self::Unusable("this version does not speak to its vendor");
        };
        let Some(base_url) = provider.base_url.as_deref() else {
            return Self::Unusable("it has no `base_url`");
        };
        match Site::parse(base_url) {
            Some(site) => Self::Network(Line { vendor, site, key }),
            None => Self::Unusable("its `base_url` can't be read"),
        }
    }
}

//! How a provider of the bundle is reached: vendor, address and key, worked out once when the bundle is loaded.
//!
//! A provider that can't be reached does not spoil the bundle: it keeps the reason for whoever is routed to it, and the others serve.

use policy::bundle::v1;
use policy::catalogue::{AzureAddress, find_vendor};
use secrecy::SecretString;

use super::azure::Azure;
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
        match vendor_and_site(provider) {
            Ok((vendor, site)) => Self::Network(Line { vendor, site, key }),
            Err(problem) => Self::Unusable(problem),
        }
    }
}

fn vendor_and_site(provider: &v1::Provider) -> Result<(Vendor, Site), &'static str> {
    let unknown = "this version does not speak to its vendor";
    let base_url = provider.base_url.as_deref().ok_or("it has no `base_url`")?;
    let (vendor, place) = if provider.vendor == "azure" {
        let quirks = find_vendor("azure").and_then(|vendor| vendor.quirks).ok_or(unknown)?;
        let address = AzureAddress::read(base_url)?;
        (Vendor::Azure(Azure::at(&address, quirks)), address.resource)
    } else {
        (Vendor::named(&provider.vendor).ok_or(unknown)?, base_url)
    };
    Ok((vendor, Site::parse(place).ok_or("its `base_url` can't be read")?))
}

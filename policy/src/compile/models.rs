//! Providers and their models: addresses, prices, limits.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use url::{Host, Url};

use super::health_check::compile_health_check;
use super::{Index, Rejections, names};
use crate::bundle::v1;
use crate::catalogue;
use crate::catalogue::Listing;
use crate::money::Usd;
use crate::price::{PriceSheet, Rates};
use crate::source::{Model, ModelRecord, NOT_A_PRICE, Organization, is_price};

pub(super) fn compile_providers(organization: &Organization, rejections: &mut Rejections) -> Vec<v1::Provider> {
    let mut compiled = Vec::with_capacity(organization.providers.len());
    for record in &organization.providers {
        let provider = &record.provider;
        names::check_provider_name(&provider.name, rejections);
        let vendor = catalogue::find_vendor(&provider.vendor);
        if vendor.is_none() {
            let known: Vec<_> = catalogue::VENDORS.iter().map(|vendor| vendor.name).collect();
            let message = format!("unknown vendor `{}`; known are {}", provider.vendor, known.join(", "));
            rejections.add("provider", &provider.name, "vendor", message);
        }
        let default = vendor.and_then(|vendor| vendor.base_url);
        let base_url = provider.base_url.as_deref().or(default);
        match base_url {
            Some(url) => {
                let place = vendor.map_or(Ok(url), |vendor| vendor.place(url));
                let checked =
                    place.map_err(str::to_owned).and_then(|url| check_base_url(url, organization.settings.deny_private_upstreams));
                if let Err(message) = checked {
                    rejections.add("provider", &provider.name, "base_url", message);
                }
            }
            None => {
                if let Some(message) = address_wanted(&provider.vendor) {
                    rejections.add("provider", &provider.name, "base_url", message);
                }
            }
        }
        compiled.push(v1::Provider {
            id: record.id.clone(),
            name: Arc::from(provider.name.as_str()),
            vendor: provider.vendor.clone(),
            base_url: base_url.map(|url| url.trim_end_matches('/').to_owned()),
            api_key: record.api_key.clone(),
            health_check: compile_health_check(provider, vendor, base_url, rejections),
        });
    }
    compiled
}

/// What to say where every customer of a vendor has an address of their own and none is given.
fn address_wanted(vendor: &str) -> Option<&'static str> {
    match vendor {
        "openai_compatible" => Some("an `openai_compatible` provider needs an address, such as `http://127.0.0.1:8000/v1`"),
        "azure" => Some("an `azure` provider needs the address of its resource, such as `https://NAME.openai.azure.com`"),
        "bedrock" => {
            Some("a `bedrock` provider needs the address of its region, such as `https://bedrock-runtime.us-east-1.amazonaws.com`")
        }
        "vertex" => Some(
            "a `vertex` provider needs the address of its project, such as `https://us-central1-aiplatform.googleapis.com/v1/projects/PROJECT/locations/us-central1`",
        ),
        _ => None,
    }
}

/// Whether requests may be sent to the address `text`, as far as it says itself.
///
/// # Errors
/// Why not.
pub fn check_base_url(text: &str, deny_private: bool) -> Result<(), String> {
    let url = Url::parse(text).map_err(|_| format!("`{text}` is not a URL such as `https://api.example.com/v1`"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{}` is not http or https", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("an address has no user, password, query or fragment; secrets belong into `api_key`".to_owned());
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(_)) => return Ok(()),
        None => return Err("an address needs a host".to_owned()),
    };
    match upstream_address_refusal(address, deny_private) {
        Some(reason) => Err(format!("`{address}` {reason}")),
        None => Ok(()),
    }
}

/// Why requests are never sent to `address`; the worker asks again after DNS.
#[must_use]
pub fn upstream_address_refusal(address: IpAddr, deny_private: bool) -> Option<&'static str> {
    let address = match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    let (link_local, private) = match address {
        IpAddr::V4(v4) => (is_link_local_v4(v4), v4.is_loopback() || v4.is_private()),
        IpAddr::V6(v6) => (is_link_local_v6(v6), v6.is_loopback() || v6.is_unique_local()),
    };
    if link_local {
        Some("is a link-local or cloud-metadata address, which is never allowed")
    } else if private && deny_private {
        Some("is a loopback or private address, which `deny_private_upstreams` forbids")
    } else {
        None
    }
}

fn is_link_local_v4(address: Ipv4Addr) -> bool {
    address.is_link_local() || address.is_unspecified() || address.is_broadcast() || address == Ipv4Addr::new(100, 100, 100, 200)
}

fn is_link_local_v6(address: Ipv6Addr) -> bool {
    // fd00:ec2::254 is a cloud's metadata service on a unique-local address.
    address.is_unicast_link_local() || address.is_unspecified() || address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
}

/// Compiles the catalogue's models of each provider, overridden by what is declared.
pub(super) fn compile_models<'a>(organization: &'a Organization, index: &mut Index<'a>, rejections: &mut Rejections) -> Vec<v1::Model> {
    for (position, record) in (0_u32..).zip(&organization.providers) {
        if index.providers.insert(&record.provider.name, position).is_some() {
            rejections.add("provider", &record.provider.name, "name", "this provider is there twice");
        }
    }
    let mut declared: HashMap<(u32, &'a str), &ModelRecord> = HashMap::new();
    for record in &organization.models {
        let full = record.model.model.as_str();
        let Some((provider, name)) = full.split_once('/').filter(|(_, name)| !name.is_empty()) else {
            rejections.add("model", full, "model", "write `provider/model`");
            continue;
        };
        let Some(&provider) = index.providers.get(provider) else {
            rejections.add("model", full, "model", format!("there is no provider `{provider}`"));
            continue;
        };
        check_prices(&record.model, rejections);
        if declared.insert((provider, name), record).is_some() {
            rejections.add("model", full, "model", "this model is there twice");
        }
    }
    index.declared_models = declared.keys().copied().collect();
    let mut compiled = Vec::new();
    for (position, record) in (0_u32..).zip(&organization.providers) {
        let known = catalogue::listings_of(&record.provider.vendor).filter(|listing| listing.holds_at(organization.time));
        for base in known {
            let over = declared.remove(&(position, base.model.as_str()));
            let later = later_prices(&record.provider.vendor, base, organization.time);
            compiled.push(merge(position, &base.model, Some((base, later)), over));
        }
    }
    let added = declared.into_iter().map(|((provider, name), record)| merge(provider, name, None, Some(record)));
    compiled.extend(added);
    compiled.sort_by(|one, other| (one.provider, &one.name).cmp(&(other.provider, &other.name)));
    for model in compiled.iter().filter(|model| model.name.as_ref() != catalogue::ANY_MODEL) {
        index.bare_models.entry(model.name.to_string()).or_default().push(model.provider);
    }
    compiled
}

fn check_prices(model: &Model, rejections: &mut Rejections) {
    let prices = [
        ("input_usd_per_mtok", model.input_usd_per_mtok),
        ("cached_input_usd_per_mtok", model.cached_input_usd_per_mtok),
        ("cache_write_usd_per_mtok", model.cache_write_usd_per_mtok),
        ("output_usd_per_mtok", model.output_usd_per_mtok),
        ("reasoning_usd_per_mtok", model.reasoning_usd_per_mtok),
    ];
    for (field, price) in prices {
        if !price.is_none_or(is_price) {
            rejections.add("model", &model.model, field, NOT_A_PRICE);
        }
    }
    if let Some(further) = &model.further_prices {
        if let Some((field, why)) = further.refusal() {
            rejections.add("model", &model.model, format!("further_prices.{field}"), why);
        }
        if rates_of(model).is_none() {
            let why = "these go with `input_usd_per_mtok` or `output_usd_per_mtok`, which are not there";
            rejections.add("model", &model.model, "further_prices", why);
        }
    }
    for (field, limit) in [("context_tokens", model.context_tokens), ("max_output_tokens", model.max_output_tokens)] {
        if limit == Some(0) {
            rejections.add("model", &model.model, field, "must be more than 0; leave it out where it is unknown");
        }
    }
}

/// What the catalogue knows will be charged after `now`.
fn later_prices(vendor: &str, base: &Listing, now: DateTime<Utc>) -> Vec<v1::LaterPrices> {
    let of_model = catalogue::listings_of(vendor).filter(|listing| listing.model == base.model);
    let later = of_model.filter_map(|listing| {
        let from = listing.from.filter(|from| *from > now)?;
        let PriceSheet { rates, long_context } = listing.prices.clone();
        Some(v1::LaterPrices { from, rates, long_context })
    });
    later.collect()
}

/// One model: what is declared, over what the catalogue says. A declared price replaces all of the catalogue's, those to come included.
fn merge(provider: u32, name: &str, base: Option<(&Listing, Vec<v1::LaterPrices>)>, over: Option<&ModelRecord>) -> v1::Model {
    let declared = over.map(|record| &record.model);
    let own = over.and_then(|record| Some((prices_of(&record.model)?, record.price_version.clone(), Vec::new())));
    let (listing, later) = base.unzip();
    let listed = || listing.map(|listing| (listing.prices.clone(), format!("catalogue {}", listing.as_of), later.unwrap_or_default()));
    let (prices, price_version, later) = match own.or_else(listed) {
        Some((prices, version, later)) => (Some(prices), version, later),
        None => (None, String::new(), Vec::new()),
    };
    v1::Model {
        provider,
        name: Arc::from(name),
        rates: prices.as_ref().map(|prices| prices.rates),
        long_context: prices.map(|prices| prices.long_context).unwrap_or_default(),
        later,
        price_version: price_version.into(),
        context_tokens: declared.and_then(|model| model.context_tokens).or_else(|| listing?.context_tokens),
        max_output_tokens: declared.and_then(|model| model.max_output_tokens).or_else(|| listing?.max_output_tokens),
        tier: declared.and_then(|model| model.quality_tier).or_else(|| listing?.tier),
    }
}

fn prices_of(model: &Model) -> Option<PriceSheet> {
    let usual = rates_of(model)?;
    Some(model.further_prices.as_ref().map_or_else(|| usual.into(), |further| further.over(usual)))
}

/// A price left out follows its parent bucket; with neither input nor output there is no price.
fn rates_of(model: &Model) -> Option<Rates> {
    let nanos = |usd: Option<Usd>| usd.map(|Usd(price)| price.nanos());
    let (input, output) = (nanos(model.input_usd_per_mtok), nanos(model.output_usd_per_mtok));
    if input.is_none() && output.is_none() {
        return None;
    }
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    Some(Rates {
        input,
        cached_input: nanos(model.cached_input_usd_per_mtok).unwrap_or(input),
        cache_write: nanos(model.cache_write_usd_per_mtok).unwrap_or(input),
        output,
        reasoning: nanos(model.reasoning_usd_per_mtok).unwrap_or(output),
        ..Rates::default()
    })
}

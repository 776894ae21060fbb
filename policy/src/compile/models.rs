//! Providers and their models: addresses, prices, limits.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use url::{Host, Url};

use super::{Index, Rejections, names};
use crate::bundle::v1;
use crate::catalogue;
use crate::money::Usd;
use crate::price::Rates;
use crate::source::{Model, ModelRecord, Organization};

/// Dearer than USD 1,000,000 per million tokens is a slip of the pen.
const MAX_USD_PER_MTOK: i64 = 1_000_000;

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
                if let Err(message) = check_base_url(url, organization.settings.deny_private_upstreams) {
                    rejections.add("provider", &provider.name, "base_url", message);
                }
            }
            None if provider.vendor == "openai_compatible" => {
                rejections.add(
                    "provider",
                    &provider.name,
                    "base_url",
                    "an `openai_compatible` provider needs an address, such as `http://127.0.0.1:8000/v1`",
                );
            }
            None => {}
        }
        compiled.push(v1::Provider {
            id: record.id.clone(),
            name: Arc::from(provider.name.as_str()),
            vendor: provider.vendor.clone(),
            base_url: base_url.map(|url| url.trim_end_matches('/').to_owned()),
            api_key: record.api_key.clone(),
        });
    }
    compiled
}

fn check_base_url(text: &str, deny_private: bool) -> Result<(), String> {
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
    let mut declared: HashMap<(u32, &str), &ModelRecord> = HashMap::new();
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
    let mut compiled = Vec::new();
    for (position, record) in (0_u32..).zip(&organization.providers) {
        for base in catalogue::models_of(&record.provider.vendor) {
            let over = declared.remove(&(position, base.model.as_str()));
            compiled.push(merge(position, &base.model, Some(base), over));
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
        let Some(Usd(price)) = price else { continue };
        if price.nanos() < 0 || price > crate::money::NanoUsd::from_usd(MAX_USD_PER_MTOK) {
            rejections.add("model", &model.model, field, "a price is between 0 and 1,000,000 USD per million tokens");
        }
    }
    for (field, limit) in [("context_tokens", model.context_tokens), ("max_output_tokens", model.max_output_tokens)] {
        if limit == Some(0) {
            rejections.add("model", &model.model, field, "must be more than 0; leave it out where it is unknown");
        }
    }
}

/// One model: what is declared, over what the catalogue says.
fn merge(provider: u32, name: &str, base: Option<&Model>, over: Option<&ModelRecord>) -> v1::Model {
    let declared = over.map(|record| &record.model);
    let rates = declared.and_then(rates_of).or_else(|| base.and_then(rates_of));
    let own_price = declared.is_some_and(|model| rates_of(model).is_some());
    let price_version = match over {
        Some(record) if own_price => record.price_version.clone(),
        _ if rates.is_some() => "catalogue".to_owned(),
        _ => String::new(),
    };
    let limit = |field: fn(&Model) -> Option<u32>| declared.and_then(field).or_else(|| base.and_then(field));
    v1::Model {
        provider,
        name: Arc::from(name),
        rates,
        price_version: price_version.into(),
        context_tokens: limit(|model| model.context_tokens),
        max_output_tokens: limit(|model| model.max_output_tokens),
        tier: declared.and_then(|model| model.quality_tier).or_else(|| base.and_then(|model| model.quality_tier)),
    }
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
    })
}

//! The shipped file reads, says where it has its figures from, and prices usages as their source does.

use std::collections::BTreeMap;

use super::*;
use crate::price::TokenBuckets;

fn listings() -> Vec<Listing> {
    read_listings(include_str!("../../catalogue/models.json")).unwrap()
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn every_line_names_a_known_vendor_its_source_and_the_day() {
    for listing in listings() {
        let line = format!("{}/{}", listing.vendor, listing.model);
        assert!(find_vendor(&listing.vendor).is_some(), "{line}");
        assert!(!listing.source.is_empty() && listing.as_of >= NaiveDate::from_ymd_opt(2026, 11, 1).unwrap(), "{line}");
        assert!(listing.from.is_none() || listing.until.is_none() || listing.from < listing.until, "{line}");
        assert!(listing.batch_percent.is_none_or(|percent| (1..=100).contains(&percent)), "{line}");
        if let (Some(context), Some(output)) = (listing.context_tokens, listing.max_output_tokens) {
            assert!(output <= context, "{line}");
        }
    }
}

#[test]
fn every_vendor_with_models_of_its_own_has_some_listed() {
    let without = VENDORS.iter().filter(|vendor| listings_of(vendor.name).next().is_none()).map(|vendor| vendor.name);
    assert_eq!(without.collect::<Vec<_>>(), ["openai_compatible"]);
}

#[test]
fn at_any_instant_one_line_of_a_model_holds() {
    let mut periods: BTreeMap<(String, String), Vec<Listing>> = BTreeMap::new();
    for listing in listings() {
        periods.entry((listing.vendor.clone(), listing.model.clone())).or_default().push(listing);
    }
    for (model, lines) in periods {
        for pair in lines.windows(2) {
            assert!(pair[0].until.is_some() && pair[0].until == pair[1].from, "{model:?}");
        }
        assert!(lines.last().unwrap().until.is_none(), "{model:?}");
    }
}

#[test]
fn an_announced_price_begins_on_its_day() {
    let at = |when: &str| {
        let mut holding = listings_of("google").filter(|listing| listing.model == "gemini-3.8-flash" && listing.holds_at(time(when)));
        let listing = holding.next().unwrap();
        assert!(holding.next().is_none());
        listing.prices.rates.output
    };
    assert_eq!((at("2026-12-31T23:59:59Z"), at("2027-01-01T00:00:00Z")), (3_750_000_000, 7_500_000_000));
}

#[test]
fn nothing_listed_is_dearer_than_the_ceiling() {
    for listing in listings() {
        for input in [1, 1_000_000] {
            let (ours, ceiling) = (listing.prices.worst_case(input, 1_000), CEILING.worst_case(input, 1_000));
            assert!(ours <= ceiling, "{}/{}", listing.vendor, listing.model);
        }
    }
}

#[test]
fn a_dated_name_is_known_by_its_undated_one() {
    for (model, name) in [
        ("claude-haiku-4-5-20251001", Some("claude-haiku-4-5")),
        ("gpt-4o-2024-08-06", Some("gpt-4o")),
        ("claude-opus-5@20260801", Some("claude-opus-5")),
        ("mistral-large-latest", Some("mistral-large")),
        ("gpt-4o", None),
        ("grok-4.20-0309", None),
        ("model-30251001", None),
        ("model-2024-0806", None),
        ("-20251001", None),
        ("é20251001", None),
    ] {
        assert_eq!(undated(model), name, "{model}");
    }
}

#[derive(Deserialize)]
struct Case {
    vendor: String,
    model: String,
    tokens: BTreeMap<String, u64>,
    usd: String,
}

/// A decimal of USD in nano-dollars and whether there is more behind them.
fn nanos(usd: &str) -> (i64, bool) {
    let (whole, fraction) = usd.split_once('.').unwrap_or((usd, ""));
    let (kept, rest) = fraction.split_at(fraction.len().min(9));
    (format!("{whole}{kept:0<9}").parse().unwrap(), !rest.is_empty())
}

/// The costs are what another implementation computes from the same price pages; they agree to the last nano-dollar, where ours
/// is the next whole one.
#[test]
fn costs_are_those_that_genai_prices_computes() {
    #[derive(Deserialize)]
    struct Costs {
        costs: Vec<Case>,
    }
    let Costs { costs } = serde_json::from_str(include_str!("../../catalogue/costs.json")).unwrap();
    let read = listings();
    let today = time("2026-11-25T12:00:00Z");
    let mut tiered = 0;
    for Case { vendor, model, tokens, usd } in &costs {
        let listing = read.iter().find(|one| one.vendor == *vendor && one.model == *model && one.holds_at(today)).unwrap();
        let count = |name: &str| tokens.get(name).copied().unwrap_or(0);
        let buckets = TokenBuckets {
            input: count("input"),
            cached_input: count("cached_input"),
            cache_write: count("cache_write"),
            output: count("output"),
            reasoning: count("reasoning"),
            cache_write_1h: count("cache_write_1h"),
            input_audio: count("input_audio"),
            cached_audio: count("cached_audio"),
            output_audio: count("output_audio"),
            input_image: count("input_image"),
            cached_image: count("cached_image"),
            output_image: count("output_image"),
        };
        assert_eq!(buckets.all_input() + buckets.all_output(), tokens.values().sum::<u64>(), "a bucket in {tokens:?} has no place");
        let (expected, more) = nanos(usd);
        assert_eq!(listing.prices.cost(&buckets).nanos(), expected + i64::from(more), "{vendor}/{model} {tokens:?}");
        tiered += usize::from(listing.prices.rates_for(buckets.all_input()) != &listing.prices.rates);
    }
    assert!(costs.len() > 500 && tiered > 50, "{} costs, {tiered} of them in a long context", costs.len());
}

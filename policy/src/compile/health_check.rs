//! Checks that workers make of providers by themselves: how often, for how long, and nothing that is answered by a model.

use super::Rejections;
use crate::bundle::v1;
use crate::catalogue::Vendor;
use crate::source::{HealthCheck, Provider};

/// An hour; whoever wants to know less often wants to know nothing.
const LONGEST_INTERVAL: u32 = 3_600;
/// A minute.
const LONGEST_TIMEOUT_MS: u32 = 60_000;
/// Longer than any list of models needs.
const LONGEST_PATH: usize = 512;

/// What a path ends with behind which a model works, or something is made that costs.
const SPENDING: [&str; 17] = [
    "completions",
    "responses",
    "embeddings",
    "messages",
    "count_tokens",
    "generations",
    "edits",
    "variations",
    "speech",
    "transcriptions",
    "translations",
    "moderations",
    "rerank",
    "invoke",
    "invoke-with-response-stream",
    "converse",
    "converse-stream",
];

/// The check of `provider`, where it has one.
pub(super) fn compile_health_check(
    provider: &Provider,
    vendor: Option<&Vendor>,
    base_url: Option<&str>,
    rejections: &mut Rejections,
) -> Option<v1::HealthCheck> {
    let HealthCheck { interval_seconds, timeout_ms, path } = provider.health_check.as_ref()?;
    let mut reject = |field: &str, message: String| rejections.add("provider", &provider.name, format!("health_check{field}"), message);
    if vendor.is_some_and(|vendor| vendor.name == "simulated") {
        reject("", "a `simulated` provider is a part of the worker and always there; leave it out".to_owned());
    }
    if !(1..=LONGEST_INTERVAL).contains(interval_seconds) {
        reject(".interval_seconds", format!("must be 1 to {LONGEST_INTERVAL} seconds"));
    }
    if !(1..=LONGEST_TIMEOUT_MS).contains(timeout_ms) {
        reject(".timeout_ms", format!("must be 1 to {LONGEST_TIMEOUT_MS} milliseconds"));
    }
    let path = match path {
        Some(path) => {
            if let Some(message) = refusal(path) {
                reject(".path", message);
            }
            path.clone()
        }
        None => {
            let default = vendor.zip(base_url).and_then(|(vendor, base_url)| vendor.models_path(base_url));
            if vendor.is_some_and(|vendor| vendor.name == "bedrock") {
                reject(".path", "the address of a `bedrock` provider lists no models; name a path, such as `/async-invoke`".to_owned());
            }
            default.unwrap_or_default()
        }
    };
    Some(v1::HealthCheck { interval_seconds: *interval_seconds, timeout_ms: *timeout_ms, path })
}

/// Why a path is not asked for.
fn refusal(path: &str) -> Option<String> {
    let (place, _) = path.split_once('?').unwrap_or((path, ""));
    if !path.starts_with('/') || path.len() > LONGEST_PATH || path.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'#') {
        return Some(format!("must be a path below `base_url`, such as `/models`, of at most {LONGEST_PATH} bytes"));
    }
    if place.split('/').any(|segment| matches!(segment, "." | "..") || segment.contains('%')) {
        return Some("must be a plain path, without `.`, `..` and `%`".to_owned());
    }
    let last = place.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let spends = last.contains(':') || SPENDING.iter().any(|word| last.eq_ignore_ascii_case(word));
    spends.then(|| format!("`{place}` is where a model is asked, which costs; name one that only reads, such as `/models`"))
}

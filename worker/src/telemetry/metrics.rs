//! The worker's metrics, all of them in one table.
//!
//! Counters that every request touches are resolved once, at start; the rest are looked up when the rare thing happens.

use std::sync::atomic::Ordering;
use std::time::Duration;

use policy::price::TokenBuckets;
use prometheus::core::Collector;
use prometheus::{Encoder as _, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::health::{BreakerFigures, Standing};
use crate::spool::SpoolFigures;

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    requests_ok: IntCounter,
    duration: Histogram,
    first_byte: Histogram,
    in_flight: IntGauge,
    attempts: IntCounterVec,
    /// In the order of [`buckets`].
    tokens: [IntCounter; 12],
    cost_nano_usd: IntCounter,
    estimated: IntCounter,
    mismatches: IntCounter,
    unpriced: IntCounter,
    panics: IntCounter,
    hedges: IntCounterVec,
    guardrails: IntCounterVec,
    findings: IntCounterVec,
    connected: IntCounter,
    reused: IntCounter,
    breakers: IntGaugeVec,
    openings: IntGaugeVec,
    checks: IntCounterVec,
    revision: IntGaugeVec,
    spool: IntGaugeVec,
    leaks: IntGauge,
    untold: IntCounter,
}

const BUCKETS: [f64; 14] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0];

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When two metrics have one name, which a test would show.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let requests = counters(&registry, "modelux_requests_total", "Requests answered, by surface and status.", &["surface", "status"])?;
        let requests_ok = requests.with_label_values(&["openai_chat", "200"]);
        let tokens = counters(&registry, "modelux_tokens_total", "Tokens consumed, by disjoint bucket.", &["bucket"])?;
        let tokens = buckets(&TokenBuckets::default()).map(|(bucket, _)| tokens.with_label_values(&[bucket]));
        let connections = counters(&registry, "modelux_upstream_connections_total", "Connections to providers, new or reused.", &["kind"])?;
        let [connected, reused] = ["new", "reused"].map(|kind| connections.with_label_values(&[kind]));
        Ok(Self {
            requests_ok,
            requests,
            duration: histogram(&registry, "modelux_request_duration_seconds", "From the request's head to the end of its answer.")?,
            first_byte: histogram(&registry, "modelux_first_byte_seconds", "From the request's head to the first byte of its answer.")?,
            in_flight: add(&registry, IntGauge::new("modelux_requests_in_flight", "Requests being answered.")?)?,
            attempts: counters(&registry, "modelux_upstream_attempts_total", "Calls to providers, by outcome.", &["provider", "outcome"])?,
            tokens,
            cost_nano_usd: add(&registry, IntCounter::new("modelux_cost_nano_usd_total", "Settled cost in billionths of a dollar.")?)?,
            estimated: add(&registry, IntCounter::new("modelux_usage_estimated_total", "Exchanges settled by estimate.")?)?,
            mismatches: add(&registry, IntCounter::new("modelux_usage_mismatches_total", "Usage reports that contradict themselves.")?)?,
            unpriced: add(&registry, IntCounter::new("modelux_unpriced_total", "Calls booked at nothing because no price is known.")?)?,
            panics: add(&registry, IntCounter::new("modelux_panics_total", "Requests that ended in a bug.")?)?,
            hedges: counters(
                &registry,
                "modelux_hedges_total",
                "Attempts that were slow, by what became of the one beside them.",
                &["outcome"],
            )?,
            guardrails: counters(
                &registry,
                "modelux_guardrails_total",
                "What guardrails had to say of requests.",
                &["guardrail", "outcome"],
            )?,
            findings: counters(&registry, "modelux_findings_total", "What guardrails found in requests, by kind.", &["kind"])?,
            connected,
            reused,
            breakers: gauges(
                &registry,
                "modelux_breaker_state",
                "Targets that failed: 0 closed, 1 half-open, 2 open.",
                &["org", "target"],
            )?,
            openings: gauges(&registry, "modelux_breaker_openings", "How often a target's breaker has opened.", &["org", "target"])?,
            checks: counters(
                &registry,
                "modelux_health_checks_total",
                "Checks of providers, by outcome.",
                &["org", "provider", "outcome"],
            )?,
            revision: add(&registry, IntGaugeVec::new(Opts::new("modelux_bundle_revision", "Applied revision."), &["org"])?)?,
            spool: add(&registry, IntGaugeVec::new(Opts::new("modelux_spool", "The journal of usage events, by figure."), &["figure"])?)?,
            leaks: add(&registry, IntGauge::new("modelux_reservation_leaks", "Reservations that were dropped without an end; a defect.")?)?,
            untold: add(&registry, IntCounter::new("modelux_telemetry_dropped_total", "Exchanges whose spans had no room.")?)?,
            registry,
        })
    }

    /// The registry, for the parts of the worker that have metrics of their own.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// An exchange has begun.
    pub(crate) fn begin(&self) {
        self.in_flight.inc();
    }

    /// An exchange has ended.
    pub(crate) fn end(&self) {
        self.in_flight.dec();
    }

    /// Exchanges that have begun and not ended.
    pub(crate) fn in_flight(&self) -> u64 {
        u64::try_from(self.in_flight.get()).unwrap_or(0)
    }

    /// An answer went out.
    pub(crate) fn answered(&self, surface: &str, status: u16, took: Duration) {
        if status == 200 && surface == "openai_chat" {
            self.requests_ok.inc();
        } else {
            let digits = status.to_string();
            self.requests.with_label_values(&[surface, digits.as_str()]).inc();
        }
        self.duration.observe(took.as_secs_f64());
    }

    pub(crate) fn first_byte(&self, took: Duration) {
        self.first_byte.observe(took.as_secs_f64());
    }

    pub(crate) fn attempted(&self, provider: &str, outcome: &str) {
        self.attempts.with_label_values(&[provider, outcome]).inc();
    }

    pub(crate) fn checked(&self, org: &str, provider: &str, outcome: &str) {
        self.checks.with_label_values(&[org, provider, outcome]).inc();
    }

    pub(crate) fn hedged(&self, outcome: &str) {
        self.hedges.with_label_values(&[outcome]).inc();
    }

    pub(crate) fn connected(&self, reused: bool) {
        if reused { &self.reused } else { &self.connected }.inc();
    }

    pub(crate) fn consumed(&self, tokens: &TokenBuckets, cost: policy::money::NanoUsd, estimated: bool) {
        for ((_, count), counter) in buckets(tokens).into_iter().zip(&self.tokens) {
            if count > 0 {
                counter.inc_by(count);
            }
        }
        self.cost_nano_usd.inc_by(u64::try_from(cost.nanos()).unwrap_or(0));
        if estimated {
            self.estimated.inc();
        }
    }

    pub(crate) fn mismatched(&self) {
        self.mismatches.inc();
    }

    pub(crate) fn unpriced(&self) {
        self.unpriced.inc();
    }

    /// A guardrail had something to say.
    pub(crate) fn guarded(&self, guardrail: &str, outcome: &str, findings: &policy::guardrail::Findings) {
        self.guardrails.with_label_values(&[guardrail, outcome]).inc();
        for (kind, count) in findings.iter() {
            self.findings.with_label_values(&[kind.as_str()]).inc_by(count.into());
        }
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    /// Counts exchanges whose spans were given up.
    pub(crate) fn untold(&self) -> IntCounter {
        self.untold.clone()
    }

    /// The revision in force, for each organization.
    pub fn applied(&self, org: &str, revision: u64) {
        self.revision.with_label_values(&[org]).set(i64::try_from(revision).unwrap_or(i64::MAX));
    }

    /// How the breakers of an organization stand that have ever opened, as the scraper asks.
    pub(crate) fn breakers(&self, org: &str, breakers: &[BreakerFigures]) {
        for BreakerFigures { target, standing, openings } in breakers {
            let state = match standing {
                Standing::Closed => 0,
                Standing::HalfOpen => 1,
                Standing::Open => 2,
            };
            self.breakers.with_label_values(&[org, target]).set(state);
            self.openings.with_label_values(&[org, target]).set(i64::try_from(*openings).unwrap_or(i64::MAX));
        }
    }

    /// How the journal and the reservations stand, as the scraper asks.
    pub(crate) fn stands(&self, spool: &SpoolFigures, leaks: u64) {
        let figures = [
            ("booked", &spool.booked),
            ("repeated", &spool.repeated),
            ("refused", &spool.refused),
            ("failed_batches", &spool.failed_batches),
            ("lost", &spool.lost),
            ("unknown_outcomes", &spool.unknown_outcomes),
            ("bytes", &spool.bytes),
            ("waiting", &spool.waiting),
        ];
        for (name, figure) in figures {
            self.spool.with_label_values(&[name]).set(i64::try_from(figure.load(Ordering::Relaxed)).unwrap_or(i64::MAX));
        }
        self.leaks.set(i64::try_from(leaks).unwrap_or(i64::MAX));
    }

    /// The text that a scraper reads.
    pub(crate) fn render(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(4096);
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::warn!(%error, "metrics can't be written");
        }
        text
    }
}

/// The name of each bucket and what is in it.
const fn buckets(tokens: &TokenBuckets) -> [(&'static str, u64); 12] {
    [
        ("input", tokens.input),
        ("cached_input", tokens.cached_input),
        ("cache_write", tokens.cache_write),
        ("output", tokens.output),
        ("reasoning", tokens.reasoning),
        ("cache_write_1h", tokens.cache_write_1h),
        ("input_audio", tokens.input_audio),
        ("cached_audio", tokens.cached_audio),
        ("output_audio", tokens.output_audio),
        ("input_image", tokens.input_image),
        ("cached_image", tokens.cached_image),
        ("output_image", tokens.output_image),
    ]
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    add(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
    add(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

fn histogram(registry: &Registry, name: &str, help: &str) -> Result<Histogram, prometheus::Error> {
    add(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_own_name_and_is_rendered() {
        let metrics = Metrics::new().expect("names are unique");
        metrics.answered("openai_chat", 200, Duration::from_millis(3));
        metrics.answered("openai_chat", 402, Duration::from_millis(3));
        let text = String::from_utf8(metrics.render()).expect("text");
        assert!(text.contains("modelux_requests_total{status=\"200\",surface=\"openai_chat\"} 1"), "{text}");
        assert!(text.contains("modelux_requests_total{status=\"402\",surface=\"openai_chat\"} 1"), "{text}");
    }
}

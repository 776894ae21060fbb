//! The numbers of the control plane.

use std::time::Duration;

use http::StatusCode;
use prometheus::{Encoder as _, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};

/// Numbers of one control plane; several in one process do not mix.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    authentications: IntCounterVec,
}

impl Metrics {
    /// All at zero.
    ///
    /// # Errors
    /// When two have the same name, which only a change to the program can bring about.
    pub fn new() -> Result<Self, prometheus::Error> {
        let requests =
            IntCounterVec::new(Opts::new("modelux_api_requests_total", "Requests answered by the control plane."), &["route", "status"])?;
        let durations = HistogramVec::new(
            HistogramOpts::new("modelux_api_request_duration_seconds", "Time from a request's head to its response's head.")
                .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0]),
            &["route"],
        )?;
        let authentications =
            IntCounterVec::new(Opts::new("modelux_api_authentications_total", "Keys presented to the control plane."), &["outcome"])?;
        let registry = Registry::new();
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(authentications.clone()))?;
        Ok(Self { registry, requests, durations, authentications })
    }

    /// A request was answered.
    pub(crate) fn request(&self, route: &str, status: StatusCode, took: Duration) {
        let class = match status.as_u16() {
            100..200 => "1xx",
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        self.requests.with_label_values(&[route, class]).inc();
        // A long-poll of a worker waits on purpose.
        if route != "/internal/v1/feed" {
            self.durations.with_label_values(&[route]).observe(took.as_secs_f64());
        }
    }

    /// A key was presented.
    pub(crate) fn authentication(&self, accepted: bool) {
        self.authentications.with_label_values(&[if accepted { "accepted" } else { "refused" }]).inc();
    }

    /// The registry, for numbers of other parts.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// In the text form of Prometheus.
    ///
    /// # Errors
    /// When a number can't be written.
    pub fn to_text(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

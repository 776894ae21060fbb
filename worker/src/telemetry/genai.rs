//! The metrics that the semantic conventions for generative AI name: tokens and durations of attempts.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use super::finished::{Finished, described, error_type, totals};

/// The buckets that the conventions recommend.
const TOKENS: [f64; 14] =
    [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0, 67_108_864.0];
const SECONDS: [f64; 14] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// Instruments, fed after the fact.
pub(super) struct GenAiMetrics {
    tokens: Histogram<u64>,
    duration: Histogram<f64>,
}

impl GenAiMetrics {
    pub(super) fn new(meter: &Meter) -> Self {
        let tokens = meter.u64_histogram("gen_ai.client.token.usage").with_unit("{token}").with_boundaries(TOKENS.to_vec());
        let duration = meter.f64_histogram("gen_ai.client.operation.duration").with_unit("s").with_boundaries(SECONDS.to_vec());
        Self {
            tokens: tokens.with_description("Tokens consumed by an attempt.").build(),
            duration: duration.with_description("Time from an attempt's start to its end.").build(),
        }
    }

    /// Counts the attempts of an exchange.
    pub(super) fn record(&self, finished: &Finished) {
        for (record, traced) in finished.attempts() {
            let mut attributes = described(finished.operation(), record, traced);
            let (input, output) = totals(&traced.tokens);
            for (kind, count) in [("input", input), ("output", output)] {
                if count > 0 {
                    attributes.push(KeyValue::new("gen_ai.token.type", kind));
                    self.tokens.record(count, &attributes);
                    attributes.truncate(attributes.len().saturating_sub(1));
                }
            }
            attributes.extend(error_type(record).map(|word| KeyValue::new("error.type", word)));
            self.duration.record(std::time::Duration::from_micros(record.latency_us).as_secs_f64(), &attributes);
        }
    }
}

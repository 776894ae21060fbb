//! What this process says about itself: log lines, metrics, spans.
//!
//! Promises: no prompt, completion, key or secret in any of them; label values come from closed sets.

mod metrics;
pub(crate) mod points;
mod traces;

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

pub use metrics::Metrics;
pub use traces::flush;

use crate::config::{LogFormat, TelemetryConfig};

/// Whose spans are exported. What is logged is another question: a process that logs warnings only is traced all the same.
const TRACED: &str = "api::http";

/// Log lines go to stderr from here on, and spans to the collector where one is configured. Whoever embeds the control plane calls this
/// once, or brings a subscriber of their own.
///
/// # Errors
/// When the filter or the collector's address can't be read, or there is a subscriber already.
pub fn start_logging(config: &TelemetryConfig) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log_filter).context("`log_filter` can't be read")?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match config.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let lines = lines.with_filter(filter);
    let spans = config.otlp_endpoint.as_deref().map(traces::tracer).transpose()?;
    let spans = spans.map(|tracer| {
        let layer =
            tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false).with_tracked_inactivity(false);
        layer.with_filter(Targets::new().with_target(TRACED, LevelFilter::INFO))
    });
    tracing_subscriber::registry().with(lines).with(spans).try_init()?;
    Ok(())
}

//! What this process says about itself: log lines and metrics.
//!
//! Promises: no prompt, completion, key or secret in either; label values come from closed sets.

mod metrics;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

pub use metrics::Metrics;

use crate::config::{LogFormat, TelemetryConfig};

/// Log lines go to stderr from here on. Whoever embeds the control plane calls this once, or brings a subscriber of their own.
///
/// # Errors
/// When the filter can't be read, or there is a subscriber already.
pub fn start_logging(config: &TelemetryConfig) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log_filter)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    Ok(())
}

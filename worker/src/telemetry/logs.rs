//! Log lines, to stderr: for people, or one JSON object a line.
//!
//! Only a process of its own calls this; a worker inside another program logs as that one does.

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, WorkerConfig};

/// What is logged where nothing else is asked for.
const FILTER: &str = "info,pingora_core=error";

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
#[error("logging can't be set up")]
pub struct LogError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Starts logging for the process.
///
/// # Errors
/// When the process logs already.
pub fn start(config: &WorkerConfig) -> Result<(), LogError> {
    let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(FILTER)).with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(LogError)
}

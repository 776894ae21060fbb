//! Log lines, to stderr: for people, or one JSON object a line.
//!
//! Only a process of its own calls this; a worker inside another program logs as that one does.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::config::{LogFormat, WorkerConfig};

/// What is logged where nothing else is asked for.
const FILTER: &str = "info,pingora_core=error";

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Not the form `info,worker=debug`.
    #[error("`log_filter` can't be read")]
    Filter(#[from] ParseError),
    /// Another part of the process logs already.
    #[error("logging can't be set up")]
    Taken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Starts logging for the process.
///
/// # Errors
/// When the filter can't be read, or the process logs already.
pub fn start(config: &WorkerConfig) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(config.log_filter.as_deref().unwrap_or(FILTER))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(LogError::Taken)
}

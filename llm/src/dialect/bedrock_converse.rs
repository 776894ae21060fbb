//! Bedrock Converse: `POST /model/{id}/converse` and `converse-stream`. Providers only: no caller speaks it to us, so that nothing of our own
//! is written in it, and its streams come in frames that are taken apart before they get here.

mod usage;

pub(super) use usage::{read_event, read_usage};

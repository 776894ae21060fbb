//! The worker as its callers see it: a real process between a socket and a provider.

mod azure;
mod bad_input;
mod cascades;
mod decisions;
mod drain;
mod ensembles;
mod fallback;
mod headers;
mod keep_alive;
mod pass_through;
mod patience;
mod refusals;
mod strategies;
mod streams;
mod surfaces;
mod telemetry;
mod usage;
mod vendors;

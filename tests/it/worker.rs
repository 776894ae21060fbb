//! The worker as its callers see it: a real process between a socket and a provider.

mod azure;
mod bad_input;
mod bedrock;
mod cascades;
mod decisions;
mod drain;
mod ensembles;
mod fallback;
mod headers;
mod pass_through;
mod refusals;
mod strategies;
mod streams;
mod surfaces;
mod telemetry;
mod usage;
mod vendors;
mod vertex;

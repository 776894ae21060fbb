//! The worker as its callers see it: a real process between a socket and a provider.

mod azure;
mod bad_input;
mod bedrock;
mod cascades;
mod decisions;
mod drain;
mod encodings;
mod ensembles;
mod fallback;
mod guardrails;
mod headers;
mod hedging;
mod keep_alive;
mod pass_through;
mod patience;
mod refusals;
mod routes;
mod strategies;
mod streams;
mod surfaces;
mod telemetry;
mod token_counts;
mod usage;
mod vendors;
mod vertex;
mod webhook_guardrail;

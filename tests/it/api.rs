//! The control plane, through its interface and, where the tables themselves are the subject, its database.

mod bad_input;
mod contract;
mod mutations;
mod paging;
mod provider_health;
mod rate;
mod schema;
mod statements;
mod subscriptions;

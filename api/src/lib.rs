//! The control plane: what operators change, and what workers are told.
//!
//! The way through it: `http` takes a request and makes the [`context::OpContext`] from the key that came with it; `graphql` translates;
//! `app` does what is asked in one transaction (rows, compiled bundle, audit event, outbox); [`publish`] tells workers; [`link`] answers
//! them; [`ledger`] keeps what they spent.
//!
//! Embedding: [`ControlPlane::open`], then [`ControlPlane::bootstrap`] on a first start, then [`ControlPlane::listen`] and
//! [`Listening::serve`].

mod app;
pub mod audit;
mod authn;
pub mod authz;
pub mod bootstrap;
pub mod clock;
pub mod config;
pub mod context;
mod control_plane;
pub mod database;
mod error;
mod graphql;
mod http;
pub mod jobs;
pub mod ledger;
pub mod link;
pub mod publish;
pub mod secrets;
mod state;
mod store;
pub mod telemetry;

pub use app::OperationError;
pub use control_plane::{ControlPlane, Listening, StartError};
pub use error::{ErrorCode, chain};
pub use graphql::{check_operation, mutation_names, query_names, sdl};
pub use state::AppState;

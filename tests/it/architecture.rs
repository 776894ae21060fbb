//! How the code is laid out, held by what `cargo metadata` and the files themselves say.
//!
//! The lists here may be changed on purpose only: an edge or an exception is added together with its reason.

mod edges;
mod fuzzers;
mod sources;
mod variables;

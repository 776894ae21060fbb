//! Requests of this dialect.

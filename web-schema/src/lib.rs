//! web-schema

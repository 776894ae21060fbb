//! The interface of the control plane as others see it: its schema, the operations that our own programs use, and their types in Rust.
//!
//! Promises: `schema.graphql` is what the control plane serves (a test compares), every file in `operations/` fits it (a test checks), and
//! the types here read the answers to them.
//!
//! Leaves out: HTTP. A caller sends [`Request`] as JSON to `/graphql` with whatever client it has, and reads the body as [`Response`].

mod operation;
mod types;

pub use operation::{Operation, Refusal, Request, Response};
pub use types::{
    ApplyManifest, AuditEvent, AuditEvents, AuditParty, AuditVerification, Change, CreatedKey, ExportManifest, FieldChange, Organization,
    Outcome, PageInfo, PlanManifest, Verification, Viewer, ViewerQuery,
};

/// The schema of the control plane, in GraphQL's own language.
pub const SCHEMA: &str = include_str!("../schema.graphql");

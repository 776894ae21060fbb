//! The whole schema: nothing in it may be without a case.
//!
//! The tests here walk the schema that the running control plane publishes. A new query or mutation fails them until it has a line in
//! [`cases`], and with it every actor is tried: anonymous, another tenant, each role; every mutation is looked for in the audit chain.
//! What can't be covered is in `coverage/exceptions.txt`, a plain file that can only get shorter.

mod audit;
mod authorisation;
mod cases;
mod exceptions;
mod shape;
mod world;

//! Every test that needs more than one module: the structure of the code, the database, both planes and their journeys.
//!
//! One binary, since linking is what takes time. A test's doc comment names the requirement it proves.

mod api;
mod architecture;
mod clients;
mod coverage;
mod faults;
mod issues;
mod journeys;
mod worker;

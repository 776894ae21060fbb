//! api

pub mod clock;
pub mod database;
pub mod jobs;
pub mod ledger;
pub mod link;
pub mod publish;
pub mod secrets;

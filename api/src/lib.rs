//! api

pub mod clock;
pub mod database;
pub mod publish;
pub mod secrets;

//! Both planes together: what a platform team does, from beginning to end.

mod concurrency;
mod declared;
mod policy;
mod replay;
mod traces;
mod up;

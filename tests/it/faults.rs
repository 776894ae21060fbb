//! What must hold when a process, a connection or a message is lost.

mod control_plane;
mod messages;
mod redis;
mod workers;

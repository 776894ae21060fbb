//! What must hold when a process, a connection or a message is lost.

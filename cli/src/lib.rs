//! `modelux`, the one tool a person types.

#![expect(dead_code, reason = "the commands follow")]
mod manifest;

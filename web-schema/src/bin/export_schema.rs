//! Writes the schema of the control plane to `web-schema/schema.graphql`, below the directory it is started in.

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::fs::write("web-schema/schema.graphql", api::sdl()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            drop(writeln!(std::io::stderr(), "can't write `web-schema/schema.graphql`: {error}; start this at the root of the checkout"));
            ExitCode::FAILURE
        }
    }
}

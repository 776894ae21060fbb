//! `modelux`, the one tool a person types.
//!
//! `up` runs both planes in this process; every other command asks a control plane over its public API, or works on files alone.
//!
//! Promises: what a command answers goes to stdout, everything else to stderr; exit codes are 0 for success, 1 for an error (a wrong
//! command line included), 2 for "there are changes" of `plan`. Without a terminal there are no colours, no spinners, no questions.
//!
//! Leaves out: rules of its own. Whatever is decided here would be decided differently by the planes some day.

mod arguments;
mod audit;
mod changes;
mod config;
mod control;
mod explain;
mod export;
mod manifest;
mod output;
mod plan;
mod policy_check;
mod replay;
mod up;

use std::process::ExitCode;

use arguments::{Arguments, AuditCommand, Command, PolicyCommand};
use clap::Parser as _;

/// Runs the command that this process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return output::usage(&error),
    };
    match run(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        anyhow::bail!("TLS can't be set up");
    }
    match command {
        Command::Up(arguments) => up::up(&arguments),
        Command::Plan(arguments) => wait(plan::plan(&arguments)),
        Command::Apply(arguments) => wait(plan::apply(&arguments)),
        Command::Export(arguments) => wait(export::export(&arguments)),
        Command::Replay(arguments) => wait(replay::replay(&arguments)),
        Command::Explain(arguments) => wait(explain::explain(&arguments)),
        Command::Audit(AuditCommand::Verify(arguments)) => wait(audit::verify(&arguments)),
        Command::Policy(PolicyCommand::Check(arguments)) => Ok(policy_check::check(&arguments)),
        Command::Version => {
            output::line(concat!("modelux ", env!("CARGO_PKG_VERSION")))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs a command that waits for a control plane; one thread is plenty.
fn wait(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}

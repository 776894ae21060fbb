//! Measurements that print the project's table of figures. One program, so that it links once: the mock provider, the bare
//! proxy and the load generator are subcommands, and `run` starts them (and nginx, and the worker) as processes of their own.
//!
//! How it measures is in `README.md` beside this crate. What is measured are the built programs, through their public
//! interfaces; only the nanoseconds of a decision come from calling the worker's code.

mod accounting;
mod bare_pingora;
mod clock;
mod contestant;
mod decision;
mod dialect;
mod load;
mod mock_upstream;
mod process;
mod progress;
mod run;
mod section;
mod statistics;
mod wire;

use std::io::Write;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Measures the worker beside nginx and a bare Pingora proxy")]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure everything and print the table.
    Run(run::RunOptions),
    /// Answer as a provider would, at once.
    MockUpstream(mock_upstream::MockOptions),
    /// Proxy with Pingora and nothing else.
    BarePingora(bare_pingora::BareOptions),
    /// Time policy and budgets inside a worker's own code.
    Decision(decision::DecisionOptions),
    /// Send load and print what it found as JSON.
    Load(load::LoadOptions),
}

fn main() -> anyhow::Result<()> {
    match Program::parse().command {
        Command::Run(options) => run::run(&options),
        Command::MockUpstream(options) => mock_upstream::run(&options),
        Command::BarePingora(options) => bare_pingora::run(options),
        Command::Decision(options) => decision::run(options),
        Command::Load(options) => load::run(&options),
    }
}

/// One line on standard output.
fn print(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

//! The command line.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::up::UpArguments;

/// Governs a company's LLM traffic
#[derive(Debug, Parser)]
#[command(name = "modelux", version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run control plane and one worker, with everything they keep in one directory
    Up(UpArguments),
    /// Show what a manifest would change (exit code 0: nothing, 2: something, 1: error)
    Plan(PlanArguments),
    /// Make it what a manifest says, all or nothing
    Apply(ApplyArguments),
    /// Print what is there as a manifest
    Export(ExportArguments),
    /// Show what a manifest would have made of requests that are in the log
    Replay(ReplayArguments),
    /// Show how the decision about one request came about
    Explain(ExplainArguments),
    /// Prove the audit chain
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Work on manifests without a control plane
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Print the version
    Version,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Fetch all audit events and check that none was changed, moved or removed
    Verify(VerifyArguments),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Compile a whole manifest and print every rejection with its line
    Check(CheckArguments),
}

/// Which control plane, and who asks. Flags win over variables, variables over the file; with none, the credentials in
/// `./modelux-data` are used
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TargetArguments {
    /// Address of the control plane [env: MODELUX_URL]
    #[arg(long)]
    pub(crate) url: Option<url::Url>,
    /// Management key, `mlx_mk_…` [env: MODELUX_TOKEN]
    #[arg(long)]
    pub(crate) token: Option<String>,
    /// Data directory of `modelux up`, whose credentials.json has both [env: MODELUX_DATA_DIR]
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// TOML file with the same options as keys [env: MODELUX_CONFIG]
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
}

/// How the answer is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON object
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    /// Manifest, or a directory of manifests (*.yaml, *.yml, *.json) that are read as one
    #[arg(short, long)]
    pub(crate) file: PathBuf,
    /// Remove what the manifest does not name
    #[arg(long)]
    pub(crate) prune: bool,
    /// How the answer is printed
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) target: TargetArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArguments {
    #[command(flatten)]
    pub(crate) plan: PlanArguments,
    /// Do not ask; without a terminal nothing is asked anyway
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// How the answer is printed: a YAML manifest, or the same as JSON
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) target: TargetArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    pub(crate) plan: PlanArguments,
    /// Requests at most, the newest first
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// From this instant on, such as 2026-11-25T00:00:00Z
    #[arg(long)]
    pub(crate) from: Option<DateTime<Utc>>,
    /// Before this instant
    #[arg(long)]
    pub(crate) to: Option<DateTime<Utc>>,
    /// Requests of this project only
    #[arg(long)]
    pub(crate) project: Option<String>,
    /// Requests with this key only: its name, or PROJECT/NAME
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Requests for this model only: as it was asked for, as it answered, or PROVIDER/MODEL
    #[arg(long)]
    pub(crate) model: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// What the caller got as `X-Modelux-Request-Id`
    pub(crate) request_id: String,
    /// How the answer is printed
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) target: TargetArguments,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// How the answer is printed
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) target: TargetArguments,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Manifest, or a directory of manifests that are read as one; it has to name everything it refers to
    #[arg(short, long)]
    pub(crate) file: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}

//! `modelux policy check`: compiles a manifest without a control plane.
//!
//! Leaves out what other manifests or the console may have made: a manifest that is checked here has to name all that it refers to.

use std::process::ExitCode;

use crate::arguments::CheckArguments;
use crate::manifest::{Problem, Secrets, Source};
use crate::output;

/// Prints every problem, or that there is none.
pub(crate) fn check(arguments: &CheckArguments) -> ExitCode {
    let compiled = Source::read(&arguments.file, &Secrets::Leave).and_then(|source| source.compile().map(|bundle| (source, bundle)));
    match compiled {
        Ok((source, bundle)) => {
            let (configs, projects, budgets) = (bundle.configs.len(), bundle.projects.len(), bundle.budgets.len());
            let org = &source.manifest.org;
            let printed = output::line(format_args!(
                "{}: organization `{org}` compiles: {configs} routing configs, {projects} projects, {budgets} budgets",
                arguments.file.display()
            ));
            if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(problems) => report(&problems),
    }
}

/// Prints problems as errors.
pub(crate) fn report(problems: &[Problem]) -> ExitCode {
    for problem in problems {
        output::error(&anyhow::anyhow!("{problem}"));
    }
    ExitCode::FAILURE
}

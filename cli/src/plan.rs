//! `modelux plan` and `modelux apply`: what a manifest would change, and making it so.
//!
//! Promises: planning is the control plane's own dry run of applying, so that the two can't differ. What the control plane refuses is
//! shown at the line of the manifest that it is about.

use std::process::ExitCode;

use anyhow::Context as _;
use web_schema::{ApplyManifest, Operation, PlanManifest};

use crate::arguments::{ApplyArguments, Format, PlanArguments};
use crate::changes::{self, Outcome};
use crate::config::{self, Target};
use crate::control::{ControlError, ControlPlane, Rejection};
use crate::manifest::{Problem, Secrets, Source};
use crate::output::{self, Progress};
use crate::policy_check::report;

/// There is something to do.
const CHANGES: u8 = 2;
const UNCHANGED: &str = "No changes: everything is as the manifest says.";

/// A manifest and the control plane that it is for.
pub(crate) struct Work {
    source: Source,
    pub(crate) manifest: serde_json::Value,
    control: ControlPlane,
    prune: bool,
}

/// Why a manifest comes to nothing.
pub(crate) enum Failure {
    /// These lines are wrong.
    Manifest(Vec<Problem>),
    /// Something else.
    Other(anyhow::Error),
}

impl Work {
    /// Reads the manifest, and finds who is to be asked about it.
    pub(crate) fn prepare(arguments: &PlanArguments) -> Result<Self, Failure> {
        let source = Source::read(&arguments.file, &Secrets::Resolve(&config::variable)).map_err(Failure::Manifest)?;
        let manifest = serde_json::to_value(&source.manifest).context("the manifest can't be sent").map_err(Failure::Other)?;
        let target = Target::find(&arguments.target).map_err(|error| Failure::Other(error.into()))?;
        let control = ControlPlane::new(target).map_err(|error| Failure::Other(error.into()))?;
        Ok(Self { source, manifest, control, prune: arguments.prune })
    }

    async fn plan(&self) -> Result<Outcome, Failure> {
        let _progress = Progress::of("planning");
        let operation = PlanManifest { manifest: self.manifest.clone(), prune: self.prune };
        let answer = self.ask(&operation).await?;
        Outcome::try_from(answer.plan_manifest).map_err(Failure::Other)
    }

    async fn apply(&self) -> Result<Outcome, Failure> {
        let _progress = Progress::of("applying");
        let operation = ApplyManifest { manifest: self.manifest.clone(), prune: self.prune, idempotency_key: None };
        let answer = self.ask(&operation).await?;
        Outcome::try_from(answer.apply_manifest).map_err(Failure::Other)
    }

    /// Asks something about the manifest.
    pub(crate) async fn ask<O: Operation>(&self, operation: &O) -> Result<O::Answer, Failure> {
        self.control.ask(operation).await.map_err(|error| self.place(error))
    }

    /// Gives a refusal the lines that it is about.
    fn place(&self, error: ControlError) -> Failure {
        let ControlError::Refused(refusal) = error else { return Failure::Other(error.into()) };
        let rejections = Rejection::all_of(&refusal);
        if !rejections.is_empty() {
            let place = |one: &Rejection| self.source.problem(&one.resource, &one.name, &one.field, &one.message);
            return Failure::Manifest(rejections.iter().map(place).collect());
        }
        match refusal.field.as_deref() {
            Some(field) => Failure::Manifest(vec![self.source.problem_at(field, &refusal.message)]),
            None => Failure::Other(ControlError::Refused(refusal).into()),
        }
    }
}

/// Shows what would change.
pub(crate) async fn plan(arguments: &PlanArguments) -> anyhow::Result<ExitCode> {
    let outcome = match planned(arguments).await {
        Ok((_, outcome)) => outcome,
        Err(failure) => return fail(failure),
    };
    match arguments.output {
        Format::Json => output::line(serde_json::to_string(&outcome)?)?,
        Format::Text if outcome.changes.is_empty() => output::line(UNCHANGED)?,
        Format::Text => output::line(changes::render(&outcome.changes, console::colors_enabled()))?,
    }
    Ok(if outcome.changes.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(CHANGES) })
}

/// Makes it so.
pub(crate) async fn apply(arguments: &ApplyArguments) -> anyhow::Result<ExitCode> {
    let (work, planned) = match planned(&arguments.plan).await {
        Ok(planned) => planned,
        Err(failure) => return fail(failure),
    };
    let asks = !arguments.yes && !planned.changes.is_empty() && output::is_interactive();
    if asks {
        output::note(changes::render(&planned.changes, console::colors_enabled_stderr()));
        if !output::confirm("Make these changes?")? {
            anyhow::bail!("nothing was changed");
        }
    }
    let outcome = match work.apply().await {
        Ok(outcome) => outcome,
        Err(failure) => return fail(failure),
    };
    let shown = asks && outcome.changes == planned.changes;
    print_applied(&outcome, arguments.plan.output, shown)?;
    Ok(ExitCode::SUCCESS)
}

async fn planned(arguments: &PlanArguments) -> Result<(Work, Outcome), Failure> {
    let work = Work::prepare(arguments)?;
    let outcome = work.plan().await?;
    Ok((work, outcome))
}

/// Changes that were `shown` with the question are not shown again.
fn print_applied(outcome: &Outcome, format: Format, shown: bool) -> anyhow::Result<()> {
    if format == Format::Json {
        return Ok(output::line(serde_json::to_string(outcome)?)?);
    }
    if outcome.changes.is_empty() {
        return Ok(output::line(UNCHANGED)?);
    }
    if !shown {
        output::line(changes::render(&outcome.changes, console::colors_enabled()))?;
    }
    output::line(format_args!("Applied as revision {}.", outcome.revision))?;
    if !outcome.created_keys.is_empty() {
        output::line("New keys, shown this once:")?;
    }
    for (key, secret) in &outcome.created_keys {
        output::line(format_args!("    {key}  {secret}"))?;
    }
    Ok(())
}

/// Prints why it came to nothing.
pub(crate) fn fail(failure: Failure) -> anyhow::Result<ExitCode> {
    match failure {
        Failure::Manifest(problems) => Ok(report(&problems)),
        Failure::Other(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;

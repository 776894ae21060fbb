//! `modelux explain`: the decision about one request, from its log entry.

mod tree;

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use web_schema::Operation;

use crate::arguments::{ExplainArguments, Format};
use crate::config::Target;
use crate::control::{ControlError, ControlPlane};
use crate::output::{self, Progress};

/// One log entry, with everything that explains it.
#[derive(Serialize)]
struct Explain<'a> {
    id: &'a str,
}

impl Operation for Explain<'_> {
    const DOCUMENT: &'static str = "query explain($id: ID!) { requestLog(id: $id) {
  id time project { name } key { name } surface requestedModel model provider status errorCode stream endUser tags { name value }
  costUsd usageSource latencyMs firstByteMs attempts
  usage { inputTokens cachedInputTokens cacheWriteTokens outputTokens reasoningTokens } trace bundleRevision workerId } }";
    type Answer = ExplainAnswer;
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExplainAnswer {
    request_log: Value,
}

/// Prints the decision.
pub(crate) async fn explain(arguments: &ExplainArguments) -> anyhow::Result<ExitCode> {
    let control = ControlPlane::new(Target::find(&arguments.target)?)?;
    let progress = Progress::of("looking");
    let answer = control.ask(&Explain { id: &arguments.request_id }).await;
    drop(progress);
    let entry = match answer {
        Ok(answer) => answer.request_log,
        Err(ControlError::Refused(refusal)) if refusal.code.as_deref() == Some("NOT_FOUND") => {
            anyhow::bail!(
                "there is no log entry for request `{}`; entries appear about a second after the request ends",
                arguments.request_id
            )
        }
        Err(error) => return Err(error.into()),
    };
    match arguments.output {
        Format::Json => output::line(entry)?,
        Format::Text => output::line(tree::render(&entry, console::colors_enabled()).trim_end())?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_question_fits_the_schema() {
        let variables = serde_json::to_value(Explain { id: "req_1" }).unwrap();
        assert_eq!(api::check_operation(Explain::DOCUMENT, variables).await, Ok(()));
    }
}

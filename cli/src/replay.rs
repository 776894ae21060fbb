//! `modelux replay`: what a manifest would have made of requests that are in the log.
//!
//! The control plane decides them again, page by page; here they are gathered into groups that a person can read. Nothing is sent to any
//! provider, and nothing is changed.

mod report;

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use web_schema::Operation;

use crate::arguments::{Format, ReplayArguments};
use crate::output::{self, Progress};
use crate::plan::{Failure, Work, fail};
use report::{Page, Report};

/// Requests in one question.
const PAGE: u32 = 200;

/// One page of the log, decided again.
#[derive(Serialize)]
struct ReplayPage<'a> {
    input: Value,
    first: u32,
    after: Option<String>,
    filter: &'a Value,
}

impl Operation for ReplayPage<'_> {
    const DOCUMENT: &'static str = "query replay($input: ReplayInput!, $first: Int, $after: String, $filter: RequestLogFilter) {
  replay(input: $input, first: $first, after: $after, filter: $filter) {
    requests skipped costBeforeUsd costAfterUsd hasNextPage endCursor
    changes { id time project { name } key { name } requestedModel status model provider costUsd difference
      before { errorCode message targets abVariant rule costUsd estimated }
      after { errorCode message targets abVariant rule costUsd estimated } } } }";
    type Answer = ReplayAnswer;
}

#[derive(Deserialize)]
struct ReplayAnswer {
    replay: Page,
}

/// Prints what would be different.
pub(crate) async fn replay(arguments: &ReplayArguments) -> anyhow::Result<ExitCode> {
    let report = match gather(arguments).await {
        Ok(report) => report,
        Err(failure) => return fail(failure),
    };
    match arguments.plan.output {
        Format::Json => output::line(serde_json::to_string(&report)?)?,
        Format::Text => output::line(report.render(console::colors_enabled()).trim_end())?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn gather(arguments: &ReplayArguments) -> Result<Report, Failure> {
    let work = Work::prepare(&arguments.plan)?;
    let progress = Progress::of("deciding again");
    let filter = filter(arguments);
    let (mut report, mut after) = (Report::default(), None);
    loop {
        let first = arguments.limit.saturating_sub(report.examined()).min(PAGE);
        let input = json!({ "manifest": work.manifest, "prune": arguments.plan.prune });
        let page = work.ask(&ReplayPage { input, first, after, filter: &filter }).await?.replay;
        (after, report) = (page.end_cursor.clone(), report.with(page).map_err(Failure::Other)?);
        progress.say(format!("{} decided again", report.examined()));
        if after.is_none() || !report.has_more || report.examined() >= arguments.limit {
            return Ok(report);
        }
    }
}

/// Only what was asked for: a filter that is null is one that refuses everything.
fn filter(arguments: &ReplayArguments) -> Value {
    let instant = |at: Option<DateTime<Utc>>| at.map(|at| at.to_rfc3339());
    let ReplayArguments { from, to, key, project, model, .. } = arguments;
    let all =
        [("from", instant(*from)), ("to", instant(*to)), ("key", key.clone()), ("project", project.clone()), ("model", model.clone())];
    all.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::from(text?)))).collect::<serde_json::Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_question_fits_the_schema() {
        let filter = json!({"from": "2026-01-01T00:00:00Z", "key": "app/ci"});
        let page = ReplayPage { input: json!({"manifest": {"org": "default"}, "prune": false}), first: 5, after: None, filter: &filter };
        assert_eq!(api::check_operation(ReplayPage::DOCUMENT, serde_json::to_value(page).unwrap()).await, Ok(()));
    }
}

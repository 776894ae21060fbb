//! `modelux audit verify`: fetches every audit event and repeats every hash.
//!
//! Promises: the check is done here, with what the API shows to everybody; of the control plane's own word only the number and hash of
//! the newest event are used, without which events cut off at the end could not be noticed.

use std::process::ExitCode;

use anyhow::Context as _;
use api::audit::{ChainedEvent, verify as verify_chain};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::arguments::{Format, VerifyArguments};
use crate::config::Target;
use crate::control::ControlPlane;
use crate::output::{self, Progress};

const PAGE: u32 = 100;

const HEAD: &str = "query auditHead { viewer { organization { id slug } } auditVerification { intact events head problem } }";

const EVENTS: &str = "query auditEvents($first: Int!, $after: String) { auditEvents(first: $first, after: $after) {
  nodes { id sequence time action origin actor { kind id name } target { kind id name } ip requestId traceId diff hash previousHash }
  pageInfo { hasNextPage endCursor } } }";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadAnswer {
    viewer: Viewer,
    audit_verification: Verification,
}

#[derive(Deserialize)]
struct Viewer {
    organization: Organization,
}

#[derive(Deserialize)]
struct Organization {
    id: String,
    slug: String,
}

/// What the control plane says of itself.
#[derive(Deserialize)]
struct Verification {
    intact: bool,
    events: i64,
    head: String,
    problem: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventsAnswer {
    audit_events: Page,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    nodes: Vec<Value>,
    page_info: PageInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

/// Proves the chain, or says where it breaks.
pub(crate) async fn verify(arguments: &VerifyArguments) -> anyhow::Result<ExitCode> {
    let control = ControlPlane::new(Target::find(&arguments.target)?)?;
    let progress = Progress::of("fetching audit events");
    let head: HeadAnswer = control.ask(HEAD, json!({})).await?;
    let events = fetch_events(&control, &head.viewer.organization.id, &progress).await?;
    drop(progress);
    let outcome = judge(&events, &head.audit_verification);
    print(&head.viewer.organization.slug, &outcome, arguments.output)?;
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All events, oldest first.
async fn fetch_events(control: &ControlPlane, organization_id: &str, progress: &Progress) -> anyhow::Result<Vec<ChainedEvent>> {
    let mut events = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let answer: EventsAnswer = control.ask(EVENTS, json!({"first": PAGE, "after": after})).await?;
        for mut node in answer.audit_events.nodes {
            if let Value::Object(fields) = &mut node {
                fields.insert("organizationId".to_owned(), organization_id.into());
            }
            let event: ChainedEvent = serde_json::from_value(node).context("the control plane's audit events can't be read")?;
            events.push(event);
        }
        progress.say(format!("fetched {} audit events", events.len()));
        let PageInfo { has_next_page, end_cursor } = answer.audit_events.page_info;
        if !has_next_page || end_cursor.is_none() {
            break;
        }
        after = end_cursor;
    }
    events.reverse();
    Ok(events)
}

/// How many events hold, and the hash of the newest; or what is wrong.
fn judge(events: &[ChainedEvent], said: &Verification) -> Result<(i64, String), String> {
    let verified = verify_chain(events, None).map_err(|broken| broken.to_string())?;
    if !said.intact {
        return Err(said.problem.clone().unwrap_or_else(|| "the control plane finds its audit chain broken".to_owned()));
    }
    // Events may have been added since the head was asked for, but the one that was the newest then has to be there still.
    let newest_then = events.iter().find(|event| event.sequence == said.events);
    match newest_then {
        Some(event) if event.hash == said.head => {}
        None if said.events == 0 => {}
        Some(_) | None => {
            return Err(format!("the audit chain is broken at event {}: it is not the one that the organization's row names", said.events));
        }
    }
    Ok((verified.events, verified.head))
}

fn print(org: &str, outcome: &Result<(i64, String), String>, format: Format) -> std::io::Result<()> {
    match (outcome, format) {
        (Ok((events, head)), Format::Json) => output::line(json!({"org": org, "intact": true, "events": events, "head": head})),
        (Err(problem), Format::Json) => output::line(json!({"org": org, "intact": false, "problem": problem})),
        (Ok((events, head)), Format::Text) => {
            output::line(format_args!("The audit chain of `{org}` is intact: {events} events, newest hash {head}"))
        }
        (Err(problem), Format::Text) => {
            output::error(&anyhow::anyhow!("organization `{org}`: {problem}"));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(length: i64) -> Vec<ChainedEvent> {
        let mut events: Vec<ChainedEvent> = Vec::new();
        for sequence in 1..=length {
            let party = json!({"kind": "key", "id": "mky_1", "name": "ci"});
            let previous = events.last().map(|event| event.hash.clone()).unwrap_or_default();
            let event = json!({"id": format!("aud_{sequence}"), "organizationId": "org_1", "sequence": sequence, "time": "2026-11-22T10:00:00.000001Z",
                "action": "createProject", "origin": "cli", "actor": party, "target": party, "ip": null, "requestId": null, "traceId": null,
                "diff": [{"op": "replace", "path": "/cap_usd", "value": "2.00", "was": "1.00"}], "hash": "", "previousHash": previous});
            let mut event: ChainedEvent = serde_json::from_value(event).unwrap();
            event.hash = event.compute_hash();
            events.push(event);
        }
        events
    }

    fn said(events: &[ChainedEvent]) -> Verification {
        let newest = events.last();
        Verification {
            intact: true,
            events: newest.map_or(0, |event| event.sequence),
            head: newest.map(|event| event.hash.clone()).unwrap_or_default(),
            problem: None,
        }
    }

    #[test]
    fn an_untouched_chain_is_intact_also_when_it_grew_meanwhile() {
        let events = chain(4);
        assert_eq!(judge(&events, &said(&events[..3])).unwrap().0, 4);
        assert_eq!(judge(&[], &said(&[])).unwrap().0, 0);
    }

    #[test]
    fn a_changed_event_and_a_cut_off_end_are_found() {
        let mut events = chain(4);
        let head = said(&events);
        assert!(judge(&events[..3], &head).unwrap_err().contains("event 4"));
        events[1].diff = json!([]);
        assert!(judge(&events, &head).unwrap_err().contains("event 2"));
    }
}

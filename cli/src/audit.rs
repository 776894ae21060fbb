//! `modelux audit verify`: fetches every audit event and repeats every hash.
//!
//! Promises: the check is done here, with what the API shows to everybody; of the control plane's own word only the number and hash of
//! the newest event are used, without which events cut off at the end could not be noticed.

use std::process::ExitCode;

use api::audit::{ChainedEvent, verify as verify_chain};
use serde_json::json;
use web_schema::{AuditEvent, AuditEvents, AuditVerification, PageInfo, Verification, ViewerQuery};

use crate::arguments::{Format, VerifyArguments};
use crate::config::Target;
use crate::control::ControlPlane;
use crate::output::{self, Progress};

const PAGE: u32 = 100;

/// Proves the chain, or says where it breaks.
pub(crate) async fn verify(arguments: &VerifyArguments) -> anyhow::Result<ExitCode> {
    let control = ControlPlane::new(Target::find(&arguments.target)?)?;
    let progress = Progress::of("fetching audit events");
    let org = control.ask(&ViewerQuery::default()).await?.viewer.organization.slug;
    let said = control.ask(&AuditVerification::default()).await?.audit_verification;
    let events = fetch_events(&control, &progress).await?;
    drop(progress);
    let outcome = judge(&events, &said);
    print(&org, &outcome, arguments.output)?;
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All events, oldest first.
async fn fetch_events(control: &ControlPlane, progress: &Progress) -> anyhow::Result<Vec<ChainedEvent>> {
    let mut events = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = control.ask(&AuditEvents { first: Some(PAGE), after, filter: None }).await?.audit_events;
        for event in &page.nodes {
            events.push(chained(event)?);
        }
        progress.say(format!("fetched {} audit events", events.len()));
        let PageInfo { has_next_page, end_cursor } = page.page_info;
        if !has_next_page || end_cursor.is_none() {
            break;
        }
        after = end_cursor;
    }
    events.reverse();
    Ok(events)
}

/// An event as its hash was made: both types have the same form on the wire.
fn chained(event: &AuditEvent) -> serde_json::Result<ChainedEvent> {
    serde_json::from_value(serde_json::to_value(event)?)
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

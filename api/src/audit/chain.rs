//! The hash chain: what is hashed, and how a chain is checked.
//!
//! `hash = SHA-256(previous_hash ‖ canonical JSON of the event)`, lower-case hex, where the event has every field but `hash` and
//! `previous_hash`, keys in order, no spaces, times in RFC 3339 with microseconds. Anybody who has the events can repeat it.

use chrono::{DateTime, SecondsFormat, Utc};
use entity::audit_event;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::origin_name;

/// An event with all that its hash covers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainedEvent {
    /// `aud_…`
    pub id: String,
    /// `org_…`
    pub organization_id: String,
    /// Counts from 1.
    pub sequence: i64,
    /// When.
    pub time: DateTime<Utc>,
    /// Name of the mutation.
    pub action: String,
    /// Through what.
    pub origin: String,
    /// Who: kind, id, name.
    pub actor: ChainedParty,
    /// What: kind, id, name.
    pub target: ChainedParty,
    /// From where.
    pub ip: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// In which trace.
    pub trace_id: Option<String>,
    /// RFC 6902 with `was`.
    pub diff: Value,
    /// Of this event.
    pub hash: String,
    /// Of the one before.
    pub previous_hash: String,
}

/// Kind, id and name of an actor or target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainedParty {
    /// What kind.
    pub kind: String,
    /// Which one.
    pub id: String,
    /// What it was called.
    pub name: String,
}

/// A chain that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many events.
    pub events: i64,
    /// Hash of the newest; empty without events.
    pub head: String,
}

/// Where a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the audit chain is broken at event {sequence}: {reason}")]
pub struct Broken {
    /// Number of the event.
    pub sequence: i64,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl ChainedEvent {
    /// The hash that the event should have.
    #[must_use]
    pub fn compute_hash(&self) -> String {
        let party = |party: &ChainedParty| json!({"kind": party.kind, "id": party.id, "name": party.name});
        let document = json!({
            "id": self.id,
            "organization_id": self.organization_id,
            "sequence": self.sequence,
            "time": self.time.to_rfc3339_opts(SecondsFormat::Micros, true),
            "action": self.action,
            "origin": self.origin,
            "actor": party(&self.actor),
            "target": party(&self.target),
            "ip": self.ip,
            "request_id": self.request_id,
            "trace_id": self.trace_id,
            "diff": self.diff,
        });
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        context.update(self.previous_hash.as_bytes());
        context.update(canonical(&document).as_bytes());
        context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl From<&audit_event::Model> for ChainedEvent {
    fn from(row: &audit_event::Model) -> Self {
        let audit_event::Model {
            id,
            org_id,
            sequence,
            time,
            action,
            origin,
            actor_kind,
            actor_id,
            actor_name,
            target_kind,
            target_id,
            target_name,
            ip,
            request_id,
            trace_id,
            diff,
            hash,
            previous_hash,
        } = row.clone();
        Self {
            id,
            organization_id: org_id,
            sequence,
            time,
            action,
            origin: origin_name(origin).to_owned(),
            actor: ChainedParty { kind: actor_kind, id: actor_id, name: actor_name },
            target: ChainedParty { kind: target_kind, id: target_id, name: target_name },
            ip,
            request_id,
            trace_id,
            diff,
            hash,
            previous_hash,
        }
    }
}

/// Checks events in the order of their numbers, from the first to the newest. `head` is what the organization's row says of the newest
/// (number and hash), where it is known: without it, events cut off at the end can't be noticed.
///
/// # Errors
/// The first event that does not hold.
pub fn verify<'e>(events: impl IntoIterator<Item = &'e ChainedEvent>, head: Option<(i64, &str)>) -> Result<Verified, Broken> {
    let mut verified = Verified { events: 0, head: String::new() };
    for event in events {
        let sequence = verified.events.saturating_add(1);
        let broken = |reason| Broken { sequence, reason };
        if event.sequence != sequence {
            return Err(broken("it is missing"));
        }
        if event.previous_hash != verified.head {
            return Err(broken("it does not follow the one before it"));
        }
        if event.compute_hash() != event.hash {
            return Err(broken("its content was changed"));
        }
        verified = Verified { events: sequence, head: event.hash.clone() };
    }
    match head {
        Some((sequence, _)) if sequence != verified.events => {
            Err(Broken { sequence: verified.events.saturating_add(1), reason: "it is missing" })
        }
        Some((sequence, hash)) if hash != verified.head => {
            Err(Broken { sequence, reason: "the organization's row has another hash for it" })
        }
        _ => Ok(verified),
    }
}

/// JSON with keys in order and no spaces. Not left to the map of `serde_json`, whose order is a feature flag.
pub(crate) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort();
            let members = keys.into_iter().filter_map(|key| Some(format!("{}:{}", Value::from(key.as_str()), canonical(fields.get(key)?))));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(length: i64) -> Vec<ChainedEvent> {
        let mut events: Vec<ChainedEvent> = Vec::new();
        for sequence in 1..=length {
            let party = ChainedParty { kind: "key".to_owned(), id: "mky_1".to_owned(), name: "ci".to_owned() };
            let mut event = ChainedEvent {
                id: format!("aud_{sequence}"),
                organization_id: "org_1".to_owned(),
                sequence,
                time: DateTime::UNIX_EPOCH,
                action: "createProject".to_owned(),
                origin: "api".to_owned(),
                actor: party.clone(),
                target: party,
                ip: None,
                request_id: None,
                trace_id: None,
                diff: json!([{"op": "add", "path": "", "value": {"b": 1, "a": [true, null]}}]),
                hash: String::new(),
                previous_hash: events.last().map(|event| event.hash.clone()).unwrap_or_default(),
            };
            event.hash = event.compute_hash();
            events.push(event);
        }
        events
    }

    #[test]
    fn an_untouched_chain_holds() {
        let events = chain(3);
        assert_eq!(verify(&events, Some((3, &events[2].hash))).unwrap().events, 3);
        assert_eq!(verify(&[], Some((0, ""))).unwrap().events, 0);
    }

    #[test]
    fn a_changed_event_is_found_also_when_its_hash_was_made_anew() {
        let mut events = chain(3);
        events[1].diff = json!([]);
        assert_eq!(verify(&events, None).unwrap_err(), Broken { sequence: 2, reason: "its content was changed" });
        events[1].hash = events[1].compute_hash();
        assert_eq!(verify(&events, None).unwrap_err().sequence, 3);
    }

    #[test]
    fn a_removed_event_is_found_in_the_middle_and_at_the_end() {
        let whole = chain(3);
        let head = Some((3, whole[2].hash.as_str()));
        let without_second = [whole[0].clone(), whole[2].clone()];
        assert_eq!(verify(&without_second, head).unwrap_err().sequence, 2);
        assert_eq!(verify(&whole[..2], head).unwrap_err().sequence, 3);
    }

    #[test]
    fn the_order_of_keys_does_not_matter() {
        let one: Value = serde_json::from_str(r#"{"b":{"y":1,"x":2},"a":0.8}"#).unwrap();
        assert_eq!(canonical(&one), r#"{"a":0.8,"b":{"x":2,"y":1}}"#);
    }
}

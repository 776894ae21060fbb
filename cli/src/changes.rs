//! What a manifest changes: as the control plane says it, as a table for people, as JSON for scripts.

use std::collections::BTreeMap;

use console::Style;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longer values are cut in the table; JSON has them whole.
const LONGEST_VALUE: usize = 120;

/// What is done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// Made.
    Create,
    /// Changed.
    Update,
    /// Removed.
    Delete,
}

/// One resource that changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// What is done to it.
    pub(crate) action: Action,
    /// Kind of resource.
    pub(crate) resource: String,
    /// Its name, with the project before it where it is in one.
    pub(crate) name: String,
    /// What differs, for an update.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fields: Vec<FieldChange>,
}

/// One field of an update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FieldChange {
    /// Path inside of the resource.
    pub(crate) field: String,
    /// Old value; null where there was none.
    pub(crate) before: Value,
    /// New value; null where it is gone.
    pub(crate) after: Value,
}

/// The outcome of a plan or of an apply.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Outcome {
    /// In order.
    pub(crate) changes: Vec<Change>,
    /// The bundle in force: after an apply the new one, for a plan the one it was compared with.
    pub(crate) revision: i64,
    /// Secrets of new keys, by `project/key`; shown once.
    pub(crate) created_keys: BTreeMap<String, String>,
}

impl TryFrom<web_schema::Outcome> for Outcome {
    type Error = anyhow::Error;

    fn try_from(outcome: web_schema::Outcome) -> anyhow::Result<Self> {
        let web_schema::Outcome { changes, created_keys, revision } = outcome;
        let changes = changes.into_iter().map(Change::try_from).collect::<anyhow::Result<_>>()?;
        let created_keys = created_keys.into_iter().map(|web_schema::CreatedKey { key, secret }| (key, secret)).collect();
        Ok(Self { changes, revision, created_keys })
    }
}

impl TryFrom<web_schema::Change> for Change {
    type Error = anyhow::Error;

    fn try_from(change: web_schema::Change) -> anyhow::Result<Self> {
        let web_schema::Change { action, resource, name, fields } = change;
        let action = match action.as_str() {
            "create" => Action::Create,
            "update" => Action::Update,
            "delete" => Action::Delete,
            other => anyhow::bail!("the control plane speaks of a change `{other}`, which this version does not know"),
        };
        let field = |web_schema::FieldChange { field, before, after }| FieldChange { field, before, after };
        Ok(Self { action, resource, name, fields: fields.into_iter().map(field).collect() })
    }
}

/// The changes as a table, and a line that counts them.
pub(crate) fn render(changes: &[Change], coloured: bool) -> String {
    let mut text = String::new();
    for change in changes {
        let Change { action, resource, name, fields } = change;
        let (sign, verb, style) = match action {
            Action::Create => ('+', "create", Style::new().green()),
            Action::Update => ('~', "update", Style::new().yellow()),
            Action::Delete => ('-', "delete", Style::new().red()),
        };
        let style = style.force_styling(coloured);
        text.push_str(&format!("{} {} `{name}`\n", style.apply_to(format!("{sign} {verb}")), resource.replace('_', " ")));
        let width = fields.iter().map(|field| field.field.chars().count()).max().unwrap_or(0);
        for FieldChange { field, before, after } in fields {
            let field = field.replace('/', ".");
            text.push_str(&format!("    {field:width$}  {} → {}\n", show(before), show(after)));
        }
    }
    text.push_str(&count(changes));
    text
}

/// `2 to create, 1 to update, 0 to delete`
pub(crate) fn count(changes: &[Change]) -> String {
    let of = |action| changes.iter().filter(|change| change.action == action).count();
    format!("{} to create, {} to update, {} to delete", of(Action::Create), of(Action::Update), of(Action::Delete))
}

fn show(value: &Value) -> String {
    let text = match value {
        Value::Null => "—".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST_VALUE {
        return text;
    }
    let mut cut: String = text.chars().take(LONGEST_VALUE).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changes() -> Vec<Change> {
        serde_json::from_value(json!([
            {"action": "create", "resource": "routing_config", "name": "support/cheap"},
            {"action": "update", "resource": "budget", "name": "monthly", "fields": [
                {"field": "cap_usd", "before": "100.00", "after": "250.00"},
                {"field": "at_cap/downgrade", "before": null, "after": "@cheap"}]},
            {"action": "delete", "resource": "proxy_key", "name": "support/old"},
        ]))
        .unwrap()
    }

    #[test]
    fn changes_read_as_a_table() {
        let expected = "\
+ create routing config `support/cheap`
~ update budget `monthly`
    cap_usd           100.00 → 250.00
    at_cap.downgrade  — → @cheap
- delete proxy key `support/old`
1 to create, 1 to update, 1 to delete";
        assert_eq!(render(&changes(), false), expected);
    }

    #[test]
    fn colours_are_there_when_wanted() {
        let text = render(&changes(), true);
        assert!(text.contains("\u{1b}[32m+ create\u{1b}[0m"), "{text:?}");
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(show(&json!("ä".repeat(500))).chars().count(), LONGEST_VALUE + 1);
    }

    #[test]
    fn the_outcome_has_the_shape_of_the_contract() {
        let created_keys = BTreeMap::from([("support/ci".to_owned(), "mlx_sk_x".to_owned())]);
        let outcome = serde_json::to_value(Outcome { changes: changes(), revision: 7, created_keys }).unwrap();
        assert_eq!(outcome["revision"], 7);
        assert_eq!(outcome["created_keys"]["support/ci"], "mlx_sk_x");
        assert_eq!(outcome["changes"][2], json!({"action": "delete", "resource": "proxy_key", "name": "support/old"}));
    }
}

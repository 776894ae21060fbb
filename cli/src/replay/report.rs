//! Requests that were decided again, gathered: totals, and alike changes as one line each.

use console::{Style, measure_text_width, pad_str};
use policy::money::{NanoUsd, Usd};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longer cells are cut in the table; JSON has them whole.
const LONGEST_CELL: usize = 48;

/// A page as the control plane answers it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    requests: u32,
    skipped: u32,
    cost_before_usd: String,
    cost_after_usd: String,
    changes: Vec<Value>,
    has_next_page: bool,
    pub(super) end_cursor: Option<String>,
}

/// All pages.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Requests that were decided again.
    requests: u32,
    /// Requests of which too little was recorded.
    skipped: u32,
    /// Whether the log has older requests that were not looked at.
    pub(super) has_more: bool,
    denied: u32,
    permitted: u32,
    rerouted: u32,
    repriced: u32,
    cost_before_usd: Usd,
    cost_after_usd: Usd,
    groups: Vec<Group>,
    /// Each request that would be different.
    changes: Vec<Value>,
}

/// Changes that are alike.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Group {
    difference: String,
    /// `project/key`
    key: String,
    requested_model: String,
    before: String,
    after: String,
    requests: u32,
    cost_before_usd: Usd,
    cost_after_usd: Usd,
    /// The newest one, for `modelux explain`.
    sample: String,
}

impl Report {
    /// How many log entries were looked at.
    pub(super) const fn examined(&self) -> u32 {
        self.requests.saturating_add(self.skipped)
    }

    /// With one page more.
    pub(super) fn with(mut self, page: Page) -> anyhow::Result<Self> {
        let Page { requests, skipped, cost_before_usd, cost_after_usd, changes, has_next_page, end_cursor: _ } = page;
        self.requests = self.requests.saturating_add(requests);
        self.skipped = self.skipped.saturating_add(skipped);
        self.has_more = has_next_page;
        add(&mut self.cost_before_usd, cost_before_usd.parse()?);
        add(&mut self.cost_after_usd, cost_after_usd.parse()?);
        for change in changes {
            self.count(&change)?;
            self.changes.push(change);
        }
        Ok(self)
    }

    fn count(&mut self, change: &Value) -> anyhow::Result<()> {
        let text = |path: &str| change.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let group = Group {
            difference: text("/difference"),
            key: format!("{}/{}", text("/project/name"), text("/key/name")),
            requested_model: text("/requestedModel"),
            before: outcome(&change["before"]),
            after: outcome(&change["after"]),
            requests: 1,
            cost_before_usd: Usd(text("/before/costUsd").parse()?),
            cost_after_usd: Usd(text("/after/costUsd").parse()?),
            sample: text("/id"),
        };
        let counter = match group.difference.as_str() {
            "denied" => Some(&mut self.denied),
            "permitted" => Some(&mut self.permitted),
            "rerouted" => Some(&mut self.rerouted),
            "repriced" => Some(&mut self.repriced),
            _ => None,
        };
        if let Some(counter) = counter {
            *counter = counter.saturating_add(1);
        }
        match self.groups.iter_mut().find(|known| known.is_like(&group)) {
            Some(known) => known.add(&group),
            None => self.groups.push(group),
        }
        Ok(())
    }

    /// For people.
    pub(super) fn render(&self, coloured: bool) -> String {
        let bold = Style::new().bold().force_styling(coloured);
        let mut out = format!("{} of the log decided again", bold.apply_to(plural(self.requests, "request")));
        if self.skipped > 0 {
            out.push_str(&format!(", {} skipped (too little of them was recorded)", self.skipped));
        }
        if self.has_more {
            out.push_str("; there are older ones (--limit)");
        }
        out.push_str(&format!(
            "\n{} newly denied, {} newly permitted, {} rerouted, {} repriced\ncost {} → {} USD\n",
            self.denied, self.permitted, self.rerouted, self.repriced, self.cost_before_usd.0, self.cost_after_usd.0
        ));
        if self.groups.is_empty() {
            out.push_str("Nothing would be different.\n");
            return out;
        }
        out.push('\n');
        let mut groups: Vec<&Group> = self.groups.iter().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.requests));
        let heading = ["CHANGE", "REQUESTS", "KEY", "ASKED FOR", "BEFORE", "AFTER", "COST USD", "SAMPLE"].map(str::to_owned);
        let rows: Vec<[String; 8]> = std::iter::once(heading).chain(groups.into_iter().map(Group::cells)).collect();
        out.push_str(&table(&rows));
        out
    }
}

impl Group {
    fn is_like(&self, other: &Self) -> bool {
        (&self.difference, &self.key, &self.requested_model, &self.before, &self.after)
            == (&other.difference, &other.key, &other.requested_model, &other.before, &other.after)
    }

    fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        add(&mut self.cost_before_usd, other.cost_before_usd.0);
        add(&mut self.cost_after_usd, other.cost_after_usd.0);
    }

    fn cells(&self) -> [String; 8] {
        [
            self.difference.clone(),
            self.requests.to_string(),
            self.key.clone(),
            self.requested_model.clone(),
            self.before.clone(),
            self.after.clone(),
            format!("{} → {}", self.cost_before_usd.0, self.cost_after_usd.0),
            self.sample.clone(),
        ]
    }
}

fn add(sum: &mut Usd, amount: NanoUsd) {
    sum.0 = sum.0.saturating_add(amount);
}

/// An outcome in a few words: who is asked, or the refusal and the rule behind it.
fn outcome(outcome: &Value) -> String {
    let text = |name: &str| outcome.get(name).and_then(Value::as_str);
    let rule = text("rule").map(|rule| format!(" ({rule})")).unwrap_or_default();
    match text("errorCode") {
        Some(code) => format!("{code}{rule}"),
        None => {
            let targets = outcome.get("targets").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            format!("{}{rule}", targets.collect::<Vec<_>>().join(" + "))
        }
    }
}

fn table(rows: &[[String; 8]]) -> String {
    let mut widths = [0; 8];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = measure_text_width(cell).min(LONGEST_CELL).max(*width);
        }
    }
    let mut out = String::new();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| pad_str(cell, width, console::Alignment::Left, Some("…"))).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn plural(count: u32, noun: &str) -> String {
    if count == 1 { format!("{count} {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(id: &str, after: Value) -> Value {
        json!({"id": id, "project": {"name": "app"}, "key": {"name": "ci"}, "requestedModel": "@smart", "difference": "rerouted",
            "before": {"errorCode": null, "targets": ["openai/big"], "rule": null, "costUsd": "0.5"}, "after": after})
    }

    fn page(changes: Vec<Value>, has_next_page: bool) -> Page {
        let cost = "1.5".to_owned();
        Page { requests: 3, skipped: 1, cost_before_usd: cost.clone(), cost_after_usd: cost, changes, has_next_page, end_cursor: None }
    }

    #[test]
    fn alike_changes_of_all_pages_are_one_line() {
        let cheap = json!({"errorCode": null, "targets": ["openai/mini"], "rule": "@policy rule 2", "costUsd": "0.1"});
        let report = Report::default().with(page(vec![change("req_2", cheap.clone())], true)).unwrap();
        let report = report.with(page(vec![change("req_1", cheap)], false)).unwrap();
        assert_eq!((report.examined(), report.rerouted, report.has_more), (8, 2, false));
        let text = report.render(false);
        let expected = "\
6 requests of the log decided again, 2 skipped (too little of them was recorded)
0 newly denied, 0 newly permitted, 2 rerouted, 0 repriced
cost 3.00 → 3.00 USD

CHANGE    REQUESTS  KEY     ASKED FOR  BEFORE      AFTER                         COST USD     SAMPLE
rerouted  2         app/ci  @smart     openai/big  openai/mini (@policy rule 2)  1.00 → 0.20  req_2
";
        assert_eq!(text, expected);
    }

    #[test]
    fn nothing_different_is_said_so() {
        let report = Report::default().with(page(Vec::new(), true)).unwrap();
        let text = report.render(false);
        assert!(text.contains("Nothing would be different.") && text.contains("(--limit)"), "{text}");
    }
}

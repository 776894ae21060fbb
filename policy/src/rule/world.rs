//! Facts to try rules on: a request that says all there is to say, and one that says nothing; and an answer. For tests and fuzzers.

use chrono::DateTime;

use super::ResponseFacts;
use crate::facts::{BudgetFacts, Facts, HealthFacts, HealthView, RequestFacts, SubjectNames, Surface, Tags};
use crate::guardrail::{FindingKind, Findings};
use crate::money::NanoUsd;

/// 2026-03-01T23:30:00Z, which is another day in Berlin.
const TIME: i64 = 1_772_407_800;

/// An answer that says this.
pub(crate) fn answer_in(json: serde_json::Value) -> ResponseFacts {
    ResponseFacts {
        text: json.to_string(),
        finish_reason: "stop",
        json: Some(json),
        input_tokens: 20,
        output_tokens: 10,
        refused: false,
        tool_calls: 0,
    }
}

/// One request and what is known beside it.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) request: RequestFacts,
    pub(crate) budgets: Vec<BudgetFacts<'static>>,
    pub(crate) most_constraining: Option<usize>,
    pub(crate) owner: &'static str,
    pub(crate) estimate: NanoUsd,
    pub(crate) health: Option<HealthFacts>,
    pub(crate) time_zone: chrono_tz::Tz,
}

impl HealthView for World {
    fn health(&self, target: &str) -> Option<HealthFacts> {
        self.health.filter(|_| target == "openai/gpt-4o")
    }
}

impl World {
    /// A request of the support team with all there is to know.
    pub(crate) fn full() -> Self {
        Self {
            request: RequestFacts {
                model: "gpt-4o-mini".into(),
                surface: Surface::OpenaiChat,
                passthrough: None,
                stream: true,
                input_tokens: 1200,
                input_tokens_bound: 2400,
                kept_input: None,
                provider_tool: None,
                max_output_tokens: Some(512),
                choices: 1,
                has_tools: true,
                has_images: false,
                findings: [(FindingKind::Email, 2), (FindingKind::PrivateKey, 1)].into_iter().collect(),
                time: DateTime::from_timestamp_nanos(TIME.saturating_mul(1_000_000_000)),
                peer: std::net::Ipv4Addr::LOCALHOST.into(),
                client: Some("claude-cli".into()),
                end_user: Some("u-7".into()),
                tags: [("team", "support"), ("priority", "3")].into_iter().collect(),
                trace_id: None,
                conversation_id: None,
                draw: 0,
            },
            budgets: vec![
                BudgetFacts { name: "org", used: NanoUsd::from_usd(10), cap: NanoUsd::from_usd(1000) },
                BudgetFacts { name: "support-monthly", used: NanoUsd::from_usd(92), cap: NanoUsd::from_usd(100) },
            ],
            most_constraining: Some(1),
            owner: "ann@example.com",
            estimate: NanoUsd::from_nanos(2_500_000),
            health: Some(HealthFacts { p50_ms: 840.5, ok: false, stale: false }),
            time_zone: chrono_tz::Europe::Berlin,
        }
    }

    /// A request that says as little as a request can.
    pub(crate) fn bare() -> Self {
        let mut world = Self::full();
        world.request.tags = Tags::default();
        world.request.findings = Findings::default();
        world.request.max_output_tokens = None;
        world.request.client = None;
        world.request.end_user = None;
        world.budgets.clear();
        world.most_constraining = None;
        world.owner = "";
        world.estimate = NanoUsd::ZERO;
        world.health = None;
        world.time_zone = chrono_tz::UTC;
        world
    }

    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts {
            request: &self.request,
            subject: SubjectNames { key: "ci", owner: self.owner, project: "support", org: "default" },
            budgets: &self.budgets,
            most_constraining: self.most_constraining,
            estimate: self.estimate,
            health: self,
            time_zone: self.time_zone,
        }
    }
}

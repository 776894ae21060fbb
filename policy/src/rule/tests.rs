//! Tests of the rule language. This file holds the facts they run against; the rooms hold the sentences.

mod agreement;
mod answers;
mod bounds;
mod meaning;
mod refusals;

use chrono::{DateTime, Utc};

use super::{Rule, RuleError, RuleKind, Verdict};
use crate::facts::{BudgetFacts, Facts, HealthFacts, HealthView, RequestFacts, SubjectNames, Surface, Tags};
use crate::guardrail::{FindingKind, Findings};
use crate::money::NanoUsd;

/// One request and what is known beside it.
#[derive(Debug, Clone)]
struct World {
    request: RequestFacts,
    budgets: Vec<BudgetFacts<'static>>,
    most_constraining: Option<usize>,
    owner: &'static str,
    estimate: NanoUsd,
    health: Option<HealthFacts>,
    time_zone: chrono_tz::Tz,
}

impl HealthView for World {
    fn health(&self, target: &str) -> Option<HealthFacts> {
        self.health.filter(|_| target == "openai/gpt-4o")
    }
}

impl World {
    /// A request of the support team with all there is to know.
    fn full() -> Self {
        let time: DateTime<Utc> = "2026-03-01T23:30:00Z".parse().unwrap();
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
                time,
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
    fn bare() -> Self {
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

    fn facts(&self) -> Facts<'_> {
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

    fn ask(&self, source: &str) -> Verdict {
        let rule = Rule::compile(source, RuleKind::Routes).unwrap_or_else(|error| panic!("`{source}`: {error}"));
        rule.holds(&self.facts())
    }
}

fn refused(source: &str) -> RuleError {
    match Rule::compile(source, RuleKind::Routes) {
        Ok(_) => panic!("`{}` was accepted", source.chars().take(200).collect::<String>()),
        Err(error) => error,
    }
}

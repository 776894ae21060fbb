//! What the engine and the rules may know about one request.
//!
//! The worker fills these in once a request: [`RequestFacts`] from the wire, [`Subject`] from the bundle's key table. [`Facts`]
//! binds both to what is known of money and health at that instant, and is all that a rule can see. Nothing here does I/O or
//! reads a clock: the time of the request is a fact like the others.
//!
//! Left out: prompts and completions. A rule can't see them, so a trace can't leak them.

mod passthrough;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::guardrail::Findings;
use crate::money::NanoUsd;

pub use passthrough::{Passthrough, Spends};

/// The inbound wire format, named as rules and logs name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Surface {
    /// OpenAI chat completions.
    #[n(0)]
    OpenaiChat,
    /// OpenAI responses.
    #[n(1)]
    OpenaiResponses,
    /// OpenAI embeddings.
    #[n(2)]
    OpenaiEmbeddings,
    /// Anthropic messages.
    #[n(3)]
    AnthropicMessages,
    /// Gemini generateContent and its siblings.
    #[n(4)]
    Gemini,
    /// A same-vendor route that is governed but not modelled.
    #[n(5)]
    Passthrough,
}

impl Surface {
    /// The name used in rules, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai_chat",
            Self::OpenaiResponses => "openai_responses",
            Self::OpenaiEmbeddings => "openai_embeddings",
            Self::AnthropicMessages => "anthropic_messages",
            Self::Gemini => "gemini",
            Self::Passthrough => "passthrough",
        }
    }
}

/// Tags of one request or of a bound resource: few, so a sorted list beats a map.
///
/// Invariant: sorted by name, names unique. Serialised as a JSON object of strings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags(SmallVec<[(Arc<str>, Arc<str>); 4]>);

impl Tags {
    /// The value of `name`, if the request carries it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(have, _)| have.as_ref().cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| value.as_ref())
    }

    /// Sets `name` to `value`, replacing what was there; answers the value replaced.
    pub fn set(&mut self, name: Arc<str>, value: Arc<str>) -> Option<Arc<str>> {
        match self.0.binary_search_by(|(have, _)| have.as_ref().cmp(name.as_ref())) {
            Ok(at) => self.0.get_mut(at).map(|slot| std::mem::replace(&mut slot.1, value)),
            Err(at) => {
                self.0.insert(at, (name, value));
                None
            }
        }
    }

    /// All tags in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// How many tags there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<Arc<str>>, V: Into<Arc<str>>> FromIterator<(N, V)> for Tags {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(pairs: T) -> Self {
        let mut tags = Self::default();
        for (name, value) in pairs {
            tags.set(name.into(), value.into());
        }
        tags
    }
}

impl Serialize for Tags {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<C> Encode<C> for Tags {
    fn encode<W: minicbor::encode::Write>(&self, e: &mut minicbor::Encoder<W>, _: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.map(u64::try_from(self.len()).unwrap_or(u64::MAX))?;
        for (name, value) in self.iter() {
            e.str(name)?.str(value)?;
        }
        Ok(())
    }
}

impl<C> Decode<'_, C> for Tags {
    fn decode(d: &mut minicbor::Decoder<'_>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.map_iter::<&str, &str>()?.collect()
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = indexmap::IndexMap::<Arc<str>, Arc<str>>::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}

/// What a request asks for, as read from the wire. Lengths are in tokens unless the name says otherwise.
#[derive(Debug, Clone)]
pub struct RequestFacts {
    /// The `model` field exactly as the caller wrote it; empty where it names none, which only what is passed through may.
    pub model: Arc<str>,
    /// Which wire format the caller speaks.
    pub surface: Surface,
    /// What is asked for instead of an answer, on surface `passthrough`; absent on every other.
    pub passthrough: Option<Passthrough>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// Likely input tokens, from lengths; for rules and cost display.
    pub input_tokens: u64,
    /// No tokenizer can count more input tokens than this; for reservations.
    pub input_tokens_bound: u64,
    /// What makes the provider put more into the prompt than the bound knows (`previous_response_id`, a file): the whole context at most.
    pub kept_input: Option<&'static str>,
    /// A tool that the provider runs by itself, as often as its model likes (`web_search`): no bound holds where it does.
    pub provider_tool: Option<Arc<str>>,
    /// `max_tokens` or its successor, where the caller set it.
    pub max_output_tokens: Option<u64>,
    /// How many answers were asked for (`n`); at least 1.
    pub choices: u32,
    /// Whether tools are declared.
    pub has_tools: bool,
    /// Whether an image is attached.
    pub has_images: bool,
    /// What the guardrails of its project found in it, where they look and act.
    pub findings: Findings,
    /// When the request arrived.
    pub time: DateTime<Utc>,
    /// Address of the caller.
    pub peer: std::net::IpAddr,
    /// The client program (`User-Agent` product), if it said so.
    pub client: Option<Arc<str>>,
    /// End user, if named.
    pub end_user: Option<Arc<str>>,
    /// Tags after precedence was applied: key, then project, then body, then header.
    pub tags: Tags,
    /// Agent run.
    pub trace_id: Option<Arc<str>>,
    /// Thread.
    pub conversation_id: Option<Arc<str>>,
    /// Spread evenly and the request's own: all that a decision leaves to chance hangs on it, so that it can be made again.
    pub draw: u64,
}

/// On whose behalf a request flows; made by the worker's identity stage.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Index into the bundle's keys.
    pub key: u32,
    /// Index into the bundle's projects.
    pub project: u32,
}

/// The names a rule can ask of the subject.
#[derive(Debug, Clone, Copy)]
pub struct SubjectNames<'a> {
    /// `key.name`
    pub key: &'a str,
    /// `key.owner`; empty where the key has none
    pub owner: &'a str,
    /// `project` and `key.project`
    pub project: &'a str,
    /// `org` (its slug)
    pub org: &'a str,
}

/// One budget as a rule sees it (`budget`, `budgets["name"]`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetFacts<'a> {
    /// The budget's name.
    pub name: &'a str,
    /// Settled and reserved, over all workers as last known.
    pub used: NanoUsd,
    /// The cap of the period.
    pub cap: NanoUsd,
}

impl BudgetFacts<'_> {
    /// What is left, never below zero.
    #[must_use]
    pub fn remaining(&self) -> NanoUsd {
        self.cap.saturating_sub(self.used).max(NanoUsd::ZERO)
    }

    /// Used share of the cap as a fraction for rules (0.9 = 90 %). A cap of zero is used up. Never used in arithmetic on money.
    #[must_use]
    #[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "a ratio for rules and display; no money is computed from it")]
    pub fn used_pct(&self) -> f64 {
        if self.cap.nanos() <= 0 {
            return 1.0;
        }
        self.used.nanos() as f64 / self.cap.nanos() as f64
    }
}

/// Live health of one `provider/model`, as the worker measured it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HealthFacts {
    /// Median latency of recent successes in milliseconds.
    pub p50_ms: f64,
    /// Whether the target is considered usable.
    pub ok: bool,
    /// Nothing has succeeded for so long that `p50_ms` may not hold any more.
    pub stale: bool,
}

impl HealthFacts {
    /// The median latency to the nearest millisecond.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a latency is not negative; a cast of a float saturates")]
    pub fn whole_ms(&self) -> u64 {
        self.p50_ms.round() as u64
    }
}

/// Where `health["provider/model"]` is answered from.
pub trait HealthView {
    /// Health of `target` (`provider/model`), or `None` when nothing was measured (then `.ok` is true and `.p50_ms` is 0).
    fn health(&self, target: &str) -> Option<HealthFacts>;
}

/// Everything a rule can see, borrowed for one evaluation.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The request as read.
    pub request: &'a RequestFacts,
    /// Names of key, project and organization.
    pub subject: SubjectNames<'a>,
    /// Every applicable budget; empty where none applies.
    pub budgets: &'a [BudgetFacts<'a>],
    /// Index of the most constraining one in `budgets`.
    pub most_constraining: Option<usize>,
    /// Expected cost of the request as asked, zero while unknown.
    pub estimate: NanoUsd,
    /// Live health.
    pub health: &'a dyn HealthView,
    /// The organization's time zone, for `request.hour` and `request.weekday`.
    pub time_zone: chrono_tz::Tz,
}

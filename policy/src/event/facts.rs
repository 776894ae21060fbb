//! What rules could see of a request and no other field of its event says, so that the decision can be made again.
//!
//! A few integers and flags, two strings that are there already and what guardrails counted: recording them costs a request nothing worth measuring. What hangs on
//! chance is not here, since it follows from the request's id ([`crate::id::draw_of`]); what was known of money and health is in the trace.

use std::net::IpAddr;
use std::sync::Arc;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::facts::{Passthrough, RequestFacts};
use crate::guardrail::Findings;

/// Those of one request. In the request log it is a JSON object with the names of the fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct LoggedFacts {
    /// Likely input tokens.
    #[n(0)]
    pub input_tokens: u64,
    /// Input tokens at most.
    #[n(1)]
    pub input_tokens_bound: u64,
    /// What the caller set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(2)]
    pub max_output_tokens: Option<u64>,
    /// Answers that were asked for.
    #[n(3)]
    pub choices: u32,
    /// Whether tools were declared.
    #[n(4)]
    pub has_tools: bool,
    /// Whether an image was attached.
    #[n(5)]
    pub has_images: bool,
    /// The client program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cbor(n(6), with = "crate::cbor::optional_text", has_nil)]
    pub client: Option<Arc<str>>,
    /// Address of the caller.
    #[cbor(n(7), with = "crate::cbor::address")]
    pub peer: IpAddr,
    /// Whether the provider adds to the prompt what only it knows.
    #[n(8)]
    pub kept_input: bool,
    /// A tool that the provider runs by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cbor(n(9), with = "crate::cbor::optional_text", has_nil)]
    pub provider_tool: Option<Arc<str>>,
    /// What the guardrails of the project had found.
    #[serde(default, skip_serializing_if = "Findings::is_empty")]
    #[cbor(n(10), default)]
    pub findings: Findings,
    /// What was asked for instead of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(11)]
    pub passthrough: Option<Passthrough>,
}

impl From<&RequestFacts> for LoggedFacts {
    fn from(facts: &RequestFacts) -> Self {
        Self {
            input_tokens: facts.input_tokens,
            input_tokens_bound: facts.input_tokens_bound,
            max_output_tokens: facts.max_output_tokens,
            choices: facts.choices,
            has_tools: facts.has_tools,
            has_images: facts.has_images,
            client: facts.client.clone(),
            peer: facts.peer,
            kept_input: facts.kept_input.is_some(),
            provider_tool: facts.provider_tool.clone(),
            findings: facts.findings,
            passthrough: facts.passthrough.clone(),
        }
    }
}

//! On whose behalf a request comes, and what it may call itself.
//!
//! The presented key is hashed and looked up in the bundles in memory. Tags follow the contract's precedence: bound to the key, then to the
//! project, then the body's, then the header's; trying to override a bound tag changes nothing and is recorded.

pub(crate) mod ticket;

use std::net::IpAddr;
use std::sync::Arc;

use llm::dialect::Dialect;
use llm::operation::{self, Cost, Family, Operation};
use llm::request::{Extensions, Head, Metadata};
use policy::catalogue::Interface;
use policy::decision::{Trace, TraceStep};
use policy::facts::{Passthrough, RequestFacts, Spends, Subject, Surface, Tags};
use policy::guardrail::Findings;

use crate::ingress::ReadFailure;
use crate::ingress::headers::{CallerHeaders, TAG_LIMIT, TEXT_LIMIT};
use crate::policy_feed::{OrgPolicy, Policies};

/// What every key of ours begins with.
const KEY_PREFIX: &[u8] = b"mlx_sk_";

/// Who calls, under which policy. Keeps the bundle that the request began with.
pub(crate) struct Caller {
    pub policy: Arc<OrgPolicy>,
    pub subject: Subject,
}

/// Why nobody is known to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unidentified {
    /// No key at all.
    NoKey,
    /// Not a key of ours, or none that is in force.
    UnknownKey,
}

/// Looks the presented key up.
pub(crate) fn identify(policies: &Policies, presented: Option<&[u8]>) -> Result<Caller, Unidentified> {
    let presented = presented.ok_or(Unidentified::NoKey)?;
    if !presented.starts_with(KEY_PREFIX) {
        return Err(Unidentified::UnknownKey);
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, presented);
    let (policy, subject) = policies.peek().find(digest.as_ref()).ok_or(Unidentified::UnknownKey)?;
    Ok(Caller { policy, subject })
}

/// When and from where a request came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub time: chrono::DateTime<chrono::Utc>,
    pub peer: IpAddr,
    pub draw: u64,
}

/// Everything that rules may know of a request.
pub(crate) fn facts(
    caller: &Caller,
    origin: Origin,
    head: &Head<'_>,
    headers: &CallerHeaders,
) -> Result<(RequestFacts, Trace), ReadFailure> {
    let estimate = head.estimate();
    let (known, trace) = known_of_all(caller, origin, &Said::of(head), headers)?;
    let facts = RequestFacts {
        model: Arc::from(head.model.as_ref()),
        surface: surface(head.dialect),
        stream: head.stream,
        input_tokens: estimate.likely,
        input_tokens_bound: estimate.bound,
        kept_input: head.provider_state.or((head.sizes.files > 0).then_some("file")),
        provider_tool: head.provider_tool.as_deref().map(Arc::from),
        // Embeddings have no output that costs.
        max_output_tokens: if head.embeds { Some(0) } else { head.output_limit.map(u64::from) },
        choices: head.choices.max(1),
        has_tools: head.has_tools,
        has_images: head.has_images(),
        ..known
    };
    Ok((facts, trace))
}

/// Everything that rules may know of a request that is passed through.
pub(crate) fn passthrough_facts(
    caller: &Caller,
    origin: Origin,
    operation: &Operation,
    asked: &operation::Asked<'_>,
    headers: &CallerHeaders,
) -> Result<(RequestFacts, Trace), ReadFailure> {
    let estimate = asked.estimate();
    let said = Said { extensions: &asked.extensions, metadata: &asked.metadata, user: asked.user.as_deref() };
    let (known, trace) = known_of_all(caller, origin, &said, headers)?;
    let facts = RequestFacts {
        model: Arc::from(asked.model.as_deref().unwrap_or_default()),
        passthrough: Some(Passthrough {
            operation: Arc::from(operation.name()),
            interface: interface(operation.family),
            spends: spends(operation.cost),
            provider: headers.provider.clone(),
        }),
        stream: asked.stream,
        input_tokens: estimate.likely,
        input_tokens_bound: estimate.bound,
        // No length tells how many tokens sound and pictures are.
        kept_input: (operation.cost == Cost::TokensOfMedia).then_some("the body"),
        // What judges a text writes none.
        max_output_tokens: asked.output_limit.map(u64::from).or((operation.cost == Cost::FreeAtOpenAi).then_some(0)),
        choices: asked.choices,
        ..known
    };
    Ok((facts, trace))
}

/// What rules may know whatever is asked: when, from where, by whom and for whom. What only the body says is as if it said nothing.
fn known_of_all(caller: &Caller, origin: Origin, said: &Said<'_>, headers: &CallerHeaders) -> Result<(RequestFacts, Trace), ReadFailure> {
    let nothing = Tags::default();
    let bound = caller.policy.engine.bound_tags(&caller.subject).unwrap_or(&nothing);
    let (tags, trace) = tags(bound, said, headers)?;
    let known = RequestFacts {
        model: Arc::default(),
        surface: Surface::Passthrough,
        passthrough: None,
        stream: false,
        input_tokens: 0,
        input_tokens_bound: 0,
        kept_input: None,
        provider_tool: None,
        max_output_tokens: None,
        choices: 1,
        has_tools: false,
        has_images: false,
        findings: Findings::default(),
        time: origin.time,
        peer: origin.peer,
        client: headers.client.clone(),
        end_user: end_user(said, headers)?,
        tags,
        trace_id: either(&headers.trace_id, said.metadata.trace_id.as_deref()),
        conversation_id: either(&headers.conversation_id, said.metadata.conversation_id.as_deref()),
        draw: origin.draw,
    };
    Ok((known, trace))
}

fn interface(family: Family) -> Interface {
    match family {
        Family::OpenAi => Interface::Openai,
        Family::Anthropic => Interface::Anthropic,
        Family::Gemini => Interface::Gemini,
    }
}

fn spends(cost: Cost) -> Spends {
    match cost {
        Cost::Free => Spends::Nothing,
        Cost::FreeAtOpenAi => Spends::NothingAtItsVendor,
        Cost::Tokens | Cost::TokensOfMedia => Spends::Tokens,
        Cost::Unknown => Spends::Unknown,
    }
}

/// The surface that a dialect is spoken on.
pub(crate) fn surface(dialect: Dialect) -> Surface {
    match dialect {
        Dialect::OpenAiChat => Surface::OpenaiChat,
        Dialect::OpenAiResponses => Surface::OpenaiResponses,
        Dialect::OpenAiEmbeddings => Surface::OpenaiEmbeddings,
        Dialect::AnthropicMessages => Surface::AnthropicMessages,
        Dialect::Gemini => Surface::Gemini,
        // No caller speaks it.
        Dialect::BedrockConverse => Surface::Passthrough,
    }
}

fn either(header: &Option<Arc<str>>, body: Option<&str>) -> Option<Arc<str>> {
    header.clone().or_else(|| body.filter(|text| !text.is_empty() && text.len() <= TEXT_LIMIT).map(Arc::from))
}

/// What a body says of who it is for.
struct Said<'h> {
    extensions: &'h Extensions<'h>,
    metadata: &'h Metadata<'h>,
    user: Option<&'h str>,
}

impl<'h> Said<'h> {
    fn of(head: &'h Head<'_>) -> Self {
        Self { extensions: &head.extensions, metadata: &head.metadata, user: head.user.as_deref() }
    }
}

/// The body's own word, then the header's, then what callers who know nothing of us put into `metadata.user_id` and `user`.
fn end_user(said: &Said<'_>, headers: &CallerHeaders) -> Result<Option<Arc<str>>, ReadFailure> {
    if let Some(named) = said.extensions.end_user.as_deref() {
        if named.is_empty() || named.len() > TEXT_LIMIT {
            return Err(ReadFailure::Header { name: "mlx:end_user", problem: "must have 1 to 256 bytes" });
        }
        return Ok(Some(Arc::from(named)));
    }
    let fallback = said.metadata.user_id.as_deref().or(said.user);
    Ok(either(&headers.end_user, fallback))
}

fn tags(bound: &Tags, said: &Said<'_>, headers: &CallerHeaders) -> Result<(Tags, Trace), ReadFailure> {
    let mut tags = bound.clone();
    let mut trace = Trace::default();
    if said.extensions.tags.len() > TAG_LIMIT {
        return Err(ReadFailure::Header { name: "mlx:tags", problem: "has more than 64 tags" });
    }
    for (name, value) in &said.extensions.tags {
        if name.is_empty() || name.len() > TEXT_LIMIT || value.len() > TEXT_LIMIT {
            return Err(ReadFailure::Header { name: "mlx:tags", problem: "has a tag with an empty name or more than 256 bytes" });
        }
        match bound.get(name) {
            Some(kept) => note_override(&mut trace, name, value, kept),
            None => drop(tags.set(Arc::from(name.as_ref()), Arc::from(value.as_ref()))),
        }
    }
    for (name, value) in &headers.tags {
        match (bound.get(name), tags.get(name)) {
            (Some(kept), _) => note_override(&mut trace, name, value, kept),
            (None, Some(_)) => {}
            (None, None) => drop(tags.set(Arc::clone(name), Arc::clone(value))),
        }
    }
    Ok((tags, trace))
}

fn note_override(trace: &mut Trace, tag: &str, asked: &str, bound: &str) {
    if asked != bound {
        trace.push(TraceStep::TagOverrideIgnored { tag: Arc::from(tag), asked: Arc::from(asked), bound: Arc::from(bound) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(tags: &[(&str, &str)]) -> CallerHeaders {
        let tags = tags.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect();
        CallerHeaders { tags, ..CallerHeaders::default() }
    }

    #[test]
    fn bound_tags_win_over_the_body_and_the_body_over_the_header() {
        let body = br#"{"model":"m","messages":[],"mlx:tags":{"team":"sales","app":"body"}}"#;
        let head = Dialect::OpenAiChat.read_head(body, None).expect("a request");
        let bound: Tags = [("team", "support")].into_iter().collect();
        let (tags, trace) =
            tags(&bound, &Said::of(&head), &headers(&[("app", "header"), ("run", "7"), ("team", "support")])).expect("tags");
        let pairs: Vec<_> = tags.iter().collect();
        assert_eq!(pairs, [("app", "body"), ("run", "7"), ("team", "support")]);
        let expected = TraceStep::TagOverrideIgnored { tag: Arc::from("team"), asked: Arc::from("sales"), bound: Arc::from("support") };
        assert_eq!(trace.steps.as_slice(), [expected]);
    }

    #[test]
    fn the_end_user_is_taken_from_body_header_metadata_and_user_in_this_order() {
        let full = br#"{"model":"m","messages":[],"mlx:end_user":"a","metadata":{"user_id":"c"},"user":"d"}"#;
        let head = Dialect::OpenAiChat.read_head(full, None).expect("a request");
        let mut with_header = headers(&[]);
        with_header.end_user = Some(Arc::from("b"));
        assert_eq!(end_user(&Said::of(&head), &with_header).expect("an end user").as_deref(), Some("a"));
        let plain = br#"{"model":"m","messages":[],"metadata":{"user_id":"c"},"user":"d"}"#;
        let head = Dialect::OpenAiChat.read_head(plain, None).expect("a request");
        assert_eq!(end_user(&Said::of(&head), &with_header).expect("an end user").as_deref(), Some("b"));
        assert_eq!(end_user(&Said::of(&head), &headers(&[])).expect("an end user").as_deref(), Some("c"));
    }
}

//! What a caller sees when the answer is not the provider's: the one file that knows every refusal and every failure of the data plane.
//!
//! Promises: the shape is the surface's own, the id of the decision is in `X-Modelux-Request-Id`, the message names the
//! rule or the scope and what to do, and nothing internal is in it. Every kind of failure is matched by name; a new one does not compile
//! until it has a status.

#![deny(clippy::wildcard_enum_match_arm)]

pub(crate) mod head;

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, SubsecRound as _, Utc};
use llm::dialect::Dialect;
use llm::error::{BudgetDetail, ErrorCode, ErrorReply};
use policy::decision::{BudgetShortfall, DenialReason};
use policy::time::Rfc3339;

use crate::exchange::Failure;
use crate::identity::Unidentified;
use crate::ingress::ReadFailure;
use crate::upstream::SendError;

/// `period_resets_at` of a budget that never does: clients require a time.
const NEVER: &str = "9999-12-31T23:59:59Z";

/// A refusal in words and numbers.
pub(crate) struct Refusal {
    pub status: u16,
    /// The caller's.
    dialect: Dialect,
    kind: &'static str,
    code: &'static str,
    message: Cow<'static, str>,
    param: Option<String>,
    pub shortfall: Option<BudgetShortfall>,
    /// Whole seconds after which another try makes sense.
    pub retry_after: Option<u64>,
    /// Requests per minute, for `x-ratelimit-*`.
    pub rate_limit: Option<u32>,
}

impl Refusal {
    /// Puts `failure` into words.
    pub(crate) fn of(failure: &Failure, now: DateTime<Utc>) -> Self {
        match failure {
            Failure::Read(failure) => of_read(failure),
            Failure::Unidentified(Unidentified::NoKey) => {
                plain(401, "invalid_request_error", "missing_api_key", "no key: send `Authorization: Bearer mlx_sk_…`")
            }
            Failure::Unidentified(Unidentified::UnknownKey) => {
                plain(401, "invalid_request_error", "invalid_api_key", "the key is unknown or was revoked: check it, or ask for a new one")
            }
            Failure::Denied { reason, message } => of_denial(reason, message, now),
            Failure::Upstream { error, .. } => of_send(failure, error),
            Failure::UpstreamStatus { target, status, .. } => {
                let message = format!("every attempt failed; the last one, `{target}`, answered {status}");
                plain(502, "upstream_error", "upstream_error", message)
            }
            Failure::Cut { target } => {
                plain(502, "upstream_error", "upstream_cut", format!("the answer of `{target}` broke off; try again"))
            }
            Failure::Unreadable { target } => {
                plain(502, "upstream_error", "upstream_unreadable", format!("the answer of `{target}` can't be read"))
            }
            Failure::ReplyTooLarge { target } => {
                plain(502, "upstream_error", "upstream_error", format!("the answer of `{target}` is larger than this worker takes"))
            }
            Failure::Undecided { config, usable, quorum } => {
                let message =
                    format!("`{config}` needs {quorum} usable answers and got {usable}; the trace in the log says of whom; try again");
                plain(502, "upstream_error", "ensemble_undecided", message)
            }
            Failure::OtherDimensions { member, asked, config, number } => of_dimensions(member, *asked, (config, *number)),
            Failure::Deadline => plain(504, "timeout_error", "deadline_exceeded", "the request took longer than it may; try again"),
            Failure::CantLog => {
                let message = "this worker can't record requests right now and serves none unrecorded; try again";
                Self { retry_after: Some(5), ..plain(503, "service_unavailable", "not_recordable", message) }
            }
            Failure::ShuttingDown => Self {
                retry_after: Some(1),
                ..plain(503, "service_unavailable", "shutting_down", "this worker is shutting down; try again")
            },
            Failure::Gone => plain(499, "client_closed_request", "client_closed_request", "the caller closed the connection"),
            Failure::UnknownRoute => plain(
                404,
                "invalid_request_error",
                "unknown_route",
                "there is nothing at this path; OpenAI's surface is at `/v1`, Anthropic's at `/anthropic/v1`, Gemini's at `/gemini/v1beta`",
            ),
            Failure::WrongMethod(methods) => {
                plain(405, "invalid_request_error", "method_not_allowed", format!("this path takes {methods}"))
            }
            Failure::UnknownModelId(model) => Self {
                param: Some("model".to_owned()),
                ..plain(404, "invalid_request_error", "model_not_found", format!("there is no model `{model}` for this key"))
            },
            Failure::Bug => plain(500, "server_error", "internal_error", "something went wrong in the gateway; the request id names it"),
        }
    }

    /// The same in the caller's dialect.
    pub(crate) fn said_in(self, dialect: Dialect) -> Self {
        Self { dialect, ..self }
    }

    /// The name of the error for logs and events.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// The words.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The body.
    pub(crate) fn body(&self) -> Bytes {
        self.with_reply(|reply| self.dialect.write_error(reply))
    }

    /// The event, for a stream of which so many events went out.
    pub(crate) fn event(&self, events: u64) -> Bytes {
        self.with_reply(|reply| self.dialect.write_error_event(reply, events))
    }

    /// The class of the error in OpenAI's words.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    fn with_reply<T>(&self, write: impl FnOnce(&ErrorReply<'_>) -> T) -> T {
        let code = if self.status == 402 { ErrorCode::Number(402) } else { ErrorCode::Name(self.code) };
        let (spend, cap, resets_at);
        let budget = match &self.shortfall {
            None => None,
            Some(short) => {
                (spend, cap) = (short.spend.to_string(), short.cap.to_string());
                resets_at = short.resets_at.map_or_else(|| NEVER.to_owned(), rfc3339);
                let period = period_word(short);
                Some(BudgetDetail { name: &short.name, spend_usd: &spend, cap_usd: &cap, period, period_resets_at: &resets_at })
            }
        };
        write(&ErrorReply {
            status: self.status,
            message: &self.message,
            kind: self.kind,
            code: Some(code),
            param: self.param.as_deref(),
            budget,
        })
    }
}

fn plain(status: u16, kind: &'static str, code: &'static str, message: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal {
        status,
        dialect: Dialect::OpenAiChat,
        kind,
        code,
        message: message.into(),
        param: None,
        shortfall: None,
        retry_after: None,
        rate_limit: None,
    }
}

fn of_read(failure: &ReadFailure) -> Refusal {
    let (status, code) = match failure {
        ReadFailure::Head | ReadFailure::TwoLengths | ReadFailure::Host | ReadFailure::Query | ReadFailure::BodyCut => {
            (400, "malformed_request")
        }
        // Not 501, which clients take for ours and try again.
        ReadFailure::TransferCoding => (400, "unsupported_encoding"),
        ReadFailure::HeadTimeout { .. } | ReadFailure::BodyTimeout { .. } => (408, "request_timeout"),
        ReadFailure::HeadTooLarge { .. } => (431, "header_too_large"),
        ReadFailure::BodyTooLarge { .. } => (413, "request_too_large"),
        ReadFailure::Encoded => (415, "unsupported_encoding"),
        ReadFailure::Header { .. } => (400, "invalid_header"),
        ReadFailure::Body(_) => (400, "invalid_body"),
    };
    let param = match failure {
        ReadFailure::Body(body) => body.field().map(str::to_owned),
        ReadFailure::Header { name, .. } => Some((*name).to_owned()),
        ReadFailure::Head
        | ReadFailure::TwoLengths
        | ReadFailure::TransferCoding
        | ReadFailure::Host
        | ReadFailure::Query
        | ReadFailure::BodyCut
        | ReadFailure::HeadTimeout { .. }
        | ReadFailure::BodyTimeout { .. }
        | ReadFailure::HeadTooLarge { .. }
        | ReadFailure::BodyTooLarge { .. }
        | ReadFailure::Encoded => None,
    };
    Refusal { param, ..plain(status, "invalid_request_error", code, failure.to_string()) }
}

/// Another length of vectors than the config gives.
fn of_dimensions(member: &str, asked: u32, (config, number): (&str, u32)) -> Refusal {
    let message = format!(
        "`{member}` asks for vectors of {asked} numbers, and routing config `{config}` gives vectors of {number}; leave it out, or ask for \
         another config"
    );
    Refusal { param: Some(member.to_owned()), ..plain(400, "invalid_request_error", "dimensions_fixed", message) }
}

fn of_denial(reason: &DenialReason, message: &str, now: DateTime<Utc>) -> Refusal {
    let (code, message) = (reason.code(), message.to_owned());
    let model = || Some("model".to_owned());
    match reason {
        DenialReason::KeyExpired => plain(401, "invalid_request_error", code, message),
        DenialReason::UnknownModel | DenialReason::Unpriced => {
            Refusal { param: model(), ..plain(400, "invalid_request_error", code, message) }
        }
        DenialReason::UnknownProvider => plain(400, "invalid_request_error", code, message),
        DenialReason::UnknownConfig => Refusal { param: model(), ..plain(404, "invalid_request_error", code, message) },
        DenialReason::Policy | DenialReason::Unbounded => plain(403, "policy_denied", code, message),
        DenialReason::IpNotAllowed => plain(403, "ip_not_allowed", code, message),
        DenialReason::Budget(short) => {
            let message = if message.is_empty() { budget_message(short) } else { message };
            let wait = short.resets_at.map_or(86_400, |at| at.signed_duration_since(now).num_seconds().saturating_add(1).max(1));
            let refusal = plain(402, "budget_exceeded", code, message);
            Refusal { shortfall: Some(short.clone()), retry_after: u64::try_from(wait).ok(), ..refusal }
        }
        DenialReason::RateLimited { limit, retry_after_ms } => {
            let seconds = retry_after_ms.div_ceil(1000).max(1);
            let message = format!("the key's rate of {limit} requests per minute is used up; try again in {seconds} s");
            let refusal = plain(429, "rate_limit_error", code, message);
            Refusal { retry_after: Some(seconds), rate_limit: Some(*limit), ..refusal }
        }
        DenialReason::BudgetUnavailable => {
            let message = "money for this request can't be reserved right now; try again";
            Refusal { retry_after: Some(1), ..plain(503, "service_unavailable", code, message) }
        }
    }
}

fn budget_message(short: &BudgetShortfall) -> String {
    let resets = short.resets_at.map_or_else(|| "it never resets".to_owned(), |at| format!("it resets at {}", rfc3339(at)));
    format!(
        "budget `{}` has {} of {} USD spent or reserved ({}) and can't cover this request; {resets}; ask for a higher cap or send a smaller request",
        short.name,
        short.spend,
        short.cap,
        period_word(short),
    )
}

fn of_send(failure: &Failure, error: &SendError) -> Refusal {
    let target = failure.target().unwrap_or_default();
    match error {
        SendError::Inexpressible(error) => {
            plain(400, "invalid_request_error", "not_convertible", format!("`{target}` can't be asked this: {error}"))
        }
        SendError::Strict { dropped } => plain(
            400,
            "invalid_request_error",
            "unsupported_fields",
            format!("`{target}` can't take {dropped}, and this project is strict about it; leave it out or choose another model"),
        ),
        SendError::Timeout { ms, .. } => plain(
            504,
            "timeout_error",
            "upstream_timeout",
            format!("every attempt failed; the last one, `{target}`, did not answer within {ms} ms"),
        ),
        SendError::Unusable { .. } | SendError::Address(crate::upstream::destination::ResolveError::Forbidden { .. }) => plain(
            503,
            "service_unavailable",
            "no_usable_target",
            format!("there is no usable target for this request; the last one was `{target}`"),
        ),
        SendError::Token { provider, .. } => plain(
            502,
            "upstream_error",
            "upstream_token",
            format!("every attempt failed; for the last one, `{target}`, the access token of provider `{provider}` could not be had"),
        ),
        SendError::Address(_) | SendError::Connect(_) | SendError::Broken(_) | SendError::Closed(_) => plain(
            502,
            "upstream_error",
            "upstream_unreachable",
            format!("every attempt failed; the last one, `{target}`, could not be reached"),
        ),
    }
}

fn period_word(short: &BudgetShortfall) -> &'static str {
    use policy::source::PeriodKind;
    match short.period {
        PeriodKind::Daily => "daily",
        PeriodKind::Weekly => "weekly",
        PeriodKind::Monthly => "monthly",
        PeriodKind::Quarterly => "quarterly",
        PeriodKind::Yearly => "yearly",
        PeriodKind::Total => "total",
    }
}

pub(crate) fn rfc3339(at: DateTime<Utc>) -> String {
    Rfc3339(at.trunc_subsecs(0)).to_string()
}

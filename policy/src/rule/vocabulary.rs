//! The variables a rule may use, as data: name, type and one line of documentation each. Rules about a request and expressions that judge an
//! answer share the language and no variable.
//!
//! The checker knows no other names, the evaluators read no other facts, and the reference is generated from here. To add a
//! variable, add a line here, and the compiler asks for the reading of it in `variable`.

use std::fmt;

use crate::guardrail::{FindingKind, GROUPS};

/// What sort of value an expression has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A signed whole number.
    Int,
    /// An unsigned whole number, as in `1u`.
    Uint,
    /// A number with a fraction.
    Double,
    /// Text.
    String,
    /// An instant.
    Timestamp,
    /// Whatever a model wrote as JSON; known at run time only.
    Any,
    /// Only ever null.
    Null,
    /// The tags: a map of strings.
    Tags,
    /// Budgets or health by name: something with fields.
    Named,
    /// How many of each kind were found.
    Counts,
}

impl Kind {
    /// Whether values of this kind are numbers.
    #[must_use]
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Timestamp => "timestamp",
            Self::Any => "any value",
            Self::Null => "null",
            Self::Tags => "map of strings",
            Self::Named => "map by name",
            Self::Counts => "map of counts",
        })
    }
}

/// The type of an expression: its kind, and whether it may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type {
    /// The kind of a value that is there.
    pub kind: Kind,
    /// Whether it may be null instead.
    pub nullable: bool,
}

impl Type {
    /// A type that is never null.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        Self { kind, nullable: false }
    }

    /// A type that may be null.
    #[must_use]
    pub const fn or_null(kind: Kind) -> Self {
        Self { kind, nullable: true }
    }

    /// Whether null is among its values.
    #[must_use]
    pub const fn admits_null(self) -> bool {
        self.nullable || matches!(self.kind, Kind::Null)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        if self.nullable { f.write_str(" or null") } else { Ok(()) }
    }
}

/// A fact with a fixed name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    Model,
    Surface,
    Operation,
    Stream,
    InputTokens,
    MaxOutputTokens,
    HasTools,
    HasImages,
    Sensitivity,
    Time,
    Hour,
    Weekday,
    Client,
    KeyName,
    KeyProject,
    KeyOwner,
    Org,
    Project,
    EndUser,
    EstimateCost,
}

/// A field of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BudgetField {
    UsedPct,
    RemainingUsd,
    CapUsd,
    Name,
}

/// A field of a target's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HealthField {
    P50Ms,
    Ok,
}

/// A field of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseField {
    Text,
    FinishReason,
    InputTokens,
    OutputTokens,
    Refused,
    ToolCalls,
}

/// What an expression is about, which decides what it may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vocabulary {
    Request,
    Response,
}

/// What a line of the vocabulary stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Tags,
    Fact(Fact),
    Budget(BudgetField),
    Budgets,
    Findings,
    Health(HealthField),
    Response(ResponseField),
    Json,
}

/// One variable.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// As it is written in a rule.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
    /// What it is.
    pub doc: &'static str,
    pub(super) meaning: Meaning,
}

impl Variable {
    /// The part before the first `.` or `[`.
    pub(super) fn root(&self) -> &'static str {
        self.name.split(['.', '[']).next().unwrap_or(self.name)
    }

    /// The part after the first `.`, if there is one.
    pub(super) fn field(&self) -> Option<&'static str> {
        self.name.split_once('.').map(|(_, field)| field)
    }
}

const fn fact(name: &'static str, fact: Fact, ty: Type, doc: &'static str) -> Variable {
    Variable { name, ty, doc, meaning: Meaning::Fact(fact) }
}

const fn budget(name: &'static str, field: BudgetField, kind: Kind, doc: &'static str) -> Variable {
    Variable { name, ty: Type::of(kind), doc, meaning: Meaning::Budget(field) }
}

const fn health(name: &'static str, field: HealthField, kind: Kind, doc: &'static str) -> Variable {
    Variable { name, ty: Type::of(kind), doc, meaning: Meaning::Health(field) }
}

const fn response(name: &'static str, field: ResponseField, ty: Type, doc: &'static str) -> Variable {
    Variable { name, ty, doc, meaning: Meaning::Response(field) }
}

const BOOL: Type = Type::of(Kind::Bool);
const INT: Type = Type::of(Kind::Int);
const DOUBLE: Type = Type::of(Kind::Double);
const STRING: Type = Type::of(Kind::String);

/// Every variable of a rule about a request, in the order of the reference.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: "tags",
        ty: Type::of(Kind::Tags),
        doc: "tags of the request; `tags.team` or `tags['team']` is a string, or null where the tag is missing",
        meaning: Meaning::Tags,
    },
    fact("request.model", Fact::Model, STRING, "the model as the caller wrote it"),
    fact(
        "request.surface",
        Fact::Surface,
        STRING,
        "`openai_chat`, `openai_responses`, `openai_embeddings`, `anthropic_messages`, `gemini` or `passthrough`",
    ),
    fact(
        "request.operation",
        Fact::Operation,
        STRING,
        "what is asked for where it is passed through, such as `POST /openai/v1/batches`; `''` on every other surface",
    ),
    fact("request.stream", Fact::Stream, BOOL, "whether a stream is asked for"),
    fact("request.input_tokens", Fact::InputTokens, INT, "likely input tokens, estimated from lengths"),
    fact(
        "request.max_output_tokens",
        Fact::MaxOutputTokens,
        Type::or_null(Kind::Int),
        "the caller's limit on output tokens; null where the caller set none",
    ),
    fact("request.has_tools", Fact::HasTools, BOOL, "whether tools are declared"),
    fact("request.has_images", Fact::HasImages, BOOL, "whether an image is attached"),
    fact(
        "request.sensitivity",
        Fact::Sensitivity,
        STRING,
        "what the project's guardrails found in it: `pii` where any personal data, else `secret` where any secret, else `''`",
    ),
    Variable {
        name: "request.findings",
        ty: Type::of(Kind::Counts),
        doc: "what they found by kind (`email`, `phone`, `iban`, `card`, `national_id`, `cloud_secret`, `provider_secret`, `access_token`, `private_key`, `other`) or group (`pii`, `secret`): `'email' in request.findings` tells whether, `request.findings.email` how many",
        meaning: Meaning::Findings,
    },
    fact(
        "request.time",
        Fact::Time,
        Type::of(Kind::Timestamp),
        "when the request arrived; compare with `timestamp('2026-01-31T00:00:00Z')`",
    ),
    fact("request.hour", Fact::Hour, INT, "hour of the day, 0 to 23, in the organization's time zone"),
    fact("request.weekday", Fact::Weekday, INT, "day of the week, 0 = Sunday to 6 = Saturday, in the organization's time zone"),
    fact("request.client", Fact::Client, STRING, "the client program; `''` where it did not say"),
    budget(
        "budget.used_pct",
        BudgetField::UsedPct,
        Kind::Double,
        "used share of the most constraining budget, settled and reserved, as a fraction (0.9 = 90 %); 0 where none applies",
    ),
    budget("budget.remaining_usd", BudgetField::RemainingUsd, Kind::Double, "what is left of it in USD; infinite where none applies"),
    budget("budget.cap_usd", BudgetField::CapUsd, Kind::Double, "its cap in USD; 0 where none applies"),
    budget("budget.name", BudgetField::Name, Kind::String, "its name; `''` where none applies"),
    Variable {
        name: "budgets[\"name\"]",
        ty: Type::of(Kind::Named),
        doc: "one budget by name, with the fields of `budget`; `'name' in budgets` tells whether it applies to the request",
        meaning: Meaning::Budgets,
    },
    fact("key.name", Fact::KeyName, STRING, "name of the key presented"),
    fact("key.project", Fact::KeyProject, STRING, "name of the key's project"),
    fact("key.owner", Fact::KeyOwner, STRING, "owner of the key; `''` where it has none"),
    fact("org", Fact::Org, STRING, "slug of the organization"),
    fact("project", Fact::Project, STRING, "name of the project"),
    fact("end_user", Fact::EndUser, STRING, "the end user; `''` where none is named"),
    fact("estimate.cost_usd", Fact::EstimateCost, DOUBLE, "expected cost of the request as asked, in USD; 0 while unknown"),
    health(
        "health[\"provider/model\"].p50_ms",
        HealthField::P50Ms,
        Kind::Double,
        "median latency of recent successes in milliseconds; 0 where none was measured",
    ),
    health("health[\"provider/model\"].ok", HealthField::Ok, Kind::Bool, "whether the target is usable; true where nothing was measured"),
];

/// Every variable of an expression that judges an answer, in the order of the reference.
pub const RESPONSE_VARIABLES: &[Variable] = &[
    response("response.text", ResponseField::Text, STRING, "what the answer says; `''` where it only calls tools"),
    response(
        "response.finish_reason",
        ResponseField::FinishReason,
        STRING,
        "`stop`, `stop_sequence`, `length`, `tool_calls`, `refusal`, `malformed_call`, `pause` or `other`, whichever the provider's words are",
    ),
    Variable {
        name: "response.json",
        ty: Type::or_null(Kind::Any),
        doc: "the JSON that the text is, also in a fence; null where it is none. `response.json.score` and deeper are its members, null where missing",
        meaning: Meaning::Json,
    },
    response("response.usage.input_tokens", ResponseField::InputTokens, INT, "input tokens as reported; 0 where they were not"),
    response("response.usage.output_tokens", ResponseField::OutputTokens, INT, "output tokens as reported; 0 where they were not"),
    response("response.refused", ResponseField::Refused, BOOL, "whether the model or a filter declined"),
    response("response.tool_calls", ResponseField::ToolCalls, INT, "how many calls of tools it asks for"),
];

impl Vocabulary {
    pub(super) const fn variables(self) -> &'static [Variable] {
        match self {
            Self::Request => VARIABLES,
            Self::Response => RESPONSE_VARIABLES,
        }
    }

    /// Whether `root` begins any of its variables.
    pub(super) fn has_root(self, root: &str) -> bool {
        self.variables().iter().any(|variable| variable.root() == root)
    }

    /// The distinct beginnings of its variables, for messages.
    pub(super) fn roots(self) -> String {
        let mut roots: Vec<_> = self.variables().iter().map(Variable::root).collect();
        roots.dedup();
        quoted(roots)
    }
}

/// The variables of both vocabularies.
pub(super) fn all() -> impl Iterator<Item = &'static Variable> {
    VARIABLES.iter().chain(RESPONSE_VARIABLES)
}

/// The variable called `root` (no field), or `root.field`.
pub(super) fn find(root: &str, field: Option<&str>) -> Option<&'static Variable> {
    all().find(|variable| variable.root() == root && variable.field() == field)
}

/// The fields below `root`, for messages; those of `budgets` are those of `budget`.
pub(super) fn fields(root: &str) -> String {
    let root = if root == "budgets" { "budget" } else { root };
    quoted(all().filter(|variable| variable.root() == root).filter_map(Variable::field))
}

/// What findings can be asked for, for messages.
pub(super) fn findings() -> String {
    quoted(FindingKind::ALL.into_iter().map(FindingKind::as_str).chain(GROUPS))
}

fn quoted(names: impl IntoIterator<Item = &'static str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

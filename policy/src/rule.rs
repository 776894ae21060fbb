//! The rule language: CEL expressions over the facts of one request, compiled once and bounded.
//!
//! A [`Rule`] is one boolean expression, such as `tags.team == 'support'`. [`Rule::compile`] checks names, fields and types and
//! refuses what it does not understand, with line and column; [`Rule::holds`] answers for one request. [`VARIABLES`] and
//! [`FUNCTIONS`] are the whole vocabulary; the reference documentation is generated from them and the checker reads them.
//!
//! # Meaning
//!
//! CEL as its specification has it, with these decisions where CEL leaves room or our facts can be missing:
//!
//! - A missing tag is null, and so is `request.max_output_tokens` where the caller set none. Null is equal to null only and is
//!   *unordered*: each of `<`, `<=`, `>`, `>=` with a null is false, and is not an error. `has(tags.x)` and `'x' in tags` are false.
//!   Anything else that needs a value and finds null (`tags.x.startsWith('a')`) is an error at run time.
//! - Text that is absent (`request.client`, `key.owner`, `end_user`) is `''`, never null; comparing it with null is refused.
//! - Where no budget applies, `budget.used_pct` and `budget.cap_usd` are 0, `budget.remaining_usd` is infinite (nothing limits the
//!   request) and `budget.name` is `''`. The same holds for `budgets["name"]` of a budget that does not apply to the request;
//!   `'name' in budgets` tells whether it does.
//! - Health that was never measured is `.ok` with `.p50_ms` 0; `'provider/model' in health` tells whether it was.
//! - `request.hour` (0–23) and `request.weekday` (0 = Sunday, as CEL's `getDayOfWeek`) are in the organization's time zone.
//! - int, uint and double compare with each other; arithmetic does not mix them (`double(x)` converts).
//! - An error is absorbed by `false && …` and by `true || …` on either side. One that is left makes the verdict
//!   [`Verdict::Errored`], which counts as false, except in a rule that denies, where it counts as true (fail closed).
//!
//! # Bounds
//!
//! Refused before parsing: more than 2 kB, 16 nested brackets, 200 operators. Parsing then happens on a thread with a stack of its
//! own and under a time limit. Refused after it: trees deeper than 40 (24 where the interpreter runs), lists longer than 200, a comprehension within a
//! comprehension, functions off the list, patterns that are not literals or compile to more than 1 MiB, and anything that could take
//! more than 20,000 steps, each at most linear in the texts it looks at. That bound is static and holds for every request, because the only loops there are run over a list
//! written in the rule or over the tags, and a rule that walks tags errors beyond 64 of them. No function makes a text longer than
//! its argument, so memory is bounded by the rule and the tags.
//!
//! # How it runs
//!
//! Comparisons, `in`, text tests and their `&&`, `||`, `!` run as a small tree of our own (`fast`) without allocating; the rest
//! runs in the `cel` crate (`slow`). Both read variables through the same function, and a property test holds them equal. No other
//! module names `cel`.
//!
//! # Answers
//!
//! `accept` of a cascade is the same language with [`RESPONSE_VARIABLES`] alone: such a rule knows nothing of the request, and
//! [`Rule::accepts`] answers for one whole answer. What a model wrote as JSON has a type at run time only; what does not fit is unequal,
//! unordered or an error, and an error never accepts.

mod build;
mod check;
mod fast;
mod functions;
mod limits;
mod position;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod property;
mod slow;
mod variable;
mod view;
mod vocabulary;
#[cfg(any(test, feature = "fuzzing"))]
mod world;

use std::fmt;
use std::sync::Arc;

use self::view::View;
use crate::facts::Facts;

pub use functions::{FUNCTIONS, Function};
pub use view::ResponseFacts;
pub use vocabulary::{Kind, RESPONSE_VARIABLES, Type, VARIABLES, Variable};

/// What a rule does when it holds, which decides what an error counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleKind {
    /// It sends the request somewhere; an error counts as false.
    Routes,
    /// It refuses the request; an error counts as true.
    Denies,
    /// It judges an answer; an error counts as false.
    Accepts,
}

impl RuleKind {
    const fn vocabulary(self) -> vocabulary::Vocabulary {
        match self {
            Self::Routes | Self::Denies => vocabulary::Vocabulary::Request,
            Self::Accepts => vocabulary::Vocabulary::Response,
        }
    }
}

/// The answer of a rule for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The condition holds.
    True,
    /// The condition does not hold.
    False,
    /// The condition could not be told; the message is for the trace and names no values.
    Errored(String),
}

impl Verdict {
    /// Whether a rule of `kind` applies: errors count as false, except where the rule denies.
    #[must_use]
    pub const fn matches(&self, kind: RuleKind) -> bool {
        match self {
            Self::True => true,
            Self::False => false,
            Self::Errored(_) => matches!(kind, RuleKind::Denies),
        }
    }
}

/// Why an expression is refused. Shown to the operator who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct RuleError {
    line: u32,
    column: u32,
    message: String,
}

impl RuleError {
    /// The line, counted from 1.
    #[must_use]
    pub const fn line(&self) -> u32 {
        self.line
    }

    /// The column in characters, counted from 1.
    #[must_use]
    pub const fn column(&self) -> u32 {
        self.column
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// What a rule asks for by name, so that the compiler can refuse names that do not exist and the worker fetches only what is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    budgets: Vec<Arc<str>>,
    health: Vec<Arc<str>>,
    tags: Vec<Arc<str>>,
    budget: bool,
    estimate: bool,
}

impl References {
    /// Names asked for as `budgets["name"]`, sorted, each once.
    pub fn budgets(&self) -> impl Iterator<Item = &str> {
        self.budgets.iter().map(AsRef::as_ref)
    }

    /// Targets asked for as `health["provider/model"]`, sorted, each once.
    pub fn health_targets(&self) -> impl Iterator<Item = &str> {
        self.health.iter().map(AsRef::as_ref)
    }

    /// Tags asked for by name, sorted, each once.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().map(AsRef::as_ref)
    }

    /// Whether `budget` or `budgets` is used.
    #[must_use]
    pub fn uses_budget(&self) -> bool {
        self.budget || !self.budgets.is_empty()
    }

    /// Whether `estimate` is used.
    #[must_use]
    pub const fn uses_estimate(&self) -> bool {
        self.estimate
    }

    /// Whether `health` is used.
    #[must_use]
    pub fn uses_health(&self) -> bool {
        !self.health.is_empty()
    }
}

/// One compiled expression. Cheap to clone.
#[derive(Clone)]
pub struct Rule {
    source: Arc<str>,
    kind: RuleKind,
    references: Arc<References>,
    program: Arc<Program>,
}

/// How a rule runs.
enum Program {
    Fast(fast::Node),
    Slow(slow::Interpreted),
}

impl Rule {
    /// Checks and compiles `source`.
    ///
    /// # Errors
    /// The first thing in `source` that is not understood, with its place.
    pub fn compile(source: &str, kind: RuleKind) -> Result<Self, RuleError> {
        Self::compile_all([(source, kind)]).pop().unwrap_or_else(|| Err(position::at(source, 0, "the expression could not be compiled")))
    }

    /// Compiles many rules on one thread, answering each in its place.
    #[must_use]
    pub fn compile_all<'s>(rules: impl IntoIterator<Item = (&'s str, RuleKind)>) -> Vec<Result<Self, RuleError>> {
        build::compile_all(&rules.into_iter().collect::<Vec<_>>())
    }

    /// The expression as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the rule does when it holds.
    #[must_use]
    pub const fn kind(&self) -> RuleKind {
        self.kind
    }

    /// What the rule asks for by name.
    #[must_use]
    pub fn references(&self) -> &References {
        &self.references
    }

    /// Answers for one request. Bounded, and never panics.
    #[must_use]
    pub fn holds(&self, facts: &Facts<'_>) -> Verdict {
        self.verdict(View::Request(facts))
    }

    /// Answers for one whole answer of a model. Bounded, and never panics.
    #[must_use]
    pub fn accepts(&self, response: &ResponseFacts) -> Verdict {
        self.verdict(View::Response(response))
    }

    fn verdict(&self, view: View<'_>) -> Verdict {
        if self.kind.vocabulary() != view.vocabulary() {
            return Verdict::Errored("the expression is about something else".to_owned());
        }
        match self.program.as_ref() {
            Program::Fast(node) => node.verdict(view),
            Program::Slow(interpreted) => interpreted.verdict(view),
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("source", &self.source).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl PartialEq for Rule {
    /// Rules are what was written: the same source and kind compile to the same rule.
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.kind == other.kind
    }
}

impl Eq for Rule {}

#[cfg(test)]
mod tests;

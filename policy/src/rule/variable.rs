//! Variables as they stand in a parsed rule, and the one function that reads their value for a request.
//!
//! Both evaluators read through [`Var::read`], so they can't disagree about what a variable is worth.

use std::fmt;
use std::sync::Arc;

use cel::common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, operators};
use chrono::{DateTime, Datelike, Timelike, Utc};
use serde_json::Value;

use super::References;
use super::view::{ResponseFacts, View};
use super::vocabulary::{self, BudgetField, Fact, HealthField, Kind, Meaning, ResponseField, Type, Vocabulary};
use crate::facts::{BudgetFacts, Facts};
use crate::guardrail::Findings;
use crate::money::NanoUsd;

/// One variable of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Var {
    /// `tags.x`
    Tag(Arc<str>),
    /// A fact with a fixed name.
    Fact(Fact),
    /// A field of the most constraining budget, or of a named one.
    Budget(Option<Arc<str>>, BudgetField),
    /// A field of a target's health.
    Health(Arc<str>, HealthField),
    /// A field of the answer that is judged.
    Response(ResponseField),
    /// How many of a kind or group were found: `request.findings.email`.
    Findings(&'static str),
    /// Whether any was: `'email' in request.findings`.
    Found(&'static str),
    /// A place in the JSON that the answer is: `response.json.score`; all of it where the path is empty.
    Json(Box<[Arc<str>]>),
    /// Whether a variable is not null: `has(tags.x)`, `'x' in tags`.
    Given(Box<Var>),
    /// Whether a budget applies: `'name' in budgets`.
    BudgetApplies(Arc<str>),
    /// Whether a target was measured: `'provider/model' in health`.
    HealthMeasured(Arc<str>),
}

/// A value without parts, borrowed from the facts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(&'a str),
    Time(DateTime<Utc>),
    /// An object or a list: there, but of no order and equal to nothing.
    Compound,
}

impl Var {
    /// The variable that `expr` is, if it is one as a whole.
    pub(super) fn of(expr: &Expr) -> Option<Self> {
        match expr {
            Expr::Ident(name) => Self::plain(name, None),
            Expr::Select(select) if select.test => match &select.operand.expr {
                Expr::Ident(root) if root == "budgets" => Some(Self::BudgetApplies(select.field.as_str().into())),
                operand if is_findings(operand) => Findings::known(&select.field).map(Self::Found),
                _ => Self::of_select(select).map(|variable| Self::Given(Box::new(variable))),
            },
            Expr::Select(select) => Self::of_select(select),
            Expr::Call(call) if call.func_name == operators::IN => Self::of_membership(call),
            Expr::Call(call) if let Some(name) = finding_asked(call) => Findings::known(name).map(Self::Findings),
            Expr::Call(_) => match element(expr)? {
                ("tags", name) => Some(Self::Tag(name.into())),
                _ => None,
            },
            _ => None,
        }
    }

    fn of_select(select: &SelectExpr) -> Option<Self> {
        if let Some(path) = json_path(select) {
            return Some(Self::Json(path.into_iter().map(Arc::from).collect()));
        }
        match &select.operand.expr {
            Expr::Ident(root) if root == "tags" => Some(Self::Tag(select.field.as_str().into())),
            Expr::Ident(root) => Self::plain(root, Some(&select.field)),
            operand if is_findings(operand) => Findings::known(&select.field).map(Self::Findings),
            Expr::Select(inner) if matches!(&inner.operand.expr, Expr::Ident(root) if root == "response") => {
                Self::plain("response", Some(&format!("{}.{}", inner.field, select.field)))
            }
            operand => {
                let (root, name) = element(operand)?;
                Self::of_element(root, name, &select.field)
            }
        }
    }

    /// `'name' in tags`, `'name' in budgets`, `'provider/model' in health`.
    fn of_membership(call: &CallExpr) -> Option<Self> {
        let [needle, container] = call.args.as_slice() else { return None };
        let name = text_literal(&needle.expr)?;
        if is_findings(&container.expr) {
            return Findings::known(name).map(Self::Found);
        }
        let Expr::Ident(root) = &container.expr else { return None };
        match root.as_str() {
            "tags" => Some(Self::Given(Box::new(Self::Tag(name.into())))),
            "budgets" => Some(Self::BudgetApplies(name.into())),
            "health" => Some(Self::HealthMeasured(name.into())),
            _ => None,
        }
    }

    fn plain(root: &str, field: Option<&str>) -> Option<Self> {
        match vocabulary::find(root, field)?.meaning {
            Meaning::Fact(fact) => Some(Self::Fact(fact)),
            Meaning::Budget(field) => Some(Self::Budget(None, field)),
            Meaning::Response(field) => Some(Self::Response(field)),
            Meaning::Tags | Meaning::Budgets | Meaning::Findings | Meaning::Health(_) | Meaning::Json => None,
        }
    }

    /// `budgets["name"].field` or `health["name"].field`.
    fn of_element(root: &str, name: &str, field: &str) -> Option<Self> {
        let root = if root == "budgets" { "budget" } else { root };
        match vocabulary::find(root, Some(field))?.meaning {
            Meaning::Budget(field) => Some(Self::Budget(Some(name.into()), field)),
            Meaning::Health(field) => Some(Self::Health(name.into(), field)),
            Meaning::Tags | Meaning::Fact(_) | Meaning::Budgets | Meaning::Findings | Meaning::Response(_) | Meaning::Json => None,
        }
    }

    /// The type it was declared with.
    pub(super) fn ty(&self) -> Type {
        let meaning = match self {
            Self::Tag(_) => return Type::or_null(Kind::String),
            Self::Fact(fact) => Meaning::Fact(*fact),
            Self::Budget(_, field) => Meaning::Budget(*field),
            Self::Health(_, field) => Meaning::Health(*field),
            Self::Response(field) => Meaning::Response(*field),
            Self::Json(_) => Meaning::Json,
            Self::Findings(_) => return Type::of(Kind::Int),
            Self::Given(_) | Self::BudgetApplies(_) | Self::HealthMeasured(_) | Self::Found(_) => return Type::of(Kind::Bool),
        };
        vocabulary::all().find(|variable| variable.meaning == meaning).map_or(Type::of(Kind::Null), |variable| variable.ty)
    }

    /// Which expressions may ask for it.
    pub(super) fn vocabulary(&self) -> Vocabulary {
        match self {
            Self::Response(_) | Self::Json(_) => Vocabulary::Response,
            Self::Given(variable) => variable.vocabulary(),
            Self::Tag(_)
            | Self::Fact(_)
            | Self::Budget(..)
            | Self::Health(..)
            | Self::Findings(_)
            | Self::Found(_)
            | Self::BudgetApplies(_)
            | Self::HealthMeasured(_) => Vocabulary::Request,
        }
    }

    /// Notes in `references` what this variable asks for.
    pub(super) fn note(&self, references: &mut References) {
        match self {
            Self::Tag(name) => references.tags.push(Arc::clone(name)),
            Self::Fact(Fact::EstimateCost) => references.estimate = true,
            Self::Fact(_) | Self::Findings(_) | Self::Found(_) | Self::Response(_) | Self::Json(_) => {}
            Self::Budget(None, _) => references.budget = true,
            Self::Budget(Some(name), _) | Self::BudgetApplies(name) => references.budgets.push(Arc::clone(name)),
            Self::Health(name, _) | Self::HealthMeasured(name) => references.health.push(Arc::clone(name)),
            Self::Given(variable) => variable.note(references),
        }
    }

    /// Its value for one request or answer; the checker lets no variable meet the other.
    pub(super) fn read<'a>(&self, view: View<'a>) -> Scalar<'a> {
        match (self, view) {
            (Self::Given(variable), _) => Scalar::Bool(!matches!(variable.read(view), Scalar::Null)),
            (Self::Response(field), View::Response(response)) => read_response(*field, response),
            (Self::Json(path), View::Response(response)) => read_json(path, response),
            (_, View::Request(facts)) => self.read_request(facts),
            (_, View::Response(_)) => Scalar::Null,
        }
    }

    fn read_request<'a>(&self, facts: &'a Facts<'a>) -> Scalar<'a> {
        match self {
            Self::Tag(name) => facts.request.tags.get(name).map_or(Scalar::Null, Scalar::Text),
            Self::Fact(fact) => read_fact(*fact, facts),
            Self::Budget(None, field) => read_budget(facts.most_constraining.and_then(|at| facts.budgets.get(at)), *field),
            Self::Budget(Some(name), field) => read_budget(find_budget(facts, name), *field),
            Self::Health(target, field) => {
                let measured = facts.health.health(target);
                match field {
                    HealthField::P50Ms => Scalar::Double(measured.map_or(0.0, |health| health.p50_ms)),
                    HealthField::Ok => Scalar::Bool(measured.is_none_or(|health| health.ok)),
                }
            }
            Self::Given(_) | Self::Response(_) | Self::Json(_) => Scalar::Null,
            Self::Findings(name) => Scalar::Int(facts.request.findings.named(name).into()),
            Self::Found(name) => Scalar::Bool(facts.request.findings.named(name) > 0),
            Self::BudgetApplies(name) => Scalar::Bool(find_budget(facts, name).is_some()),
            Self::HealthMeasured(target) => Scalar::Bool(facts.health.health(target).is_some()),
        }
    }
}

/// The budget called `name`, if it applies to the request.
fn find_budget<'a>(facts: &Facts<'a>, name: &str) -> Option<&'a BudgetFacts<'a>> {
    facts.budgets.iter().find(|budget| budget.name == name)
}

fn read_fact<'a>(fact: Fact, facts: &Facts<'a>) -> Scalar<'a> {
    let request = facts.request;
    let local = || request.time.with_timezone(&facts.time_zone);
    match fact {
        Fact::Model => Scalar::Text(&request.model),
        Fact::Surface => Scalar::Text(request.surface.as_str()),
        Fact::Operation => Scalar::Text(request.passthrough.as_ref().map_or("", |passthrough| &passthrough.operation)),
        Fact::Stream => Scalar::Bool(request.stream),
        Fact::InputTokens => tokens(request.input_tokens),
        Fact::MaxOutputTokens => request.max_output_tokens.map_or(Scalar::Null, tokens),
        Fact::HasTools => Scalar::Bool(request.has_tools),
        Fact::HasImages => Scalar::Bool(request.has_images),
        Fact::Sensitivity => Scalar::Text(request.findings.sensitivity()),
        Fact::Time => Scalar::Time(request.time),
        Fact::Hour => Scalar::Int(local().hour().into()),
        Fact::Weekday => Scalar::Int(local().weekday().num_days_from_sunday().into()),
        Fact::Client => Scalar::Text(request.client.as_deref().unwrap_or_default()),
        Fact::KeyName => Scalar::Text(facts.subject.key),
        Fact::KeyProject | Fact::Project => Scalar::Text(facts.subject.project),
        Fact::KeyOwner => Scalar::Text(facts.subject.owner),
        Fact::Org => Scalar::Text(facts.subject.org),
        Fact::EndUser => Scalar::Text(request.end_user.as_deref().unwrap_or_default()),
        Fact::EstimateCost => Scalar::Double(usd(facts.estimate)),
    }
}

fn read_response(field: ResponseField, response: &ResponseFacts) -> Scalar<'_> {
    match field {
        ResponseField::Text => Scalar::Text(&response.text),
        ResponseField::FinishReason => Scalar::Text(response.finish_reason),
        ResponseField::InputTokens => tokens(response.input_tokens),
        ResponseField::OutputTokens => tokens(response.output_tokens),
        ResponseField::Refused => Scalar::Bool(response.refused),
        ResponseField::ToolCalls => tokens(response.tool_calls),
    }
}

/// What stands at `path`; null where the text is no JSON or nothing stands there.
fn read_json<'a>(path: &[Arc<str>], response: &'a ResponseFacts) -> Scalar<'a> {
    let found = path.iter().try_fold(response.json.as_ref(), |value, name| value.map(|value| value.get(name.as_ref())));
    match found.flatten() {
        None | Some(Value::Null) => Scalar::Null,
        Some(Value::Bool(value)) => Scalar::Bool(*value),
        Some(Value::Number(number)) => {
            number.as_i64().map(Scalar::Int).or_else(|| number.as_f64().map(Scalar::Double)).unwrap_or(Scalar::Null)
        }
        Some(Value::String(text)) => Scalar::Text(text),
        Some(Value::Array(_) | Value::Object(_)) => Scalar::Compound,
    }
}

/// The names after `response.json`, where `select` begins with it.
fn json_path(select: &SelectExpr) -> Option<Vec<&str>> {
    match &select.operand.expr {
        Expr::Ident(root) if root == "response" && select.field == "json" => Some(Vec::new()),
        Expr::Select(inner) if !inner.test => {
            let mut path = json_path(inner)?;
            path.push(&select.field);
            Some(path)
        }
        _ => None,
    }
}

fn read_budget<'a>(budget: Option<&BudgetFacts<'a>>, field: BudgetField) -> Scalar<'a> {
    match (field, budget) {
        (BudgetField::UsedPct, budget) => Scalar::Double(budget.map_or(0.0, BudgetFacts::used_pct)),
        (BudgetField::RemainingUsd, budget) => Scalar::Double(budget.map_or(f64::INFINITY, |budget| usd(budget.remaining()))),
        (BudgetField::CapUsd, budget) => Scalar::Double(budget.map_or(0.0, |budget| usd(budget.cap))),
        (BudgetField::Name, budget) => Scalar::Text(budget.map_or("", |budget| budget.name)),
    }
}

fn tokens<'a>(count: u64) -> Scalar<'a> {
    Scalar::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "what a rule compares with; no money is computed from it")]
fn usd(amount: NanoUsd) -> f64 {
    amount.nanos() as f64 / 1e9
}

/// `root["name"]`, or `root.name` of what is asked for by name.
pub(super) fn element(expr: &Expr) -> Option<(&str, &str)> {
    match expr {
        Expr::Call(call) if call.func_name == operators::INDEX => {
            let [target, index] = call.args.as_slice() else { return None };
            let Expr::Ident(root) = &target.expr else { return None };
            Some((root, text_literal(&index.expr)?))
        }
        Expr::Select(select) if !select.test => match &select.operand.expr {
            Expr::Ident(root) if root == "budgets" || root == "health" => Some((root, &select.field)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether `expr` is `request.findings`.
pub(super) fn is_findings(expr: &Expr) -> bool {
    let Expr::Select(select) = expr else { return false };
    !select.test && select.field == "findings" && matches!(&select.operand.expr, Expr::Ident(root) if root == "request")
}

/// The name in `request.findings["name"]`.
pub(super) fn finding_asked(call: &CallExpr) -> Option<&str> {
    let [target, index] = call.args.as_slice() else { return None };
    let asked = call.func_name == operators::INDEX && is_findings(&target.expr);
    asked.then(|| text_literal(&index.expr)).flatten()
}

/// The text of a string literal.
pub(super) fn text_literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

impl fmt::Display for Var {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |meaning| {
            let variable = vocabulary::all().find(|variable| variable.meaning == meaning);
            variable.map_or("?", |variable| variable.name)
        };
        match self {
            Self::Tag(tag) => write!(f, "tags.{tag}"),
            Self::Fact(fact) => f.write_str(name(Meaning::Fact(*fact))),
            Self::Budget(_, field) => f.write_str(name(Meaning::Budget(*field))),
            Self::Health(_, field) => f.write_str(name(Meaning::Health(*field))),
            Self::Response(field) => f.write_str(name(Meaning::Response(*field))),
            Self::Findings(kind) => write!(f, "request.findings.{kind}"),
            Self::Found(kind) => write!(f, "'{kind}' in request.findings"),
            Self::Json(path) => {
                f.write_str("response.json")?;
                path.iter().try_for_each(|name| write!(f, ".{name}"))
            }
            Self::Given(variable) => write!(f, "has({variable})"),
            Self::BudgetApplies(_) => f.write_str("in budgets"),
            Self::HealthMeasured(_) => f.write_str("in health"),
        }
    }
}

//! The part of the language most rules are made of, as a small tree that is evaluated without allocating.
//!
//! Comparisons, `in` with a list of literals, `startsWith`, `endsWith`, `contains`, `matches`, and `&&`, `||`, `!` over them; operands
//! are variables and literals. [`compile`] answers `None` for anything else, which then runs interpreted. It is given checked trees
//! only, and means exactly what the interpreter means: errors are absorbed by `&&` and `||` on both sides, null is unordered.

use std::cmp::Ordering;
use std::fmt;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};
use chrono::{DateTime, Utc};
use regex::Regex;

use super::Verdict;
use super::functions;
use super::variable::{Scalar, Var, text_literal};
use super::view::View;
use super::vocabulary::{Kind, Type};

/// One condition.
#[derive(Debug)]
pub(super) enum Node {
    Constant(bool),
    Flag(Var),
    Not(Box<Node>),
    All(Box<[Node]>),
    Any(Box<[Node]>),
    Compare(Operand, Comparison, Operand),
    OneOf(Operand, Box<[Literal]>),
    Text(Operand, TextTest, Operand),
    Matches(Operand, Regex),
}

/// What is compared.
#[derive(Debug)]
pub(super) enum Operand {
    Variable(Var),
    Literal(Literal),
}

#[derive(Debug)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Box<str>),
    Time(DateTime<Utc>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

/// Why a condition could not be told: a text test found no text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault<'n> {
    test: &'static str,
    operand: &'n Operand,
}

/// The tree for `node`, if it is made of what this module knows.
pub(super) fn compile(node: &IdedExpr) -> Option<Node> {
    if let Some(variable) = Var::of(&node.expr) {
        return (variable.ty() == Type::of(Kind::Bool)).then_some(Node::Flag(variable));
    }
    match &node.expr {
        Expr::Literal(LiteralValue::Boolean(value)) => Some(Node::Constant(*value.inner())),
        Expr::Call(call) => compile_call(call),
        _ => None,
    }
}

fn compile_call(call: &CallExpr) -> Option<Node> {
    let comparison = |comparison, left, right| Some(Node::Compare(operand(left)?, comparison, operand(right)?));
    let test = |test, subject, needle| Some(Node::Text(operand(subject)?, test, operand(needle)?));
    match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
        (operators::LOGICAL_NOT, _, [inner]) => Some(Node::Not(Box::new(compile(inner)?))),
        (operators::LOGICAL_AND, ..) => Some(Node::All(chain(call)?)),
        (operators::LOGICAL_OR, ..) => Some(Node::Any(chain(call)?)),
        (operators::EQUALS, _, [left, right]) => comparison(Comparison::Equal, left, right),
        (operators::NOT_EQUALS, _, [left, right]) => comparison(Comparison::NotEqual, left, right),
        (operators::LESS, _, [left, right]) => comparison(Comparison::Less, left, right),
        (operators::LESS_EQUALS, _, [left, right]) => comparison(Comparison::AtMost, left, right),
        (operators::GREATER, _, [left, right]) => comparison(Comparison::Greater, left, right),
        (operators::GREATER_EQUALS, _, [left, right]) => comparison(Comparison::AtLeast, left, right),
        (operators::IN, _, [needle, container]) => {
            let Expr::List(list) = &container.expr else { return None };
            let literals: Option<Box<[Literal]>> = list.elements.iter().map(|element| literal(&element.expr)).collect();
            Some(Node::OneOf(operand(needle)?, literals?))
        }
        ("startsWith", Some(subject), [needle]) => test(TextTest::StartsWith, subject, needle),
        ("endsWith", Some(subject), [needle]) => test(TextTest::EndsWith, subject, needle),
        ("contains", Some(subject), [needle]) => test(TextTest::Contains, subject, needle),
        ("matches", Some(subject), [pattern]) | ("matches", None, [subject, pattern]) => {
            Some(Node::Matches(operand(subject)?, functions::pattern(text_literal(&pattern.expr)?).ok()?))
        }
        _ => None,
    }
}

/// The operands of nested `&&` or `||` as one row; the parser balances long ones.
fn chain(call: &CallExpr) -> Option<Box<[Node]>> {
    let mut row = Vec::new();
    for argument in &call.args {
        match &argument.expr {
            Expr::Call(inner) if inner.func_name == call.func_name => row.extend(chain(inner)?),
            _ => row.push(compile(argument)?),
        }
    }
    Some(row.into_boxed_slice())
}

fn operand(node: &IdedExpr) -> Option<Operand> {
    match Var::of(&node.expr) {
        Some(variable) => Some(Operand::Variable(variable)),
        None => literal(&node.expr).map(Operand::Literal),
    }
}

fn literal(expr: &Expr) -> Option<Literal> {
    match expr {
        Expr::Literal(LiteralValue::Null) => Some(Literal::Null),
        Expr::Literal(LiteralValue::Boolean(value)) => Some(Literal::Bool(*value.inner())),
        Expr::Literal(LiteralValue::Int(value)) => Some(Literal::Int(*value.inner())),
        Expr::Literal(LiteralValue::Double(value)) => Some(Literal::Double(*value.inner())),
        Expr::Literal(LiteralValue::String(value)) => Some(Literal::Text(value.inner().into())),
        Expr::Call(call) if call.func_name == "timestamp" => {
            let [text] = call.args.as_slice() else { return None };
            let time = DateTime::parse_from_rfc3339(text_literal(&text.expr)?).ok()?;
            Some(Literal::Time(time.with_timezone(&Utc)))
        }
        _ => None,
    }
}

impl Node {
    /// The answer for one request or response.
    pub(super) fn verdict(&self, view: View<'_>) -> Verdict {
        match self.holds(view) {
            Ok(true) => Verdict::True,
            Ok(false) => Verdict::False,
            Err(fault) => Verdict::Errored(fault.to_string()),
        }
    }

    fn holds(&self, view: View<'_>) -> Result<bool, Fault<'_>> {
        match self {
            Self::Constant(value) => Ok(*value),
            Self::Flag(variable) => Ok(variable.read(view) == Scalar::Bool(true)),
            Self::Not(inner) => inner.holds(view).map(|holds| !holds),
            Self::All(row) => decided(row, view, false),
            Self::Any(row) => decided(row, view, true),
            Self::Compare(left, comparison, right) => Ok(comparison.holds(left.read(view), right.read(view))),
            Self::OneOf(needle, literals) => {
                let needle = needle.read(view);
                Ok(literals.iter().any(|literal| Comparison::Equal.holds(needle, literal.read())))
            }
            Self::Text(subject, test, needle) => Ok(test.holds(subject.text(view, test.name())?, needle.text(view, test.name())?)),
            Self::Matches(subject, pattern) => Ok(pattern.is_match(subject.text(view, "matches")?)),
        }
    }
}

/// The first condition that is `deciding` decides the row, whatever errors stand beside it; else the first error; else the opposite.
fn decided<'n>(row: &'n [Node], view: View<'_>, deciding: bool) -> Result<bool, Fault<'n>> {
    let mut fault = None;
    for node in row {
        match node.holds(view) {
            Ok(holds) if holds == deciding => return Ok(deciding),
            Ok(_) => {}
            Err(found) => fault = fault.or(Some(found)),
        }
    }
    fault.map_or(Ok(!deciding), Err)
}

impl Operand {
    fn read<'a>(&'a self, view: View<'a>) -> Scalar<'a> {
        match self {
            Self::Variable(variable) => variable.read(view),
            Self::Literal(literal) => literal.read(),
        }
    }

    fn text<'a, 'n: 'a>(&'n self, view: View<'a>, test: &'static str) -> Result<&'a str, Fault<'n>> {
        match self.read(view) {
            Scalar::Text(found) => Ok(found),
            _ => Err(Fault { test, operand: self }),
        }
    }
}

impl Literal {
    fn read(&self) -> Scalar<'_> {
        match self {
            Self::Null => Scalar::Null,
            Self::Bool(value) => Scalar::Bool(*value),
            Self::Int(value) => Scalar::Int(*value),
            Self::Double(value) => Scalar::Double(*value),
            Self::Text(value) => Scalar::Text(value),
            Self::Time(value) => Scalar::Time(*value),
        }
    }
}

impl Comparison {
    fn holds(self, left: Scalar<'_>, right: Scalar<'_>) -> bool {
        let order = order(left, right);
        match self {
            Self::Equal => order == Some(Ordering::Equal) || (left, right) == (Scalar::Null, Scalar::Null),
            Self::NotEqual => !Self::Equal.holds(left, right),
            Self::Less => order == Some(Ordering::Less),
            Self::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::AtLeast => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

/// How two values compare; none where either is null or not a number.
#[expect(clippy::cast_precision_loss, reason = "CEL compares an int with a double as doubles")]
fn order(left: Scalar<'_>, right: Scalar<'_>) -> Option<Ordering> {
    match (left, right) {
        (Scalar::Bool(left), Scalar::Bool(right)) => Some(left.cmp(&right)),
        (Scalar::Int(left), Scalar::Int(right)) => Some(left.cmp(&right)),
        (Scalar::Double(left), Scalar::Double(right)) => left.partial_cmp(&right),
        (Scalar::Int(left), Scalar::Double(right)) => (left as f64).partial_cmp(&right),
        (Scalar::Double(left), Scalar::Int(right)) => left.partial_cmp(&(right as f64)),
        (Scalar::Text(left), Scalar::Text(right)) => Some(left.cmp(right)),
        (Scalar::Time(left), Scalar::Time(right)) => Some(left.cmp(&right)),
        _ => None,
    }
}

impl TextTest {
    fn holds(self, whole: &str, part: &str) -> bool {
        match self {
            Self::StartsWith => whole.starts_with(part),
            Self::EndsWith => whole.ends_with(part),
            Self::Contains => whole.contains(part),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Contains => "contains",
        }
    }
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operand {
            Operand::Variable(variable) => write!(f, "`{}` needs a text, but `{variable}` is missing", self.test),
            Operand::Literal(_) => write!(f, "`{}` needs a text, but found none", self.test),
        }
    }
}

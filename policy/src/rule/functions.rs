//! The functions a rule may call, as data, and what each takes.
//!
//! None of them makes a text longer than its argument, reads a clock, or takes longer than its argument is long; that is what the
//! bound on steps rests on. A pattern is a literal, so that it is compiled once, here, and never on a request.

use cel::common::ast::{CallExpr, IdedExpr};
use regex::{Regex, RegexBuilder};

use super::RuleError;
use super::check::Checker;
use super::limits::MAX_PATTERN;
use super::variable::text_literal;
use super::vocabulary::{Kind, Type};

/// One function or macro.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// How it is written.
    pub usage: &'static str,
    /// What it answers.
    pub doc: &'static str,
}

const fn function(name: &'static str, usage: &'static str, doc: &'static str) -> Function {
    Function { name, usage, doc }
}

/// Every function and macro, in the order of the reference.
pub const FUNCTIONS: &[Function] = &[
    function("has", "has(tags.team)", "whether a tag is there; for other fields, whether they are not null"),
    function(
        "in",
        "tags.team in ['a', 'b']; 'team' in tags; 'email' in request.findings",
        "whether a list has a value, a tag is there, or something was found",
    ),
    function("startsWith", "request.model.startsWith('gpt-')", "whether a text begins with another"),
    function("endsWith", "request.model.endsWith('-mini')", "whether a text ends with another"),
    function("contains", "request.model.contains('haiku')", "whether a text has another within it"),
    function("matches", "request.model.matches('^gpt-[45]')", "whether a pattern, a literal in RE2 syntax, is found in a text"),
    function("lowerAscii", "tags.team.lowerAscii()", "the text with A to Z in lower case"),
    function("size", "size(tags), size(request.model)", "number of tags, or of characters"),
    function("double", "double(request.input_tokens)", "a number, or a text that is one, as double"),
    function("int", "int(tags.priority)", "a number, or a text that is one, as int, towards zero"),
    function("string", "string(request.hour)", "a value as text"),
    function("timestamp", "timestamp('2026-01-31T00:00:00Z')", "an instant, written in RFC 3339"),
    function("exists", "tags.exists(t, t.startsWith('x-'))", "whether the condition holds for some element of a list, or name of a tag"),
    function("all", "['a', 'b'].all(t, has(tags.team) && tags.team != t)", "whether the condition holds for every element"),
    function("exists_one", "tags.exists_one(t, tags[t] == 'x')", "whether the condition holds for exactly one element"),
];

/// The compiled form of a literal pattern.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(text).size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the pattern is too large when compiled".to_owned(),
        other => format!("the pattern is not valid: {}", other.to_string().lines().last().unwrap_or_default().trim()),
    })
}

/// The type of a call to a function (not an operator), or why it is refused. `node` is the call itself.
pub(super) fn check(checker: &mut Checker<'_>, node: &IdedExpr, call: &CallExpr) -> Result<Type, RuleError> {
    let mut arguments: Vec<&IdedExpr> = call.target.as_deref().into_iter().collect();
    arguments.extend(&call.args);
    let method = call.target.is_some();
    match (call.func_name.as_str(), method, arguments.as_slice()) {
        ("startsWith" | "endsWith" | "contains", true, [subject, needle]) => {
            text(checker, &call.func_name, subject)?;
            text(checker, &call.func_name, needle)?;
            Ok(Type::of(Kind::Bool))
        }
        ("matches", _, [subject, wanted]) => {
            text(checker, "matches", subject)?;
            let literal =
                text_literal(&wanted.expr).ok_or_else(|| checker.refuse(wanted, "the pattern of `matches` has to be a literal"))?;
            pattern(literal).map_err(|why| checker.refuse(wanted, why))?;
            Ok(Type::of(Kind::Bool))
        }
        ("lowerAscii", true, [subject]) => {
            text(checker, "lowerAscii", subject)?;
            Ok(Type::of(Kind::String))
        }
        ("size", _, [subject]) if checker.is_tags(subject) => Ok(Type::of(Kind::Int)),
        ("size", _, [subject]) => {
            text(checker, "size", subject)?;
            Ok(Type::of(Kind::Int))
        }
        ("double", false, [from]) => convert(checker, from, "double", Kind::Double),
        ("int", false, [from]) => convert(checker, from, "int", Kind::Int),
        ("string", false, [from]) => convert(checker, from, "string", Kind::String),
        ("timestamp", false, [literal]) => timestamp(checker, literal),
        (name, ..) => Err(refuse_call(checker, node, name)),
    }
}

fn text(checker: &mut Checker<'_>, function: &str, argument: &IdedExpr) -> Result<(), RuleError> {
    let found = checker.walk(argument)?;
    if matches!(found.kind, Kind::String | Kind::Any) {
        return Ok(());
    }
    Err(checker.refuse(argument, format!("`{function}` takes a string, but this is {found}")))
}

fn convert(checker: &mut Checker<'_>, from: &IdedExpr, name: &str, to: Kind) -> Result<Type, RuleError> {
    let found = checker.walk(from)?;
    let taken =
        found.kind.is_number() || found.kind == Kind::Any || found.kind == Kind::String || (to == Kind::String && found.kind == Kind::Bool);
    if taken {
        return Ok(Type::of(to));
    }
    Err(checker.refuse(from, format!("`{name}` can't convert {found}")))
}

fn timestamp(checker: &Checker<'_>, literal: &IdedExpr) -> Result<Type, RuleError> {
    let text = text_literal(&literal.expr)
        .ok_or_else(|| checker.refuse(literal, "`timestamp` takes a literal, such as `timestamp('2026-01-31T00:00:00Z')`"))?;
    chrono::DateTime::parse_from_rfc3339(text).map_err(|_| checker.refuse(literal, format!("`{text}` is not a time in RFC 3339")))?;
    Ok(Type::of(Kind::Timestamp))
}

fn refuse_call(checker: &Checker<'_>, node: &IdedExpr, name: &str) -> RuleError {
    let message = if let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) {
        format!("`{name}` is not used like this; write `{}`", function.usage)
    } else {
        let known: Vec<_> = FUNCTIONS.iter().map(|function| format!("`{}`", function.name)).collect();
        format!("unknown function `{name}`; known are {}", known.join(", "))
    };
    checker.refuse_named(node, name, message)
}

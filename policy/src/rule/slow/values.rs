//! What the interpreter is given: the values of a rule's variables for one request, and the functions that stand in for operators.

use std::any::Any;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelMap, CelMapKey, CelNull, CelString, CelTimestamp, DYN_TYPE, MAP_TYPE, STRING_TYPE, Type,
};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::context::VariableResolver;
use cel::{DeclarationError, Env, ExecutionError, extensions};
use regex::Regex;
use smallvec::SmallVec;

use crate::rule::variable::{Scalar, Var};
use crate::rule::view::View;

pub(super) const TAGS: &str = "@tags";
pub(super) const TAG: &str = "@tag";
pub(super) const MATCHES: &str = "@matches";
pub(super) const LESS: &str = "@less";
pub(super) const AT_MOST: &str = "@at_most";
pub(super) const GREATER: &str = "@greater";
pub(super) const AT_LEAST: &str = "@at_least";

/// The name of the variable at `at`.
pub(super) fn variable_name(at: usize) -> String {
    format!("@{at}")
}

/// The name of the pattern at `at`.
pub(super) fn pattern_name(at: usize) -> String {
    format!("@pattern{at}")
}

/// A function or operator as it is written in a rule.
pub(super) fn written(function: &str) -> &str {
    match function {
        TAG => "tags[…]",
        LESS => "<",
        AT_MOST => "<=",
        GREATER => ">",
        AT_LEAST => ">=",
        "-_" => "-",
        "@in" => "in",
        other => other.trim_start_matches('@').trim_matches('_'),
    }
}

/// The values of one rule's names for one request.
pub(super) struct Scope<'a> {
    variables: SmallVec<[Scalar<'a>; 8]>,
    patterns: &'a [Arc<Regex>],
    tags: Option<CelMap<'a>>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(variables: &[Var], patterns: &'a [Arc<Regex>], walks_tags: bool, view: View<'a>) -> Self {
        let whole = || {
            let tags = match view {
                View::Request(facts) => Some(facts.request.tags.iter()),
                View::Response(_) => None,
            };
            let tags = tags.into_iter().flatten();
            let entries: HashMap<CelMapKey<'a>, Box<dyn Val + 'a>> =
                tags.map(|(name, value)| (CelMapKey::from(name), Box::new(CelString::from(value)) as Box<dyn Val + 'a>)).collect();
            CelMap::from(entries)
        };
        Self { variables: variables.iter().map(|variable| variable.read(view)).collect(), patterns, tags: walks_tags.then(whole) }
    }
}

impl VariableResolver for Scope<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let name = name.strip_prefix('@')?;
        if let Ok(at) = name.parse::<usize>() {
            return self.variables.get(at).map(|value| owned(*value));
        }
        if let Some(at) = name.strip_prefix("pattern") {
            let pattern = self.patterns.get(at.parse::<usize>().ok()?)?;
            return Some(CowVal::owned(Pattern(Arc::clone(pattern))));
        }
        if name == "tags" {
            return self.tags.as_ref().map(|tags| CowVal::Borrowed(tags));
        }
        None
    }
}

fn owned(value: Scalar<'_>) -> CowVal<'_, '_> {
    match value {
        Scalar::Null => CowVal::owned(CelNull),
        Scalar::Bool(value) => CowVal::owned(CelBool::from(value)),
        Scalar::Int(value) => CowVal::owned(CelInt::from(value)),
        Scalar::Double(value) => CowVal::owned(CelDouble::from(value)),
        Scalar::Text(value) => CowVal::owned(CelString::from(value)),
        // Neither null nor equal to anything that can be written.
        Scalar::Compound => CowVal::owned(CelMap::from(HashMap::<CelMapKey<'_>, Box<dyn Val>>::new())),
        Scalar::Time(value) => CowVal::owned(CelTimestamp::from(value.fixed_offset())),
    }
}

/// A compiled pattern as a value.
#[derive(Debug, Clone)]
struct Pattern(Arc<Regex>);

static PATTERN_TYPE: Type = Type::new_unspecified_type("pattern");

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        &PATTERN_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}

/// The functions of every rule, built once.
pub(super) fn environment() -> Option<Arc<Env>> {
    static ENVIRONMENT: LazyLock<Option<Arc<Env>>> = LazyLock::new(|| build().ok().map(Arc::new));
    ENVIRONMENT.clone()
}

fn build() -> Result<Env, DeclarationError> {
    let mut env = Env::stdlib();
    env.add_extension(extensions::strings)?;
    env.add_overload(TAG, "tag_or_null", vec![MAP_TYPE, STRING_TYPE], tag_or_null)?;
    env.add_overload(MATCHES, "matches_compiled", vec![STRING_TYPE, DYN_TYPE], matches_compiled)?;
    env.add_overload(LESS, "less_or_unordered", vec![DYN_TYPE, DYN_TYPE], |args| ordered(&args, &[Ordering::Less]))?;
    env.add_overload(AT_MOST, "at_most_or_unordered", vec![DYN_TYPE, DYN_TYPE], |args| ordered(&args, &[Ordering::Less, Ordering::Equal]))?;
    env.add_overload(GREATER, "greater_or_unordered", vec![DYN_TYPE, DYN_TYPE], |args| ordered(&args, &[Ordering::Greater]))?;
    env.add_overload(AT_LEAST, "at_least_or_unordered", vec![DYN_TYPE, DYN_TYPE], |args| {
        ordered(&args, &[Ordering::Greater, Ordering::Equal])
    })?;
    Ok(env)
}

/// Whether two values are in one of `wanted` orders. What has no order (null, not a number) is in none; the checker let only
/// comparable types through.
fn ordered<'b, 'v>(args: &[CowVal<'b, 'v>], wanted: &[Ordering]) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [left, right] = args else { return Err(ExecutionError::invalid_argument_count(2, args.len())) };
    let order = left.as_comparer().and_then(|left| left.compare(right.as_ref()).ok());
    Ok(CowVal::owned(CelBool::from(order.is_some_and(|order| wanted.contains(&order)))))
}

fn tag_or_null<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let found = match args.as_slice() {
        [tags, name] => tags.as_indexer().and_then(|tags| tags.get(name.as_ref()).ok()).map(CowVal::into_owned),
        _ => return Err(ExecutionError::invalid_argument_count(2, args.len())),
    };
    Ok(found.map_or_else(|| CowVal::owned(CelNull), CowVal::Owned))
}

fn matches_compiled<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [text, pattern] = args.as_slice() else { return Err(ExecutionError::invalid_argument_count(2, args.len())) };
    let (Some(text), Some(pattern)) = (text.downcast_ref::<CelString<'_>>(), pattern.downcast_ref::<Pattern>()) else {
        return Err(ExecutionError::function_error("matches", "not a text and a pattern"));
    };
    Ok(CowVal::owned(CelBool::from(pattern.0.is_match(text.inner()))))
}

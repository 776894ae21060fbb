//! Everything else: checked trees run by the `cel` interpreter.
//!
//! Before it is kept, a tree is rewritten: every variable becomes one name (`@0`, `@1`, …) whose value is read by the same function
//! as in the fast tree; comparisons of order become calls that know null; `matches` gets its pattern compiled; `tags[x]` becomes a
//! look-up that answers null. `@` can't be written in a rule, so none of these names can be forged.
//!
//! The interpreter is the `cel` crate's. Should it panic, that is an error of this one rule, not of the worker.

mod rewrite;
mod values;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::common::ast::IdedExpr;
use cel::common::types::CelBool;
use cel::{Context, ExecutionError, Value};
use regex::Regex;

use super::Verdict;
use super::limits::MAX_TAGS;
use super::variable::Var;
use super::view::View;

/// A rewritten tree and what its names stand for.
pub(super) struct Interpreted {
    tree: IdedExpr,
    variables: Box<[Var]>,
    patterns: Box<[Arc<Regex>]>,
    /// Whether the tags are needed as a whole.
    walks_tags: bool,
}

impl Interpreted {
    /// Rewrites a checked tree.
    pub(super) fn new(tree: IdedExpr) -> Self {
        let mut rewriter = rewrite::Rewriter::default();
        let tree = rewriter.rewrite(tree);
        Self {
            tree,
            variables: rewriter.variables.into_boxed_slice(),
            patterns: rewriter.patterns.into_boxed_slice(),
            walks_tags: rewriter.walks_tags,
        }
    }

    /// The answer for one request or response.
    pub(super) fn verdict(&self, view: View<'_>) -> Verdict {
        if let View::Request(facts) = view
            && self.walks_tags
            && facts.request.tags.len() > MAX_TAGS
        {
            return Verdict::Errored(format!("the request has more than {MAX_TAGS} tags"));
        }
        let Some(environment) = values::environment() else {
            return Verdict::Errored("the interpreter is not available".to_owned());
        };
        let scope = values::Scope::new(&self.variables, &self.patterns, self.walks_tags, view);
        let mut context = Context::with_env(environment);
        context.set_variable_resolver(&scope);
        let answer = catch_unwind(AssertUnwindSafe(|| {
            let value = Value::resolve_val(&self.tree, &context)?;
            Ok(value.downcast_ref::<CelBool>().map(|value| *value.inner()))
        }));
        match answer {
            Ok(Ok(Some(true))) => Verdict::True,
            Ok(Ok(Some(false))) => Verdict::False,
            Ok(Ok(None)) => Verdict::Errored("the rule did not answer true or false".to_owned()),
            Ok(Err(error)) => Verdict::Errored(describe(&error)),
            Err(_) => Verdict::Errored("the interpreter failed".to_owned()),
        }
    }
}

/// What went wrong, in the words of a rule and without the values at hand: a trace may be seen by people who may not see tags.
fn describe(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchOverload(overload) => {
            let types = overload.argument_types().join(", ");
            format!("`{}` can't take ({types})", values::written(overload.function()))
        }
        ExecutionError::UnsupportedBinaryOperator(operator, ..) => format!("`{operator}` found a value missing"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".to_owned(),
        ExecutionError::Overflow(..) => "a number is out of range".to_owned(),
        ExecutionError::FunctionError { function, .. } => format!("`{}` failed on this value", values::written(function)),
        _ => "the expression can't be evaluated for this request".to_owned(),
    }
}

//! The rewriting of a checked tree for the interpreter.

use std::sync::Arc;

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, ListExpr, operators};
use regex::Regex;

use super::values;
use crate::rule::functions;
use crate::rule::variable::{Var, text_literal};

/// Collects what the names in the rewritten tree stand for.
#[derive(Default)]
pub(super) struct Rewriter {
    pub(super) variables: Vec<Var>,
    pub(super) patterns: Vec<Arc<Regex>>,
    pub(super) walks_tags: bool,
}

impl Rewriter {
    pub(super) fn rewrite(&mut self, node: IdedExpr) -> IdedExpr {
        let id = node.id;
        if let Some(variable) = Var::of(&node.expr) {
            return IdedExpr { id, expr: Expr::Ident(self.variable(variable)) };
        }
        let expr = match node.expr {
            Expr::Ident(name) if name == "tags" => {
                self.walks_tags = true;
                Expr::Ident(values::TAGS.to_owned())
            }
            Expr::Call(call) => Expr::Call(self.call(call)),
            Expr::List(list) => Expr::List(ListExpr { elements: self.all(list.elements), ..list }),
            Expr::Comprehension(comprehension) => Expr::Comprehension(Box::new(self.comprehension(*comprehension))),
            other => other,
        };
        IdedExpr { id, expr }
    }

    fn variable(&mut self, variable: Var) -> String {
        let at = self.variables.iter().position(|known| *known == variable).unwrap_or_else(|| {
            self.variables.push(variable);
            self.variables.len().saturating_sub(1)
        });
        values::variable_name(at)
    }

    fn all(&mut self, nodes: Vec<IdedExpr>) -> Vec<IdedExpr> {
        nodes.into_iter().map(|node| self.rewrite(node)).collect()
    }

    fn call(&mut self, call: CallExpr) -> CallExpr {
        if call.func_name == "matches" {
            return self.matches(call);
        }
        let func_name = match call.func_name.as_str() {
            operators::LESS => values::LESS.to_owned(),
            operators::LESS_EQUALS => values::AT_MOST.to_owned(),
            operators::GREATER => values::GREATER.to_owned(),
            operators::GREATER_EQUALS => values::AT_LEAST.to_owned(),
            // Lists are never indexed, and named things are variables by now: this is `tags[x]`.
            operators::INDEX => values::TAG.to_owned(),
            _ => call.func_name,
        };
        CallExpr { func_name, target: call.target.map(|target| Box::new(self.rewrite(*target))), args: self.all(call.args) }
    }

    /// `subject.matches('literal')` with the pattern compiled; the checker saw to the literal.
    fn matches(&mut self, call: CallExpr) -> CallExpr {
        let mut arguments: Vec<_> = call.target.map(|target| *target).into_iter().chain(call.args).collect();
        let pattern = arguments.pop().and_then(|literal| functions::pattern(text_literal(&literal.expr)?).ok());
        let mut args = self.all(arguments);
        if let Some(pattern) = pattern {
            args.push(IdedExpr { id: 0, expr: Expr::Ident(values::pattern_name(self.patterns.len())) });
            self.patterns.push(Arc::new(pattern));
        }
        CallExpr { func_name: values::MATCHES.to_owned(), target: None, args }
    }

    fn comprehension(&mut self, comprehension: ComprehensionExpr) -> ComprehensionExpr {
        ComprehensionExpr {
            iter_range: self.rewrite(comprehension.iter_range),
            accu_init: self.rewrite(comprehension.accu_init),
            loop_cond: self.rewrite(comprehension.loop_cond),
            loop_step: self.rewrite(comprehension.loop_step),
            result: self.rewrite(comprehension.result),
            ..comprehension
        }
    }
}

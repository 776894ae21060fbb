//! The static check: every name, field, function and type of a parsed rule, against the vocabulary.
//!
//! Promise: what passes yields a bool or a run-time error that stems from a missing value, an overflow, a division by zero or a text
//! that is no number; never an unknown name. What the checker does not know, it refuses. Lists are no values of their own: they
//! stand behind `in` or in front of a macro, and nowhere else.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, ListExpr, LiteralValue, SelectExpr, SourceInfo, operators};

use super::limits::MAX_ELEMENTS;
use super::variable::{Var, element, is_findings, text_literal};
use super::vocabulary::{self, Kind, Type, Vocabulary};
use super::{References, RuleError, functions, position};

const BOOL: Type = Type::of(Kind::Bool);

pub(super) struct Checker<'s> {
    source: &'s str,
    vocabulary: Vocabulary,
    places: &'s SourceInfo,
    references: References,
    /// The variable of the comprehension around what is being walked.
    bound: Option<(String, Type)>,
}

/// Checks a whole rule and answers what it asks for.
pub(super) fn check(source: &str, vocabulary: Vocabulary, places: &SourceInfo, root: &IdedExpr) -> Result<References, RuleError> {
    let mut checker = Checker { source, vocabulary, places, references: References::default(), bound: None };
    let found = checker.walk(root)?;
    if found != BOOL {
        return Err(position::at(source, 0, format!("a rule has to be true or false, but this is {found}; compare it with something")));
    }
    let mut references = checker.references;
    for names in [&mut references.budgets, &mut references.health, &mut references.tags] {
        names.sort();
        names.dedup();
    }
    Ok(references)
}

impl Checker<'_> {
    fn offset(&self, node: &IdedExpr) -> usize {
        self.places.offset_for(node.id).and_then(|(start, _)| usize::try_from(start).ok()).unwrap_or(0)
    }

    /// An error at `node`.
    pub(super) fn refuse(&self, node: &IdedExpr, message: impl Into<String>) -> RuleError {
        position::at(self.source, self.offset(node), message)
    }

    /// An error at `name`, which stands just before the place of `node` (a call's place is its bracket) or just after it (a field's is
    /// its dot).
    pub(super) fn refuse_named(&self, node: &IdedExpr, name: &str, message: impl Into<String>) -> RuleError {
        let offset = self.offset(node);
        let stands_at = |at: usize| self.source.get(at..).is_some_and(|rest| rest.starts_with(name));
        let before = offset.saturating_sub(name.len());
        let after = offset.saturating_add(1);
        let later = || self.source.get(offset..).and_then(|rest| rest.find(name)).map(|at| offset.saturating_add(at));
        let place = [before, after].into_iter().find(|at| stands_at(*at)).or_else(later).unwrap_or(offset);
        position::at(self.source, place, message)
    }

    /// The type of an expression.
    pub(super) fn walk(&mut self, node: &IdedExpr) -> Result<Type, RuleError> {
        if let Some(variable) = Var::of(&node.expr) {
            if variable.vocabulary() != self.vocabulary {
                return Err(self.stranger(node));
            }
            variable.note(&mut self.references);
            return Ok(variable.ty());
        }
        match &node.expr {
            Expr::Literal(literal) => self.literal(node, literal),
            Expr::Ident(name) => self.ident(node, name),
            Expr::Select(select) => Err(self.unknown_field(node, select)),
            Expr::Call(call) => self.call(node, call),
            Expr::Comprehension(comprehension) => self.comprehension(node, comprehension),
            Expr::List(_) => Err(self.refuse(node, "a list is used with `in`, `exists`, `all` or `exists_one` only")),
            Expr::Map(_) | Expr::Struct(_) => Err(self.refuse(node, "maps and messages can't be written in a rule")),
            Expr::Unspecified => Err(self.refuse(node, "incomplete expression")),
        }
    }

    fn literal(&self, node: &IdedExpr, literal: &LiteralValue) -> Result<Type, RuleError> {
        Ok(Type::of(match literal {
            LiteralValue::Boolean(_) => Kind::Bool,
            LiteralValue::Int(_) => Kind::Int,
            LiteralValue::UInt(_) => Kind::Uint,
            LiteralValue::Double(_) => Kind::Double,
            LiteralValue::String(_) => Kind::String,
            LiteralValue::Null => Kind::Null,
            LiteralValue::Bytes(_) => return Err(self.refuse(node, "there are no bytes to compare with; write a string")),
        }))
    }

    fn ident(&self, node: &IdedExpr, name: &str) -> Result<Type, RuleError> {
        if let Some((_, found)) = self.bound.as_ref().filter(|(bound, _)| bound == name) {
            return Ok(*found);
        }
        Err(match name {
            root if !self.vocabulary.has_root(root) => self.unknown_variable(node, root),
            "tags" => self.refuse(node, "`tags` is a map; write `tags.name`, `'name' in tags` or `size(tags)`"),
            "budgets" => self.refuse(node, "`budgets` is asked by name; write `budgets[\"name\"].used_pct`"),
            "health" => self.refuse(node, "`health` is asked by target; write `health[\"provider/model\"].ok`"),
            root => self.refuse(node, format!("`{root}` has fields: {}", vocabulary::fields(root))),
        })
    }

    /// A variable of the other vocabulary, at the name it begins with.
    fn stranger(&self, node: &IdedExpr) -> RuleError {
        match &node.expr {
            Expr::Ident(name) => self.unknown_variable(node, name),
            Expr::Select(select) => self.stranger(&select.operand),
            Expr::Call(call) => match call.args.as_slice() {
                [_, container] if call.func_name == operators::IN => self.stranger(container),
                [target, ..] => self.stranger(target),
                [] => self.refuse(node, "unknown variable"),
            },
            _ => self.refuse(node, "unknown variable"),
        }
    }

    /// Whether `node` is the variable `tags` as a whole, where there is one.
    pub(super) fn is_tags(&self, node: &IdedExpr) -> bool {
        self.vocabulary == Vocabulary::Request && matches!(&node.expr, Expr::Ident(name) if name == "tags")
    }

    fn unknown_variable(&self, node: &IdedExpr, name: &str) -> RuleError {
        self.refuse(node, format!("unknown variable `{name}`; known are {}", self.vocabulary.roots()))
    }

    /// Why nothing can be found under this name.
    fn unknown_finding(&self, node: &IdedExpr, name: Option<&str>) -> RuleError {
        let Some(name) = name else { return self.refuse(node, "what is asked of `request.findings` has to be a literal") };
        self.refuse(node, unknown_finding(name))
    }

    /// Why `operand.field` is no variable.
    fn unknown_field(&mut self, node: &IdedExpr, select: &SelectExpr) -> RuleError {
        let field = &select.field;
        if is_findings(&select.operand.expr) {
            return self.refuse_named(node, field, unknown_finding(field));
        }
        if is_findings(&Expr::Select(select.clone())) {
            let message = "`request.findings` is asked by kind; write `'email' in request.findings` or `request.findings.email`";
            return self.refuse_named(node, field, message);
        }
        let root = match (&select.operand.expr, element(&select.operand.expr)) {
            (_, Some((root, _))) => root,
            (Expr::Ident(name), _) => name,
            _ => {
                return self
                    .walk(&select.operand)
                    .err()
                    .unwrap_or_else(|| self.refuse_named(node, field, format!("this has no field `{field}`")));
            }
        };
        if self.bound.as_ref().is_some_and(|(bound, _)| bound == root) {
            return self.refuse_named(node, field, format!("`{root}` has no fields"));
        }
        if !self.vocabulary.has_root(root) {
            return self.unknown_variable(&select.operand, root);
        }
        let known = vocabulary::fields(root);
        let message = if known.is_empty() || root == "tags" {
            format!("`{root}` has no field `{field}`")
        } else {
            format!("unknown field `{field}` of `{root}`; known are {known}")
        };
        self.refuse_named(node, field, message)
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr) -> Result<Type, RuleError> {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, then, otherwise]) => {
                self.expect_bool(condition, "?")?;
                let (left, right) = (self.walk(then)?, self.walk(otherwise)?);
                unify(left, right)
                    .ok_or_else(|| self.refuse(node, format!("both sides of `:` have to be of one type, not {left} and {right}")))
            }
            (operators::LOGICAL_AND, [left, right]) => self.expect_bool(left, "&&").and_then(|_| self.expect_bool(right, "&&")),
            (operators::LOGICAL_OR, [left, right]) => self.expect_bool(left, "||").and_then(|_| self.expect_bool(right, "||")),
            (operators::LOGICAL_NOT, [operand]) => self.expect_bool(operand, "!"),
            (operators::EQUALS, [left, right]) => self.compare(node, "==", left, right),
            (operators::NOT_EQUALS, [left, right]) => self.compare(node, "!=", left, right),
            (operators::LESS, [left, right]) => self.order(node, "<", left, right),
            (operators::LESS_EQUALS, [left, right]) => self.order(node, "<=", left, right),
            (operators::GREATER, [left, right]) => self.order(node, ">", left, right),
            (operators::GREATER_EQUALS, [left, right]) => self.order(node, ">=", left, right),
            (operators::ADD, [left, right]) => self.arithmetic(node, "+", left, right),
            (operators::SUBSTRACT, [left, right]) => self.arithmetic(node, "-", left, right),
            (operators::MULTIPLY, [left, right]) => self.arithmetic(node, "*", left, right),
            (operators::DIVIDE, [left, right]) => self.arithmetic(node, "/", left, right),
            (operators::MODULO, [left, right]) => self.arithmetic(node, "%", left, right),
            (operators::NEGATE, [operand]) => {
                let found = self.walk(operand)?;
                let signed = matches!(found.kind, Kind::Int | Kind::Double);
                if signed { Ok(Type::of(found.kind)) } else { Err(self.refuse(node, format!("`-` takes a number, but this is {found}"))) }
            }
            (operators::IN, [needle, container]) => self.within(node, needle, container),
            (operators::INDEX, [target, index]) => self.index(node, target, index),
            _ => functions::check(self, node, call),
        }
    }

    fn expect_bool(&mut self, node: &IdedExpr, operator: &str) -> Result<Type, RuleError> {
        let found = self.walk(node)?;
        if found == BOOL { Ok(found) } else { Err(self.refuse(node, format!("`{operator}` takes true or false, but this is {found}"))) }
    }

    /// `==` and `!=`: also between a value that may be null and null.
    fn compare(&mut self, node: &IdedExpr, operator: &str, left: &IdedExpr, right: &IdedExpr) -> Result<Type, RuleError> {
        let (left, right) = (self.walk(left)?, self.walk(right)?);
        self.comparable(node, operator, left, right)
    }

    fn comparable(&self, node: &IdedExpr, operator: &str, left: Type, right: Type) -> Result<Type, RuleError> {
        let nulls = matches!(left.kind, Kind::Null) || matches!(right.kind, Kind::Null);
        let fits = if nulls { left.admits_null() && right.admits_null() } else { alike(left.kind, right.kind) };
        if fits {
            return Ok(BOOL);
        }
        let hint = if nulls { "; it is never null" } else { "" };
        Err(self.refuse(node, format!("`{operator}` can't compare {left} with {right}{hint}")))
    }

    /// `<` and its siblings: null literals have no order, so they are refused.
    fn order(&mut self, node: &IdedExpr, operator: &str, left: &IdedExpr, right: &IdedExpr) -> Result<Type, RuleError> {
        let (left, right) = (self.walk(left)?, self.walk(right)?);
        if alike(left.kind, right.kind) && left.kind != Kind::Null {
            return Ok(BOOL);
        }
        Err(self.refuse(node, format!("`{operator}` can't compare {left} with {right}")))
    }

    fn arithmetic(&mut self, node: &IdedExpr, operator: &str, left: &IdedExpr, right: &IdedExpr) -> Result<Type, RuleError> {
        let (left, right) = (self.walk(left)?, self.walk(right)?);
        if !left.kind.is_number() || !right.kind.is_number() {
            return Err(self.refuse(node, format!("`{operator}` takes numbers, not {left} and {right}")));
        }
        if left.kind != right.kind {
            let message = format!("`{operator}` can't mix {left} and {right}; convert one with `double(…)` or write `2.0` for `2`");
            return Err(self.refuse(node, message));
        }
        if operator == "%" && left.kind == Kind::Double {
            return Err(self.refuse(node, "`%` takes whole numbers"));
        }
        Ok(Type::of(left.kind))
    }

    fn within(&mut self, node: &IdedExpr, needle: &IdedExpr, container: &IdedExpr) -> Result<Type, RuleError> {
        match &container.expr {
            Expr::List(list) => {
                let found = self.walk(needle)?;
                for element in self.elements(container, list)? {
                    // An element null is fine beside a value that can't be null: it is just not equal.
                    if element.kind != Kind::Null {
                        self.comparable(node, "in", found, element)?;
                    }
                }
                Ok(BOOL)
            }
            Expr::Ident(name) if !self.vocabulary.has_root(name) => Err(self.unknown_variable(container, name)),
            Expr::Ident(name) if name == "tags" => {
                let found = self.walk(needle)?;
                if found.kind == Kind::String {
                    return Ok(BOOL);
                }
                Err(self.refuse(node, format!("tags have names, but this is {found}")))
            }
            Expr::Ident(name) if name == "budgets" || name == "health" => {
                Err(self.refuse(needle, format!("what is asked of `{name}` has to be a literal")))
            }
            findings if is_findings(findings) => Err(self.unknown_finding(needle, text_literal(&needle.expr))),
            _ => Err(self.refuse(container, "`in` takes a list, `tags`, `budgets` or `health`")),
        }
    }

    /// The types of a list's elements, which have to be comparable with each other.
    fn elements(&mut self, node: &IdedExpr, list: &ListExpr) -> Result<Vec<Type>, RuleError> {
        if list.elements.len() > MAX_ELEMENTS {
            return Err(self.refuse(node, format!("a list has at most {MAX_ELEMENTS} elements")));
        }
        let mut found: Vec<Type> = Vec::with_capacity(list.elements.len());
        for element in &list.elements {
            let ty = self.walk(element)?;
            let first = found.iter().find(|earlier| earlier.kind != Kind::Null);
            if let Some(first) = first.filter(|first| ty.kind != Kind::Null && !alike(first.kind, ty.kind)) {
                return Err(self.refuse(element, format!("a list can't hold {first} and {ty}")));
            }
            found.push(ty);
        }
        Ok(found)
    }

    /// An index that is no variable as a whole: `tags[x]`, or a mistake.
    fn index(&mut self, node: &IdedExpr, target: &IdedExpr, index: &IdedExpr) -> Result<Type, RuleError> {
        match &target.expr {
            Expr::Ident(name) if !self.vocabulary.has_root(name) && self.bound.is_none() => Err(self.unknown_variable(target, name)),
            Expr::Ident(name) if name == "tags" && self.is_tags(target) => {
                let found = self.walk(index)?;
                if found == Type::of(Kind::String) {
                    return Ok(Type::or_null(Kind::String));
                }
                Err(self.refuse(index, format!("tags have names, but this is {found}")))
            }
            Expr::Ident(name) if name == "budgets" || name == "health" => match text_literal(&index.expr) {
                Some(_) => Err(self.refuse(node, format!("`{name}[…]` has fields: {}", vocabulary::fields(name)))),
                None => Err(self.refuse(index, format!("what is asked of `{name}` has to be a literal"))),
            },
            findings if is_findings(findings) => Err(self.unknown_finding(index, text_literal(&index.expr))),
            _ => Err(self.refuse(node, "only `tags`, `budgets` and `health` are asked with `[…]`")),
        }
    }

    fn comprehension(&mut self, node: &IdedExpr, comprehension: &ComprehensionExpr) -> Result<Type, RuleError> {
        let Some(condition) = condition(comprehension) else {
            return Err(self.refuse(node, "`map` and `filter` are not available; use `exists`, `all` or `exists_one`"));
        };
        let name = comprehension.iter_var.as_str();
        if self.bound.is_some() {
            return Err(self.refuse(node, "`exists`, `all` and `exists_one` can't stand within each other"));
        }
        if self.vocabulary.has_root(name) {
            return Err(self.refuse(node, format!("`{name}` is a variable already; call it something else")));
        }
        let range = &comprehension.iter_range;
        let each = match &range.expr {
            Expr::List(list) => self.elements(range, list)?.into_iter().reduce(|one, other| unify(one, other).unwrap_or(other)),
            _ if self.is_tags(range) => Some(Type::of(Kind::String)),
            _ => return Err(self.refuse(range, "`exists`, `all` and `exists_one` walk a list written here, or `tags`")),
        };
        self.bound = Some((name.to_owned(), each.unwrap_or(Type::of(Kind::Null))));
        let found = self.expect_bool(condition, "the condition");
        self.bound = None;
        found
    }
}

fn unknown_finding(name: &str) -> String {
    format!("nothing is found as `{name}`; known are {}", vocabulary::findings())
}

/// The condition of `exists`, `all` or `exists_one`, out of what the parser made of the macro; none for `map` and `filter`.
fn condition(comprehension: &ComprehensionExpr) -> Option<&IdedExpr> {
    let Expr::Literal(_) = &comprehension.accu_init.expr else { return None };
    let Expr::Call(step) = &comprehension.loop_step.expr else { return None };
    match (step.func_name.as_str(), step.args.as_slice()) {
        (operators::LOGICAL_AND | operators::LOGICAL_OR, [_, condition]) | (operators::CONDITIONAL, [condition, _, _]) => Some(condition),
        _ => None,
    }
}

fn alike(left: Kind, right: Kind) -> bool {
    left == right || matches!(left, Kind::Any) || matches!(right, Kind::Any) || (left.is_number() && right.is_number())
}

/// The type of a value that is one or the other.
fn unify(left: Type, right: Type) -> Option<Type> {
    let nullable = left.admits_null() || right.admits_null();
    match (left.kind, right.kind) {
        (Kind::Null, kind) | (kind, Kind::Null) => Some(Type { kind, nullable }),
        (one, other) if one == other => Some(Type { kind: one, nullable }),
        _ => None,
    }
}

//! From source to [`Rule`]: caps, parser, bounds, check, and the choice of evaluator.
//!
//! The parser recurses deeper than a worker's stack allows, so it runs on a thread of its own: one for any number of rules. A rule
//! that takes longer than the limit is refused, and so are the ones behind it; with the caps in place that takes a broken parser.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use cel::common::ast::IdedExpr;
use cel::parser::Parser;

use super::limits::{self, MAX_DEPTH, MAX_INTERPRETED_DEPTH, MAX_STEPS};
use super::slow::Interpreted;
use super::vocabulary::Vocabulary;
use super::{Program, References, Rule, RuleError, RuleKind, check, fast, position};

const STACK: usize = 16 << 20;
const LIMIT: Duration = Duration::from_secs(10);
/// The parser counts each bracket several times.
const PARSER_DEPTH: u16 = 96;

/// A parsed and checked rule, before the evaluator is chosen.
pub(super) struct Checked {
    pub(super) tree: IdedExpr,
    pub(super) references: References,
}

pub(super) fn compile_all(rules: &[(&str, RuleKind)]) -> Vec<Result<Rule, RuleError>> {
    let admitted: Vec<_> = rules.iter().map(|(source, _)| limits::admit(source)).collect();
    let kept = rules.iter().zip(&admitted).filter(|(_, admitted)| admitted.is_ok());
    let sent: Vec<(Arc<str>, RuleKind)> = kept.map(|((source, kind), _)| (Arc::from(*source), *kind)).collect();
    let (answer, answers) = mpsc::channel();
    if !sent.is_empty() {
        let worker = move || compile_here(sent, &answer);
        // A thread that can't be had leaves the channel closed, which refuses every rule below.
        let _spawned = std::thread::Builder::new().name("rule-compiler".to_owned()).stack_size(STACK).spawn(worker);
    }
    // Once an answer is late, those behind it can't be told apart any more.
    let mut answers = Some(answers);
    let mut next = |source: &str| {
        let received = answers.as_ref().and_then(|answers| answers.recv_timeout(LIMIT).ok());
        received.unwrap_or_else(|| {
            answers = None;
            Err(position::at(source, 0, "the expression could not be compiled in time"))
        })
    };
    rules.iter().zip(admitted).map(|((source, _), admitted)| admitted.and_then(|()| next(source))).collect()
}

fn compile_here(rules: Vec<(Arc<str>, RuleKind)>, answer: &Sender<Result<Rule, RuleError>>) {
    for (source, kind) in rules {
        let compiled = catch_unwind(AssertUnwindSafe(|| compile(&source, kind)));
        let compiled = compiled.unwrap_or_else(|_| Err(position::at(&source, 0, "the expression can't be parsed")));
        if answer.send(compiled).is_err() {
            return;
        }
    }
}

fn compile(source: &Arc<str>, kind: RuleKind) -> Result<Rule, RuleError> {
    let Checked { tree, references } = parse(source, kind.vocabulary())?;
    let program = match fast::compile(&tree) {
        Some(node) => Program::Fast(node),
        None if limits::measure(&tree).depth > MAX_INTERPRETED_DEPTH => return Err(too_deep(source, MAX_INTERPRETED_DEPTH)),
        None => Program::Slow(Interpreted::new(tree)),
    };
    Ok(Rule { source: Arc::clone(source), kind, references: Arc::new(references), program: Arc::new(program) })
}

/// Parses and checks admitted source. Needs the deep stack.
pub(super) fn parse(source: &str, vocabulary: Vocabulary) -> Result<Checked, RuleError> {
    let parser = Parser::new().max_recursion_depth(PARSER_DEPTH);
    let (tree, places) = parser.parse_with_source_info(source).map_err(|errors| syntax_error(source, &errors))?;
    let cost = limits::measure(&tree);
    if cost.depth > MAX_DEPTH {
        return Err(too_deep(source, MAX_DEPTH));
    }
    let references = check::check(source, vocabulary, &places, &tree)?;
    if cost.steps > MAX_STEPS {
        return Err(position::at(source, 0, format!("the expression could take more than {MAX_STEPS} steps")));
    }
    Ok(Checked { tree, references })
}

fn too_deep(source: &str, limit: u32) -> RuleError {
    position::at(source, 0, format!("the expression is nested deeper than {limit}; long sums and `? :` chains nest too"))
}

fn syntax_error(source: &str, errors: &cel::ParseErrors) -> RuleError {
    match errors.errors.first() {
        Some(first) if first.msg.contains("Recursion limit") => too_deep(source, MAX_DEPTH),
        Some(first) => {
            let message = first.msg.trim_start_matches("Syntax error: ").split(" expecting ").next().unwrap_or_default();
            let message: String = message.replace("'<EOF>'", "the end").chars().take(200).collect();
            position::named(first.pos.0, first.pos.1, format!("syntax error: {message}"))
        }
        None => position::at(source, 0, "the expression can't be parsed"),
    }
}

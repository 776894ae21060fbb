//! What must hold of any source: it is refused with a place, or it is a rule that keeps to its bounds, answers on any facts, and answers
//! the same however it is evaluated and whatever is said around it that changes nothing. For tests and fuzzers.
#![expect(clippy::expect_used, reason = "a property says that it does not hold by failing")]

use serde_json::json;

use super::limits::{MAX_DEPTH, MAX_SOURCE, MAX_STEPS};
use super::view::View;
use super::world::{World, answer_in};
use super::{ResponseFacts, Rule, RuleError, RuleKind, Verdict, build, fast, limits, slow};
use crate::facts::HealthFacts;

/// What a parser and an interpreter need that know no bounds of ours.
const STACK: usize = 64 << 20;

/// What is said of a source where the fault is not its author's: the parser panicked, or took too long.
const OUR_REFUSALS: [&str; 3] =
    ["the expression can't be parsed", "the expression could not be compiled", "the expression could not be compiled in time"];

/// The same of an evaluation: the interpreter panicked, or met what the checker should have refused.
const OUR_ERRORS: [&str; 5] = [
    "the interpreter failed",
    "the interpreter is not available",
    "the rule did not answer true or false",
    "the expression can't be evaluated for this request",
    "the expression is about something else",
];

pub(crate) fn holds(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else { return };
    let kind = match first.wrapping_sub(b'0') % 3 {
        0 => RuleKind::Routes,
        1 => RuleKind::Denies,
        _ => RuleKind::Accepts,
    };
    let Ok(source) = std::str::from_utf8(rest.strip_prefix(b"\n").unwrap_or(rest)) else { return };
    let checked = std::thread::scope(|scope| {
        let deep = std::thread::Builder::new().stack_size(STACK);
        deep.spawn_scoped(scope, || check(source, kind)).map(std::thread::ScopedJoinHandle::join)
    });
    checked.expect("a thread").unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn check(source: &str, kind: RuleKind) {
    match Rule::compile(source, kind) {
        Ok(rule) => {
            assert!(source.len() <= MAX_SOURCE);
            let (worlds, responses) = (worlds(), responses());
            let requests: Vec<_> = worlds.iter().map(World::facts).collect();
            let views: Vec<View<'_>> = match kind {
                RuleKind::Accepts => responses.iter().map(View::Response).collect(),
                RuleKind::Routes | RuleKind::Denies => requests.iter().map(View::Request).collect(),
            };
            is_evaluated_alike(&rule, &views);
            is_what_it_says(&rule, &views);
        }
        Err(error) => is_refused_rightly(source, &error),
    }
}

/// A refusal has a place in the source and words for it, and is none of ours.
fn is_refused_rightly(source: &str, error: &RuleError) {
    let lines = source.split('\n').count();
    assert!(usize::try_from(error.line()).is_ok_and(|line| (1..=lines).contains(&line)) && error.column() >= 1, "{error}");
    assert!(!error.message().is_empty() && !OUR_REFUSALS.contains(&error.message()), "{error}");
}

/// The tree is within its bounds, and the two evaluators agree wherever both can run.
fn is_evaluated_alike(rule: &Rule, views: &[View<'_>]) {
    let tree = build::parse(rule.source(), rule.kind().vocabulary()).expect("what compiles is parsed").tree;
    let cost = limits::measure(&tree);
    assert!(cost.depth <= MAX_DEPTH && cost.steps <= MAX_STEPS, "{cost:?}");
    let fast = fast::compile(&tree);
    let slow = slow::Interpreted::new(tree);
    for view in views {
        let (answer, interpreted) = (rule.verdict(*view), slow.verdict(*view));
        assert_eq!(word(&answer), word(&interpreted), "{answer:?} and {interpreted:?}");
        if let Some(fast) = &fast {
            assert_eq!(fast.verdict(*view), answer);
        }
        if let Verdict::Errored(why) = &interpreted {
            assert!(!OUR_ERRORS.contains(&why.as_str()), "{why}");
        }
    }
}

/// Said twice, turned round, or as a choice between true and false, a rule means what it means alone.
fn is_what_it_says(rule: &Rule, views: &[View<'_>]) {
    let source = rule.source();
    // A comment at its end must not swallow what follows.
    let around = [
        (format!("!(\n{source}\n)"), true),
        (format!("(\n{source}\n) && (\n{source}\n)"), false),
        (format!("false || (\n{source}\n)"), false),
        (format!("(\n{source}\n) ? true : false"), false),
    ];
    for (longer, turned) in around {
        // It may have become too long, or nest too deep.
        let Ok(same) = Rule::compile(&longer, rule.kind()) else { continue };
        for view in views {
            let (expected, found) = (rule.verdict(*view), same.verdict(*view));
            let expected = match (word(&expected), turned) {
                ("true", true) => "false",
                ("false", true) => "true",
                (word, _) => word,
            };
            assert_eq!(word(&found), expected, "{longer}: {found:?}");
        }
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::True => "true",
        Verdict::False => "false",
        Verdict::Errored(_) => "error",
    }
}

/// Requests that say everything, nothing, and what is odd.
fn worlds() -> Vec<World> {
    let (mut odd, mut many) = (World::full(), World::bare());
    odd.health = Some(HealthFacts { p50_ms: f64::NAN, ok: true, stale: true });
    odd.request.input_tokens = u64::MAX;
    odd.request.max_output_tokens = Some(0);
    odd.request.tags = [("team", ""), ("priority", "x-9"), ("x", "9223372036854775808")].into_iter().collect();
    odd.most_constraining = None;
    many.request.tags = (0..70).map(|tag| (format!("t{tag}"), tag.to_string())).collect();
    vec![World::full(), World::bare(), odd, many]
}

/// Answers in JSON, in prose, and without a word.
fn responses() -> Vec<ResponseFacts> {
    let json = json!({"score": 0.9, "label": "spam", "ok": true, "deep": {"n": 3}, "list": [1], "none": null, "big": u64::MAX});
    let said = answer_in(json);
    let prose = ResponseFacts { text: "I do not know.".to_owned(), json: None, finish_reason: "length", refused: true, ..said.clone() };
    vec![said, prose, ResponseFacts::default()]
}

//! The two evaluators agree, and the checker keeps its promise: properties over generated rules and facts.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::rule::view::View;
use crate::rule::vocabulary::Vocabulary;
use crate::rule::{build, fast, slow};

fn one_of(choices: &'static [&'static str]) -> BoxedStrategy<String> {
    select(choices).prop_map(str::to_owned).boxed()
}

const TEXTS: &[&str] = &[
    "tags.team",
    "tags['x']",
    "tags.priority",
    "request.model",
    "request.client",
    "request.sensitivity",
    "end_user",
    "key.owner",
    "budget.name",
    "org",
    "'support'",
    "'a'",
    "''",
    "'gpt-4o-mini'",
    "\"3\"",
];
const NULLABLE_TEXTS: &[&str] = &["tags.team", "tags.x", "tags.y", "tags.priority"];
const NUMBERS: &[&str] = &[
    "request.input_tokens",
    "request.max_output_tokens",
    "request.hour",
    "request.weekday",
    "request.findings.email",
    "request.findings['secret']",
    "budget.used_pct",
    "budget.remaining_usd",
    "budgets['org'].cap_usd",
    "budgets['none'].used_pct",
    "estimate.cost_usd",
    "health['openai/gpt-4o'].p50_ms",
    "0",
    "-1",
    "512",
    "0.92",
    "1200.0",
    "9007199254740993",
    "9007199254740992.0",
];
const FLAGS: &[&str] = &[
    "true",
    "false",
    "request.stream",
    "request.has_images",
    "has(tags.team)",
    "'x' in tags",
    "has(request.max_output_tokens)",
    "has(request.model)",
    "'org' in budgets",
    "'email' in request.findings",
    "has(request.findings.card)",
    "health['openai/gpt-4o'].ok",
    "'openai/gpt-4o' in health",
];
const TIMES: &[&str] = &["request.time", "timestamp('2026-03-01T23:30:00Z')", "timestamp('2026-06-01T00:00:00+02:00')"];
/// Flags that may stand beside a comparison without brackets.
const BARE_FLAGS: &[&str] =
    &["true", "false", "request.stream", "request.has_tools", "has(tags.team)", "has(budgets.org)", "health['openai/gpt-4o'].ok"];
const COMPARISONS: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
const PATTERNS: &[&str] = &["'^s'", "'[0-9]'", "r'\\d$'", "''"];

fn compared(operands: &'static [&'static str]) -> BoxedStrategy<String> {
    (select(operands), select(COMPARISONS), select(operands))
        .prop_map(|(left, operator, right)| format!("{left} {operator} {right}"))
        .boxed()
}

fn listed(operands: &'static [&'static str], literals: &'static [&'static str]) -> BoxedStrategy<String> {
    (select(operands), prop::collection::vec(select(literals), 0..4))
        .prop_map(|(left, list)| format!("{left} in [{}]", list.join(", ")))
        .boxed()
}

/// Conditions without `&&`, `||` and `!` that need no interpreter.
fn plain() -> BoxedStrategy<String> {
    prop_oneof![
        compared(TEXTS),
        compared(NUMBERS),
        compared(BARE_FLAGS),
        compared(TIMES),
        listed(TEXTS, &["'support'", "'a'", "''", "null"]),
        listed(NUMBERS, &["0", "1200", "512.0", "-1"]),
        one_of(FLAGS),
        (select(NULLABLE_TEXTS), select(&["==", "!="][..])).prop_map(|(text, operator)| format!("{text} {operator} null")),
        (select(TEXTS), select(&["startsWith", "endsWith", "contains"][..]), select(TEXTS))
            .prop_map(|(text, test, part)| format!("{text}.{test}({part})")),
        (select(TEXTS), select(PATTERNS)).prop_map(|(text, pattern)| format!("{text}.matches({pattern})")),
    ]
    .boxed()
}

/// Conditions that need the interpreter.
fn rich() -> BoxedStrategy<String> {
    let sum = (
        select(
            &[
                "request.input_tokens",
                "request.hour",
                "request.max_output_tokens",
                "7",
                "size(tags)",
                "size(tags.team)",
                "int(tags.priority)",
            ][..],
        ),
        select(&["+", "-", "*", "/", "%"][..]),
        select(&["request.hour", "3", "0", "9223372036854775807"][..]),
    );
    prop_oneof![
        sum.prop_map(|(left, operator, right)| format!("{left} {operator} {right} > 2")),
        (plain(), plain(), plain()).prop_map(|(condition, then, otherwise)| format!("(({condition}) ? ({then}) : ({otherwise}))")),
        (select(&["exists", "all", "exists_one"][..]), plain())
            .prop_map(|(walk, condition)| format!("tags.{walk}(t, t == 'x' || tags[t] > 'a' && ({condition}))")),
        (select(&["exists", "all", "exists_one"][..]), plain())
            .prop_map(|(walk, condition)| format!("['team', 'x'].{walk}(t, t in tags || tags[t] == null || ({condition}))")),
        select(TEXTS).prop_map(|text| format!("{text}.lowerAscii() == string(request.hour)")),
        select(TEXTS).prop_map(|text| format!("double({text}) * 2.0 > 1.5")),
    ]
    .boxed()
}

fn combined(leaf: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let grown = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|row| format!("({})", row.join(" && "))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|row| format!("({})", row.join(" || "))),
            inner.prop_map(|one| format!("!({one})")),
        ]
    });
    grown.boxed()
}

fn worlds() -> impl Strategy<Value = World> {
    let tag = || prop::option::of(select(&["", "a", "support", "3", "x-9"][..]));
    let request =
        (tag(), tag(), tag(), prop::option::of(select(&[0_u64, 512, 9_007_199_254_740_993][..])), select(&[0_u64, 1200, u64::MAX][..]));
    (any::<bool>(), request, any::<bool>(), prop::option::of(select(&[0.0, 840.5, f64::NAN, f64::INFINITY][..]))).prop_map(
        |(full, (team, priority, x, limit, input), stream, p50_ms)| {
            let mut world = if full { World::full() } else { World::bare() };
            let tags = [("team", team), ("priority", priority), ("x", x)];
            world.request.tags = tags.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            world.request.max_output_tokens = limit;
            world.request.input_tokens = input;
            world.request.stream = stream;
            world.health = p50_ms.map(|p50_ms| HealthFacts { p50_ms, ok: stream, stale: false });
            world
        },
    )
}

/// Runs a property on a stack deep enough for the parser.
fn on_a_deep_stack(property: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(64 << 20).spawn(property).unwrap().join().unwrap();
}

fn kind(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::True => "true",
        Verdict::False => "false",
        Verdict::Errored(_) => "error",
    }
}

fn fits(source: &str) -> bool {
    crate::rule::limits::admit(source).is_ok()
}

#[test]
fn the_fast_tree_and_the_interpreter_answer_alike() {
    on_a_deep_stack(|| {
        let mut runner = TestRunner::new(Config { cases: 600, failure_persistence: None, ..Config::default() });
        let cases = (combined(plain()).prop_filter("within the caps", |source| fits(source)), prop::collection::vec(worlds(), 8));
        let agree = |(source, worlds): (String, Vec<World>)| {
            let tree = build::parse(&source, Vocabulary::Request).map_err(|error| TestCaseError::fail(format!("{source}: {error}")))?.tree;
            let fast = fast::compile(&tree).ok_or_else(|| TestCaseError::fail(format!("{source} is not fast")))?;
            let slow = slow::Interpreted::new(tree);
            for world in worlds {
                let (one, other) = (fast.verdict(View::Request(&world.facts())), slow.verdict(View::Request(&world.facts())));
                prop_assert_eq!(kind(&one), kind(&other), "{}: {:?} and {:?} for {:?}", source, one, other, world);
            }
            Ok(())
        };
        runner.run(&cases, agree).unwrap_or_else(|failure| panic!("{failure}"));
    });
}

#[test]
fn what_passes_the_check_never_meets_an_unknown_name() {
    on_a_deep_stack(|| {
        let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
        let leaf = prop_oneof![plain(), rich()].boxed();
        let cases = (combined(leaf).prop_filter("within the caps", |source| fits(source)), prop::collection::vec(worlds(), 4));
        let sound = |(source, worlds): (String, Vec<World>)| {
            let Ok(checked) = build::parse(&source, Vocabulary::Request) else { return Ok(()) };
            let slow = Arc::new(slow::Interpreted::new(checked.tree));
            for world in worlds {
                let verdict = slow.verdict(View::Request(&world.facts()));
                let broken = matches!(&verdict, Verdict::Errored(why) if why.contains("interpreter") || why.contains("did not answer") || why.contains("can't be evaluated"));
                prop_assert!(!broken, "{}: {:?} for {:?}", source, verdict, world);
            }
            Ok(())
        };
        runner.run(&cases, sound).unwrap_or_else(|failure| panic!("{failure}"));
    });
}

//! Bounds: each way known to make the interpreter crash, hang or swell is refused at save or harmless.

use std::time::{Duration, Instant};

use super::*;
use crate::rule::limits::MAX_INTERPRETED_DEPTH;

/// A stack like that of a worker's thread, with a margin for what is on it already.
const SMALL_STACK: usize = 1 << 20;

#[expect(clippy::disallowed_methods, reason = "what is measured here is time itself")]
fn now() -> Instant {
    Instant::now()
}

fn refused_for(source: &str, part: &str) {
    let error = refused(source);
    assert!(error.message().contains(part), "{error}");
}

#[test]
fn deep_brackets_are_refused() {
    for (open, close) in [("(", ")"), ("[", "]"), ("!(", ")"), ("size(", ")")] {
        for depth in [17, 95, 200] {
            refused_for(&format!("{}true{}", open.repeat(depth), close.repeat(depth)), "nested deeper");
        }
    }
    assert!(Rule::compile(&format!("{}true{}", "(".repeat(16), ")".repeat(16)), RuleKind::Routes).is_ok());
}

#[test]
fn long_chains_are_refused() {
    for terms in [202, 500] {
        refused_for(&format!("{}1 > 0", "1+".repeat(terms)), "more than 200 operators");
    }
    refused_for(&format!("{}1 > 0", "1 + ".repeat(1200)), "longer than 2048 bytes");
    refused_for(&format!("{}true", "true && ".repeat(20_000)), "longer than 2048 bytes");
    refused_for(&format!("org{} == 'x'", ".a".repeat(201)), "more than 200 field accesses");
    refused_for(&format!("org{} == 'x'", "[0]".repeat(201)), "more than 200 brackets");
    refused_for(&format!("org{} == 'x'", ".a[0]".repeat(199)), "nested deeper than");
    refused_for(&format!("org{} == 'x'", ".size()".repeat(199)), "nested deeper than");
    refused_for(&format!("{}1 > 0", "1 + ".repeat(150)), "nested deeper than");
    refused_for(&format!("{}true", "true?true:".repeat(60)), "nested deeper than");
    refused_for(&format!("{}true", "true?true:".repeat(150)), "nested deeper than");
}

#[test]
fn operators_cannot_hide_in_what_only_looks_like_a_string() {
    for prefix in ["r'\\' ", "'\\q' ", "'\n' ", "// '\n ", "\"\"\"a\" ", "br'\\' "] {
        refused(&format!("{prefix}{}1 > 0", "1+".repeat(300)));
    }
}

#[test]
fn brackets_that_do_not_match_are_refused_before_the_parser_passes_over_them() {
    for soup in [")[", "](", "{)", "[1)", "(["] {
        refused(&soup.repeat(150));
    }
    refused_for("org == 'x')", "closes nothing");
}

#[test]
fn nested_comprehensions_and_map_are_refused() {
    let list = "[1,2,3,4,5,6,7,8,9,10]";
    refused_for(&format!("{list}.all(a, {list}.all(b, {list}.all(c, a + b + c > 0)))"), "within each other");
    let swelling = (0..12).fold("'s'".to_owned(), |inner, _| format!("[{inner}].map(x, x + x)[0]"));
    refused_for(&format!("size({swelling}) > 0"), "");
}

#[test]
fn a_rule_that_could_take_too_many_steps_is_refused() {
    let list: Vec<String> = (0..200).map(|number: u32| (number % 10).to_string()).collect();
    let body = vec!["x>1"; 90].join("&&");
    refused_for(&format!("[{}].all(x, {body})", list.join(",")), "more than 20000 steps");
    let long: Vec<&str> = vec!["1"; 201];
    refused_for(&format!("request.hour in [{}]", long.join(",")), "at most 200 elements");
}

#[test]
fn a_large_literal_is_refused_and_large_patterns_too() {
    refused_for(&format!("org == '{}'", "x".repeat(1 << 20)), "longer than 2048 bytes");
    refused_for("request.model.matches('(a{1000}){100}')", "too large when compiled");
    assert!(Rule::compile("request.model.matches(r'^[\\w-]+/(gpt|claude)-\\d+(\\.\\d+)?$')", RuleKind::Routes).is_ok());
}

#[test]
fn more_tags_than_a_rule_walks_are_an_error() {
    let mut world = World::full();
    world.request.tags = (0..65).map(|tag| (format!("t{tag}"), "x".to_owned())).collect();
    assert!(matches!(world.ask("tags.exists(t, t == 'nope')"), Verdict::Errored(_)));
    assert_eq!(world.ask("tags.t3 == 'x'"), Verdict::True);
}

/// Rules close to each bound, which are accepted.
fn heaviest() -> Vec<String> {
    let depth = usize::try_from(MAX_INTERPRETED_DEPTH).unwrap();
    let deep_sum = format!("{}request.hour >= 0", "1 + ".repeat(depth.saturating_sub(3)));
    let deep_choice = format!("{}true", "!request.stream?false:".repeat(depth.saturating_sub(4)));
    let brackets = (0..9).fold("request.input_tokens".to_owned(), |inner, _| format!("-({inner}+1)"));
    let alternating = (0..16).fold("request.stream".to_owned(), |inner, level| {
        format!("!({inner} {} !request.stream)", if level % 2 == 0 { "&&" } else { "||" })
    });
    let list: Vec<String> = (0..90).map(|number| number.to_string()).collect();
    vec![
        deep_sum,
        deep_choice,
        format!("{brackets} < 0 || true"),
        format!("{alternating} || true"),
        format!("[{}].all(x, {})", list.join(","), vec!["x>=0"; 40].join("&&")),
        format!("tags.all(t, {})", vec!["t!='a'"; 60].join("&&")),
        vec!["org!='b'"; 100].join("&&"),
        format!("({}) || true", vec!["tags.a.contains('b')"; 90].join("||")),
    ]
}

#[test]
fn the_heaviest_rules_run_on_a_small_stack_and_end_soon() {
    let rules: Vec<Rule> = heaviest()
        .iter()
        .map(|source| Rule::compile(source, RuleKind::Routes).unwrap_or_else(|error| panic!("{source}: {error}")))
        .collect();
    let run = move || {
        let world = World::full();
        rules
            .iter()
            .map(|rule| {
                let started = now();
                let verdict = rule.holds(&world.facts());
                (rule.source().to_owned(), verdict, started.elapsed())
            })
            .collect::<Vec<_>>()
    };
    let ran = std::thread::Builder::new().stack_size(SMALL_STACK).spawn(run).unwrap().join().unwrap();
    for (source, verdict, took) in ran {
        assert!(took < Duration::from_secs(1), "{source} took {took:?}");
        assert_eq!(verdict, Verdict::True, "{source}");
    }
}

#[test]
fn a_thousand_rules_compile_as_one_batch() {
    let sources: Vec<String> = (0..1000).map(|number| format!("tags.team == 'team-{number}' && budget.used_pct >= 0.{number}")).collect();
    let started = now();
    let rules = Rule::compile_all(sources.iter().map(|source| (source.as_str(), RuleKind::Routes)));
    assert!(rules.iter().all(Result::is_ok));
    // Without optimisation the parser is some twenty times slower than in a release, where this takes a tenth of a second.
    assert!(started.elapsed() < Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 1 }), "{:?}", started.elapsed());
}

/// What a source may be made of, and what it may not.
const TOKENS: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "*",
    "==",
    "<",
    "in",
    "?",
    ":",
    ",",
    ".",
    "'a'",
    "r'\\'",
    "\"\"\"x\"\"\"",
    "1",
    "0x1f",
    "1.5e3",
    "1u",
    "b'x'",
    "null",
    "true",
    "tags",
    "tags.team",
    "request.hour",
    "budgets",
    "x",
    ".exists(x,",
    ".map(x,",
    "has(",
    "size(",
    "matches(",
    "if",
    "\n",
    "// c\n",
    "é",
    "`",
    "\\",
    "@",
    "#",
];

/// Whatever is thrown at the compiler within the caps, it answers, and soon.
#[test]
fn no_soup_of_tokens_crashes_or_stalls_the_compiler() {
    use proptest::prelude::*;
    use proptest::sample::select;
    use proptest::test_runner::{Config, TestRunner};

    let soups = prop_oneof![
        prop::collection::vec(select(TOKENS), 0..60).prop_map(|tokens| tokens.join(" ")),
        prop::collection::vec(select(TOKENS), 0..300).prop_map(|tokens| tokens.concat()),
        (select(TOKENS), 0_usize..600).prop_map(|(token, times)| token.repeat(times)),
        (select(TOKENS), select(TOKENS), 0_usize..300).prop_map(|(one, other, times)| format!("{one}{other}").repeat(times)),
        "\\PC{0,80}",
    ];
    let mut runner = TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let answers = |soup: String| {
        let started = now();
        let answer = Rule::compile(&soup, RuleKind::Routes);
        let (took, fine) = (started.elapsed(), answer.map_or_else(|error| !error.message().contains("could not be compiled"), |_| true));
        prop_assert!(fine && took < Duration::from_secs(5), "{} took {:?}", soup, took);
        Ok(())
    };
    runner.run(&soups, answers).unwrap_or_else(|failure| panic!("{failure}"));
}

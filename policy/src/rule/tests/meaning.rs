//! What expressions mean.

use super::*;
use crate::rule::{FUNCTIONS, Program, VARIABLES};

fn holds(world: &World, sources: &[&str]) {
    for source in sources {
        assert_eq!(world.ask(source), Verdict::True, "{source}");
    }
}

fn fails(world: &World, sources: &[&str]) {
    for source in sources {
        assert_eq!(world.ask(source), Verdict::False, "{source}");
    }
}

fn errs(world: &World, sources: &[&str]) {
    for source in sources {
        assert!(matches!(world.ask(source), Verdict::Errored(_)), "{source}");
    }
}

#[test]
fn every_variable_of_the_contract_is_read() {
    holds(
        &World::full(),
        &[
            "tags.team == 'support'",
            "tags['team'] == \"support\"",
            "request.model == 'gpt-4o-mini' && request.surface == 'openai_chat'",
            "request.stream && request.has_tools && !request.has_images",
            "request.input_tokens == 1200 && request.max_output_tokens == 512",
            "request.time == timestamp('2026-03-02T00:30:00+01:00')",
            "request.client == 'claude-cli'",
            "request.sensitivity == 'pii' && 'email' in request.findings && 'secret' in request.findings && !('card' in request.findings)",
            "request.findings.email == 2 && request.findings['pii'] == 2 && request.findings.card == 0 && has(request.findings.private_key)",
            "budget.used_pct == 0.92 && budget.remaining_usd == 8.0 && budget.cap_usd == 100 && budget.name == 'support-monthly'",
            "budgets[\"org\"].used_pct == 0.01 && budgets.org.name == 'org' && 'org' in budgets && has(budgets.org)",
            "key.name == 'ci' && key.project == 'support' && key.owner == 'ann@example.com'",
            "org == 'default' && project == 'support' && end_user == 'u-7'",
            "estimate.cost_usd == 0.0025",
            "health[\"openai/gpt-4o\"].p50_ms == 840.5 && !health['openai/gpt-4o'].ok && 'openai/gpt-4o' in health",
        ],
    );
}

#[test]
fn the_seed_example_is_valid_as_it_stands() {
    let sources = ["tags.team == 'support'", "tags.sensitivity == 'pii'", "budget.used_pct >= 0.9"];
    let verdicts = sources.map(|source| World::full().ask(source));
    assert_eq!(verdicts, [Verdict::True, Verdict::False, Verdict::True]);
}

#[test]
fn a_missing_tag_is_null_equal_only_to_null_and_unordered() {
    let bare = World::bare();
    holds(
        &bare,
        &[
            "tags.team == null",
            "tags['team'] == null",
            "tags.team != 'x'",
            "!has(tags.team)",
            "!('team' in tags)",
            "tags.team == tags.other",
        ],
    );
    fails(&bare, &["tags.team == 'x'", "tags.team != null", "has(tags.team)", "'team' in tags", "tags.team in ['x']", "tags.team == ''"]);
    fails(&bare, &["tags.team < 'a'", "tags.team >= 'a'", "'a' < tags.team", "tags.team <= tags.other", "request.max_output_tokens > 0"]);
    holds(
        &bare,
        &["tags.team in ['x', null]", "!(tags.team < 'a')", "request.max_output_tokens == null", "!has(request.max_output_tokens)"],
    );
}

#[test]
fn a_missing_tag_means_the_same_where_the_interpreter_runs() {
    let bare = World::bare();
    holds(
        &bare,
        &[
            "(tags.team == null ? 'none' : 'some') == 'none'",
            "size(tags) == 0",
            "['team'].all(t, tags[t] == null)",
            "!['team'].exists(t, t in tags)",
        ],
    );
    fails(&bare, &["['a'].exists(x, tags.team < x)", "['a'].exists(x, request.max_output_tokens > 1)", "['a'].exists(x, tags.team == x)"]);
}

#[test]
fn text_that_is_absent_is_empty() {
    holds(&World::bare(), &["request.client == ''", "end_user == ''", "key.owner == ''", "!request.client.startsWith('x')"]);
}

#[test]
fn without_a_budget_nothing_is_used_and_nothing_limits() {
    holds(&World::bare(), &["budget.used_pct == 0", "budget.cap_usd == 0", "budget.remaining_usd > 1000000.0", "budget.name == ''"]);
    holds(
        &World::bare(),
        &["budgets['org'].used_pct == 0.0", "!('org' in budgets)", "health['openai/gpt-4o'].ok", "!('openai/gpt-4o' in health)"],
    );
}

#[test]
fn hour_and_weekday_are_in_the_organizations_time_zone() {
    // 23:30 UTC on Sunday the first is 00:30 on Monday in Berlin.
    holds(&World::full(), &["request.hour == 0", "request.weekday == 1"]);
    holds(&World::bare(), &["request.hour == 23", "request.weekday == 0"]);
}

#[test]
fn int_and_double_compare_with_each_other() {
    holds(
        &World::full(),
        &[
            "request.input_tokens > 1199.5",
            "budget.used_pct < 1",
            "1200.0 == request.input_tokens",
            "request.input_tokens in [1200.0]",
            "1u == 1",
        ],
    );
}

#[test]
fn functions_and_arithmetic_run() {
    holds(
        &World::full(),
        &[
            "request.model.startsWith('gpt-') && request.model.endsWith('mini') && request.model.contains('4o')",
            "request.model.matches('^gpt-[45]') && matches(request.model, 'mini$')",
            "tags.team.lowerAscii() == 'support'",
            "size(request.model) == 11 && request.model.size() == 11 && size(tags) == 2",
            "int(tags.priority) >= 3 && double(tags.priority) * 2.0 == 6.0 && string(request.hour) == '0'",
            "estimate.cost_usd + 1.0 > 1.0 && -request.hour == 0 && request.input_tokens % 7 == 3",
            "(request.stream ? 1 : 2) == 1",
            "tags.exists(t, t == 'team') && tags.all(t, size(t) > 3) && tags.exists_one(t, tags[t] == '3')",
            "['a', 'support'].exists(x, x == tags.team && x.matches('^s'))",
        ],
    );
}

#[test]
fn every_example_of_the_function_reference_compiles() {
    for example in FUNCTIONS.iter().flat_map(|function| function.usage.split(';').flat_map(|usage| usage.split(", size("))) {
        let example = if example.starts_with("request.model)") { format!("size({example}") } else { example.trim().to_owned() };
        let tried = ["{} == {}", "{}"].map(|form| Rule::compile(&form.replace("{}", &example), RuleKind::Routes));
        assert!(tried.iter().any(Result::is_ok), "{example}: {tried:?}");
    }
}

#[test]
fn every_variable_of_the_reference_compiles() {
    for variable in VARIABLES {
        let source = match variable.name {
            "tags" => "size(tags) > 0".to_owned(),
            "request.findings" => "'email' in request.findings".to_owned(),
            "budgets[\"name\"]" => "budgets[\"name\"].used_pct > 0.5".to_owned(),
            name => format!("{name} == {name}"),
        };
        assert!(Rule::compile(&source, RuleKind::Routes).is_ok(), "{source}");
    }
}

#[test]
fn what_is_missing_at_run_time_is_an_error() {
    errs(
        &World::bare(),
        &[
            "tags.team.startsWith('a')",
            "tags.team.matches('a')",
            "tags.team.lowerAscii() == 'a'",
            "size(tags.team) == 1",
            "int(tags.priority) > 2",
            "request.max_output_tokens * 2 > 1",
        ],
    );
    errs(
        &World::full(),
        &["1 / request.hour == 1", "request.input_tokens + 9223372036854775807 > 0", "int(tags.team) == 1", "10 % request.hour == 1"],
    );
}

#[test]
fn an_error_is_absorbed_on_either_side() {
    holds(
        &World::bare(),
        &[
            "tags.x.startsWith('a') || true",
            "true || tags.x.startsWith('a')",
            "!(tags.x.contains('a') && false)",
            "size(tags.x) == 1 || true",
        ],
    );
    fails(&World::bare(), &["tags.x.startsWith('a') && false", "1 / size(tags) == 1 && false"]);
    errs(&World::bare(), &["tags.x.startsWith('a') || false", "true && tags.x.startsWith('a')"]);
}

#[test]
fn an_error_counts_as_false_except_in_a_rule_that_denies() {
    let errored = World::bare().ask("tags.team.startsWith('a')");
    assert!(!errored.matches(RuleKind::Routes));
    assert!(errored.matches(RuleKind::Denies));
    assert!(Verdict::True.matches(RuleKind::Routes) && !Verdict::False.matches(RuleKind::Denies));
}

#[test]
fn an_error_names_what_is_missing_and_no_values() {
    let Verdict::Errored(fast) = World::bare().ask("tags.team.startsWith('a')") else { panic!("no error") };
    assert_eq!(fast, "`startsWith` needs a text, but `tags.team` is missing");
    let Verdict::Errored(slow) = World::full().ask("int(tags.team) == 1") else { panic!("no error") };
    assert_eq!(slow, "`int` failed on this value");
}

#[test]
fn most_rules_run_without_the_interpreter() {
    for source in
        ["tags.team == 'support'", "!(tags.a in ['x', 'y']) || request.hour >= 18", "has(tags.x) && budget.used_pct >= 0.9", "true"]
    {
        let rule = Rule::compile(source, RuleKind::Routes).unwrap();
        assert!(matches!(*rule.program, Program::Fast(_)), "{source}");
    }
}

#[test]
fn references_are_collected_once_each() {
    let rule = Rule::compile(
        "budgets['b'].used_pct > 0.5 || budgets.a.cap_usd > 1.0 || 'b' in budgets || health['p/m'].ok || estimate.cost_usd > 1.0",
        RuleKind::Denies,
    )
    .unwrap();
    let references = rule.references();
    assert_eq!(references.budgets().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(references.health_targets().collect::<Vec<_>>(), ["p/m"]);
    assert!(references.uses_budget() && references.uses_estimate() && references.uses_health());
    let plain = Rule::compile("tags.team == 'x'", RuleKind::Routes).unwrap();
    assert!(!plain.references().uses_budget() && !plain.references().uses_estimate() && !plain.references().uses_health());
    assert_eq!(plain.references().tags().collect::<Vec<_>>(), ["team"]);
}

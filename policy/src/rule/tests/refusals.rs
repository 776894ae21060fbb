//! What is refused at save, and how it is said.

use super::*;

/// Asserts that `source` is refused at `column` of the first line, with `part` in the message.
fn says(source: &str, column: u32, part: &str) {
    let error = refused(source);
    assert!(error.message().contains(part), "`{source}`: {error}");
    assert_eq!((error.line(), error.column()), (1, column), "`{source}`: {error}");
}

#[test]
fn unknown_names_are_refused_with_their_place() {
    says("org == 'a' && foo == 1", 15, "unknown variable `foo`; known are `tags`, `request`");
    says("nosuch.a == 1", 1, "unknown variable `nosuch`");
    says("has(nosuch.a)", 5, "unknown variable `nosuch`");
    says("request.modell == 'x'", 9, "unknown field `modell` of `request`; known are `model`");
    says("budgets['a'].spent > 1.0", 14, "unknown field `spent` of `budgets`");
    says("health['p/m'].p99 > 1.0", 15, "unknown field `p99` of `health`");
    says("tags.team.frobnicate('x')", 11, "unknown function `frobnicate`");
    says("now() > request.time", 1, "unknown function `now`");
    says("has(request.nope)", 13, "unknown field `nope`");
    says("tags.exists(t, u == 'x')", 16, "unknown variable `u`");
    says("tags.team.name == 'x'", 11, "no field `name`");
    says("'token' in request.findings", 1, "nothing is found as `token`; known are `email`, `phone`");
    says("request.findings.token > 1", 18, "nothing is found as `token`");
    says("request.findings['token'] > 1", 18, "nothing is found as `token`");
    says("has(request.findings.token)", 22, "nothing is found as `token`");
    says("request.model in request.findings", 8, "has to be a literal");
    says("request.findings == 'email'", 9, "is asked by kind; write `'email' in request.findings`");
}

#[test]
fn the_place_counts_lines_and_characters() {
    let error = refused("tags.team == 'süß' &&\n  tags.ü == 1");
    assert_eq!(error.line(), 2, "{error}");
    let error = refused("org == 'süß' && foo == 1");
    assert_eq!(error.to_string().split(';').next(), Some("line 1, column 17: unknown variable `foo`"));
}

#[test]
fn type_errors_that_can_be_seen_are_refused() {
    says("tags.team == 5", 11, "`==` can't compare string or null with int");
    says("request.hour >= 'x'", 14, "`>=` can't compare int with string");
    says("tags.team in ['a', 5]", 20, "a list can't hold string and int");
    says("request.hour in ['a']", 14, "`in` can't compare int with string");
    says("request.stream == 'yes'", 16, "can't compare bool with string");
    says("request.model == null", 15, "never null");
    says("request.stream && request.model", 26, "`&&` takes true or false, but this is string");
    says("!tags.team", 6, "`!` takes true or false");
    says("request.hour.startsWith('a')", 8, "takes a string, but this is int");
    says("request.input_tokens * 0.5 > 1.0", 22, "can't mix int and double");
    says("(request.stream ? 1 : 'x') == 1", 17, "both sides of `:`");
    says("tags.team < null", 11, "can't compare");
    says("5 in tags", 3, "tags have names");
    says("tags[5] == 'x'", 6, "tags have names");
    says("5.5 % 2.0 == 1.0", 5, "whole numbers");
}

#[test]
fn a_result_that_is_no_bool_is_refused() {
    for source in
        ["1", "'x'", "tags.team", "request.stream ? 1 : 2", "null", "budget.used_pct", "size(tags)", "['a']", "tags", "budgets", "request"]
    {
        refused(source);
    }
}

#[test]
fn what_the_language_leaves_out_is_refused() {
    says("tags.map(t, t) == tags", 9, "`map` and `filter` are not available");
    says("size(tags.filter(t, t == 'x')) > 0", 17, "`map` and `filter` are not available");
    says("tags.team + 'x' == 'ax'", 11, "`+` takes numbers");
    says("['a'] + ['b'] == ['a']", 1, "a list is used with");
    says("request.model.matches(tags.pattern)", 27, "has to be a literal");
    says("request.model.matches('(')", 23, "not valid");
    says("timestamp(tags.x) < request.time", 15, "takes a literal");
    says("request.time < timestamp('yesterday')", 26, "not a time");
    says("tags.exists(t, tags.exists(u, u == t))", 27, "can't stand within each other");
    says("tags.exists(request, true)", 12, "is a variable already");
    says("budgets[tags.x].used_pct > 0.5", 13, "has to be a literal");
    says("tags.x in budgets", 5, "has to be a literal");
    says("{'a': 1}.a == 1", 1, "maps and messages");
    says("b'x' == b'x'", 1, "no bytes");
    says("type(org) == string", 1, "unknown function `type`");
    says("dyn(org) == 5", 1, "unknown function `dyn`");
    says(".org == 'x'", 2, "unknown variable");
    says("@result == 1", 1, "syntax error");
    says("tags.?team == 'x'", 5, "syntax");
    says("org.size", 5, "`org` has");
}

#[test]
fn syntax_errors_say_where() {
    for (source, column) in [
        ("tags.team ==", 13),
        ("tags.team == 'x", 14),
        ("(org == 'x'", 1),
        ("[org == 'x')", 12),
        ("org == 'x')", 11),
        ("", 1),
        ("'\\q' == org", 2),
    ] {
        let error = refused(source);
        assert_eq!((error.line(), error.column()), (1, column), "`{source}`: {error}");
    }
}

#[test]
fn a_syntax_error_is_short() {
    assert_eq!(refused("tags.team ==").to_string(), "line 1, column 13: syntax error: mismatched input the end");
    assert_eq!(refused("tags.team = 'x'").message(), "syntax error: token recognition error at: '= '");
}

#[test]
fn a_batch_answers_each_rule_in_its_place() {
    let sources = ["org == 'a'", "nope", "((((((((((((((((((true))))))))))))))))))", "request.stream"];
    let answers = Rule::compile_all(sources.map(|source| (source, RuleKind::Denies)));
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true]);
    let last = answers.into_iter().next_back().unwrap().unwrap();
    assert_eq!((last.source(), last.kind()), ("request.stream", RuleKind::Denies));
}

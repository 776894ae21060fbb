//! Expressions that judge an answer: what they know, what they refuse, and that an error accepts nothing.

use serde_json::json;

use super::*;
use crate::rule::ResponseFacts;
use crate::rule::world::answer_in;

fn answer() -> ResponseFacts {
    let json = json!({"score": 0.9, "label": "spam", "ok": true, "deep": {"n": 3}, "list": [1], "none": null});
    answer_in(json)
}

fn judge(source: &str, response: &ResponseFacts) -> Verdict {
    let rule = Rule::compile(source, RuleKind::Accepts).unwrap_or_else(|error| panic!("`{source}`: {error}"));
    rule.accepts(response)
}

#[test]
fn an_answer_is_judged_by_what_it_says_and_how_it_ended() {
    let prose = ResponseFacts { text: "I do not know.".to_owned(), json: None, finish_reason: "length", ..answer() };
    for (source, of_json, of_prose) in [
        ("response.finish_reason == 'stop' && !response.refused", Verdict::True, Verdict::False),
        ("!response.text.lowerAscii().contains('do not know')", Verdict::True, Verdict::False),
        ("response.json != null", Verdict::True, Verdict::False),
        ("response.json.score >= 0.8", Verdict::True, Verdict::False),
        ("response.json.score >= 1", Verdict::False, Verdict::False),
        ("double(response.json.score) * 2.0 > 1.5 || response.json == null", Verdict::True, Verdict::True),
        ("response.json.label in ['spam', 'ham']", Verdict::True, Verdict::False),
        ("response.json.ok == true && response.json.deep.n == 3", Verdict::True, Verdict::False),
        ("has(response.json.list) && response.json.none == null", Verdict::True, Verdict::False),
        ("response.json.deep == 'x' || response.json.list > 1", Verdict::False, Verdict::False),
        ("response.usage.output_tokens * 2 == response.usage.input_tokens", Verdict::True, Verdict::True),
        ("response.tool_calls == 0 && size(response.text) > 20", Verdict::True, Verdict::False),
    ] {
        assert_eq!(judge(source, &answer()), of_json, "`{source}`");
        assert_eq!(judge(source, &prose), of_prose, "`{source}` of prose");
    }
}

#[test]
fn an_expression_that_fails_accepts_nothing() {
    for source in ["response.json.missing.startsWith('a')", "!response.json.score.contains('9')", "10 / response.tool_calls > 1"] {
        let verdict = judge(source, &answer());
        assert!(matches!(verdict, Verdict::Errored(_)) && !verdict.matches(RuleKind::Accepts), "`{source}`: {verdict:?}");
    }
}

#[test]
fn requests_and_answers_share_no_variable() {
    for (source, column, part) in [
        ("tags.team == 'a'", 1, "unknown variable `tags`; known are `response`"),
        ("response.refused && 'x' in tags", 28, "unknown variable `tags`"),
        ("size(tags) > 1", 6, "unknown variable `tags`"),
        ("tags.exists(t, t == 'a')", 1, "walk a list written here"),
        ("tags[response.text] == 'a'", 1, "unknown variable `tags`"),
        ("request.stream", 1, "unknown variable `request`"),
        ("budgets['a'].used_pct > 0.5", 1, "unknown variable `budgets`"),
        ("response.txt == 'a'", 10, "unknown field `txt` of `response`; known are `text`"),
        ("response.usage.tokens > 1", 10, "unknown field `usage`"),
        ("response == 'a'", 1, "`response` has fields: `text`"),
        ("response.text == 5", 15, "can't compare string with int"),
        ("response.json.ok", 1, "a rule has to be true or false, but this is any value or null"),
    ] {
        let error = Rule::compile(source, RuleKind::Accepts).expect_err(source);
        assert!(error.message().contains(part), "`{source}`: {error}");
        assert_eq!((error.line(), error.column()), (1, column), "`{source}`: {error}");
    }
    assert!(refused("response.text == 'a'").message().contains("unknown variable `response`; known are `tags`"));
    let mixed = Rule::compile("org == 'a'", RuleKind::Routes).unwrap();
    assert!(matches!(mixed.accepts(&answer()), Verdict::Errored(_)));
}

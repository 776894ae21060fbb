//! Requests: what is read is what `serde_json` reads, and what goes upstream differs from what came where it was asked to, and nowhere else.

use bytes::Bytes;

use super::{
    json::{self, Object},
    shown,
};
use crate::{
    dialect::Dialect,
    json::SyntaxError,
    request::{Addressed, Canonical, Extensions, Head, OutputField, OutputLimit, ReadRequestError, Rewrite, unstreamed},
    splice::Edits,
    texts,
};

/// Members that a rewrite may change or add.
const REWRITTEN: [&str; 10] = [
    "model",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "generationConfig",
    "generation_config",
    "inferenceConfig",
    "thinking",
    "requests",
];
/// The same within an object that has the limit.
const LIMITS: [&str; 5] = ["maxOutputTokens", "max_output_tokens", "maxTokens", "budget_tokens", "include_usage"];
/// Members at most, with those that a rewrite may add.
const MOST_MEMBERS: usize = 250;
/// What every text is replaced by.
const MARK: &str = "[mark]";

pub(super) fn holds(dialect: Dialect, body: &[u8]) {
    let by_path = Addressed { model: "by-path", stream: true };
    for addressed in [None, Some(by_path), Some(Addressed { stream: false, ..by_path })] {
        match dialect.read_head(body, addressed) {
            Ok(head) => agrees(&head, addressed, body),
            Err(error) => is_refused_rightly(&error, body),
        }
    }
}

fn is_refused_rightly(error: &ReadRequestError, body: &[u8]) {
    let rightly = match error {
        ReadRequestError::NotUtf8 { at } => std::str::from_utf8(body).is_err_and(|error| error.valid_up_to() == *at),
        ReadRequestError::Syntax(SyntaxError::Depth { .. }) => body.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() > 128,
        ReadRequestError::Syntax(_) => !json::is_text(body),
        ReadRequestError::NotAnObject => json::is_text(body) && !body.trim_ascii_start().starts_with(b"{"),
        // Of the others nothing behind the member that is to blame was read.
        _ => body.trim_ascii_start().starts_with(b"{"),
    };
    assert!(rightly, "{error:?} of {}", shown(body));
}

fn agrees(head: &Head<'_>, addressed: Option<Addressed<'_>>, body: &[u8]) {
    assert!(json::is_text(body), "read what is no JSON: {}", shown(body));
    let estimate = head.estimate();
    assert!(estimate.likely <= estimate.bound);
    let canonical = Canonical::read(head.dialect, body).expect("what was read once is read again");
    let Some(object) = Object::read(body) else {
        assert!(body.to_ascii_lowercase().windows(3).any(|bytes| bytes == b"\\ud"), "only half a pair of surrogates is read otherwise");
        return;
    };
    let model = addressed.map(|path| path.model.to_owned()).or_else(|| object.text("model"));
    assert_eq!(Some(&*head.model), model.as_deref());
    let can_stream = !matches!(head.dialect, Dialect::OpenAiEmbeddings | Dialect::Gemini | Dialect::BedrockConverse);
    let stream = addressed.map_or(can_stream && object.raw("stream") == Some("true"), |path| path.stream);
    assert_eq!(head.stream, stream);
    let mut names: Vec<&String> = object.0.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a member that is given twice is refused");
    if object.0.len() > MOST_MEMBERS {
        return;
    }
    let body = Bytes::copy_from_slice(body);
    is_only_rid_of_ours(head, &object, &body);
    is_rewritten(head, addressed, &object, &body, &canonical);
    is_unstreamed(&object, &body);
    is_marked(head, addressed, &body);
}

fn is_ours(name: &str) -> bool {
    name.starts_with("mlx:")
}

/// With nothing to change, our own members are taken out, and where there are none the very same bytes go on.
fn is_only_rid_of_ours(head: &Head<'_>, object: &Object<'_>, body: &Bytes) {
    let upstream = head.layout.upstream_body(body, &Rewrite::default());
    let read = Object::read(&upstream).unwrap_or_else(|| panic!("no object: {}", shown(&upstream)));
    assert_eq!(read.without(|_| false), object.without(is_ours), "{}", shown(&upstream));
    assert!(object.0.iter().any(|(name, _)| is_ours(name)) || upstream.as_ptr() == body.as_ptr());
    if head.dialect != Dialect::Gemini {
        let same = head.layout.upstream_body(body, &Rewrite { model: Some(&head.model), ..Rewrite::default() });
        let read = Object::read(&same).unwrap_or_else(|| panic!("no object: {}", shown(&same)));
        assert_eq!(read.without(|name| name == "model"), object.without(|name| name == "model" || is_ours(name)));
        assert!(read.raw("model").is_none() || object.raw("model").is_none() || read.text("model").as_deref() == Some(&*head.model));
    }
}

fn is_rewritten(head: &Head<'_>, addressed: Option<Addressed<'_>>, object: &Object<'_>, body: &Bytes, canonical: &Canonical) {
    let model = Rewrite { model: Some("new \"model\""), ..Rewrite::default() };
    let named = head.layout.upstream_body(body, &model);
    if !head.layout.is_batch() {
        assert_eq!(Canonical::read(head.dialect, &named).expect("JSON").digest, canonical.digest, "the model decides no digest");
    }
    for (tokens, field) in [(9, OutputField::MaxTokens), (2_000, OutputField::MaxCompletionTokens)] {
        let rewrite = Rewrite { force_usage: true, output_limit: Some(OutputLimit { tokens, field }), ..model };
        let after = head.layout.upstream_body(body, &rewrite);
        let read = head.dialect.read_head(&after, addressed);
        let read = read.unwrap_or_else(|error| panic!("{error} in {}", shown(&after)));
        assert_eq!(read.extensions, Extensions::default());
        assert_eq!((read.stream, read.choices), (head.stream, head.choices));
        assert!(addressed.is_some() || read.model == "new \"model\"" || head.dialect == Dialect::Gemini, "{}", shown(&after));
        let reports = head.dialect == Dialect::OpenAiChat && head.stream;
        assert!(!reports || (read.include_usage && !read.layout.forces_usage()), "{}", shown(&after));
        is_limited(head, &read, tokens, &after);
        assert_eq!(shown(&read.layout.upstream_body(&after, &rewrite)), shown(&after), "a second time nothing changes");
        let read = Object::read(&after).expect("an object");
        let changed = |name: &str| REWRITTEN.contains(&name) || is_ours(name);
        assert_eq!(read.without(changed), object.without(changed), "{}", shown(&after));
        for name in REWRITTEN {
            is_changed_within(name, object.raw(name), read.raw(name));
        }
    }
}

/// The limit that money is held for is the limit that the provider is told.
fn is_limited(head: &Head<'_>, read: &Head<'_>, tokens: u32, after: &[u8]) {
    let expected = head.output_limit.map_or(tokens, |own| own.min(tokens));
    assert!(head.embeds || head.dialect == Dialect::OpenAiEmbeddings || read.output_limit == Some(expected), "{}", shown(after));
    let budget_fits = read.thinking_budget.is_none_or(|budget| budget < tokens || tokens <= 1_024);
    assert!(budget_fits, "{}", shown(after));
}

/// What was changed of one member: an object has its limit changed, a batch its models, and a text or a number is replaced whole.
fn is_changed_within(name: &str, before: Option<&str>, after: Option<&str>) {
    let (Some(before), Some(after)) = (before, after) else { return assert_eq!(before, None, "`{name}` is gone") };
    if name == "requests" {
        let (before, after) = (json::elements(before), json::elements(after));
        assert_eq!(before.len(), after.len());
        return before.into_iter().zip(after).for_each(|(before, after)| is_named_anew(before, after));
    }
    let (Some(before), Some(after)) = (Object::read(before.as_bytes()), Object::read(after.as_bytes())) else { return };
    let changed = |name: &str| LIMITS.contains(&name);
    assert_eq!(before.without(changed), after.without(changed), "`{name}`");
}

/// One request of a batch: every model that is named is the new one.
fn is_named_anew(before: &str, after: &str) {
    let (Some(before), Some(after)) = (Object::read(before.as_bytes()), Object::read(after.as_bytes())) else {
        return assert_eq!(before, after);
    };
    let named = |name: &str| name == "model";
    assert_eq!(before.without(named), after.without(named));
    for ((name, before), (_, after)) in before.0.iter().zip(&after.0) {
        let renamed = named(name) && before.starts_with('"');
        assert!(!renamed || *after == r#""models/new \"model\"""#, "{before} became {after}");
    }
}

fn is_unstreamed(object: &Object<'_>, body: &Bytes) {
    let whole = unstreamed(body).expect("what was read once is read again");
    let read = Object::read(&whole).expect("an object");
    let changed = |name: &str| matches!(name, "stream" | "stream_options");
    assert_eq!(read.without(changed), object.without(changed));
    assert!(
        read.raw("stream").is_none_or(|stream| stream == "false") && read.raw("stream_options").is_none_or(|options| options == "null")
    );
}

/// A mark in the place of every text leaves a request that is read as before, in which every text is a mark.
fn is_marked(head: &Head<'_>, addressed: Option<Addressed<'_>>, body: &Bytes) {
    let mut edits = Edits::new(body.len());
    let mut replaced = true;
    let visited = texts::visit(body, &mut |text| {
        let whole = 0..text.as_str().len();
        replaced &= edits.replace(text.place(&whole), text.written(MARK));
    });
    assert!(visited.is_ok() && replaced, "every text has a place of its own");
    let marked = edits.apply(body);
    assert!(json::is_text(&marked), "{}", shown(&marked));
    // A mark may stand where only some words may: a role of our own tags, a number.
    if let Ok(read) = head.dialect.read_head(&marked, addressed) {
        assert_eq!((&read.model, read.stream, read.output_limit), (&head.model, head.stream, head.output_limit), "{}", shown(&marked));
    }
    let again = texts::visit(&marked, &mut |text| assert_eq!(text.as_str(), MARK, "left in {}", shown(&marked)));
    assert_eq!(again, Ok(()));
}

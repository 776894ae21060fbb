//! Bounds of what callers write: names, tags, texts. What depends on other resources is the compiler's business.

use indexmap::IndexMap;

use super::OperationError;

const MAX_NAME: usize = 64;
const MAX_TEXT: usize = 1_000;
const MAX_SECRET: usize = 16_384;
const MAX_TAGS: usize = 50;
const MAX_LIST: usize = 1_000;

type Checked = Result<(), OperationError>;

/// A name that can be part of `provider/model`, `project/key` and `@slug`.
pub(super) fn name(field: &str, text: &str) -> Checked {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let starts_well = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if starts_well && text.len() <= MAX_NAME && text.chars().all(plain) {
        return Ok(());
    }
    Err(OperationError::invalid(
        field,
        format!("`{}` is not a name: 1 to {MAX_NAME} letters, digits, `-`, `_` and `.`, beginning with a letter or digit", shown(text)),
    ))
}

/// `provider/model`.
pub(super) fn model_name(field: &str, text: &str) -> Result<(String, String), OperationError> {
    let malformed = || OperationError::invalid(field, format!("`{}` is not a model: write `provider/model`", shown(text)));
    let (provider, model) = text.split_once('/').ok_or_else(malformed)?;
    name(field, provider)?;
    if model.is_empty() || model.len() > 200 || model.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(malformed());
    }
    Ok((provider.to_owned(), model.to_owned()))
}

/// A text for people.
pub(super) fn text(field: &str, text: &str) -> Checked {
    if !text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(OperationError::invalid(field, format!("must have 1 to {MAX_TEXT} characters and no control characters")))
}

/// A credential: it becomes a header.
pub(super) fn secret(field: &str, text: &str) -> Checked {
    if !text.is_empty() && text.len() <= MAX_SECRET && !text.chars().any(|c| c.is_control() && c != '\n') {
        return Ok(());
    }
    Err(OperationError::invalid(field, format!("must have 1 to {MAX_SECRET} characters")))
}

/// Tags as a key or project binds them.
pub(super) fn tags(field: &str, tags: &IndexMap<String, String>) -> Checked {
    if tags.len() > MAX_TAGS {
        return Err(OperationError::invalid(field, format!("at most {MAX_TAGS} tags")));
    }
    for (tag, value) in tags {
        name(&format!("{field}.{}", shown(tag)), tag)?;
        if value.len() > 256 || value.chars().any(char::is_control) {
            return Err(OperationError::invalid(
                format!("{field}.{tag}"),
                "a tag's value has at most 256 characters and no control characters",
            ));
        }
    }
    Ok(())
}

/// A list that is not absurdly long.
pub(super) fn list<T>(field: &str, items: &[T]) -> Checked {
    if items.len() <= MAX_LIST {
        return Ok(());
    }
    Err(OperationError::invalid(field, format!("at most {MAX_LIST} elements")))
}

/// An e-mail address in the form it is kept in.
pub(super) fn email(field: &str, text: &str) -> Result<String, OperationError> {
    let shaped = text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    if shaped && text.len() <= 254 && !text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Ok(text.to_lowercase());
    }
    Err(OperationError::invalid(field, format!("`{}` is not an e-mail address", shown(text))))
}

/// What a caller may repeat a call with.
pub(super) fn idempotency_key(text: &str) -> Checked {
    if !text.is_empty() && text.len() <= 200 && text.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(());
    }
    Err(OperationError::invalid("idempotencyKey", "must have 1 to 200 printable ASCII characters without spaces"))
}

/// The beginning of what was given, for a message.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded() {
        for good in ["a", "gpt-4o", "a.b_c-1"] {
            assert!(name("name", good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a/b", "a b", "ä", "a\n", &"x".repeat(65)] {
            assert!(name("name", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_model_has_a_provider_and_may_have_slashes_behind_it() {
        assert_eq!(model_name("model", "openrouter/meta/llama-3").unwrap(), ("openrouter".to_owned(), "meta/llama-3".to_owned()));
        for bad in ["gpt", "openai/", "/gpt", "open ai/gpt"] {
            assert!(model_name("model", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_are_kept_in_lower_case() {
        assert_eq!(email("email", "Ann@Example.com").unwrap(), "ann@example.com");
        for bad in ["ann", "@x", "a@b@c", "a b@c"] {
            assert!(email("email", bad).is_err(), "{bad}");
        }
    }
}

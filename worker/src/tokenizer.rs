//! OpenAI's vocabularies: whose texts they count, and where the counting is done.
//!
//! Both are public and count the texts of OpenAI's models exactly. Other models have tokenizers of theirs, most of them not published; nothing
//! that holds for every text can be said of how far their counts are from these, so that a count which must not be passed is made for
//! OpenAI's own models only ([`exact`]), and one that somebody asks to see with the nearest there is ([`nearest`]).
//!
//! A vocabulary is loaded when the first request asks for it, because it is large: 32 MB in the program and as much in memory for the newer,
//! half of that for the older. The tokenizer takes linear time whatever the text; even so it works on threads where it keeps nobody waiting, and on few
//! of them, so that counting never takes the machine from those who are served.

use std::time::Duration;

use bpe_openai::Tokenizer;
use tokio::sync::Semaphore;

/// Loads a vocabulary when it is first asked for.
pub(crate) type Vocabulary = fn() -> &'static Tokenizer;

/// Counts at the same time at most.
const AT_ONCE: usize = 2;
static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Families of OpenAI's models that count with the older vocabulary; a name is of one where it says the same, or goes on with what
/// [`is_of`] knows.
const OLDER: [&str; 6] =
    ["gpt-4", "gpt-3.5-turbo", "gpt-35-turbo", "text-embedding-ada-002", "text-embedding-3-small", "text-embedding-3-large"];
/// Those that count with the newer one.
const NEWER: [&str; 8] = ["gpt-4o", "chatgpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "o1", "o3", "o4-mini"];

/// The vocabulary that a model counts with for certain; none where that is not known. A deployment of Azure is what its name says, as it is for
/// its price.
pub(crate) fn exact(vendor: &str, model: &str) -> Option<Vocabulary> {
    if !matches!(vendor, "openai" | "azure") {
        return None;
    }
    let name = model.strip_prefix("ft:").unwrap_or(model);
    let one_of = |families: &[&str]| families.iter().any(|family| is_of(name, family));
    match (one_of(&NEWER), one_of(&OLDER)) {
        (true, _) => Some(bpe_openai::o200k_base),
        (false, true) => Some(bpe_openai::cl100k_base),
        (false, false) => None,
    }
}

/// `gpt-4-turbo` is of `gpt-4`, as is what was tuned from it; `gpt-4o` is not. All of `gpt-5.1` and so on are of `gpt-5`.
fn is_of(name: &str, family: &str) -> bool {
    match name.strip_prefix(family).map(|rest| rest.chars().next()) {
        Some(None | Some('-' | ':')) => true,
        Some(Some('.')) => family == "gpt-5",
        _ => false,
    }
}

/// The vocabulary that comes nearest to a model's.
pub(crate) fn nearest(model: &str) -> Vocabulary {
    let name = model.rsplit('/').next().unwrap_or(model);
    let older = name == "gpt-4" || ["gpt-4-", "gpt-3.5", "gpt-35", "text-embedding-"].iter().any(|prefix| name.starts_with(prefix));
    if older { bpe_openai::cl100k_base } else { bpe_openai::o200k_base }
}

/// The tokens of one text, as a number that lengths can be compared with.
pub(crate) fn tokens_of(tokenizer: &Tokenizer, text: &str) -> u64 {
    u64::try_from(tokenizer.count(text)).unwrap_or(u64::MAX)
}

/// Does `work` where it keeps nobody waiting, as soon as it is its turn; none where that does not come within `patience`, or it failed.
pub(crate) async fn aside<T: Send + 'static>(patience: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    // Never closed, so there always is a turn.
    let turn = tokio::time::timeout(patience, TURNS.acquire()).await.ok()?;
    let done = tokio::task::spawn_blocking(move || {
        let done = work();
        // Not before: a caller who leaves does not end the counting.
        drop(turn);
        done
    });
    done.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_newer(vocabulary: Vocabulary) -> bool {
        std::ptr::eq(vocabulary(), bpe_openai::o200k_base())
    }

    #[test]
    fn only_openais_own_models_are_counted_exactly() {
        for (vendor, model, newer) in [
            ("openai", "gpt-4o-mini-2024-07-18", Some(true)),
            ("openai", "gpt-4.1", Some(true)),
            ("azure", "gpt-5.6", Some(true)),
            ("openai", "gpt-5-nano", Some(true)),
            ("openai", "o3-pro", Some(true)),
            ("openai", "ft:gpt-4o-mini-2024-07-18:org::id", Some(true)),
            ("openai", "gpt-4-turbo", Some(false)),
            ("openai", "gpt-4", Some(false)),
            ("openai", "text-embedding-3-large", Some(false)),
            ("openai", "gpt-6", None),
            ("openai", "gpt-50", None),
            ("openai", "o11", None),
            ("azure", "our-gpt", None),
            ("openai_compatible", "gpt-4o", None),
            ("openrouter", "openai/gpt-4o", None),
        ] {
            assert_eq!(exact(vendor, model).map(is_newer), newer, "{vendor}/{model}");
        }
    }

    /// What is said of estimates in `docs/vendors.md` hangs on this: parts that are counted apart come to no less than what is read as one, but
    /// for a few tokens at the seam, which the JSON between two parts outweighs.
    #[test]
    fn texts_that_are_counted_apart_hide_no_tokens() {
        for vocabulary in [bpe_openai::o200k_base(), bpe_openai::cl100k_base()] {
            let text = "The quick\r\n\r\n  brown fox's 1234567 \u{65e5}\u{672c}\u{8a9e} aaaaaaaaaaaaaaaaaaaa!!!!\n\n\n}}}  { \u{1f469}\u{200d}\u{1f680}";
            let whole = tokens_of(vocabulary, text);
            for (at, _) in text.char_indices() {
                let (one, other) = text.split_at(at);
                let apart = tokens_of(vocabulary, one) + tokens_of(vocabulary, other);
                assert!(apart + 3 >= whole, "{one:?} and {other:?}: {apart} tokens, together {whole}");
            }
        }
    }

    /// The figures of `docs/vendors.md`: how many bytes of a text make a token of the newer vocabulary. `likely` takes it to be four, the bound one.
    #[test]
    fn estimates_are_as_far_off_as_is_said_of_them() {
        for (kind, text, bytes_a_token) in [
            (
                "English",
                "The committee will meet again on Thursday to decide whether the new budget can cover the repairs of the old bridge.",
                4.0..6.0,
            ),
            ("German", "Der Ausschuss entscheidet am Donnerstag, ob das neue Budget die Reparatur der alten Brücke decken kann.", 3.0..5.0),
            (
                "code",
                "fn main() {\n    let total: u64 = prices.iter().map(|price| price.cents).sum();\n    println!(\"{total}\");\n}\n",
                3.0..4.5,
            ),
            (
                "JSON",
                "{\"id\": 4711, \"name\": \"bridge\", \"cost_usd\": 1204.50, \"tags\": [\"repair\", \"2026\"], \"done\": false}",
                2.0..3.5,
            ),
            ("Russian", "Комитет решит в четверг, сможет ли новый бюджет покрыть ремонт старого моста.", 5.0..8.0),
            ("Chinese", "委员会将于星期四决定新预算能否支付旧桥的维修费用。", 3.0..5.0),
            (
                "base64",
                "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJg",
                1.0..2.0,
            ),
        ] {
            #[expect(clippy::cast_precision_loss, reason = "a ratio of small numbers")]
            let found = text.len() as f64 / tokens_of(bpe_openai::o200k_base(), text) as f64;
            assert!(bytes_a_token.contains(&found), "{kind}: {found}");
        }
    }

    #[test]
    fn no_token_is_longer_than_counting_may_hope_for() {
        for vocabulary in [bpe_openai::o200k_base(), bpe_openai::cl100k_base()] {
            for text in [" ".repeat(4_096), "=".repeat(4_096), "-".repeat(4_096), "\n".repeat(4_096), "*".repeat(4_096)] {
                assert!(tokens_of(vocabulary, &text) * llm::tokens::LONGEST_TOKEN >= 4_096, "{:?}", text.chars().next());
            }
        }
    }
}

//! Ids of calls in the alphabet that Anthropic and Bedrock ask for: letters, digits, `_` and `-`, 64 at most.

use std::borrow::Cow;

/// How long an id may be (Bedrock's limit; Anthropic names none).
const LONGEST: usize = 64;

/// Ids of one request. One that fits stays as it is; any other gets the number of its first appearance, so that call and result keep
/// together and the same conversation, longer by a turn, gets the same ids (prompt caches ask for that). Nothing needs the way back: a
/// model answers with ids of its own.
#[derive(Debug, Default)]
pub(in crate::dialect) struct CallIds<'a> {
    renamed: Vec<&'a str>,
}

impl<'a> CallIds<'a> {
    /// The id as it is written.
    pub(in crate::dialect) fn written(&mut self, id: &'a str) -> Cow<'a, str> {
        if !id.is_empty() && id.len() <= LONGEST && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
            return Cow::Borrowed(id);
        }
        let place = self.renamed.iter().position(|known| *known == id).unwrap_or_else(|| {
            self.renamed.push(id);
            self.renamed.len().saturating_sub(1)
        });
        Cow::Owned(format!("mlx_call_{place}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_does_not_fit_is_renamed_the_same_way_each_time() {
        let long = "x".repeat(65);
        let mut ids = CallIds::default();
        assert_eq!(ids.written("toolu_01-A"), "toolu_01-A");
        assert_eq!(ids.written("call:1"), "mlx_call_0");
        assert_eq!(ids.written(&long), "mlx_call_1");
        assert_eq!(ids.written("call:1"), "mlx_call_0");
        assert_eq!(ids.written(""), "mlx_call_2");
    }
}

//! What a Claude model takes, told from its name.
//!
//! The names are Anthropic's own (`claude-sonnet-4-5-20250929`), Bedrock's (`us.anthropic.claude-opus-4-6-v1:0`) and Vertex's
//! (`claude-opus-4-1@20250805`). A Claude without a version in its name is taken for the newest; a model that is no Claude (this
//! dialect has other speakers) for one that thinks by a budget and has no structured outputs.

/// A version of Claude.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::dialect) struct Generation {
    major: u32,
    minor: u32,
}

impl Generation {
    /// Of the model with this name.
    pub(in crate::dialect) fn of(model: &str) -> Self {
        let Some((_, version)) = model.split_once("claude") else { return Self { major: 4, minor: 0 } };
        let mut numbers = version.split(['-', '.', '_', '@', ':']).map(version_number).skip_while(Option::is_none);
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), minor) => Self { major, minor: minor.unwrap_or(0) },
            (None, _) => Self { major: u32::MAX, minor: 0 },
        }
    }

    /// Whether it thinks at all.
    pub(in crate::dialect) fn thinks(self) -> bool {
        self >= Self { major: 3, minor: 7 }
    }

    /// Whether it is told how much to think in tokens. Later ones decide for themselves, within an effort in words.
    pub(in crate::dialect) fn takes_budget(self) -> bool {
        self < Self { major: 4, minor: 6 }
    }

    /// Whether `max` is an effort.
    pub(in crate::dialect) fn takes_max_effort(self) -> bool {
        self >= Self { major: 4, minor: 7 }
    }

    /// Whether it refuses `temperature`, `top_p` and `top_k`.
    pub(in crate::dialect) fn refuses_sampling(self) -> bool {
        self >= Self { major: 4, minor: 7 }
    }

    /// Whether it keeps to schemas, of answers and of tools.
    pub(in crate::dialect) fn keeps_to_schemas(self) -> bool {
        self >= Self { major: 4, minor: 1 }
    }
}

/// A part of a version; dates have more digits.
fn version_number(piece: &str) -> Option<u32> {
    if piece.len() > 2 { None } else { piece.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_every_platforms_names() {
        for (model, major, minor) in [
            ("claude-3-haiku-20240307", 3, 0),
            ("claude-3-7-sonnet-20250219", 3, 7),
            ("claude-opus-4-20250514", 4, 0),
            ("claude-opus-4-1@20250805", 4, 1),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 4, 5),
            ("anthropic.claude-opus-4-6-v1", 4, 6),
            ("claude-opus-5", 5, 0),
            ("claude-2.1", 2, 1),
            ("claude-sonnet-latest", u32::MAX, 0),
            ("deepseek-chat", 4, 0),
        ] {
            assert_eq!(Generation::of(model), Generation { major, minor }, "{model}");
        }
    }
}

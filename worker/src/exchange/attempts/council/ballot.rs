//! Votes: which answers are the same one, which weighs most, and what the mean of numbers is.
//!
//! Two answers agree where they are the same JSON, whatever its order and spaces, or the same words, whatever their case, spaces and a
//! full stop at the end. Of two that weigh the same, the one whose first member stands first in the config wins.

use serde_json::{Map, Number, Value};

use super::ensemble::Said;

/// The answer of one member.
pub(super) struct Vote<'v> {
    pub member: usize,
    pub weight: u32,
    pub said: &'v Said,
}

/// The first member of those who agree and weigh most together.
pub(super) fn most_agreed(votes: &[Vote<'_>]) -> Option<usize> {
    let mut parties: Vec<(String, u64, usize)> = Vec::with_capacity(votes.len());
    for vote in votes {
        let position = format!("{}{}", vote.said.calls, normalised(&vote.said.text));
        match parties.iter_mut().find(|(known, ..)| *known == position) {
            Some((_, weight, _)) => *weight = weight.saturating_add(u64::from(vote.weight)),
            None => parties.push((position, u64::from(vote.weight), vote.member)),
        }
    }
    // The last of equals is taken, so the first one has to come last.
    parties.into_iter().rev().max_by_key(|(_, weight, _)| *weight).map(|(_, _, member)| member)
}

/// The member that weighs most.
pub(super) fn heaviest(votes: &[Vote<'_>]) -> Option<usize> {
    votes.iter().rev().max_by_key(|vote| vote.weight).map(|vote| vote.member)
}

/// The weighted mean of those answers that are numbers, or objects with numbers in the same places; and the heaviest of their members.
/// None where fewer than `quorum` can be averaged.
pub(super) fn average(votes: &[Vote<'_>], quorum: usize) -> Option<(usize, String)> {
    let read = |vote: &Vote<'_>| {
        let value = json(&vote.said.text).filter(|value| value.is_number() || value.is_object())?;
        Some((value, f64::from(vote.weight), vote.member))
    };
    let mut values: Vec<(Value, f64, usize)> = votes.iter().filter_map(read).collect();
    // The heaviest says what is no number; equal weights stay in their order.
    values.sort_by(|one, other| other.1.total_cmp(&one.1));
    let numbers = values.first()?.0.is_number();
    values.retain(|(value, ..)| value.is_number() == numbers);
    let member = values.first().filter(|_| values.len() >= quorum)?.2;
    let weighed: Vec<(&Value, f64)> = values.iter().map(|(value, weight, _)| (value, *weight)).collect();
    Some((member, mean(&weighed)?.to_string()))
}

fn mean(values: &[(&Value, f64)]) -> Option<Value> {
    let (first, _) = values.first()?;
    match first {
        Value::Number(_) => {
            let numbers = || values.iter().filter_map(|(value, weight)| Some((value.as_f64()?, *weight)));
            let total: f64 = numbers().map(|(_, weight)| weight).sum();
            let sum: f64 = numbers().map(|(number, weight)| number * weight).sum();
            Number::from_f64(sum / total).map(Value::Number)
        }
        Value::Object(members) => {
            let mut averaged = Map::new();
            for name in members.keys() {
                let of_name: Vec<_> = values.iter().filter_map(|(value, weight)| Some((value.get(name)?, *weight))).collect();
                averaged.insert(name.clone(), mean(&of_name)?);
            }
            Some(Value::Object(averaged))
        }
        other => Some((*other).clone()),
    }
}

/// A text as it is compared with others.
pub(super) fn normalised(text: &str) -> String {
    if let Some(value) = json(text) {
        return value.to_string();
    }
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    words.join(" ").trim_end_matches('.').to_owned()
}

/// The JSON that a text is, also where it stands in a fence.
pub(super) fn json(text: &str) -> Option<Value> {
    let text = text.trim();
    let fenced = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let inner = fenced.map_or(text, |rest| rest.strip_prefix("json").unwrap_or(rest).trim());
    serde_json::from_str(inner).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_votes<T>(answers: &[(&str, u32)], test: impl FnOnce(&[Vote<'_>]) -> T) -> T {
        let said: Vec<Said> = answers.iter().map(|(text, _)| Said { text: (*text).to_owned(), calls: String::new() }).collect();
        let votes = said.iter().zip(answers).enumerate();
        test(&votes.map(|(member, (said, (_, weight)))| Vote { member, weight: *weight, said }).collect::<Vec<_>>())
    }

    #[test]
    fn words_agree_whatever_their_case_and_json_whatever_its_order() {
        assert_eq!(with_votes(&[("no", 1), ("Yes.", 1), ("yes", 1)], most_agreed), Some(1));
        let objects = [("maybe", 3), ("{\"a\":1,\"b\":[2]}", 2), ("```json\n{\"b\": [2], \"a\": 1}\n```", 2)];
        assert_eq!(with_votes(&objects, most_agreed), Some(1));
    }

    #[test]
    fn weight_decides_and_the_first_of_equals_wins() {
        assert_eq!(with_votes(&[("a", 1), ("b", 3), ("a", 1)], most_agreed), Some(1));
        assert_eq!(with_votes(&[("a", 2), ("b", 2)], most_agreed), Some(0));
        assert_eq!(with_votes(&[("a", 2), ("b", 2)], heaviest), Some(0));
    }

    #[test]
    fn numbers_are_averaged_by_weight_and_what_is_none_does_not_count() {
        assert_eq!(with_votes(&[("1", 1), ("about two", 9), ("4", 2)], |votes| average(votes, 2)), Some((2, "3.0".to_owned())));
        assert_eq!(with_votes(&[("1", 1), ("about two", 9)], |votes| average(votes, 2)), None);
        let objects = [("{\"score\":2,\"why\":\"x\"}", 1), ("{\"score\":4,\"why\":\"y\"}", 3)];
        assert_eq!(with_votes(&objects, |votes| average(votes, 2)), Some((1, "{\"score\":3.5,\"why\":\"y\"}".to_owned())));
    }
}

//! Ids for calls that have none.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
};

/// The longest id that every dialect takes.
const LONGEST: usize = 40;

/// Makes ids and finds them again: `call_<n>_<scope>`, where the scope is the answer's id, so that ids differ between the answers of
/// one conversation; where there is none it is the tool's name.
#[derive(Debug, Default)]
pub(in crate::dialect::gemini) struct CallIds<'a> {
    scope: String,
    calls: u32,
    unanswered: HashMap<Cow<'a, str>, VecDeque<Cow<'a, str>>>,
}

impl<'a> CallIds<'a> {
    /// For the calls of the answer `id`, of which there were `calls` so far.
    pub(in crate::dialect::gemini) fn of_answer(id: &str, calls: u32) -> Self {
        Self { scope: id.to_owned(), calls, ..Self::default() }
    }

    /// The id of the next call.
    pub(in crate::dialect::gemini) fn of_call(&mut self, given: Option<Cow<'a, str>>, name: &Cow<'a, str>) -> Cow<'a, str> {
        let id = given.unwrap_or_else(|| Cow::Owned(self.made(name)));
        self.calls = self.calls.saturating_add(1);
        self.unanswered.entry(name.clone()).or_default().push_back(id.clone());
        id
    }

    /// The id of the call that the next result is of.
    pub(in crate::dialect::gemini) fn of_result(&mut self, given: Option<Cow<'a, str>>, name: &Cow<'a, str>) -> Cow<'a, str> {
        let open = self.unanswered.get_mut(name);
        let place = open.as_ref().and_then(|open| match &given {
            Some(given) => open.iter().position(|id| id == given),
            None => (!open.is_empty()).then_some(0),
        });
        let answered = open.zip(place).and_then(|(open, place)| open.remove(place));
        given.or(answered).unwrap_or_else(|| Cow::Owned(self.made(name)))
    }

    fn made(&self, name: &str) -> String {
        let scope = if self.scope.is_empty() { name } else { &self.scope };
        let fits = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
        format!("call_{}_", self.calls).chars().chain(scope.chars().filter(fits)).take(LONGEST).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_without_ids_belong_to_the_calls_of_their_name_in_order() {
        let (weather, clock) = (Cow::Borrowed("weather"), Cow::Borrowed("clock"));
        let mut ids = CallIds::default();
        let calls = [ids.of_call(None, &weather), ids.of_call(Some("own".into()), &clock), ids.of_call(None, &weather)];
        assert_eq!(calls, ["call_0_weather", "own", "call_2_weather"]);
        let results = [ids.of_result(None, &weather), ids.of_result(None, &clock), ids.of_result(None, &weather)];
        assert_eq!(results, ["call_0_weather", "own", "call_2_weather"]);
    }

    #[test]
    fn made_ids_keep_to_the_narrowest_alphabet_and_length() {
        let mut ids = CallIds::of_answer(&"ä.b-".repeat(30), 0);
        let id = ids.of_call(None, &"x".into());
        assert_eq!(id.len(), LONGEST);
        assert!(id.starts_with("call_0_b-b-"), "{id}");
    }
}

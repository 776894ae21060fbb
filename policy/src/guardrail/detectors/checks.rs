//! Checks of words, addresses, phone numbers, accounts and cards.

use super::Candidate;

/// A separator and a digit more often than this is a table, not a number.
const MOST_GROUPS: usize = 7;

/// Nothing more to check.
pub(super) fn as_it_is(candidate: &Candidate<'_>) -> Option<usize> {
    Some(candidate.as_str().len())
}

/// It stands on its own.
pub(super) fn apart(candidate: &Candidate<'_>) -> Option<usize> {
    let length = candidate.as_str().len();
    let joins = |character: char| character.is_ascii_alphanumeric() || character == '_';
    (!candidate.before().is_some_and(joins) && !candidate.behind(length).is_some_and(|next| next.is_ascii_alphanumeric())).then_some(length)
}

/// `git@host.org:path` is an address of a repository; nobody's mailbox is called so.
pub(super) fn email(candidate: &Candidate<'_>) -> Option<usize> {
    let text = candidate.as_str();
    let (local, _) = text.split_once('@')?;
    let repository = local == "git" && matches!(candidate.behind(text.len()), Some(':' | '/'));
    (!repository && !local.starts_with('.') && !local.ends_with('.') && local.len() <= 64 && !text.contains("..")).then_some(text.len())
}

/// A password in an address, if it is one and not the place for one.
pub(super) fn password(candidate: &Candidate<'_>) -> Option<usize> {
    let text = candidate.as_str();
    (!text.starts_with(['$', '{', '<', '[', '*']) && !text.eq_ignore_ascii_case("password")).then_some(text.len())
}

/// It is as the pattern has it, and no part of a longer number.
pub(super) fn plain_number(candidate: &Candidate<'_>) -> Option<usize> {
    let length = candidate.as_str().len();
    (candidate.is_apart(length) && !candidate.continues(length)).then_some(length)
}

/// `+` and 9 to 15 digits. Cut where a second number may follow.
pub(super) fn international_phone(candidate: &Candidate<'_>) -> Option<usize> {
    let text = candidate.as_str();
    let length = text.len();
    let runs = text.split(|character: char| !character.is_ascii_digit()).filter(|run| !run.is_empty()).count();
    let separated = ["  ", "--", "..", "//", " - ", " . "].iter().any(|twice| text.contains(twice));
    ((9..=15).contains(&digit_count(text)) && runs <= MOST_GROUPS && !separated && candidate.is_apart(length)).then_some(length)
}

/// A number with a leading zero in groups, all set apart alike: 9 to 12 digits. A date is written the same way.
pub(super) fn national_phone(candidate: &Candidate<'_>) -> Option<usize> {
    let text = candidate.as_str();
    let mut separators = text.chars().filter(|character| !character.is_ascii_digit());
    let first = separators.next()?;
    let rest: Vec<char> = separators.collect();
    let alike = rest.iter().all(|separator| *separator == first) || (first == '/' && rest.iter().all(|separator| *separator == ' '));
    let mut groups = text.split(|character: char| !character.is_ascii_digit());
    let (day, month, year) = (groups.next()?, groups.next()?, groups.next());
    let date = day.len() == 2
        && month.len() == 2
        && year.is_some_and(|year| year.len() == 4 && (year.starts_with("19") || year.starts_with("20")));
    let fits = alike
        && !date
        && (9..=12).contains(&digit_count(text))
        && candidate.is_apart(text.len())
        && !candidate.continues(text.len())
        && !candidate.follows_group();
    fits.then_some(text.len())
}

/// An account number: its country's length, its form and its check digits.
pub(super) fn iban(candidate: &Candidate<'_>) -> Option<usize> {
    let text = candidate.as_str();
    let mut compact = String::with_capacity(34);
    let mut taken = None;
    for (at, character) in text.char_indices().filter(|(_, character)| character.is_ascii_alphanumeric()) {
        compact.push(character);
        let length = at.saturating_add(1);
        if compact.len() >= 15 && candidate.is_apart(length) && compact.parse::<iban::Iban>().is_ok() {
            taken = Some(length);
        }
    }
    taken
}

/// A card: a known issuer, its length and Luhn's digit. Cut where more digits follow that are not of it.
pub(super) fn card(candidate: &Candidate<'_>) -> Option<usize> {
    let text = candidate.as_str();
    if candidate.follows_point() {
        return None;
    }
    let mut digits = Vec::with_capacity(19);
    let mut taken = None;
    for (at, character) in text.char_indices() {
        let Some(digit) = character.to_digit(10) else { continue };
        digits.push(digit);
        let length = at.saturating_add(1);
        if digits.len() >= 14 && candidate.is_apart(length) && is_issued(text, digits.len()) && luhn(&digits) {
            taken = Some(length);
        }
    }
    taken
}

/// Whether an issuer whose numbers begin so has numbers of this many digits.
fn is_issued(text: &str, digits: usize) -> bool {
    let head: u32 = text
        .chars()
        .filter_map(|character| character.to_digit(10))
        .take(4)
        .fold(0, |head, digit| head.saturating_mul(10).saturating_add(digit));
    match head {
        5100..=5599 | 2221..=2720 => digits == 16,
        3400..=3499 | 3700..=3799 => digits == 15,
        3000..=3059 | 3600..=3699 | 3800..=3999 => matches!(digits, 14 | 16 | 19),
        4000..=4999 | 6011 | 6440..=6599 | 3528..=3589 | 6200..=6299 | 8100..=8199 => matches!(digits, 16 | 19),
        5000..=5099 | 5600..=5899 | 6300..=6399 | 6700..=6799 => matches!(digits, 16 | 19),
        _ => false,
    }
}

/// Luhn's check: every second digit from the right counts twice, and the sum ends with 0.
pub(super) fn luhn(digits: &[u32]) -> bool {
    let sum = digits.iter().rev().enumerate().fold(0_u32, |sum, (place, digit)| {
        let doubled = if place % 2 == 1 { digit.saturating_mul(2) } else { *digit };
        sum.saturating_add(if doubled > 9 { doubled.saturating_sub(9) } else { doubled })
    });
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit > 0)
}

fn digit_count(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

impl Candidate<'_> {
    /// Whether it stands behind a point that stands behind a digit: the end of a fraction.
    pub(super) fn follows_point(&self) -> bool {
        let mut before = self.text.get(..self.range.start).unwrap_or_default().chars().rev();
        before.next() == Some('.') && before.next().is_some_and(|character| character.is_ascii_digit())
    }

    /// Whether it stands behind a space behind a digit: one more group of something longer.
    pub(super) fn follows_group(&self) -> bool {
        let mut before = self.text.get(..self.range.start).unwrap_or_default().chars().rev();
        before.next() == Some(' ') && before.next().is_some_and(|character| character.is_ascii_digit())
    }

    /// Whether a longer number goes on around its first `length` bytes, beyond a separator: a version, an address, an id in groups.
    pub(super) fn continues(&self, length: usize) -> bool {
        let joins = |separator: Option<char>, digit: Option<char>| {
            matches!(separator, Some('.' | '-' | '/')) && digit.is_some_and(|character| character.is_ascii_alphanumeric())
        };
        let mut before = self.text.get(..self.range.start).unwrap_or_default().chars().rev();
        let mut behind = self.text.get(self.range.start.saturating_add(length)..).unwrap_or_default().chars();
        joins(before.next(), before.next()) || joins(behind.next(), behind.next())
    }
}

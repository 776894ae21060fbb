//! Numbers that states give to people, each with the check that its state has for it.

use super::Candidate;
use super::checks::{luhn, plain_number};

fn digits_of(text: &str) -> Vec<u32> {
    text.chars().filter_map(|character| character.to_digit(10)).collect()
}

fn number_of(text: &str) -> u64 {
    digits_of(text).into_iter().fold(0, |number, digit| number.saturating_mul(10).saturating_add(digit.into()))
}

fn weighed(digits: &[u32], weights: impl IntoIterator<Item = u32>) -> u32 {
    digits.iter().zip(weights).fold(0, |sum, (digit, weight)| sum.saturating_add(digit.saturating_mul(weight)))
}

/// United States: areas, groups and serials that were never given out are none.
pub(super) fn us_social_security(candidate: &Candidate<'_>) -> Option<usize> {
    let text = candidate.as_str();
    let mut parts = text.split('-');
    let (area, group, serial) = (parts.next()?, parts.next()?, parts.next()?);
    let given = !matches!(area, "000" | "666") && !area.starts_with('9') && group != "00" && serial != "0000";
    plain_number(candidate).filter(|_| given)
}

/// United Kingdom: prefixes that are not used are none.
pub(super) fn uk_national_insurance(candidate: &Candidate<'_>) -> Option<usize> {
    let unused = ["BG", "GB", "KN", "NK", "NT", "TN", "ZZ"].iter().any(|prefix| candidate.as_str().starts_with(prefix));
    plain_number(candidate).filter(|_| !unused)
}

/// Spain, for citizens and foreigners: the letter is the number modulo 23.
pub(super) fn spanish(candidate: &Candidate<'_>) -> Option<usize> {
    let text = candidate.as_str();
    let letter = text.bytes().next_back()?;
    let first = match text.bytes().next()? {
        b'X' => 0,
        b'Y' => 10_000_000,
        b'Z' => 20_000_000,
        _ => 0,
    };
    let place = usize::try_from(number_of(text).saturating_add(first) % 23).ok()?;
    let right = b"TRWAGMYFPDXBNJZSQVHLCKE".get(place) == Some(&letter);
    plain_number(candidate).filter(|_| right)
}

/// France: a month, and a key that makes the whole divisible by 97. Corsica's departments count as 19 and 18.
pub(super) fn french(candidate: &Candidate<'_>) -> Option<usize> {
    let text = candidate.as_str();
    let compact: String = text.chars().filter(|character| *character != ' ').collect();
    let plain = compact.replace("2A", "19").replace("2B", "18");
    let month: u32 = plain.get(3..5)?.parse().ok()?;
    let (number, key) = (number_of(plain.get(..13)?), number_of(plain.get(13..15)?));
    let right = (matches!(month, 1..=12 | 20..=42 | 50..=99)) && number % 97 == 97_u64.saturating_sub(key);
    plain_number(candidate).filter(|_| right)
}

/// Italy: the last letter checks the others, which count by place.
pub(super) fn italian(candidate: &Candidate<'_>) -> Option<usize> {
    /// What the characters in odd places count, from 0 and A on.
    const ODD: [u32; 26] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let text = candidate.as_str();
    let value = |byte: u8| if byte.is_ascii_digit() { byte.checked_sub(b'0') } else { byte.checked_sub(b'A') };
    let (check, rest) = text.as_bytes().split_last()?;
    let sum = rest.iter().enumerate().try_fold(0_u32, |sum, (place, byte)| {
        let value = value(*byte)?;
        let counts = if place % 2 == 0 { *ODD.get(usize::from(value))? } else { u32::from(value) };
        Some(sum.saturating_add(counts))
    })?;
    let right = u32::from(value(*check)?) == sum % 26;
    plain_number(candidate).filter(|_| right)
}

/// Germany's tax number or Poland's number of residents: both have eleven digits and a check digit of their own.
pub(super) fn german_or_polish(candidate: &Candidate<'_>) -> Option<usize> {
    let text = candidate.as_str();
    let digits = digits_of(text);
    let polish = !text.contains(' ') && is_polish(&digits);
    plain_number(candidate).filter(|_| !candidate.follows_point() && (polish || is_german(&digits)))
}

/// ISO 7064 modulo 11,10; of the first ten digits one stands there twice or thrice, and none more often.
fn is_german(digits: &[u32]) -> bool {
    let Some((check, first)) = digits.split_last() else { return false };
    if first.len() != 10 || first.first() == Some(&0) {
        return false;
    }
    let often = |digit: u32| first.iter().filter(|other| **other == digit).count();
    let repeated: Vec<usize> = (0..10).map(often).filter(|count| *count > 1).collect();
    let product = first.iter().fold(10_u32, |product, digit| {
        let sum = digit.saturating_add(product) % 10;
        (if sum == 0 { 10 } else { sum }).saturating_mul(2) % 11
    });
    matches!(repeated.as_slice(), [2 | 3]) && 11_u32.saturating_sub(product) % 10 == *check
}

/// A birthday, with the century in the month, and a weighed sum that ends with 0.
fn is_polish(digits: &[u32]) -> bool {
    let [_, _, tens, ones, day_tens, day_ones, ..] = digits else { return false };
    let month = tens.saturating_mul(10).saturating_add(*ones) % 20;
    let day = day_tens.saturating_mul(10).saturating_add(*day_ones);
    let sum = weighed(digits, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    digits.len() == 11 && (1..=12).contains(&month) && (1..=31).contains(&day) && sum.is_multiple_of(10)
}

/// Brazil: two check digits over the nine before them; nobody has the same digit throughout.
pub(super) fn brazilian(candidate: &Candidate<'_>) -> Option<usize> {
    let digits = digits_of(candidate.as_str());
    let check = |count: u32| {
        let sum = weighed(&digits, (2..=count.saturating_add(1)).rev());
        let rest = sum.saturating_mul(10) % 11;
        if rest == 10 { 0 } else { rest }
    };
    let varied = digits.iter().any(|digit| Some(digit) != digits.first());
    let right = digits.get(9) == Some(&check(9)) && digits.get(10) == Some(&check(10));
    plain_number(candidate).filter(|_| varied && right)
}

/// Sweden: a birthday and Luhn's digit.
pub(super) fn swedish(candidate: &Candidate<'_>) -> Option<usize> {
    let digits = digits_of(candidate.as_str());
    let [_, _, tens, ones, day_tens, day_ones, ..] = digits.as_slice() else { return None };
    let month = tens.saturating_mul(10).saturating_add(*ones);
    let day = day_tens.saturating_mul(10).saturating_add(*day_ones);
    // 60 is added to the day of people who only stay for a while.
    let birthday = (1..=12).contains(&month) && matches!(day, 1..=31 | 61..=91);
    plain_number(candidate).filter(|_| birthday && luhn(&digits))
}

//! Money: whole nano-US-dollars in an `i64`, and nothing else.
//!
//! One dollar is 1,000,000,000. The range is ±9.2 billion dollars; every operation saturates or is checked, so a sum can't wrap.
//! Text and JSON at the edges are decimal USD (`"12.5"` or `12.5`), read digit by digit: no binary float takes part. Amounts finer
//! than a nano-dollar are refused rather than rounded.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

const NANOS_PER_USD: i64 = 1_000_000_000;
const DECIMALS: usize = 9;

/// An amount in nano-USD. Negative amounts are corrections.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct NanoUsd(#[n(0)] i64);

/// Why a text is not an amount of money.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MoneyError {
    /// Not a plain decimal number.
    #[error("`{0}` is not a decimal amount of USD, such as `12.50`")]
    NotDecimal(String),
    /// More than nine digits behind the point.
    #[error("`{0}` is finer than a nano-dollar (nine decimals)")]
    TooFine(String),
    /// Beyond ±9.2 billion dollars.
    #[error("`{0}` is beyond what can be kept (9.2 billion USD)")]
    TooLarge(String),
}

impl NanoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(i64::MAX);

    /// From whole nano-dollars.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole dollars, saturating.
    #[must_use]
    pub const fn from_usd(usd: i64) -> Self {
        Self(usd.saturating_mul(NANOS_PER_USD))
    }

    /// Whole nano-dollars.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Sum, staying at the limits of the range.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Difference, staying at the limits of the range.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Product with a count, staying at the limits of the range.
    #[must_use]
    pub const fn saturating_mul(self, by: i64) -> Self {
        Self(self.0.saturating_mul(by))
    }

    /// The `part`-th part, towards zero; a `part` of zero gives nothing.
    #[must_use]
    pub const fn divided_by(self, part: i64) -> Self {
        match self.0.checked_div(part) {
            Some(nanos) => Self(nanos),
            None => Self(0),
        }
    }

    /// `self × millionths / 1,000,000`, rounded up, staying in range. How token prices become costs.
    #[must_use]
    pub fn from_millionths(millionths: i128) -> Self {
        let whole = millionths.div_euclid(1_000_000);
        let up = i128::from(millionths.rem_euclid(1_000_000) != 0);
        let nanos = whole.saturating_add(up);
        Self(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
    }

    /// Whether this is more than nothing.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// USD with exactly four decimals, towards zero: the form of response headers.
    #[must_use]
    pub fn to_usd_4(self) -> String {
        let mut text = Text::empty();
        let whole = text.digits(self.0.unsigned_abs() / 100_000, 4);
        text.dollars(whole, self.0 < 0);
        text.as_str().to_owned()
    }
}

/// Bytes of the longest amount: a sign, ten digits of dollars, a point, nine decimals.
const LONGEST: usize = 21;

/// An amount as text, made on the stack: a request has a dozen of them in its headers and its trace.
struct Text {
    bytes: [u8; LONGEST],
    start: usize,
}

impl Text {
    fn empty() -> Self {
        Self { bytes: [b'0'; LONGEST], start: LONGEST }
    }

    fn push_front(&mut self, byte: u8) {
        self.start = self.start.saturating_sub(1);
        if let Some(place) = self.bytes.get_mut(self.start) {
            *place = byte;
        }
    }

    /// The last `decimals` digits of `number`, and what is left of it.
    fn digits(&mut self, mut number: u64, decimals: usize) -> u64 {
        for _ in 0..decimals {
            self.push_front(b'0'.saturating_add(u8::try_from(number % 10).unwrap_or(0)));
            number /= 10;
        }
        number
    }

    /// `number` has been written up to its point; the dollars and the sign are left.
    fn dollars(&mut self, whole: u64, negative: bool) {
        self.push_front(b'.');
        let mut left = self.digits(whole, 1);
        while left > 0 {
            left = self.digits(left, 1);
        }
        if negative {
            self.push_front(b'-');
        }
    }

    fn as_str(&self) -> &str {
        self.bytes.get(self.start..).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl NanoUsd {
    /// The shortest exact decimal USD, at least two decimals.
    fn text(self) -> Text {
        let (mut text, mut number, mut decimals) = (Text::empty(), self.0.unsigned_abs(), DECIMALS);
        while decimals > 2 && number.is_multiple_of(10) {
            number /= 10;
            decimals = decimals.saturating_sub(1);
        }
        let whole = text.digits(number, decimals);
        text.dollars(whole, self.0 < 0);
        text
    }
}

impl fmt::Display for NanoUsd {
    /// The shortest exact decimal USD, at least two decimals: `0.05`, `12.00`, `0.000000001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Debug for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${self}")
    }
}

impl FromStr for NanoUsd {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let not_decimal = || MoneyError::NotDecimal(text.chars().take(40).collect());
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(fraction) || (digits.contains('.') && fraction.is_empty()) {
            return Err(not_decimal());
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > DECIMALS {
            return Err(MoneyError::TooFine(text.chars().take(40).collect()));
        }
        let too_large = || MoneyError::TooLarge(text.chars().take(40).collect());
        let whole: i64 = whole.parse().map_err(|_| too_large())?;
        let fraction: i64 = format!("{fraction:0<9}").parse().map_err(|_| not_decimal())?;
        let nanos = whole.checked_mul(NANOS_PER_USD).and_then(|nanos| nanos.checked_add(fraction)).ok_or_else(too_large)?;
        Ok(Self(if negative { nanos.saturating_neg() } else { nanos }))
    }
}

/// USD as people write it: a decimal string or a JSON number. Used in manifests and GraphQL inputs, kept exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Usd(#[n(0)] pub NanoUsd);

impl Serialize for Usd {
    /// Always a decimal string, so that no reader loses digits.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.text().as_str())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct UsdVisitor;
        impl serde::de::Visitor<'_> for UsdVisitor {
            type Value = Usd;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of USD as a number or a decimal string")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Usd, E> {
                text.parse().map(Usd).map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, whole: u64) -> Result<Usd, E> {
                self.visit_str(&whole.to_string())
            }
            fn visit_i64<E: serde::de::Error>(self, whole: i64) -> Result<Usd, E> {
                self.visit_str(&whole.to_string())
            }
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Usd, E> {
                // The shortest text that reads back as this float is what the operator typed; `NaN` and `1e300` are refused by the parser.
                self.visit_str(&format!("{value}"))
            }
        }
        deserializer.deserialize_any(UsdVisitor)
    }
}

impl Serialize for NanoUsd {
    /// Between the planes money travels as its integer.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<'de> Deserialize<'de> for NanoUsd {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self)
    }
}

impl std::iter::Sum for NanoUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

#[cfg(test)]
mod tests;

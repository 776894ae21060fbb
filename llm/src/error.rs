//! Errors towards the caller, in the caller's dialect: a typed form here, written by [`crate::dialect::Dialect`].
//!
//! Leaves out: which error it is and what it says. That is the worker's respond stage; it also sees to it that nothing internal is
//! in the message.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::{Cursor, Kind};

/// An error as all dialects can say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ErrorReply<'a> {
    /// The HTTP status it goes out with, or would in a response of its own. Dialects name their classes by it.
    #[serde(skip)]
    pub status: u16,
    /// What happened and what to do, for a person.
    pub message: &'a str,
    /// The class of error, such as `invalid_request_error` or `budget_exceeded`.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The exact error; written as `null` if there is none.
    pub code: Option<ErrorCode<'a>>,
    /// The member of the request that is to blame; written as `null` if it is none.
    pub param: Option<&'a str>,
    /// The budget that blocks (contract 2.4); left out if it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetDetail<'a>>,
}

/// The exact error: OpenAI's codes are names, our 402 is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ErrorCode<'a> {
    /// A name.
    Name(&'a str),
    /// A number.
    Number(u16),
}

/// The budget that blocks. Amounts are decimal numerals in USD and are written as JSON numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BudgetDetail<'a> {
    /// Name of the budget.
    pub name: &'a str,
    /// Settled and reserved.
    #[serde(serialize_with = "write_numeral")]
    pub spend_usd: &'a str,
    /// The cap.
    #[serde(serialize_with = "write_numeral")]
    pub cap_usd: &'a str,
    /// `daily`, `weekly`, …
    pub period: &'a str,
    /// When the period ends, RFC 3339.
    pub period_resets_at: &'a str,
}

/// A decimal numeral goes out digit by digit as it is, never through a float; what is no numeral goes out as text.
fn write_numeral<S: Serializer>(numeral: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let mut cursor = Cursor::new(numeral.as_bytes());
    let is_number = cursor.value().is_ok_and(|value| value.kind() == Kind::Number) && cursor.end().is_ok();
    match RawValue::from_string(numeral.to_owned()) {
        Ok(raw) if is_number => raw.serialize(serializer),
        _ => serializer.serialize_str(numeral),
    }
}

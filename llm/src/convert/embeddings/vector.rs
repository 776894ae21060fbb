//! A vector, in either of the two ways it is written.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::value::RawValue;

use crate::convert::{Json, text_of};

/// Numbers, as the provider wrote them.
#[derive(Debug, Clone)]
pub enum Vector<'a> {
    /// A JSON array of numbers.
    Numbers(Json<'a>),
    /// Base64 of 32-bit floats, lowest byte first.
    Base64(Cow<'a, str>),
}

/// The vector is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a vector must be {expected}", expected = Self::EXPECTED)]
pub struct VectorError;

impl VectorError {
    /// What it must be.
    pub(crate) const EXPECTED: &'static str = "a list of finite numbers, or base64 of 32-bit floats";
}

impl<'a> Vector<'a> {
    /// Reads a vector; `None` where it is neither a list nor text.
    pub(crate) fn read(json: &'a RawValue) -> Option<Self> {
        if json.get().starts_with('[') {
            return Some(Self::Numbers(Cow::Borrowed(json)));
        }
        text_of(json).map(Self::Base64)
    }

    /// As a list of numbers.
    pub fn numbers(&self) -> Result<Json<'_>, VectorError> {
        match self {
            Self::Numbers(json) => Ok(Cow::Borrowed(&**json)),
            Self::Base64(text) => {
                let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| VectorError)?;
                let (quads, rest) = bytes.as_chunks::<4>();
                let numbers: Vec<f32> = quads.iter().map(|quad| f32::from_le_bytes(*quad)).collect();
                if !rest.is_empty() || !numbers.iter().all(|number| number.is_finite()) {
                    return Err(VectorError);
                }
                // The shortest numerals that read as the same floats.
                serde_json::value::to_raw_value(&numbers).map(Cow::Owned).map_err(|_| VectorError)
            }
        }
    }

    /// As base64.
    pub fn base64(&self) -> Result<Cow<'_, str>, VectorError> {
        match self {
            Self::Base64(text) => Ok(Cow::Borrowed(text)),
            Self::Numbers(json) => {
                let numerals: Vec<&RawValue> = serde_json::from_str(json.get()).map_err(|_| VectorError)?;
                let mut bytes = Vec::with_capacity(numerals.len().saturating_mul(4));
                for numeral in numerals {
                    let number: f32 = numeral.get().parse().map_err(|_| VectorError)?;
                    if !number.is_finite() {
                        return Err(VectorError);
                    }
                    bytes.extend_from_slice(&number.to_le_bytes());
                }
                Ok(Cow::Owned(STANDARD.encode(bytes)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(json: &str) -> Vector<'static> {
        Vector::Numbers(Cow::Owned(RawValue::from_string(json.to_owned()).unwrap()))
    }

    #[test]
    fn numbers_stay_as_written_and_base64_is_floats_lowest_byte_first() {
        let vector = numbers("[1.0, -0.50,2e0]");
        assert_eq!(vector.numbers().unwrap().get(), "[1.0, -0.50,2e0]");
        assert_eq!(vector.base64().unwrap(), "AACAPwAAAL8AAABA");
        assert_eq!(Vector::Base64("AACAPwAAAL8AAABA".into()).numbers().unwrap().get(), "[1.0,-0.5,2.0]");
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        for base64 in ["AACA", "!", "AADAfw=="] {
            assert_eq!(Vector::Base64(base64.into()).numbers().unwrap_err(), VectorError, "{base64}");
        }
        for list in ["[\"1\"]", "[1e999]", "[null]", "[[1]]"] {
            assert_eq!(numbers(list).base64().unwrap_err(), VectorError, "{list}");
        }
    }

    proptest! {
        #[test]
        fn base64_goes_to_numbers_and_back_bit_by_bit(floats in proptest::collection::vec(proptest::num::f32::NORMAL | proptest::num::f32::SUBNORMAL | proptest::num::f32::ZERO, 0..40)) {
            let base64 = STANDARD.encode(floats.iter().flat_map(|float| float.to_le_bytes()).collect::<Vec<u8>>());
            let written = Vector::Base64(base64.clone().into());
            let listed = numbers(written.numbers().unwrap().get());
            let again = listed.base64().unwrap();
            prop_assert_eq!(again, base64);
        }
    }
}

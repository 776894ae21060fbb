//! Money is read and written exactly, and no sum wraps around.

use proptest::prelude::*;

use super::*;

#[test]
fn amounts_are_read_digit_by_digit() {
    assert_eq!("12.50".parse(), Ok(NanoUsd::from_nanos(12_500_000_000)));
    assert_eq!("-0.000000001".parse(), Ok(NanoUsd::from_nanos(-1)));
    assert_eq!("0.1".parse(), Ok(NanoUsd::from_nanos(100_000_000)));
}

#[test]
fn what_is_not_a_plain_decimal_is_refused() {
    for text in ["", ".", "1.", ".5", "1e3", "NaN", "inf", "1,5", "+1", "0x1", "--1", "1.2.3"] {
        assert!(matches!(text.parse::<NanoUsd>(), Err(MoneyError::NotDecimal(_))), "{text}");
    }
    assert!(matches!("0.0000000001".parse::<NanoUsd>(), Err(MoneyError::TooFine(_))));
    assert!(matches!("99999999999".parse::<NanoUsd>(), Err(MoneyError::TooLarge(_))));
}

#[test]
fn json_numbers_and_strings_mean_the_same() {
    let read = |json: &str| serde_json::from_str::<Usd>(json).map(|usd| usd.0.nanos()).ok();
    assert_eq!(read("0.075"), Some(75_000_000));
    assert_eq!(read("\"0.075\""), Some(75_000_000));
    assert_eq!(read("100"), Some(100_000_000_000));
    assert_eq!(read("1e300"), None);
}

#[test]
fn a_cost_rounds_up_once() {
    assert_eq!(NanoUsd::from_millionths(1), NanoUsd::from_nanos(1));
    assert_eq!(NanoUsd::from_millionths(1_000_000), NanoUsd::from_nanos(1));
    assert_eq!(NanoUsd::from_millionths(1_000_001), NanoUsd::from_nanos(2));
    assert_eq!(NanoUsd::from_millionths(i128::MAX), NanoUsd::MAX);
}

#[test]
fn amounts_are_written_with_two_decimals_at_least_and_no_digit_too_many() {
    let written = |nanos| NanoUsd::from_nanos(nanos).to_string();
    assert_eq!(written(0), "0.00");
    assert_eq!(written(12_500_000_000), "12.50");
    assert_eq!(written(-1), "-0.000000001");
    assert_eq!(written(i64::MIN), "-9223372036.854775808");
}

#[test]
fn headers_carry_four_decimals() {
    assert_eq!(NanoUsd::from_nanos(1_234_567_890).to_usd_4(), "1.2345");
    assert_eq!(NanoUsd::from_nanos(-50_000_000).to_usd_4(), "-0.0500");
}

proptest! {
    #[test]
    fn text_reads_back_as_written(nanos in -i64::MAX..i64::MAX) {
        let amount = NanoUsd::from_nanos(nanos);
        prop_assert_eq!(amount.to_string().parse(), Ok(amount));
    }
}

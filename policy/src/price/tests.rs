//! Costs are exact, rounded up once, and grow with every bucket.

use proptest::prelude::*;

use super::*;

const RATES: Rates =
    Rates { input: 1_000_000_000, cached_input: 100_000_000, cache_write: 1_250_000_000, output: 2_000_000_000, reasoning: 2_000_000_000 };

#[test]
fn cached_and_reasoning_tokens_are_priced_once_each() {
    // 1,000 prompt tokens of which 800 were cached, 500 completion tokens of which 300 were reasoning.
    let tokens = TokenBuckets { input: 200, cached_input: 800, cache_write: 0, output: 200, reasoning: 300 };
    assert_eq!(RATES.cost(&tokens), NanoUsd::from_nanos(200 * 1_000 + 800 * 100 + 200 * 2_000 + 300 * 2_000));
}

#[test]
fn what_money_buys_can_be_paid() {
    assert_eq!(RATES.affordable_output(NanoUsd::from_nanos(2_000_000), 0), 1_000);
    assert_eq!(RATES.affordable_output(NanoUsd::from_nanos(1_000), 1_000), 0);
    assert_eq!(Rates::default().affordable_output(NanoUsd::from_nanos(1), 9), u64::MAX);
}

proptest! {
    #[test]
    fn no_booking_costs_more_than_the_worst_case(
        input in 0_u64..10_000_000, cached in 0_u64..10_000_000, write in 0_u64..10_000_000,
        output in 0_u64..10_000_000, reasoning in 0_u64..10_000_000,
    ) {
        let tokens = TokenBuckets { input, cached_input: cached, cache_write: write, output, reasoning };
        prop_assert!(RATES.cost(&tokens) <= RATES.worst_case(input + cached + write, output + reasoning));
    }

    #[test]
    fn affordable_output_is_affordable(money in 0_i64..10_000_000_000, input in 0_u64..1_000_000) {
        let money = NanoUsd::from_nanos(money);
        let output = RATES.affordable_output(money, input);
        prop_assert!(output == 0 || RATES.worst_case(input, output) <= money.saturating_add(NanoUsd::from_nanos(1)));
    }
}

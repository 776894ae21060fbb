//! Costs are exact, rounded up once, and never above the worst case that was held for them.

use proptest::prelude::*;

use super::*;

const RATES: Rates = Rates { cached_input: 100_000_000, cache_write: 1_250_000_000, ..Rates::flat(1_000_000_000, 2_000_000_000) };

/// Like a model whose vendor charges twice as much beyond 200,000 tokens, and tells every bucket apart.
fn sheet() -> PriceSheet {
    let rates = Rates {
        cache_write_1h: Some(2_000_000_000),
        input_audio: Some(3_000_000_001),
        cached_audio: Some(300_000_000),
        output_audio: Some(8_000_000_000),
        input_image: Some(1_500_000_000),
        output_image: Some(30_000_000_000),
        request: Some(14_000_000),
        ..RATES
    };
    let tier = |above, times| LongContext {
        above_input_tokens: above,
        rates: Rates { input: rates.input * times, output: rates.output * times, cache_write_1h: Some(2_000_000_000 * times), ..rates },
    };
    PriceSheet { rates, long_context: Arc::from([tier(200_000, 2), tier(500_000, 3)]) }
}

#[test]
fn cached_and_reasoning_tokens_are_priced_once_each() {
    // R-13, R-16: 1,000 prompt tokens of which 800 were cached, 500 completion tokens of which 300 were reasoning.
    let tokens = TokenBuckets { input: 200, cached_input: 800, output: 200, reasoning: 300, ..TokenBuckets::default() };
    assert_eq!(RATES.cost(&tokens), NanoUsd::from_nanos(200 * 1_000 + 800 * 100 + 200 * 2_000 + 300 * 2_000));
}

#[test]
fn a_bucket_without_a_price_of_its_own_follows_its_parent() {
    let one = |tokens: TokenBuckets| RATES.cost(&tokens).nanos();
    assert_eq!(one(TokenBuckets { cache_write_1h: 1_000, ..TokenBuckets::default() }), 1_250_000);
    assert_eq!(one(TokenBuckets { input_audio: 1_000, input_image: 1_000, ..TokenBuckets::default() }), 2_000_000);
    assert_eq!(one(TokenBuckets { cached_audio: 1_000, cached_image: 1_000, ..TokenBuckets::default() }), 200_000);
    assert_eq!(one(TokenBuckets { output_audio: 1_000, output_image: 1_000, ..TokenBuckets::default() }), 4_000_000);
    // Sound that is dearer than text is not cheap because it was cached, unless the vendor says so.
    let loud = Rates { input_audio: Some(9_000_000_000), ..RATES };
    assert_eq!(loud.cost(&TokenBuckets { cached_audio: 1_000, ..TokenBuckets::default() }).nanos(), 9_000_000);
}

#[test]
fn one_token_more_than_the_threshold_prices_the_whole_call_anew() {
    let at = |input| sheet().cost(&TokenBuckets { input, output: 10, ..TokenBuckets::default() }).nanos();
    assert_eq!(at(200_000), 200_000 * 1_000 + 10 * 2_000 + 14_000_000);
    assert_eq!(at(200_001), 200_001 * 2_000 + 10 * 4_000 + 14_000_000);
    assert_eq!(at(500_001), 500_001 * 3_000 + 10 * 6_000 + 14_000_000);
    // Cached input counts towards the length.
    let cached = TokenBuckets { input: 1, cached_input: 200_000, ..TokenBuckets::default() };
    assert_eq!(sheet().cost(&cached).nanos(), 2_000 + 200_000 * 100 + 14_000_000);
}

#[test]
fn what_money_buys_can_be_paid() {
    assert_eq!(RATES.affordable_output(NanoUsd::from_nanos(2_000_000), 0), 1_000);
    assert_eq!(RATES.affordable_output(NanoUsd::from_nanos(1_000), 1_000), 0);
    assert_eq!(Rates::default().affordable_output(NanoUsd::from_nanos(1), 9), u64::MAX);
}

#[test]
fn rates_and_tokens_of_before_the_finer_buckets_read_and_write_the_same() {
    let old = r#"{"input":1,"cached_input":2,"cache_write":3,"output":4,"reasoning":5}"#;
    let (rates, tokens): (Rates, TokenBuckets) = (serde_json::from_str(old).unwrap(), serde_json::from_str(old).unwrap());
    assert_eq!((serde_json::to_string(&rates).unwrap(), serde_json::to_string(&tokens).unwrap()), (old.to_owned(), old.to_owned()));
}

fn buckets() -> impl Strategy<Value = TokenBuckets> {
    proptest::array::uniform12(0_u64..300_000).prop_map(|counts| TokenBuckets {
        input: counts[0],
        cached_input: counts[1],
        cache_write: counts[2],
        output: counts[3],
        reasoning: counts[4],
        cache_write_1h: counts[5],
        input_audio: counts[6],
        cached_audio: counts[7],
        output_audio: counts[8],
        input_image: counts[9],
        cached_image: counts[10],
        output_image: counts[11],
    })
}

proptest! {
    #[test]
    fn no_booking_costs_more_than_the_worst_case(tokens in buckets(), spare in 0_u64..400_000) {
        let worst = sheet().worst_case(tokens.all_input() + spare, tokens.all_output() + spare);
        prop_assert!(sheet().cost(&tokens) <= worst);
    }

    #[test]
    fn affordable_output_is_affordable(money in 0_i64..10_000_000_000, input in 0_u64..1_000_000) {
        let money = NanoUsd::from_nanos(money);
        let output = sheet().affordable_output(money, input);
        prop_assert!(output == 0 || sheet().worst_case(input, output) <= money.saturating_add(NanoUsd::from_nanos(1)));
    }

    #[test]
    fn folding_loses_no_token(tokens in buckets(), more in buckets()) {
        let folded = tokens.folded();
        prop_assert_eq!((folded.all_input(), folded.all_output()), (tokens.all_input(), tokens.all_output()));
        prop_assert_eq!(folded.folded(), folded);
        prop_assert_eq!(tokens.plus(&more).folded(), folded.plus(&more.folded()));
    }
}

#[test]
fn the_dearest_kinds_cost_no_more_than_the_worst_case() {
    let sheet = Rates { input_image: Some(8), output_image: Some(40), output_audio: Some(9), ..Rates::flat(5, 10) };
    let tokens = sheet.dearest_kinds(3, 7);
    assert_eq!((tokens.input_image, tokens.output_image), (3, 7));
    assert_eq!((tokens.all_input(), tokens.all_output()), (3, 7));
    assert_eq!(sheet.cost(&tokens), sheet.worst_case(3, 7));
    assert_eq!(Rates::flat(5, 10).dearest_kinds(3, 7), TokenBuckets { input: 3, output: 7, ..TokenBuckets::default() });
}

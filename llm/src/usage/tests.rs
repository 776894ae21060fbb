//! The buckets: what adds up, what does not, and what is settled then.

use proptest::prelude::*;

use super::*;

fn report(input: u64, output: u64) -> Usage {
    Usage { input_tokens: Some(input), output_tokens: Some(output), ..Usage::default() }
}

#[test]
fn cached_and_reasoning_tokens_are_cut_out_of_their_totals() {
    let usage = Usage {
        cached_input_tokens: Some(800),
        cache_write_tokens: Some(100),
        reasoning_tokens: Some(300),
        total_tokens: Some(1500),
        ..report(1000, 500)
    };
    let buckets = usage.buckets().unwrap();
    assert_eq!((buckets.input, buckets.cached_input, buckets.cache_write, buckets.output, buckets.reasoning), (100, 800, 100, 200, 300));
    assert_eq!(buckets.sum(), 1500);
}

#[test]
fn reasoning_apart_from_output_is_known_by_the_total() {
    let usage = Usage { reasoning_tokens: Some(300), total_tokens: Some(332), ..report(22, 10) };
    let buckets = usage.buckets().unwrap();
    assert_eq!((buckets.output, buckets.reasoning, buckets.sum()), (10, 300, 332));
}

#[test]
fn contradictions_are_reported_each_by_its_name() {
    let cached = Usage { cached_input_tokens: Some(11), ..report(10, 1) };
    assert_eq!(cached.buckets(), Err(UsageMismatch::CachedExceedsInput { cached: 11, input: 10 }));
    let hour = Usage { cache_write_tokens: Some(3), cache_write_1h_tokens: Some(4), ..report(10, 1) };
    assert_eq!(hour.buckets(), Err(UsageMismatch::HourExceedsCacheWrite { hour: 4, written: 3 }));
    let reasoning = Usage { reasoning_tokens: Some(2), ..report(10, 1) };
    assert_eq!(reasoning.buckets(), Err(UsageMismatch::ReasoningExceedsOutput { reasoning: 2, output: 1 }));
    let total = Usage { total_tokens: Some(12), ..report(10, 1) };
    assert_eq!(total.buckets(), Err(UsageMismatch::TotalDiffers { sum: 11, total: 12 }));
    assert_eq!(Usage::default().buckets(), Err(UsageMismatch::Missing { field: "input_tokens" }));
}

#[test]
fn an_explicit_zero_is_not_an_absent_count() {
    let zero = report(0, 0);
    assert_eq!(zero.buckets(), Ok(Buckets::default()));
    let absent = Usage { input_tokens: Some(0), ..Usage::default() };
    assert_eq!(absent.buckets(), Err(UsageMismatch::Missing { field: "output_tokens" }));
}

#[test]
fn embeddings_have_no_output() {
    let usage = Usage { input_tokens: Some(8), total_tokens: Some(8), ..Usage::default() };
    assert_eq!(usage.buckets().unwrap().input, 8);
}

fn maybe() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), (0_u64..2000).prop_map(Some), Just(Some(u64::MAX))]
}

proptest! {
    /// the sum of the buckets is the provider's total, or the report is refused; never a third thing.
    #[test]
    fn buckets_add_up_to_the_totals_or_are_refused(
        input in maybe(), cached in maybe(), write in maybe(), output in maybe(), reasoning in maybe(), total in maybe(), hour in maybe(),
    ) {
        let usage = Usage {
            input_tokens: input, cached_input_tokens: cached, cache_write_tokens: write, cache_write_1h_tokens: hour,
            output_tokens: output, reasoning_tokens: reasoning, total_tokens: total, ..Usage::default()
        };
        if let Ok(buckets) = usage.buckets() {
            if let Some(total) = total {
                prop_assert_eq!(buckets.sum(), total);
            }
            prop_assert!(buckets.cache_write_1h <= buckets.cache_write);
            prop_assert_eq!(buckets.input + buckets.cached_input + buckets.cache_write, input.unwrap());
        }
        prop_assert!(usage.ceiling().cache_write_1h <= usage.ceiling().cache_write);
        prop_assert!(usage.ceiling().sum() >= total.unwrap_or(0));
        prop_assert!(usage.ceiling().sum() >= input.unwrap_or(0).max(output.unwrap_or(0)));
    }
}

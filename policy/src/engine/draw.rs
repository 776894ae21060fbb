//! What a decision leaves to chance, without any: draws that come out the same wherever and whenever they are made.
//!
//! A draw is the first eight bytes, big-endian, of SHA-256 over the config's slug, a zero byte, and a value. The value of an `ab_test` is
//! the end user, the conversation or the trace, as its `sticky_by` says; of a request that names none, or with `none`, it is the
//! request's own draw. Drawing among `n` multiplies with `n` and keeps what is above 64 bits. So whoever has met a variant meets it again,
//! at every worker and in every version of the config and of this program that has the same slug, variants and weights; and two tests
//! split the same people independently.
//!
//! Shares are laid out in the order of the variants. Who changes weights moves those only who stand where a border has moved.

use std::sync::Arc;

use super::Deciding;
use crate::bundle::v1::{Config, Variant};
use crate::decision::TraceStep;
use crate::source::StickyBy;

/// Where `value` falls, among all numbers.
pub(super) fn position(slug: &str, value: &[u8]) -> u64 {
    let mut hashed = ring::digest::Context::new(&ring::digest::SHA256);
    hashed.update(slug.as_bytes());
    hashed.update(&[0]);
    hashed.update(value);
    let digest = hashed.finish();
    digest.as_ref().first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first))
}

/// The same place among `parts` numbers from 0 on.
pub(super) fn among(position: u64, parts: u64) -> u64 {
    let scaled = u128::from(position).saturating_mul(u128::from(parts)).checked_shr(u64::BITS);
    scaled.and_then(|part| u64::try_from(part).ok()).unwrap_or(0)
}

impl Deciding<'_> {
    /// The variant that this request meets; none where the bundle lists none.
    pub(super) fn draw_variant<'v>(
        &mut self,
        config: &Config,
        label: &Arc<str>,
        variants: &'v [Variant],
        sticky_by: StickyBy,
    ) -> Option<&'v Variant> {
        let request = self.request;
        let value = match sticky_by {
            StickyBy::EndUser => request.end_user.as_deref(),
            StickyBy::Conversation => request.conversation_id.as_deref(),
            StickyBy::Trace => request.trace_id.as_deref(),
            StickyBy::None => None,
        };
        let own = request.draw.to_be_bytes();
        let position = position(&config.slug, value.map_or(own.as_slice(), str::as_bytes));
        let variant = drawn(position, variants)?;
        let sticky_by = value.map_or(StickyBy::None, |_| sticky_by).as_str();
        self.trace.push(TraceStep::Variant { config: Arc::clone(label), variant: Arc::clone(&variant.name), sticky_by: sticky_by.into() });
        Some(variant)
    }
}

fn drawn(position: u64, variants: &[Variant]) -> Option<&Variant> {
    let total = variants.iter().fold(0_u64, |sum, variant| sum.saturating_add(u64::from(variant.weight)));
    let mut ticket = among(position, total);
    variants.iter().find(|variant| match ticket.checked_sub(u64::from(variant.weight)) {
        Some(left) => {
            ticket = left;
            false
        }
        None => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::v1::Target;

    fn variants(weights: &[(&str, u32)]) -> Vec<Variant> {
        weights.iter().map(|(name, weight)| Variant { name: Arc::from(*name), weight: *weight, target: Target::Pass }).collect()
    }

    /// Who sits in a variant today has to sit there after an upgrade: these figures never change.
    #[test]
    fn a_draw_is_what_is_documented() {
        assert_eq!(position("checkout", b"user-1"), 0x0a3d_5db6_9cdc_19a1);
        assert_eq!(among(u64::MAX, 100), 99);
        assert_eq!(among(0, 100), 0);
        assert_eq!(among(1 << 63, 100), 50);
    }

    #[test]
    fn a_draw_falls_into_the_shares_in_their_order() {
        let variants = variants(&[("a", 1), ("b", 2), ("c", 1)]);
        let name = |position| drawn(position, &variants).map(|variant| variant.name.to_string());
        let quarter = 1_u64 << 62;
        for (position, expected) in
            [(0, "a"), (quarter - 1, "a"), (quarter, "b"), (3 * quarter - 1, "b"), (3 * quarter, "c"), (u64::MAX, "c")]
        {
            assert_eq!(name(position).as_deref(), Some(expected), "{position}");
        }
        assert!(drawn(0, &[]).is_none());
    }

    #[test]
    fn shares_follow_weights_and_a_moved_border_moves_nobody_else() {
        let (before, after) = (variants(&[("a", 80), ("b", 20)]), variants(&[("a", 90), ("b", 10)]));
        let (mut in_b, mut moved) = (0, 0);
        for user in 0..10_000 {
            let position = position("checkout", format!("user-{user}").as_bytes());
            let (one, other) = (&drawn(position, &before).unwrap().name, &drawn(position, &after).unwrap().name);
            in_b += i32::from(one.as_ref() == "b");
            moved += i32::from(one != other);
            assert!(one.as_ref() != "a" || other.as_ref() == "a", "nobody leaves `a`, which has grown");
        }
        assert!((1_800..2_200).contains(&in_b), "{in_b} of 10,000 for a share of 20 %");
        assert!((800..1_200).contains(&moved), "{moved} of 10,000 for 10 %");
    }
}

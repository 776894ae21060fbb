//! Taking members out of an object as it is read, together with the one comma that goes with each.

use std::ops::Range;

use crate::json::Value;

/// What is to be taken out of one object, told member by member in their order.
#[derive(Default)]
pub(crate) struct Removals {
    /// End of the member before this one.
    previous_end: usize,
    /// Whether a member that stays was seen.
    kept: bool,
    /// Begin and end of members at the front that go; the comma behind the last belongs to them.
    front: Option<Range<usize>>,
    ranges: Vec<Range<usize>>,
}

impl Removals {
    /// This member goes.
    pub(crate) fn take_out(&mut self, key: &Value<'_>, value: &Value<'_>) {
        if self.kept {
            self.ranges.push(self.previous_end..value.end());
        } else {
            let start = self.front.as_ref().map_or(key.start(), |front| front.start);
            self.front = Some(start..value.end());
        }
        self.previous_end = value.end();
    }

    /// The member that begins here stays; the first one ends what is taken out before it.
    pub(crate) fn keep_from(&mut self, key_start: usize) {
        self.kept = true;
        if let Some(front) = self.front.take() {
            self.ranges.push(front.start..key_start);
        }
    }

    /// A member that stays ends here.
    pub(crate) fn kept_to(&mut self, end: usize) {
        self.previous_end = end;
    }

    /// What goes. Where no member stays, those at the front have no comma behind them.
    pub(crate) fn ranges(self) -> Vec<Range<usize>> {
        let mut ranges = self.ranges;
        ranges.extend(self.front);
        ranges
    }
}

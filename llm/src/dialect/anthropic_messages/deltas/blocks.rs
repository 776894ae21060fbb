//! The blocks of a stream that are open, for dialects that number them.
//!
//! They are numbered anew: a block that only the dialect knows is left out, and the middle counts without gaps. A call that ends
//! without arguments gets `{}`, as it has in a buffered answer.

use std::borrow::Cow;

use crate::convert::{Block, Delta, Signature};

/// The open blocks of the only answer.
#[derive(Debug, Default)]
pub(in crate::dialect) struct OpenBlocks {
    open: Vec<Open>,
    begun: u32,
}

#[derive(Debug)]
struct Open {
    index: u32,
    block: u32,
    is_call: bool,
    has_text: bool,
}

impl OpenBlocks {
    /// Whether the provider's block of this number is open.
    pub(in crate::dialect) fn has(&self, index: u32) -> bool {
        self.open.iter().any(|open| open.index == index)
    }

    /// Begins one.
    pub(in crate::dialect) fn begin<'e>(&mut self, index: u32, kind: Block<'e>, out: &mut Vec<Delta<'e>>) {
        let block = self.begun;
        self.begun = block.saturating_add(1);
        self.open.push(Open { index, block, is_call: matches!(kind, Block::ToolCall { .. }), has_text: false });
        out.push(Delta::Begin { choice: 0, block, kind });
    }

    /// More text of one; of a block that was left out, none.
    pub(in crate::dialect) fn text<'e>(&mut self, index: u32, text: Cow<'e, str>, out: &mut Vec<Delta<'e>>) {
        if let Some(open) = self.open.iter_mut().find(|open| open.index == index && !text.is_empty()) {
            open.has_text = true;
            out.push(Delta::Text { choice: 0, block: open.block, text });
        }
    }

    /// The signature of one.
    pub(in crate::dialect) fn sign<'e>(&self, index: u32, signature: Signature<'e>, out: &mut Vec<Delta<'e>>) {
        if let Some(open) = self.open.iter().find(|open| open.index == index) {
            out.push(Delta::Signed { choice: 0, block: open.block, signature });
        }
    }

    /// Ends one.
    pub(in crate::dialect) fn end(&mut self, index: u32, out: &mut Vec<Delta<'_>>) {
        let Some(place) = self.open.iter().position(|open| open.index == index) else { return };
        let open = self.open.remove(place);
        if open.is_call && !open.has_text {
            out.push(Delta::Text { choice: 0, block: open.block, text: Cow::Borrowed("{}") });
        }
        out.push(Delta::End { choice: 0, block: open.block });
    }

    /// Ends what the provider left open, as it is.
    pub(in crate::dialect) fn end_all(&mut self, out: &mut Vec<Delta<'_>>) {
        out.extend(self.open.drain(..).map(|open| Delta::End { choice: 0, block: open.block }));
    }
}

//! Gathering a stream for tests: its deltas become the answer that they are the pieces of.

use std::borrow::Cow;

use crate::{
    convert::{Answer, Block, Choice, Delta, FinishReason, Part, Signature, ToolCall, take_over},
    stream::sse::{Boundary, Event},
};

/// The bytes of each event of a stream that arrives cut at these places; what is behind the last whole event is left away.
pub(in crate::dialect) fn events(stream: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut borders: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).chain([0, stream.len()]).collect();
    borders.sort_unstable();
    let (mut boundary, mut held, mut whole) = (Boundary::default(), Vec::new(), Vec::new());
    for pair in borders.windows(2) {
        let mut rest = &stream[pair[0]..pair[1]];
        while let Some(end) = boundary.next_end(rest) {
            held.extend_from_slice(&rest[..end]);
            whole.push(std::mem::take(&mut held));
            rest = &rest[end..];
        }
        held.extend_from_slice(rest);
    }
    whole
}

/// What a reader makes of these events.
pub(in crate::dialect) fn read_all<R>(events: &[Vec<u8>], mut read: R) -> Vec<Delta<'_>>
where
    R: for<'e> FnMut(&Event<'e>, &mut Vec<Delta<'e>>),
{
    let mut deltas = Vec::new();
    for event in events {
        read(&Event::read(event), &mut deltas);
    }
    deltas
}

/// The answer that these deltas are the pieces of. Checks what readers promise of their order.
pub(in crate::dialect) fn gather(deltas: &[Delta<'_>]) -> Answer<'static> {
    let own = |text: &str| Cow::Owned(text.to_owned());
    let choice = Choice { parts: Vec::new(), finish: FinishReason::Other, stop_sequence: None, logprobs: None };
    let mut answer = Answer { id: "".into(), created: None, model: "".into(), choices: vec![choice], usage: None };
    let mut open = Vec::new();
    for (place, delta) in deltas.iter().enumerate() {
        let choice = &mut answer.choices[0];
        match delta {
            Delta::Start { id, model, .. } => {
                assert_eq!(place, 0);
                (answer.id, answer.model) = (own(id), own(model));
            }
            Delta::Begin { block, kind, .. } => {
                assert_eq!(*block as usize, choice.parts.len());
                open.push(*block);
                choice.parts.push(match kind {
                    Block::Text => Part::Text { text: "".into(), cache: None },
                    Block::Thinking => Part::Thinking { text: "".into(), signature: None },
                    Block::Refusal => Part::Refusal { text: "".into() },
                    Block::ToolCall { id, name } => {
                        Part::ToolCall(ToolCall { id: own(id), name: own(name), arguments: "".into(), signature: None, cache: None })
                    }
                });
            }
            Delta::Text { block, text: piece, .. } => {
                assert!(open.contains(block));
                match &mut choice.parts[*block as usize] {
                    Part::Text { text, .. } | Part::Thinking { text, .. } | Part::Refusal { text } => text.to_mut().push_str(piece),
                    Part::ToolCall(call) => call.arguments.to_mut().push_str(piece),
                    part => panic!("{part:?} has no text"),
                }
            }
            Delta::Signed { block, signature: given, .. } => {
                assert!(open.contains(block));
                let given = Some(Signature { origin: given.origin, value: own(&given.value) });
                match &mut choice.parts[*block as usize] {
                    Part::Thinking { signature, .. } | Part::ToolCall(ToolCall { signature, .. }) => *signature = given,
                    part => panic!("{part:?} has no signature"),
                }
            }
            Delta::End { block, .. } => open.retain(|known| known != block),
            Delta::Finish { reason, stop_sequence, .. } => {
                assert!(open.is_empty());
                (choice.finish, choice.stop_sequence) = (*reason, stop_sequence.as_deref().map(own));
            }
            Delta::Usage(usage) => take_over(&mut answer.usage, usage),
            Delta::Ping => {}
            Delta::Logprobs { .. } | Delta::Error { .. } => panic!("{delta:?}"),
        }
    }
    assert!(open.is_empty());
    answer
}

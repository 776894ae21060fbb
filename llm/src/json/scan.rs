//! The innermost loops: how far a string runs, whether a number is one.

/// Each byte of a word set to 1.
const ONES: u64 = u64::MAX / 255;
/// Each byte's highest bit.
const HIGH: u64 = ONES * 0x80;

/// How many bytes from the start are neither quote, backslash nor control character.
///
/// Eight bytes a step: a byte equals `q` where the word xor `q` has a zero byte, and the lowest flagged byte of the classic
/// zero-byte test is exact, which is the only one that is used.
#[inline]
pub(super) fn plain_prefix(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        let flags = special(u64::from_le_bytes(*word));
        if flags != 0 {
            let passed = bytes.len().saturating_sub(rest.len());
            return passed.saturating_add((flags.trailing_zeros() / 8) as usize);
        }
        rest = behind;
    }
    let tail = rest.iter().position(|byte| is_special(*byte)).unwrap_or(rest.len());
    bytes.len().saturating_sub(rest.len()).saturating_add(tail)
}

#[inline]
fn special(word: u64) -> u64 {
    let quote = word ^ (ONES * 0x22);
    let backslash = word ^ (ONES * 0x5c);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quoted = quote.wrapping_sub(ONES) & !quote;
    let escaped = backslash.wrapping_sub(ONES) & !backslash;
    (control | quoted | escaped) & HIGH
}

fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

/// How many bytes from the start are a number by the grammar, or `None` if it does not start one.
pub(super) fn number_prefix(bytes: &[u8]) -> Option<usize> {
    let sign = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(bytes, sign);
    let leading_zero = bytes.get(sign) == Some(&b'0');
    if whole == 0 || (leading_zero && whole > 1) {
        return None;
    }
    let mut at = sign.saturating_add(whole);
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(bytes, at.saturating_add(1));
        if fraction == 0 {
            return None;
        }
        at = at.saturating_add(1).saturating_add(fraction);
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at = at.saturating_add(1);
        at = at.saturating_add(usize::from(matches!(bytes.get(at), Some(b'+' | b'-'))));
        let exponent = digits(bytes, at);
        if exponent == 0 {
            return None;
        }
        at = at.saturating_add(exponent);
    }
    Some(at)
}

fn digits(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

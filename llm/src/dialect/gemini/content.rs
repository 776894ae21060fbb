//! What stands in a turn: parts, the ids of calls, and signatures.
//!
//! Ids: older versions of the API give calls none. Then they are made, the same ones every time, and a result without an id belongs to the
//! oldest call of its name that has none yet.
//!
//! Signatures: Gemini signs texts as well as calls. The middle has no signed text, so the signature of a text is a thought without words
//! behind it, and goes back onto the text when it is written. The field holds base64 and clients decode it, so a signature of
//! another provider is encoded once more on its way through it.

mod call_ids;
mod read;
mod write;

pub(super) use call_ids::CallIds;
pub(super) use read::{Piece, PieceReader, media_type_of};
pub(super) use write::{CallBody, ContentBody, FileBody, PartBody, ResponseBody, SaidBody, arguments_object, call_part, object_of};

use std::borrow::Cow;

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD as PADDED},
};

use crate::{convert::Signature, dialect::Dialect};

/// What base64 makes of the beginning of a wrapped signature.
const WRAPPED: &str = "bWx4MS";

/// Reads the field `thoughtSignature`.
pub(super) fn read_signature(text: Cow<'_, str>) -> Signature<'_> {
    let wrapped = text.starts_with(WRAPPED).then(|| decode(&text)).flatten();
    Signature::read(Dialect::Gemini, wrapped.map_or(text, Cow::Owned))
}

/// Writes the field `thoughtSignature` for a caller.
pub(super) fn write_signature<'a>(signature: &'a Signature<'_>) -> Cow<'a, str> {
    if signature.origin == Dialect::Gemini {
        return Cow::Borrowed(&signature.value);
    }
    Cow::Owned(PADDED.encode(signature.wrapped()))
}

/// Clients write what they decoded in either alphabet, with padding or without.
fn decode(text: &str) -> Option<String> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    let bytes = GeneralPurpose::new(&alphabet, config).decode(text).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_of_another_provider_survives_a_client_that_decodes_the_field() {
        let foreign = Signature { origin: Dialect::AnthropicMessages, value: Cow::Borrowed("Eq+/~\u{ff}?>") };
        let written = write_signature(&foreign);
        let bytes = PADDED.decode(written.as_bytes()).unwrap();
        let reencoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        for echoed in [written.into_owned(), reencoded] {
            assert_eq!(read_signature(Cow::Owned(echoed)), foreign);
        }
    }

    #[test]
    fn its_own_signatures_stay_byte_for_byte() {
        for own in ["CiQB0e+/==", "bWx4MS", "mlx1.nobody.x", ""] {
            let read = read_signature(Cow::Borrowed(own));
            assert_eq!((read.origin, &*write_signature(&read)), (Dialect::Gemini, own));
        }
    }
}

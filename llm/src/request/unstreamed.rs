//! The same request for a whole answer: where an answer is looked at before it is sent, nobody streams it.

use bytes::Bytes;

use crate::json::{Cursor, SyntaxError};
use crate::splice::Edits;

/// `body` with `stream` false and without options of a stream; all other bytes as they came.
///
/// # Errors
/// When the body is not JSON, which a body that was read before is.
pub fn unstreamed(body: &Bytes) -> Result<Bytes, SyntaxError> {
    let mut cursor = Cursor::new(body);
    let mut edits = Edits::new(body.len());
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        let value = cursor.value()?;
        if key.is_text("stream") {
            edits.replace(value.range(), &b"false"[..]);
        } else if key.is_text("stream_options") {
            edits.replace(value.range(), &b"null"[..]);
        }
    }
    Ok(edits.apply(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_asks_for_a_stream_is_changed() {
        let body = Bytes::from_static(br#"{"model":"m", "stream" : true,"stream_options":{"include_usage":true},"x":{"stream":true}}"#);
        let whole = unstreamed(&body).expect("JSON");
        assert_eq!(whole, &br#"{"model":"m", "stream" : false,"stream_options":null,"x":{"stream":true}}"#[..]);
    }
}

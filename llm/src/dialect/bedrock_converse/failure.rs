//! Reading errors.

use std::borrow::Cow;

use crate::convert::{Members, text_of};

/// Class and message of an error body. `None` if it is none. Bedrock names the class in the header `x-amzn-errortype`; the body has
/// it only sometimes.
pub(crate) fn read_error(body: &[u8]) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let mut body = Members::read("", body).ok()?;
    let message = ["message", "Message"].into_iter().find_map(|name| body.take(name).and_then(text_of))?;
    let kind = body.take("__type").and_then(text_of).map(|kind| match kind.rsplit_once('#') {
        Some((_, kind)) => Cow::Owned(kind.to_owned()),
        None => kind,
    });
    Some((kind.unwrap_or("api_error".into()), message))
}

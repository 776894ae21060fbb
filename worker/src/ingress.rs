//! From the socket to a request: which endpoint, which headers, the whole body; with limits and deadlines on each.
//!
//! Promises: nothing here outlives its deadline or grows past its limit, and whatever is refused is refused with a [`ReadFailure`] that
//! says what to change. Leaves out: what the body means (`llm`) and who sent it (`identity`).

pub(crate) mod body;
pub(crate) mod endpoint;
pub(crate) mod headers;

use llm::request::ReadRequestError;

/// Why a request can't be read. Everything here is the caller's to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFailure {
    /// The head is no HTTP.
    #[error("the request head is malformed")]
    Head,
    /// The head did not arrive in time.
    #[error("the request head did not arrive within {seconds} s")]
    HeadTimeout {
        /// The limit.
        seconds: u64,
    },
    /// The head is longer than allowed.
    #[error("the request head is larger than {limit} bytes")]
    HeadTooLarge {
        /// The limit.
        limit: usize,
    },
    /// Two lengths for one body.
    #[error("the request has both `Content-Length` and `Transfer-Encoding`; send one of them")]
    TwoLengths,
    /// A transfer coding that is not read.
    #[error("`Transfer-Encoding` can only be `chunked`; send the body uncompressed")]
    TransferCoding,
    /// No host, or several.
    #[error("the request has no `Host` header, or more than one; HTTP/1.1 needs exactly one")]
    Host,
    /// The body is longer than allowed.
    #[error("the request body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The limit.
        limit: u64,
    },
    /// The body did not arrive in time.
    #[error("the request body did not arrive within {seconds} s")]
    BodyTimeout {
        /// The limit.
        seconds: u64,
    },
    /// The body broke off.
    #[error("the request body ends before its announced length")]
    BodyCut,
    /// A compressed body, which is not read.
    #[error("`Content-Encoding` is not supported for requests; send the body uncompressed")]
    Encoded,
    /// A query that can't be passed on.
    #[error("the query has bytes that have to be escaped")]
    Query,
    /// A header of ours that can't be read.
    #[error("header `{name}` {problem}")]
    Header {
        /// Which.
        name: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// The body is not a request of this surface.
    #[error(transparent)]
    Body(#[from] ReadRequestError),
}

/// Text of a header or a path without its percent escapes; `None` where they are none, or no UTF-8.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
        decoded.push(high.wrapping_mul(16).wrapping_add(low));
    }
    String::from_utf8(decoded).ok()
}

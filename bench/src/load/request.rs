//! The bytes of a request, made once for a run: what an SDK would send, with nothing that differs between requests.

use super::Shape;

/// A whole request, head and body.
pub(crate) struct RequestText(Vec<u8>);

impl RequestText {
    pub(crate) fn new(shape: Shape, key: &str, model: &str) -> Self {
        let Shape { dialect, streamed, .. } = shape;
        Self::written(&dialect.path(model, streamed), dialect.headers(), key, &shape.body(model))
    }

    /// A POST of any JSON document.
    pub(crate) fn post(path: &str, key: &str, body: &str) -> Self {
        Self::written(path, "", key, body)
    }

    fn written(path: &str, headers: &str, key: &str, body: &str) -> Self {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             accept: application/json\r\nuser-agent: modelux-bench/1\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        Self([head.as_bytes(), body.as_bytes()].concat())
    }

    pub(crate) fn get(path: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: modelux-bench/1\r\n\r\n").into_bytes())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

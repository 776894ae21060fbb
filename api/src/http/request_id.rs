//! An id for every request, which its answer, its log lines and its audit event carry.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderValue;
use policy::id::{IdKind, new_id};

const HEADER: &str = "x-modelux-request-id";

/// The id of a request. Always ours: one from outside could be used twice.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) String);

pub(super) async fn give(mut request: Request, next: Next) -> Response {
    let id = new_id(IdKind::Request);
    let value = HeaderValue::from_str(&id);
    request.extensions_mut().insert(RequestId(id));
    let mut response = next.run(request).await;
    if let Ok(value) = value {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

//! The body of a request to `/graphql`, whole, within its size and its time.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request};
use http::StatusCode;

use crate::error::Refusal;

/// A body that can't be had. Nobody knows where the next request begins: the connection ends with the answer.
pub(super) struct BodyRefused {
    pub(super) status: StatusCode,
    pub(super) refusal: Refusal,
}

/// Reads it.
pub(super) async fn read(request: Request, limit: Duration) -> Result<Bytes, BodyRefused> {
    let refused = |status, message: String| BodyRefused { status, refusal: Refusal::invalid("body", message) };
    match tokio::time::timeout(limit, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) => Err(refused(rejection.status(), rejection.body_text())),
        Err(_) => Err(refused(StatusCode::REQUEST_TIMEOUT, format!("the request body did not arrive within {} s", limit.as_secs_f32()))),
    }
}

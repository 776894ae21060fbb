#![expect(clippy::disallowed_methods, reason = "worker tokens belong to the deployment, not to a tenant")]
//! Worker tokens: made once, shown once, kept as hashes.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use entity::worker_token;
use policy::id::{IdKind, new_id};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};
use zeroize::Zeroizing;

use super::LinkState;
use super::failure::LinkFailure;
use crate::clock::Clock;
use crate::secrets::{hash_key, new_secret};

const PREFIX: &str = "mlx_wk_";

/// The token a call was made with.
#[derive(Clone)]
pub(super) struct Presented(pub(super) Zeroizing<String>);

/// Makes a token and gives its secret, which can't be had again.
///
/// # Errors
/// When the database does not answer.
pub async fn create_worker_token(connection: &impl ConnectionTrait, clock: &Clock, name: &str) -> Result<String, DbErr> {
    let secret = new_secret(PREFIX);
    let row = worker_token::ActiveModel {
        id: Set(new_id(IdKind::WorkerToken)),
        name: Set(name.to_owned()),
        secret_hash: Set(hash_key(&secret)),
        created_at: Set(clock.now()),
        revoked_at: Set(None),
    };
    worker_token::Entity::insert(row).exec_without_returning(connection).await?;
    Ok(secret)
}

pub(super) async fn require_worker_token(
    State(state): State<LinkState>,
    mut request: Request,
    next: Next,
) -> Result<Response, LinkFailure> {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer ")).filter(|token| token.starts_with(PREFIX));
    let token = Zeroizing::new(token.ok_or(LinkFailure::Unauthenticated)?.to_owned());
    let known = worker_token::Entity::find()
        .filter(worker_token::Column::SecretHash.eq(hash_key(&token)))
        .filter(worker_token::Column::RevokedAt.is_null())
        .one(state.database.read())
        .await?;
    if known.is_none() {
        return Err(LinkFailure::Unauthenticated);
    }
    request.extensions_mut().insert(Presented(token));
    Ok(next.run(request).await)
}

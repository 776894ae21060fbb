//! Operations over a socket are counted one by one: a socket asks once who calls, and then says much.

use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextPrepareRequest};
use async_graphql::{Pos, Request, ServerResult};

use super::Caller;
use crate::error::Refusal;
use crate::http::RateLimits;

/// Whose allowance the operations of a socket take from. What comes by itself was counted on arrival and has none.
pub(crate) struct Counted {
    rate: Arc<RateLimits>,
    key_id: String,
}

impl Counted {
    pub(crate) fn new(rate: Arc<RateLimits>, caller: &Caller) -> Self {
        Self { rate, key_id: caller.ctx().actor().id.clone() }
    }
}

/// Makes the check part of the schema.
pub(super) struct CountOperations;

impl ExtensionFactory for CountOperations {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for CountOperations {
    async fn prepare_request(&self, ctx: &ExtensionContext<'_>, request: Request, next: NextPrepareRequest<'_>) -> ServerResult<Request> {
        if let Some(counted) = ctx.data_opt::<Counted>() {
            let taken = counted.rate.take(&counted.key_id);
            taken.map_err(|limited| async_graphql::Error::from(Refusal::from(limited)).into_server_error(Pos::default()))?;
        }
        next.run(ctx, request).await
    }
}

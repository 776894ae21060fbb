//! Who calls: the only thing that a request brings into the schema.

use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::DataLoader;

use super::Result;
use super::loaders::Rows;
use crate::app::{self, Call, Command, Done};
use crate::authz::{Resource, TenantScope};
use crate::context::OpContext;
use crate::error::{ErrorCode, Refusal};
use sea_orm::DatabaseConnection;

/// In whose name resolvers act, and what they load in batches for it.
#[derive(Clone)]
pub(crate) struct Caller {
    ctx: Arc<OpContext>,
    loaders: Arc<DataLoader<Rows>>,
}

impl Caller {
    pub(crate) fn new(ctx: OpContext) -> Self {
        let rows = Rows::new(ctx.state().database.clone(), ctx.scope().clone());
        Self { loaders: Arc::new(DataLoader::new(rows, spawn)), ctx: Arc::new(ctx) }
    }

    pub(super) fn ctx(&self) -> &OpContext {
        &self.ctx
    }

    pub(super) fn loaders(&self) -> &DataLoader<Rows> {
        &self.loaders
    }

    pub(super) fn database(&self) -> &DatabaseConnection {
        self.ctx.state().database.read()
    }

    /// The rows that the caller may look at.
    pub(super) fn reading(&self, resource: Resource) -> Result<&TenantScope> {
        Ok(self.ctx.authorize_reading(resource)?)
    }

    /// Does a mutation.
    pub(super) async fn change<C: Command>(&self, idempotency_key: Option<String>, command: C) -> Result<Done> {
        Ok(app::run(&self.ctx, Call { idempotency_key }, command).await?)
    }
}

/// The caller of this request.
pub(super) fn caller<'a>(ctx: &Context<'a>) -> Result<&'a Caller> {
    ctx.data_opt::<Caller>().ok_or_else(|| Refusal::new(ErrorCode::Unauthenticated, "no key: send `Authorization: Bearer mlx_mk_…`"))
}

/// What was asked for is not there, or not the caller's.
pub(super) fn not_found(kind: &str) -> Refusal {
    Refusal::new(ErrorCode::NotFound, format!("there is no such {kind}"))
}

#[expect(clippy::disallowed_methods, reason = "a batch lives no longer than the request that waits for it, and holds nothing")]
fn spawn(batch: futures::future::BoxFuture<'static, ()>) {
    drop(tokio::spawn(batch));
}

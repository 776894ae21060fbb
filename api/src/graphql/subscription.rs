#![expect(clippy::unused_async, reason = "a subscription is declared as an async function, whether it waits or not")]
//! What is booked, as it is booked.
//!
//! A watcher sees what the control plane it is connected to books. One that is too slow loses events and goes on with the newest; the
//! log has them all. A watcher whose key is revoked meanwhile is cut off at the next event.

use async_graphql::{Context, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt as _};
use policy::event::UsageEvent;
use tokio_stream::wrappers::BroadcastStream;

use super::Result;
use super::caller::{Caller, caller};
use super::request_log::RequestLogView;
use super::scalar::{NamedReference, UsdAmount};
use crate::authz::Resource;
use crate::ledger::BookedEvent;

/// Money that was spent just now.
#[derive(SimpleObject)]
struct SpendChange {
    /// When the request began.
    time: DateTime<Utc>,
    /// Whose project.
    project: NamedReference,
    /// With which key.
    key: NamedReference,
    /// At which provider.
    provider: Option<String>,
    /// For which model.
    model: Option<String>,
    /// How much.
    cost_usd: UsdAmount,
}

impl From<&UsageEvent> for SpendChange {
    fn from(event: &UsageEvent) -> Self {
        let named = |named: &policy::event::Named| NamedReference { id: named.id.to_string(), name: named.name.to_string() };
        Self {
            time: event.time,
            project: named(&event.project),
            key: named(&event.key),
            provider: event.provider.as_ref().map(ToString::to_string),
            model: event.model.as_ref().map(ToString::to_string),
            cost_usd: event.cost.into(),
        }
    }
}

pub(crate) struct SubscriptionRoot;

#[Subscription(name = "Subscription")]
impl SubscriptionRoot {
    /// Requests as they are booked, of all projects or of the one of this name or id.
    async fn request_booked(&self, ctx: &Context<'_>, project: Option<String>) -> Result<impl Stream<Item = RequestLogView> + use<>> {
        let events = own_events(caller(ctx)?, Resource::RequestLog)?;
        let wanted = move |event: &UsageEvent| {
            project.as_deref().is_none_or(|wanted| *wanted == *event.project.name || *wanted == *event.project.id)
        };
        Ok(events.filter_map(move |event| std::future::ready(wanted(&event).then(|| RequestLogView::from(&*event)))))
    }

    /// Money as it is spent.
    async fn spend_changed(&self, ctx: &Context<'_>) -> Result<impl Stream<Item = SpendChange> + use<>> {
        let events = own_events(caller(ctx)?, Resource::Spend)?;
        Ok(events.filter_map(|event| std::future::ready((event.cost.nanos() != 0).then(|| SpendChange::from(&*event)))))
    }
}

/// Booked events that the caller may see, for as long as its key is good.
fn own_events(caller: &Caller, resource: Resource) -> Result<impl Stream<Item = BookedEvent> + use<>> {
    let scope = caller.reading(resource)?.clone();
    let events = BroadcastStream::new(caller.ctx().state().feed.subscribe()).filter_map(|event| std::future::ready(event.ok()));
    let own = events.filter(move |event| {
        let visible = scope.limited_to().is_none_or(|projects| projects.iter().any(|id| **id == *event.project.id));
        std::future::ready(*scope.org_id() == *event.org_id && visible)
    });
    let ctx = caller.ctx().clone();
    Ok(own.take_while(move |_| {
        let ctx = ctx.clone();
        async move { crate::authn::still_good(&ctx).await }
    }))
}

//! `GET /v1/models` and `/v1/models/{id}`: what the key may ask for.

use llm::dialect::openai_models::{ModelEntry, write_model, write_models};
use pingora_core::protocols::http::ServerSession;

use crate::exchange::{Arrival, Context, Failure};
use crate::identity::{Caller, identify};
use crate::ingress::headers::presented_key;
use crate::ingress::percent_decoded;
use crate::relay::json;
use crate::respond::Refusal;
use crate::respond::head::{Head, Sent, refuse};

/// The list.
pub(crate) async fn list(context: &Context, session: &mut ServerSession, arrival: &Arrival) -> Sent {
    match caller(context, session) {
        Ok(caller) => {
            let names = caller.policy.engine.visible_models(&caller.subject);
            let entries: Vec<_> = names.iter().map(|name| entry(&caller, name)).collect();
            Head::new(200, &arrival.request_id).send(session, json(), write_models(&entries)).await
        }
        Err(failure) => refuse(session, &arrival.request_id, &Refusal::of(&failure, arrival.time)).await,
    }
}

/// One of them.
pub(crate) async fn show(context: &Context, session: &mut ServerSession, arrival: &Arrival, id: &str) -> Sent {
    let found = caller(context, session).and_then(|caller| {
        let names = caller.policy.engine.visible_models(&caller.subject);
        // OpenAI's clients escape the slash of `provider/model`, for them it is inside of one segment.
        let id = percent_decoded(id).unwrap_or_else(|| id.to_owned());
        let name = names.iter().find(|name| **name == id).ok_or_else(|| Failure::UnknownModelId(id.chars().take(200).collect()))?;
        Ok(write_model(&entry(&caller, name)))
    });
    match found {
        Ok(body) => Head::new(200, &arrival.request_id).send(session, json(), body).await,
        Err(failure) => refuse(session, &arrival.request_id, &Refusal::of(&failure, arrival.time)).await,
    }
}

fn caller(context: &Context, session: &ServerSession) -> Result<Caller, Failure> {
    let presented = presented_key(&session.req_header().headers);
    identify(&context.policies, presented).map_err(Failure::Unidentified)
}

fn entry<'n>(caller: &Caller, name: &'n str) -> ModelEntry<'n> {
    let created = u64::try_from(caller.policy.engine.bundle().created_at.timestamp()).unwrap_or(0);
    let owned_by = if name.starts_with('@') { "modelux" } else { name.split_once('/').map_or(name, |(provider, _)| provider) };
    ModelEntry { id: name, created, owned_by }
}

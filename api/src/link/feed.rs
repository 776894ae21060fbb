//! Which bundles are newer than a worker's, and the bundles themselves. What the doorbell on Redis says faster.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use policy::bundle::Envelope;
use policy::link::{Feed, FeedQuery};

use super::LinkState;
use super::failure::LinkFailure;
use crate::publish::find_newest_bundle;

/// No answer is held back for longer, whatever the worker asks.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

pub(super) async fn feed(State(state): State<LinkState>, Json(query): Json<FeedQuery>) -> Json<Feed> {
    let wait = Duration::from_millis(query.wait_ms).min(LONGEST_WAIT);
    let end = tokio::time::sleep(wait);
    tokio::pin!(end);
    let mut revisions = state.publisher.revisions();
    loop {
        let feed = newer(&query.known, &revisions.borrow_and_update());
        if !feed.changed.is_empty() || !feed.gone.is_empty() {
            return Json(feed);
        }
        tokio::select! {
            () = &mut end => return Json(feed),
            () = state.stopping.cancelled() => return Json(feed),
            changed = revisions.changed() => {
                if changed.is_err() {
                    return Json(feed);
                }
            }
        }
    }
}

fn newer(known: &BTreeMap<String, u64>, newest: &BTreeMap<String, u64>) -> Feed {
    let changed = newest.iter().filter(|(org_id, revision)| known.get(*org_id).is_none_or(|known| known < *revision));
    let gone = known.keys().filter(|org_id| !newest.contains_key(*org_id));
    Feed { changed: changed.map(|(org_id, revision)| (org_id.clone(), *revision)).collect(), gone: gone.cloned().collect() }
}

pub(super) async fn bundle(State(state): State<LinkState>, Path(org_id): Path<String>) -> Result<Json<Envelope>, LinkFailure> {
    let found = find_newest_bundle(state.database.read(), &org_id).await?;
    found.map(Json).ok_or_else(|| LinkFailure::NotFound(format!("organization `{org_id}` has no bundle")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_names_what_is_newer_new_or_gone() {
        let revisions = |all: &[(&str, u64)]| all.iter().map(|(org_id, revision)| ((*org_id).to_owned(), *revision)).collect();
        let known: BTreeMap<String, u64> = revisions(&[("org_a", 1), ("org_b", 5), ("org_gone", 2), ("org_ahead", 9)]);
        let feed = newer(&known, &revisions(&[("org_a", 2), ("org_b", 5), ("org_new", 1), ("org_ahead", 8)]));
        assert_eq!(feed.changed, revisions(&[("org_a", 2), ("org_new", 1)]));
        assert_eq!(feed.gone, ["org_gone"]);
    }
}

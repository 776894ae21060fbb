//! Prices that were set for later: when one begins, its organization gets a bundle with it.
//!
//! Not a change by anybody: the one who set the price left the audit event. What has begun is found by comparing with the newest bundle, so
//! that nothing is missed while no control plane runs, and several of them do no harm.

use super::OperationError;
use crate::state::AppState;
use crate::{publish, store};

/// Publishes organizations with a price that began after their newest bundle was made.
///
/// # Errors
/// When the database does not answer, or an organization no longer compiles.
pub(crate) async fn publish_begun_prices(state: &AppState) -> Result<(), OperationError> {
    let now = state.clock.now();
    for org_id in store::model_price::organizations_with_begun(state.database.read(), now).await? {
        let tx = state.database.begin().await?;
        publish::lock_org(&tx, &org_id).await?;
        publish::commit_revision(&tx, &org_id, now, &state.secrets).await?;
        tx.commit().await?;
        state.publisher.notify();
    }
    Ok(())
}

//! Waiting for a value, with a limit.

use std::time::{Duration, Instant};

/// For things that take no time unless the machine is busy.
pub const SOON: Duration = Duration::from_secs(15);

/// Asks `probe` until it has a value; panics with `what` when `limit` has passed.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, limit: Duration, mut probe: impl FnMut() -> F) -> T {
    let started = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(started.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Waits for `future` with a limit; panics with `what` when it has passed.
pub async fn within<F: Future>(what: &str, limit: Duration, future: F) -> F::Output {
    match tokio::time::timeout(limit, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {limit:?}"),
    }
}

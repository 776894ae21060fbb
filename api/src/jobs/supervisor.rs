//! Starts tasks, starts them again, and waits for them.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Before a failed task starts again; short, because what it does may be what a worker waits for.
const RESTART: Duration = Duration::from_millis(500);

/// Owns the background tasks of a process; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Supervisor {
    /// Supervises nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Set when the process is to end.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs `task` until it returns after the stop, again and again if it fails or panics before.
    pub fn spawn<F, R>(&self, name: &'static str, task: F)
    where
        F: Fn(CancellationToken) -> R + Send + 'static,
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let stop = self.stop.clone();
        let tasks = self.tasks.clone();
        drop(self.tasks.spawn(async move {
            while !stop.is_cancelled() {
                match tasks.spawn(task(stop.clone())).await {
                    Ok(Ok(())) if stop.is_cancelled() => break,
                    Ok(Ok(())) => tracing::error!(task.name = name, "a background task ended before it was told to"),
                    Ok(Err(error)) => tracing::error!(task.name = name, error = format!("{error:#}"), "a background task failed"),
                    Err(panic) => tracing::error!(task.name = name, error = %panic, "a background task panicked"),
                }
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(RESTART) => {}
                }
            }
        }));
    }

    /// Runs `job` every `period`. A run that fails is logged and the next one comes all the same; a stop waits for the run it finds.
    pub fn every<F, R>(&self, name: &'static str, period: Duration, job: F)
    where
        F: Fn() -> R + Clone + Send + Sync + 'static,
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.spawn(name, move |stop| {
            let job = job.clone();
            async move {
                loop {
                    tokio::select! {
                        () = stop.cancelled() => return Ok(()),
                        () = tokio::time::sleep(period) => {}
                    }
                    if let Err(error) = job().await {
                        tracing::warn!(task.name = name, error = format!("{error:#}"), "a run of a background job failed");
                    }
                }
            }
        });
    }

    /// Tells every task to stop and waits for them, at most `limit`. False when some are still running then.
    pub async fn shutdown(&self, limit: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(limit, self.tasks.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_that_fails_or_panics_starts_again_and_shutdown_waits_for_it() {
        let supervisor = Supervisor::new();
        let starts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&starts);
        let (third, mut reached) = tokio::sync::mpsc::unbounded_channel();
        supervisor.spawn("shaky", move |stop| {
            let start = counted.fetch_add(1, Ordering::SeqCst);
            let third = third.clone();
            async move {
                match start {
                    0 => anyhow::bail!("first"),
                    1 => panic!("second"),
                    _ => {
                        third.send(()).unwrap();
                        stop.cancelled().await;
                        Ok(())
                    }
                }
            }
        });
        reached.recv().await.unwrap();
        assert!(supervisor.shutdown(Duration::from_secs(5)).await);
        assert_eq!(starts.load(Ordering::SeqCst), 3);
    }
}

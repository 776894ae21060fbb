//! The spool through its own doors: what was written is shipped once, whatever happens to the process, the disk or the control plane.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use policy::event::{EventKind, UsageEvent};
use tokio::task::JoinHandle;

use super::*;
use crate::link::fake::{FakePlane, event};

fn small() -> SpoolConfig {
    SpoolConfig { segment_bytes: 64 << 10, limit_bytes: 4 << 20, batch_wait: Duration::from_millis(2), ..SpoolConfig::default() }
}

/// A spool with its shipping task.
struct Running {
    spool: Arc<Spool>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    #[expect(clippy::disallowed_methods, reason = "the task ends with the test, which waits for it")]
    fn start(dir: &Path, plane: &Arc<FakePlane>) -> Self {
        let spool = Spool::start(dir, small()).unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(Arc::clone(&spool).run(Arc::clone(plane) as Arc<dyn ControlPlane>, stop.clone()));
        Self { spool, stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// As a kill: the task is gone at the next instant, nothing is tidied up.
    async fn kill(self) {
        self.task.abort();
        drop(self.task.await);
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("did not come to pass within 5 s: {what}");
}

fn open(spool: &Spool, id: &str) -> Result<Place, SpoolFull> {
    let (opening, outcome) = UsageEvent { kind: EventKind::UnknownOutcome, ..event(id) }.split();
    spool.open(None, &opening, &outcome)
}

/// An exchange ends that began there, if it ever did.
fn close(spool: &Spool, began: Option<Place>, id: &str) {
    let (opening, outcome) = event(id).split();
    spool.close(began, &opening, &outcome, &NO_TRACE);
}

fn shipped(plane: &FakePlane) -> BTreeMap<String, EventKind> {
    plane.events().into_iter().map(|event| (event.id.to_string(), event.kind)).collect()
}

fn segments(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "segment")).count()
}

#[tokio::test]
async fn an_exchange_that_was_opened_and_closed_is_shipped_once_with_the_truth() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    let running = Running::start(dir.path(), &plane);
    let began = open(&running.spool, "evt_1").unwrap();
    close(&running.spool, Some(began), "evt_1");
    until("shipped", || plane.events().len() == 1).await;
    assert_eq!(shipped(&plane), BTreeMap::from([("evt_1".to_owned(), EventKind::Settled)]));
    running.stop().await;
    assert_eq!(plane.events().len(), 1);
}

#[tokio::test]
async fn after_a_kill_an_open_exchange_is_shipped_as_an_unknown_outcome_and_a_closed_one_as_it_was() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    plane.away.store(true, SeqCst);
    let running = Running::start(dir.path(), &plane);
    open(&running.spool, "evt_open").unwrap();
    let began = open(&running.spool, "evt_closed").unwrap();
    close(&running.spool, Some(began), "evt_closed");
    assert!(running.spool.recovered());
    running.kill().await;

    plane.away.store(false, SeqCst);
    let again = Running::start(dir.path(), &plane);
    until("recovered", || again.spool.recovered()).await;
    let expected = [("evt_closed", EventKind::Settled), ("evt_open", EventKind::UnknownOutcome)];
    assert_eq!(shipped(&plane), expected.map(|(id, kind)| (id.to_owned(), kind)).into());
    again.stop().await;

    let third = Running::start(dir.path(), &plane);
    until("recovered at once", || third.spool.recovered()).await;
    third.stop().await;
    assert_eq!(plane.events().len(), 2);
}

/// The end is written without what its beginning says; after a kill both are found again, wherever they are.
#[tokio::test]
async fn after_a_kill_an_end_finds_its_beginning_in_another_segment() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    plane.away.store(true, SeqCst);
    let running = Running::start(dir.path(), &plane);
    let (first, again) = (open(&running.spool, "evt_first").unwrap(), open(&running.spool, "evt_again").unwrap());
    let (opening, outcome) = UsageEvent { status: 7, ..event("evt_again") }.split();
    assert_eq!(running.spool.open(Some(again), &opening, &outcome), Ok(again), "another attempt of the same exchange");
    for number in 0..400 {
        let id = format!("evt_{number}");
        let began = open(&running.spool, &id).unwrap();
        close(&running.spool, Some(began), &id);
    }
    assert!(running.spool.place().0 > first.0, "it did not fill its segment");
    close(&running.spool, Some(first), "evt_first");
    running.kill().await;

    plane.away.store(false, SeqCst);
    let next = Running::start(dir.path(), &plane);
    until("recovered", || next.spool.recovered()).await;
    next.stop().await;
    let events = plane.events();
    let status_of = |id: &str| events.iter().find(|event| &*event.id == id).map(|event| event.status);
    assert_eq!((events.len(), status_of("evt_first"), status_of("evt_again")), (402, Some(200), Some(7)));
    assert!(segments(dir.path()) <= 2, "what is booked is gone, but for the last segment and a spare");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_over_many_segments_lose_and_repeat_nothing_and_segments_go() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    let running = Running::start(dir.path(), &plane);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let spool = &running.spool;
            scope.spawn(move || {
                for number in 0..250 {
                    let id = format!("evt_{thread}_{number}");
                    let began = open(spool, &id).unwrap();
                    close(spool, Some(began), &id);
                }
            });
        }
    });
    until("all shipped", || plane.events().len() == 1_000).await;
    assert!(shipped(&plane).values().all(|kind| *kind == EventKind::Settled));
    until("old segments gone", || segments(dir.path()) <= 2).await;
    assert_eq!(running.spool.figures().repeated.load(SeqCst), 0);
    running.stop().await;
}

#[tokio::test]
async fn an_exchange_that_outlives_its_segment_does_not_keep_it_and_is_not_forgotten() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    let running = Running::start(dir.path(), &plane);
    open(&running.spool, "evt_long").unwrap();
    for number in 0..1_500 {
        let id = format!("evt_{number}");
        let began = open(&running.spool, &id).unwrap();
        close(&running.spool, Some(began), &id);
        if number % 100 == 99 {
            until("shipped", || plane.events().len() == number + 1).await;
        }
    }
    until("the first segment is gone", || !segment_path(dir.path(), 1).exists()).await;
    running.kill().await;
    let again = Running::start(dir.path(), &plane);
    until("recovered", || again.spool.recovered()).await;
    assert_eq!(shipped(&plane).get("evt_long"), Some(&EventKind::UnknownOutcome));
    again.stop().await;
}

#[tokio::test]
async fn a_full_spool_refuses_new_exchanges_and_still_takes_the_end_of_old_ones() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    plane.away.store(true, SeqCst);
    let running = Running::start(dir.path(), &plane);
    let first = open(&running.spool, "evt_first").unwrap();
    let mut written = 0;
    while open(&running.spool, "evt_x").is_ok() {
        written += 1;
        assert!(written < 100_000, "never full");
    }
    close(&running.spool, Some(first), "evt_first");
    assert_eq!(running.spool.figures().lost.load(SeqCst), 0);
    plane.away.store(false, SeqCst);
    until("shipped", || shipped(&plane).contains_key("evt_first")).await;
    running.stop().await;
}

#[tokio::test]
async fn a_refused_event_is_kept_and_holds_up_nobody() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    plane.refuse("evt_bad");
    let running = Running::start(dir.path(), &plane);
    for id in ["evt_1", "evt_bad", "evt_2"] {
        close(&running.spool, None, id);
    }
    until("shipped", || plane.events().len() == 2).await;
    until("kept", || dir.path().join("refused/evt_bad.json").exists()).await;
    running.stop().await;
    let kept = std::fs::read_to_string(dir.path().join("refused/evt_bad.json")).unwrap();
    assert!(kept.contains("no such organization") && kept.contains("evt_bad"), "{kept}");
}

#[tokio::test]
async fn two_processes_cannot_have_one_spool() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Spool::start(dir.path(), small()).unwrap();
    assert!(matches!(Spool::start(dir.path(), small()), Err(SpoolError::InUse(_))));
}

#[tokio::test]
async fn a_segment_cut_at_any_byte_ships_a_prefix_and_never_garbage() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    let spool = Spool::start(dir.path(), small()).unwrap();
    let ids: Vec<String> = (0..3).map(|number| format!("evt_{number}")).collect();
    for id in &ids {
        close(&spool, None, id);
    }
    let end = spool.place().1;
    drop(spool);
    let whole = std::fs::read(segment_path(dir.path(), 1)).unwrap();
    for cut in (0..=end).rev().step_by(7) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(segment_path(dir.path(), 1), &whole[..cut]).unwrap();
        let running = Running::start(dir.path(), &plane);
        until("recovered", || running.spool.recovered()).await;
        running.stop().await;
    }
    let found: Vec<String> = shipped(&plane).into_keys().collect();
    assert_eq!(found, ids);
}

#[tokio::test]
async fn what_was_open_before_a_new_start_counts_as_recovered_only_once_it_ended() {
    let (dir, plane) = (tempfile::tempdir().unwrap(), FakePlane::new());
    let running = Running::start(dir.path(), &plane);
    let began = open(&running.spool, "evt_1").unwrap();
    running.spool.begin_new_start();
    close(&running.spool, None, "evt_other");
    until("other shipped", || plane.events().len() == 1).await;
    assert!(!running.spool.recovered());
    close(&running.spool, Some(began), "evt_1");
    until("recovered", || running.spool.recovered()).await;
    running.stop().await;
}

#[test]
fn a_segment_of_another_version_stops_the_start_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = segment_path(dir.path(), 7);
    std::fs::write(&path, b"MLXSPL01\x07\0\0\0\0\0\0\0").unwrap();
    let Err(SpoolError::Unusable { source, .. }) = Spool::start(dir.path(), small()) else { panic!("it started") };
    assert!(source.to_string().contains("0000000000000007.segment"), "{source}");
    assert!(path.exists());
}

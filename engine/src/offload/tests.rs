use std::sync::{Arc, Condvar, Mutex};

use super::*;
use crate::limits;
use crate::task::{Class, spawn};
use crate::testing::on_a_shard;
use crate::time::sleep;

/// A door that calls wait at.
#[derive(Default)]
struct Door(Mutex<bool>, Condvar);

impl Door {
    fn pass(&self) {
        let mut open = self.0.lock().expect("no panic");
        while !*open {
            open = self.1.wait(open).expect("no panic");
        }
    }
    fn open(&self) {
        *self.0.lock().expect("no panic") = true;
        self.1.notify_all();
    }
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_call_runs_elsewhere_and_gives_its_result() {
    on_a_shard(|| async {
        let here = std::thread::current().id();
        let there = run(LONG, || std::thread::current().id()).await.expect("runs");
        assert_ne!(here, there);
    });
}

#[test]
fn a_call_that_takes_too_long_is_given_up_and_a_full_queue_refuses() {
    on_a_shard(|| async {
        let door = Arc::new(Door::default());
        let behind = door.clone();
        let slow = run(Duration::from_millis(20), move || behind.pass()).await;
        assert_eq!(slow, Err(OffloadError::Deadline));
        let calls: Vec<_> = (0..limits::OFFLOAD_QUEUE + limits::OFFLOAD_THREADS)
            .map(|_| {
                let behind = door.clone();
                spawn(Class::Background, run(LONG, move || behind.pass()))
            })
            .collect();
        sleep(Duration::from_millis(200)).await;
        let mut refused = 0;
        while run(Duration::from_millis(1), || ()).await == Err(OffloadError::Deadline) {
            refused += 1;
            assert!(refused <= limits::OFFLOAD_QUEUE, "the queue is bounded");
        }
        assert_eq!(run(Duration::from_millis(1), || ()).await, Err(OffloadError::Full));
        door.open();
        for call in calls {
            let ended = call.await.expect("runs");
            assert!(matches!(ended, Ok(()) | Err(OffloadError::Full)));
        }
        assert_eq!(run(LONG, || 5).await, Ok(5));
    });
}

#[test]
fn a_shard_may_end_while_its_calls_run() {
    let door = Arc::new(Door::default());
    let behind = door.clone();
    on_a_shard(move || {
        let behind = behind.clone();
        async move {
            let opener = behind.clone();
            spawn(Class::Background, async move { run(LONG, move || behind.pass()).await });
            sleep(Duration::from_millis(20)).await;
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(100));
                opener.open();
            });
        }
    });
}

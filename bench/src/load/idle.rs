//! Connections that say EHLO and then nothing: what an idle session costs the server.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use engine::task::{self, Class};
use engine::time;

use crate::cli;
use crate::crew::Stop;
use crate::load::worker::{Shard, connect};

/// Connections of all shards, as they come up.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) wanted: u32,
    pub(super) settled: AtomicU32,
    pub(super) up: AtomicU32,
}

/// Opens `connections`, holds them, and counts as acknowledged those that still answer at the end.
pub(super) async fn hold(
    shard: &Rc<Shard>,
    connections: u32,
    time_held: Duration,
    progress: &Arc<Progress>,
    stop: &Stop,
) {
    let opening: Vec<_> = (0..connections)
        .map(|_| {
            let (shard, progress) = (Rc::clone(shard), Arc::clone(progress));
            task::spawn(Class::Interactive, async move {
                let session = connect(&shard).await;
                progress.note(session.is_some(), (time::now() - shard.start).as_secs_f64());
                session
            })
        })
        .collect();
    let mut sessions = Vec::with_capacity(opening.len());
    for opening in opening {
        sessions.extend(opening.await.flatten());
    }
    while progress.settled.load(Ordering::Acquire) < progress.wanted {
        time::sleep(Duration::from_millis(10)).await;
    }
    // Ends early on a signal; either way the sessions are asked whether they live.
    let _ = time::timeout(time_held, stop.wait()).await;
    for mut session in sessions {
        let alive = session.noop().await;
        let mut tally = shard.tally.borrow_mut();
        if alive {
            tally.ok += 1;
        } else {
            tally.failed += 1;
        }
    }
}

impl Progress {
    fn note(&self, up: bool, elapsed_s: f64) {
        self.up.fetch_add(u32::from(up), Ordering::AcqRel);
        if self.settled.fetch_add(1, Ordering::AcqRel) + 1 == self.wanted {
            let up = self.up.load(Ordering::Acquire);
            cli::print(&format!("READY {up} failed {} in {elapsed_s:.2} s\n", self.wanted - up));
        }
    }
}

//! The control thread's end of all shards' logs.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use engine::sync::Notify;
use engine::task::Class;

use super::target::count;
use super::{Dropped, Priority, Target};
use crate::limits;

/// Takes what the shards send and writes it, one write at a time.
pub struct Output {
    target: Target,
    queue: RefCell<VecDeque<String>>,
    queued_bytes: Cell<usize>,
    filled: Notify,
    drained: Notify,
    dropped: Dropped,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("queued_bytes", &self.queued_bytes.get()).finish_non_exhaustive()
    }
}

/// A write on the offload pool, which may still be under way when nobody waits for it any more.
#[derive(Debug, Default)]
struct Write {
    ended: AtomicBool,
    lost: AtomicU64,
}

impl Output {
    /// Starts the writer; on the control thread, before any shard logs.
    pub fn start(target: Target) -> Rc<Output> {
        let output = Rc::new(Output {
            target,
            queue: RefCell::new(VecDeque::new()),
            queued_bytes: Cell::new(0),
            filled: Notify::new(),
            drained: Notify::new(),
            dropped: Dropped::default(),
        });
        engine::mesh::local::set(Rc::clone(&output));
        engine::task::spawn(Class::Interactive, Rc::clone(&output).write_all());
        output
    }

    /// Lines that it lost since its start. 0 where there is none: it is the control thread that has one.
    pub fn lines_dropped_here() -> u64 {
        engine::mesh::local::get::<Output>().map_or(0, |output| output.dropped.total())
    }

    /// Takes lines for writing. Runs on the control thread.
    pub(super) fn push(lines: String) {
        let Some(output) = engine::mesh::local::get::<Output>() else { return };
        if output.queued_bytes.get() >= limits::LOG_QUEUE_BYTES {
            output.dropped.add(count(&lines));
            return;
        }
        output.queued_bytes.set(output.queued_bytes.get() + lines.len());
        output.queue.borrow_mut().push_back(lines);
        output.filled.notify_one();
    }

    async fn write_all(self: Rc<Self>) {
        loop {
            let Some(mut lines) = self.next() else {
                self.drained.notify_all();
                self.filled.notified().await;
                continue;
            };
            let len_bytes = lines.len();
            let dropped = self.dropped.tell();
            if dropped > 0 {
                let text = format_args!("log: {dropped} lines dropped, its reader is too slow");
                self.target.format(&mut lines, Priority::Warning, text);
            }
            let lost = self.write(lines).await;
            self.dropped.add(lost);
            self.queued_bytes.set(self.queued_bytes.get().saturating_sub(len_bytes));
        }
    }

    /// Writes, and gives the number of lines that were lost. However long the reader takes, this waits: what queues up
    /// meanwhile is bounded, and a reader that stands still must not take one thread of the pool after the other.
    async fn write(&self, lines: String) -> u64 {
        let write = Arc::new(Write::default());
        let (target, done, count) = (self.target.clone(), Arc::clone(&write), count(&lines));
        let run = engine::offload::run(limits::LOG_WRITE_DEADLINE, move || {
            done.lost.store(target.write(&lines), Ordering::Relaxed);
            done.ended.store(true, Ordering::Release);
        });
        match run.await {
            Ok(()) => {}
            Err(engine::offload::OffloadError::Full) => return count,
            Err(engine::offload::OffloadError::Deadline) => {
                while !write.ended.load(Ordering::Acquire) {
                    engine::time::sleep(limits::LOG_STUCK_PAUSE).await;
                }
            }
        }
        write.lost.load(Ordering::Relaxed)
    }

    fn next(&self) -> Option<String> {
        let mut queue = self.queue.borrow_mut();
        let mut first = queue.pop_front()?;
        while first.len() < limits::LOG_WRITE_BYTES {
            let Some(more) = queue.pop_front() else { break };
            first.push_str(&more);
        }
        Some(first)
    }

    /// Waits until everything pushed so far is written, or nothing was for `patience`; at most
    /// [`limits::LOG_DRAIN_PATIENCES`] times that long.
    pub async fn drain(&self, patience: Duration) {
        let mut left_bytes = usize::MAX;
        for _ in 0..limits::LOG_DRAIN_PATIENCES {
            let now_bytes = self.queued_bytes.get();
            if now_bytes == 0 || now_bytes >= left_bytes {
                return;
            }
            left_bytes = now_bytes;
            let _ = engine::time::timeout(patience, self.written()).await;
        }
    }

    async fn written(&self) {
        while self.queued_bytes.get() > 0 {
            self.drained.notified().await;
        }
    }
}

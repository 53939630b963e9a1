//! Wakers without an allocation and without a count: the data pointer is not a pointer but the task's name.
//!
//! `Waker` is `Send` and `Sync`, so a wake may come from anywhere. On the task's own shard it is a push to the ready
//! queue. From any other thread or shard the name goes to that shard's mailbox, a locked list, and the shard is
//! woken. A name that is stale by then wakes nobody, or (after 2^24 tasks in one place) a task for nothing,
//! which futures have to bear anyhow.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::executor::TaskId;
use crate::shard::{self, Mailbox};

/// Bits of a task's place in its slab: 16 million tasks per shard.
pub(crate) const INDEX_BITS: u32 = 24;
/// Bits of the generation of the place.
pub(crate) const GENERATION_BITS: u32 = 24;
/// Bits of the executor's number: as many shards may exist at once in one process (simulated ones included).
const EXECUTOR_BITS: u32 = 16;

const _: () = assert!(usize::BITS == 64 && INDEX_BITS + GENERATION_BITS + EXECUTOR_BITS == 64);

/// A process-wide number of an executor, reused after it was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExecutorId(u16);

/// Mailboxes by executor number.
static MAILBOXES: Mutex<Vec<Option<Arc<Mailbox>>>> = Mutex::new(Vec::new());

fn mailboxes() -> MutexGuard<'static, Vec<Option<Arc<Mailbox>>>> {
    MAILBOXES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives a new executor its number, under which others find its mailbox.
pub(crate) fn register(mailbox: Arc<Mailbox>) -> ExecutorId {
    let mut all = mailboxes();
    let index = all.iter().position(Option::is_none).unwrap_or_else(|| {
        all.push(None);
        all.len() - 1
    });
    let id = u16::try_from(index).expect("at most 65536 shards exist at once");
    all[index] = Some(mailbox);
    ExecutorId(id)
}

/// Gives the number back.
pub(crate) fn unregister(id: ExecutorId) {
    mailboxes()[usize::from(id.0)] = None;
}

/// The waker of a task.
pub(crate) fn new(executor: ExecutorId, task: TaskId) -> Waker {
    let name = u64::from(executor.0) << (INDEX_BITS + GENERATION_BITS)
        | u64::from(task.generation) << INDEX_BITS
        | u64::from(task.index);
    // SAFETY: the functions of the table never dereference the data, which is a number; copying it is a valid
    // clone and forgetting it a valid drop; `wake` may be called from any thread.
    unsafe { Waker::new(std::ptr::without_provenance(name as usize), &TABLE) }
}

static TABLE: RawWakerVTable = RawWakerVTable::new(|data| RawWaker::new(data, &TABLE), wake, wake, |_| {});

fn wake(data: *const ()) {
    let name = data.addr() as u64;
    let executor = ExecutorId((name >> (INDEX_BITS + GENERATION_BITS)) as u16);
    let task = TaskId {
        index: (name & ((1 << INDEX_BITS) - 1)) as u32,
        generation: (name >> INDEX_BITS & ((1 << GENERATION_BITS) - 1)) as u32,
    };
    let here = shard::try_with(|shard| {
        let same = shard.executor.id() == executor;
        if same {
            shard.executor.wake(task);
        }
        same
    });
    if here != Some(true) {
        let mailbox = mailboxes()[usize::from(executor.0)].clone();
        if let Some(mailbox) = mailbox {
            mailbox.post(shard::Letter::Wake(task));
        }
    }
}

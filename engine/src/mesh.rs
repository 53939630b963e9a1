//! Calls between shards: an N by N grid of bounded single-producer rings of boxed calls.
//!
//! A call takes a *credit* of the caller's for the called shard, which reserves a place in the ring there and one in
//! the ring back, so that neither a call nor its reply ever finds a ring full; the credit comes back with the reply.
//! A sleeping shard is woken once, by the first who writes to it.

use std::any::Any;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};

use crate::boot::ShardId;
use crate::limits;
use crate::shard::{self, Process, Shard};
use crate::slab::{Key, Slab};
use crate::sync::{Permit, Semaphore};
use crate::task::{Class, spawn};

pub(crate) mod ring;

use ring::Ring;

/// Why a call did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeshError {
    /// The ring to that shard is full and the caller did not want to wait.
    Full,
    /// That shard has ended, or does not exist, or dropped the call half-way.
    Gone,
}

impl std::fmt::Display for MeshError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            MeshError::Full => "the shard has too many calls to do",
            MeshError::Gone => "the shard has ended",
        })
    }
}

impl std::error::Error for MeshError {}

/// What is called on the other shard. It is told whether that shard is still running.
type Call = Box<dyn FnOnce(bool) + Send>;

/// A reply: which call of the receiving shard it answers, and the value (none: the shard is gone).
struct Reply {
    to: Key,
    value: Option<Box<dyn Any + Send>>,
}

/// The rings between all threads of one process.
pub(crate) struct Grid {
    threads: usize,
    /// From thread `a` to thread `b` at `a * threads + b`.
    lanes: Vec<Lane>,
}

struct Lane {
    calls: Ring<Call>,
    replies: Ring<Reply>,
}

impl Grid {
    pub(crate) fn new(threads: usize) -> Self {
        let lane = || Lane { calls: Ring::new(limits::MESH_RING), replies: Ring::new(limits::MESH_CALLS) };
        Grid { threads, lanes: (0..threads * threads).map(|_| lane()).collect() }
    }

    fn lane(&self, from: usize, to: usize) -> &Lane {
        &self.lanes[from * self.threads + to]
    }

    /// Calls and replies that thread `to` has not taken, more or less: other threads go on meanwhile.
    pub(crate) fn waiting_for(&self, to: usize) -> usize {
        let lanes = (0..self.threads).map(|from| self.lane(from, to));
        lanes.map(|lane| lane.calls.len() + lane.replies.len()).sum()
    }
}

/// A shard's own part of the mesh.
pub(crate) struct MeshPort {
    /// Credits for calls, per called thread.
    credits: Vec<Semaphore>,
    /// Calls that wait for their reply.
    pending: RefCell<Slab<Pending>>,
}

struct Pending {
    state: PendingState,
    /// Given back when the reply has arrived, whether or not someone still waits for it.
    _credit: Permit,
}

enum PendingState {
    Waiting(Option<Waker>),
    Replied(Option<Box<dyn Any + Send>>),
    Abandoned,
}

impl MeshPort {
    pub(crate) fn new(threads: usize) -> Self {
        let credits = (0..threads).map(|_| Semaphore::new(limits::MESH_CALLS)).collect();
        MeshPort { credits, pending: RefCell::default() }
    }

    /// Takes what the other threads have put into their rings to this one, as far as it was there at the start.
    pub(crate) fn drain(&self, shard: &Shard) {
        let me = usize::from(shard.id.0);
        for word in 0..shard.mailbox().attention.dirty_words() {
            let mut dirty = shard.mailbox().attention.take_dirty(word);
            while dirty != 0 {
                let from = word * 64 + dirty.trailing_zeros() as usize;
                dirty &= dirty - 1;
                self.drain_lane(shard, shard.process.grid.lane(from, me));
            }
        }
    }

    fn drain_lane(&self, shard: &Shard, lane: &Lane) {
        // A root task that has ended takes no calls any more.
        let alive = !shard.root_ended();
        for _ in 0..lane.calls.len() {
            // SAFETY: the lane leads to this shard, whose code runs on one thread at a time.
            let Some(call) = (unsafe { lane.calls.pop() }) else { break };
            call(alive);
        }
        for _ in 0..lane.replies.len() {
            // SAFETY: as above.
            let Some(reply) = (unsafe { lane.replies.pop() }) else { break };
            self.deliver(reply);
        }
    }

    fn deliver(&self, reply: Reply) {
        let mut pending = self.pending.borrow_mut();
        let Some(entry) = pending.get_mut(reply.to) else { return };
        match std::mem::replace(&mut entry.state, PendingState::Replied(reply.value)) {
            PendingState::Waiting(waker) => {
                drop(pending);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            PendingState::Abandoned => {
                let entry = pending.remove(reply.to);
                drop(pending);
                drop(entry);
            }
            PendingState::Replied(_) => unreachable!("a call is answered once"),
        }
    }
}

/// Puts a call into the ring to thread `to`; the caller has a credit, or has seen that there is room.
fn push_call(shard: &Shard, to: usize, call: Call) {
    let from = usize::from(shard.id.0);
    // SAFETY: the lane starts at this shard, whose code runs on one thread at a time.
    let pushed = unsafe { shard.process.grid.lane(from, to).calls.push(call) };
    assert!(pushed.is_ok(), "a credit reserves a place");
    mark(shard, to);
}

fn mark(shard: &Shard, to: usize) {
    if shard.process.mailboxes[to].attention.mark_ring(usize::from(shard.id.0)) {
        shard.driver.wake(to);
    }
}

/// The number of a thread of this process.
fn thread(shard: &Shard, to: ShardId) -> Result<usize, MeshError> {
    let to = usize::from(to.0);
    if to < shard.process.threads() { Ok(to) } else { Err(MeshError::Gone) }
}

/// The way back from a call. When it is dropped unused, the caller is told that the shard is gone.
struct ReplyTo {
    /// Tells processes apart (simulated ones share a thread).
    process: *const Process,
    caller: usize,
    called: usize,
    key: Key,
    used: bool,
}

// SAFETY: the pointer is only compared.
unsafe impl Send for ReplyTo {}

impl ReplyTo {
    fn send(mut self, value: Box<dyn Any + Send>) {
        self.used = true;
        self.push(Some(value));
    }

    fn push(&self, value: Option<Box<dyn Any + Send>>) {
        // Where a call is dropped outside of the shard it went to, the whole process is going: nobody waits.
        shard::try_with(|shard| {
            if Arc::as_ptr(&shard.process) == self.process && usize::from(shard.id.0) == self.called {
                let lane = shard.process.grid.lane(self.called, self.caller);
                // SAFETY: the lane starts at this shard, whose code runs on one thread at a time.
                let pushed = unsafe { lane.replies.push(Reply { to: self.key, value }) };
                assert!(pushed.is_ok(), "the call's credit reserves a place for its reply");
                mark(shard, self.caller);
            }
        });
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        if !self.used {
            self.push(None);
        }
    }
}

/// Waits for a credit, sends what `make` makes, and waits for the reply.
async fn exchange<T: 'static>(to: ShardId, make: impl FnOnce(ReplyTo) -> Call) -> Result<T, MeshError> {
    let credits = shard::with(|shard| Ok(shard.mesh.credits[thread(shard, to)?].clone()))?;
    let credit = credits.acquire().await;
    let call = CallInFlight {
        key: shard::with(|shard| {
            let pending = Pending { state: PendingState::Waiting(None), _credit: credit };
            let key = shard.mesh.pending.borrow_mut().insert(pending);
            let reply_to = ReplyTo {
                process: Arc::as_ptr(&shard.process),
                caller: usize::from(shard.id.0),
                called: usize::from(to.0),
                key,
                used: false,
            };
            push_call(shard, usize::from(to.0), make(reply_to));
            key
        }),
    };
    let value = poll_fn(|cx| call.poll(cx)).await.ok_or(MeshError::Gone)?;
    Ok(*value.downcast::<T>().expect("the call's own type"))
}

/// The caller's side of a call that was sent.
struct CallInFlight {
    key: Key,
}

impl CallInFlight {
    fn poll(&self, cx: &mut std::task::Context<'_>) -> Poll<Option<Box<dyn Any + Send>>> {
        shard::with(|shard| {
            let mut pending = shard.mesh.pending.borrow_mut();
            let entry = pending.get_mut(self.key).expect("present until it is dropped here");
            match &mut entry.state {
                PendingState::Waiting(waker) => {
                    *waker = Some(cx.waker().clone());
                    Poll::Pending
                }
                PendingState::Replied(value) => Poll::Ready(value.take()),
                PendingState::Abandoned => unreachable!("only by the drop below"),
            }
        })
    }
}

impl Drop for CallInFlight {
    fn drop(&mut self) {
        shard::try_with(|shard| {
            let mut pending = shard.mesh.pending.borrow_mut();
            let Some(entry) = pending.get_mut(self.key) else { return };
            let old = match entry.state {
                // The reply will come, and give the credit back.
                PendingState::Waiting(_) => {
                    (None, Some(std::mem::replace(&mut entry.state, PendingState::Abandoned)))
                }
                _ => (pending.remove(self.key), None),
            };
            drop(pending);
            drop(old);
        });
    }
}

/// Runs `f` on shard `to` and gives its result back. Waits for a credit (which reserves the reply slot) before
/// it sends, never while draining. `f` runs to completion inside the drain: it must be short.
///
/// Dropping the future before the call was sent takes it back; after that, it runs and its result is dropped.
pub async fn call<T, F>(to: ShardId, f: F) -> Result<T, MeshError>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    exchange(to, |reply_to| {
        Box::new(move |alive| {
            if alive {
                reply_to.send(Box::new(f()));
            }
        })
    })
    .await
}

/// Like [`call`], but what runs on shard `to` is a task of its own.
pub async fn call_task<T, F, Fut>(to: ShardId, f: F) -> Result<T, MeshError>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
    T: Send + 'static,
{
    exchange(to, |reply_to| {
        Box::new(move |alive| {
            if alive {
                let future = f();
                spawn(Class::Interactive, async move { reply_to.send(Box::new(future.await)) });
            }
        })
    })
    .await
}

/// Whether a [`send`] to shard `to` would be taken now. It stays so until this shard sends there: nobody else fills
/// this ring.
pub fn can_send(to: ShardId) -> bool {
    shard::with(|shard| {
        thread(shard, to).is_ok_and(|to| {
            let calls = &shard.process.grid.lane(usize::from(shard.id.0), to).calls;
            calls.len() < limits::MESH_RING - limits::MESH_CALLS
                && shard.process.running.load(Ordering::Relaxed) > 0
        })
    })
}

/// Sends `f` to shard `to` without a reply and without waiting.
pub fn send<F>(to: ShardId, f: F) -> Result<(), MeshError>
where
    F: FnOnce() + Send + 'static,
{
    shard::with(|shard| {
        let to = thread(shard, to)?;
        let calls = &shard.process.grid.lane(usize::from(shard.id.0), to).calls;
        // The other half of the ring is for those with a credit.
        if calls.len() >= limits::MESH_RING - limits::MESH_CALLS {
            return Err(MeshError::Full);
        }
        if shard.process.running.load(Ordering::Relaxed) == 0 {
            return Err(MeshError::Gone);
        }
        push_call(
            shard,
            to,
            Box::new(move |alive| {
                if alive {
                    f();
                }
            }),
        );
        Ok(())
    })
}

/// Sends `f` to shard `to` without a reply and without waiting; where the ring is full, as soon as there is a place, perhaps
/// after what is sent later. It is lost only with the shard.
pub fn send_in_any_case<F>(to: ShardId, f: F)
where
    F: FnOnce() + Send + 'static,
{
    if can_send(to) {
        let _ = send(to, f);
    } else {
        spawn(Class::Interactive, async move {
            let _ = call(to, f).await;
        });
    }
}

/// Shard-local values by type: how a call that arrives by mesh finds the state of the shard it runs on.
pub mod local {
    use std::any::{Any, TypeId};
    use std::rc::Rc;

    use crate::shard;

    /// Stores the value of this type, replacing an earlier one.
    pub fn set<T: 'static>(value: Rc<T>) {
        let old = shard::with(|shard| {
            let mut locals = shard.locals.borrow_mut();
            let place = locals.iter().position(|(id, _)| *id == TypeId::of::<T>());
            match place {
                Some(place) => Some(std::mem::replace(&mut locals[place].1, value)),
                None => {
                    locals.push((TypeId::of::<T>(), value));
                    None
                }
            }
        });
        drop(old);
    }

    /// The value of this type, if one was stored on this shard.
    pub fn get<T: 'static>() -> Option<Rc<T>> {
        let found: Rc<dyn Any> = shard::with(|shard| {
            let locals = shard.locals.borrow();
            locals.iter().find(|(id, _)| *id == TypeId::of::<T>()).map(|(_, value)| value.clone())
        })?;
        found.downcast().ok()
    }

    /// The value of this type; the first call on a shard makes it.
    pub fn get_or_default<T: Default + 'static>() -> Rc<T> {
        get().unwrap_or_else(|| {
            let value = Rc::new(T::default());
            set(Rc::clone(&value));
            value
        })
    }
}

#[cfg(test)]
mod tests;

//! Delivery: picks attempts up from the queue, carries them out over connections that are used again, reports.
//!
//! A *lane* is a task with one outgoing connection. It takes attempts for its destination as long as some wait,
//! then stays parked with its connection for a while, where the next attempt for the destination finds it.

mod attempt;
mod chunking;
pub mod facts;
mod hosts;
mod next_hop;
mod rendered;
mod report;
mod tell;
mod transaction;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use engine::sync::{Notify, Sender, oneshot};
use engine::task::{Class, Task};
use queue::{Attempt, Destination};
use rustc_hash::FxHashMap;
use spool::Admission;

use crate::limits;
use crate::shard::Shard;
use attempt::Connection;
use chunking::Chunking;
use facts::AttemptFacts;
pub use report::{item_id, message_id};

/// The outgoing side of a shard.
#[derive(Debug, Default)]
pub struct Delivery {
    lanes: RefCell<FxHashMap<u64, Task<()>>>,
    next: Cell<u64>,
    parked: RefCell<FxHashMap<Destination, Vec<Parked>>>,
    parked_count: Cell<usize>,
    changed: Notify,
    chunking: Chunking,
}

/// A lane that waits with an open connection.
#[derive(Debug)]
struct Parked {
    lane: u64,
    wake: Sender<Attempt>,
}

/// The task that gives attempts to lanes, for the life of the shard.
pub async fn pick_up(shard: Rc<Shard>) {
    loop {
        let mut taken = 0;
        while may_pick_up(&shard) {
            let next = shard.queue.borrow_mut().next(engine::time::wall_ms());
            let Some(attempt) = next else { break };
            shard.delivery.give(&shard, attempt);
            taken += 1;
            if taken == limits::PICK_UP_BURST {
                taken = 0;
                engine::task::yield_now().await;
            }
        }
        wait_for_work(&shard).await;
    }
}

fn may_pick_up(shard: &Shard) -> bool {
    !shard.is_stopping() && !shard.is_frozen() && shard.store.admission() != Admission::Unhealthy
}

/// Waits until something may have become due.
async fn wait_for_work(shard: &Shard) {
    if !may_pick_up(shard) {
        // Stopping, or the disk takes no writes: look again now and then.
        let _ = engine::time::timeout(limits::UNHEALTHY_PAUSE, shard.due.notified()).await;
        return;
    }
    let wakeup = shard.queue.borrow().next_wakeup();
    match wakeup {
        None => shard.due.notified().await,
        Some(at_ms) => {
            let wait_ms = at_ms.saturating_sub(engine::time::wall_ms());
            if wait_ms == 0 {
                engine::task::yield_now().await;
                return;
            }
            let _ = engine::time::timeout(Duration::from_millis(wait_ms), shard.due.notified()).await;
        }
    }
}

impl Delivery {
    /// Gives an attempt to a parked lane for its destination, or to a new one.
    fn give(&self, shard: &Rc<Shard>, mut attempt: Attempt) {
        while let Some(parked) = self.unpark(&attempt.destination) {
            match parked.wake.send(attempt) {
                Ok(()) => return,
                // It gave up waiting meanwhile.
                Err(back) => attempt = back,
            }
        }
        let number = self.next.get();
        self.next.set(number + 1);
        let place = Lane { shard: Rc::clone(shard), number };
        let task = engine::task::spawn(Class::Interactive, lane(place, attempt));
        self.lanes.borrow_mut().insert(number, task);
    }

    fn unpark(&self, destination: &Destination) -> Option<Parked> {
        let mut all = self.parked.borrow_mut();
        let waiting = all.get_mut(destination)?;
        // The one that was parked last: its connection is the freshest.
        let parked = waiting.pop();
        if waiting.is_empty() {
            all.remove(destination);
        }
        if parked.is_some() {
            self.parked_count.set(self.parked_count.get() - 1);
        }
        parked
    }

    fn park(&self, destination: &Destination, parked: Parked) {
        self.parked.borrow_mut().entry(destination.clone()).or_default().push(parked);
        self.parked_count.set(self.parked_count.get() + 1);
    }

    /// Takes a lane out of the parked ones, if it still is among them.
    fn leave(&self, destination: &Destination, lane: u64) {
        let mut all = self.parked.borrow_mut();
        let Some(waiting) = all.get_mut(destination) else { return };
        let before = waiting.len();
        waiting.retain(|parked| parked.lane != lane);
        self.parked_count.set(self.parked_count.get() - (before - waiting.len()));
        if waiting.is_empty() {
            all.remove(destination);
        }
    }

    /// Lets parked lanes go; the others end after their attempt.
    pub fn stop(&self) {
        self.parked_count.set(0);
        // Dropping a sender ends its lane's wait.
        let parked = self.parked.take();
        drop(parked);
    }

    /// Waits until no lane is left.
    pub async fn ended(&self) {
        while !self.lanes.borrow().is_empty() {
            self.changed.notified().await;
        }
    }

    /// Drops all lanes where they stand. What they were sending stays queued as it was.
    pub fn abort(&self) {
        for task in self.lanes.borrow().values() {
            task.abort();
        }
    }
}

/// A lane's place in the shard's list; given back on drop, however its task ends.
struct Lane {
    shard: Rc<Shard>,
    number: u64,
}

impl Drop for Lane {
    fn drop(&mut self) {
        let delivery = &self.shard.delivery;
        let task = delivery.lanes.borrow_mut().remove(&self.number);
        drop(task);
        delivery.changed.notify_all();
    }
}

/// The life of a lane.
async fn lane(place: Lane, first: Attempt) {
    let shard = &place.shard;
    let mut connection: Option<Connection> = None;
    let mut next = Some(first);
    while let Some(attempt) = next {
        let destination = attempt.destination.clone();
        carry_out(shard, attempt, &mut connection).await;
        shard.due.notify_one();
        if connection.is_none() || shard.is_stopping() {
            break;
        }
        next = shard.queue.borrow_mut().next_for(&destination, engine::time::wall_ms());
        if next.is_none()
            && let Some(open) = &mut connection
        {
            next = wait_parked(&place, &destination, open).await;
        }
    }
    if let Some(open) = connection {
        open.quit().await;
    }
}

/// One attempt, from next hop to report.
async fn carry_out(shard: &Rc<Shard>, attempt: Attempt, connection: &mut Option<Connection>) {
    let snapshot = shard.snapshot();
    let items: Vec<_> = attempt.recipients.iter().map(|recipient| item_id(recipient.key)).collect();
    // After an abort, a message that may have caused it leaves a mark before it is tried again.
    if let Some(marked) = shard.store.attempt(&items) {
        let _ = marked.await;
    }
    let mut facts = AttemptFacts::default();
    let outcome = match snapshot.routes.get(&*attempt.destination.transport) {
        Some(route) => hosts::run(shard, &attempt, route, connection, &mut facts).await,
        None => {
            *connection = None;
            let text = format!("there is no transport \"{}\"", attempt.destination.transport);
            report::Report::for_all(queue::Outcome::LocalFault(text.into()))
        }
    };
    report::report(shard, &attempt, outcome, &facts);
}

/// Waits with an open connection for an attempt. `None`: nothing came in time, the peer spoke or went, or the
/// shard stops.
async fn wait_parked(place: &Lane, destination: &Destination, open: &mut Connection) -> Option<Attempt> {
    let delivery = &place.shard.delivery;
    if delivery.parked_count.get() >= place.shard.snapshot().pool_size {
        return None;
    }
    let (wake, woken) = oneshot();
    delivery.park(destination, Parked { lane: place.number, wake });
    let mut woken = pin!(woken);
    let first = engine::time::timeout(limits::PARKED_MAX, async {
        let mut disturbed = pin!(open.disturbed());
        poll_fn(|cx| match woken.as_mut().poll(cx) {
            Poll::Ready(attempt) => Poll::Ready(Some(attempt)),
            Poll::Pending => disturbed.as_mut().poll(cx).map(|()| None),
        })
        .await
    });
    match first.await {
        Ok(Some(attempt)) => attempt,
        // An attempt may have been handed over in this very turn. Once this lane has left the parked ones, it
        // either has it or never will.
        Ok(None) | Err(engine::time::Elapsed) => {
            delivery.leave(destination, place.number);
            woken.await
        }
    }
}

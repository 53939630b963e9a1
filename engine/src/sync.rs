//! Waiting within one shard. Nothing here is `Send`.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

pub(crate) mod line;

use line::Line;

/// The sending half of a [`oneshot`].
pub struct Sender<T>(Rc<RefCell<Once<T>>>);

/// The receiving half: a future of `Some(value)`, or `None` when the sender is gone.
pub struct Receiver<T>(Rc<RefCell<Once<T>>>);

enum Once<T> {
    Empty,
    Awaited(Waker),
    Sent(T),
    /// One half is gone, or the value was taken.
    Closed,
}

/// One value, once.
pub fn oneshot<T>() -> (Sender<T>, Receiver<T>) {
    let once = Rc::new(RefCell::new(Once::Empty));
    (Sender(once.clone()), Receiver(once))
}

impl<T> Sender<T> {
    /// Delivers; gives the value back when the receiver is gone.
    pub fn send(self, value: T) -> Result<(), T> {
        let mut once = self.0.borrow_mut();
        if matches!(*once, Once::Closed) {
            return Err(value);
        }
        let old = std::mem::replace(&mut *once, Once::Sent(value));
        drop(once);
        if let Once::Awaited(waker) = old {
            waker.wake();
        }
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut once = self.0.borrow_mut();
        if matches!(*once, Once::Sent(_)) {
            return;
        }
        let old = std::mem::replace(&mut *once, Once::Closed);
        drop(once);
        if let Once::Awaited(waker) = old {
            waker.wake();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let old = self.0.replace(Once::Closed);
        drop(old);
    }
}

impl<T> Future for Receiver<T> {
    type Output = Option<T>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut once = self.0.borrow_mut();
        let (next, result) = match std::mem::replace(&mut *once, Once::Closed) {
            Once::Sent(value) => (Once::Closed, Poll::Ready(Some(value))),
            Once::Closed => (Once::Closed, Poll::Ready(None)),
            Once::Empty | Once::Awaited(_) => (Once::Awaited(cx.waker().clone()), Poll::Pending),
        };
        *once = next;
        result
    }
}

impl<T> std::fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sender")
    }
}

impl<T> std::fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Receiver")
    }
}

/// Wakes tasks that wait for a change.
#[derive(Debug, Default)]
pub struct Notify {
    line: Line<()>,
    /// A `notify_one` that found nobody.
    kept: std::cell::Cell<bool>,
}

impl Notify {
    /// A new one.
    pub fn new() -> Self {
        Notify::default()
    }
    /// Waits for the next `notify_*`; a `notify_one` with nobody waiting is kept for the next waiter.
    pub async fn notified(&self) {
        if self.kept.take() {
            return;
        }
        // One that was told and is dropped before it could see that tells the next.
        self.line.wait((), || self.notify_one()).await;
    }
    /// Wakes the longest waiter.
    pub fn notify_one(&self) {
        if !self.line.release_first() {
            self.kept.set(true);
        }
    }
    /// Wakes all present waiters.
    pub fn notify_all(&self) {
        self.line.release_all();
    }
}

/// Counts permits; first come, first served.
#[derive(Debug, Clone)]
pub struct Semaphore(Rc<Permits>);

#[derive(Debug)]
struct Permits {
    free: std::cell::Cell<usize>,
    line: Line<()>,
}

/// One permit of a [`Semaphore`]; given back on drop.
#[derive(Debug)]
pub struct Permit(Rc<Permits>);

impl Semaphore {
    /// With `permits` permits.
    pub fn new(permits: usize) -> Self {
        Semaphore(Rc::new(Permits { free: std::cell::Cell::new(permits), line: Line::default() }))
    }
    /// Waits for a permit.
    pub async fn acquire(&self) -> Permit {
        if let Some(permit) = self.try_acquire() {
            return permit;
        }
        // The permit is handed to the first of the line without becoming free.
        self.0.line.wait((), || self.0.give_back()).await;
        Permit(self.0.clone())
    }
    /// A permit, if one is free.
    pub fn try_acquire(&self) -> Option<Permit> {
        let left = self.0.free.get().checked_sub(1)?;
        self.0.free.set(left);
        Some(Permit(self.0.clone()))
    }
    /// Permits that are free.
    pub fn available(&self) -> usize {
        self.0.free.get()
    }
}

impl Permits {
    fn give_back(&self) {
        if !self.line.release_first() {
            self.free.set(self.free.get() + 1);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

#[cfg(test)]
mod tests;

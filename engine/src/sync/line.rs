//! Those who wait, in order of arrival.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A line of waiters, each with what it wants. Costs no memory while nobody waits.
pub(crate) struct Line<N> {
    /// In order of their tickets.
    waiting: RefCell<VecDeque<Waiter<N>>>,
    next_ticket: Cell<u64>,
}

struct Waiter<N> {
    ticket: u64,
    wants: N,
    waker: Waker,
}

impl<N> Default for Line<N> {
    fn default() -> Self {
        Line { waiting: RefCell::default(), next_ticket: Cell::new(0) }
    }
}

impl<N> std::fmt::Debug for Line<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Line({} waiting)", self.waiting.borrow().len())
    }
}

impl<N: Copy> Line<N> {
    /// Waits at the end of the line until released. When the future is dropped after its release but before it
    /// could see it, `pass_on` is called.
    pub(crate) fn wait<F: Fn()>(&self, wants: N, pass_on: F) -> Wait<'_, N, F> {
        Wait { line: self, wants, ticket: None, pass_on }
    }

    /// What the first one wants.
    pub(crate) fn first(&self) -> Option<N> {
        self.waiting.borrow().front().map(|waiter| waiter.wants)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// Releases the first one; false when there is none.
    pub(crate) fn release_first(&self) -> bool {
        let first = self.pop();
        first.map(|waiter| waiter.waker.wake()).is_some()
    }

    /// Releases all who wait now.
    pub(crate) fn release_all(&self) {
        let all = self.waiting.take();
        all.into_iter().for_each(|waiter| waiter.waker.wake());
    }

    fn pop(&self) -> Option<Waiter<N>> {
        let mut waiting = self.waiting.borrow_mut();
        let first = waiting.pop_front();
        if waiting.is_empty() {
            *waiting = VecDeque::new();
        }
        first
    }
}

/// See [`Line::wait`].
pub(crate) struct Wait<'a, N: Copy, F: Fn()> {
    line: &'a Line<N>,
    wants: N,
    /// Set while in the line, or released without having seen it.
    ticket: Option<u64>,
    pass_on: F,
}

impl<N: Copy, F: Fn()> Unpin for Wait<'_, N, F> {}

impl<N: Copy, F: Fn()> Future for Wait<'_, N, F> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.line.waiting.borrow_mut();
        let Some(ticket) = self.ticket else {
            let ticket = self.line.next_ticket.get();
            self.line.next_ticket.set(ticket + 1);
            waiting.push_back(Waiter { ticket, wants: self.wants, waker: cx.waker().clone() });
            drop(waiting);
            self.ticket = Some(ticket);
            return Poll::Pending;
        };
        match waiting.binary_search_by_key(&ticket, |waiter| waiter.ticket) {
            Ok(place) => {
                waiting[place].waker.clone_from(cx.waker());
                Poll::Pending
            }
            Err(_) => {
                drop(waiting);
                self.ticket = None;
                Poll::Ready(())
            }
        }
    }
}

impl<N: Copy, F: Fn()> Drop for Wait<'_, N, F> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut waiting = self.line.waiting.borrow_mut();
        let place = waiting.binary_search_by_key(&ticket, |waiter| waiter.ticket);
        let waiter = place.ok().and_then(|place| waiting.remove(place));
        drop(waiting);
        if waiter.is_none() {
            (self.pass_on)();
        }
    }
}

//! Byte accounting: a budget is a number of bytes of one shard that may be in use at once.

use std::cell::Cell;
use std::rc::Rc;

use crate::sync::line::Line;

/// A bounded number of bytes. Cheap to clone: clones share the count.
#[derive(Clone, Debug)]
pub struct Budget(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    capacity: usize,
    used: Cell<usize>,
    /// Each with the bytes it wants.
    line: Line<usize>,
}

/// Bytes taken from a [`Budget`]; given back on drop.
#[derive(Debug)]
pub struct Reservation {
    budget: Rc<Shared>,
    bytes: usize,
}

impl Budget {
    /// A budget of `capacity_bytes`.
    pub fn new(capacity_bytes: usize) -> Self {
        Budget(Rc::new(Shared { capacity: capacity_bytes, used: Cell::new(0), line: Line::default() }))
    }
    /// Takes `bytes`, or none when they do not fit now, or others wait for theirs.
    pub fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        let free = self.0.line.is_empty() && self.0.fits(bytes);
        free.then(|| self.0.take(bytes))
    }
    /// Takes `bytes`, waiting in order of arrival until they fit. More than the capacity fits once nothing else is
    /// in use.
    pub async fn reserve(&self, bytes: usize) -> Reservation {
        let shared = &self.0;
        if shared.line.is_empty() && (shared.fits(bytes) || shared.used.get() == 0) {
            return shared.take(bytes);
        }
        // Who is released has its bytes already counted.
        shared.line.wait(bytes, || shared.give_back(bytes)).await;
        Reservation { budget: shared.clone(), bytes }
    }
    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.0.used.get()
    }
    /// Most bytes that may be in use.
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }
}

impl Shared {
    fn fits(&self, bytes: usize) -> bool {
        self.used.get().checked_add(bytes).is_some_and(|used| used <= self.capacity)
    }

    fn take(self: &Rc<Self>, bytes: usize) -> Reservation {
        self.used.set(self.used.get() + bytes);
        Reservation { budget: self.clone(), bytes }
    }

    fn give_back(&self, bytes: usize) {
        self.used.set(self.used.get() - bytes);
        while let Some(wanted) = self.line.first().filter(|&wanted| self.fits(wanted) || self.used.get() == 0)
        {
            self.used.set(self.used.get() + wanted);
            self.line.release_first();
        }
    }
}

impl Reservation {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
    /// Takes `more` bytes on top; false (and unchanged) when they do not fit.
    pub fn try_grow(&mut self, more: usize) -> bool {
        let fits = self.budget.fits(more);
        if fits {
            self.budget.used.set(self.budget.used.get() + more);
            self.bytes += more;
        }
        fits
    }
    /// Gives back all but `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        if let Some(less) = self.bytes.checked_sub(bytes).filter(|&less| less > 0) {
            self.bytes = bytes;
            self.budget.give_back(less);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.give_back(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests;

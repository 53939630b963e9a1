//! Byte accounting: a budget is a number of bytes of one shard that may be in use at once.

/// A bounded number of bytes. Cheap to clone: clones share the count.
#[derive(Clone, Debug)]
pub struct Budget;

/// Bytes taken from a [`Budget`]; given back on drop.
#[derive(Debug)]
pub struct Reservation;

impl Budget {
    /// A budget of `capacity_bytes`.
    pub fn new(capacity_bytes: usize) -> Self {
        todo!()
    }
    /// Takes `bytes`, or none when they do not fit now.
    pub fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        todo!()
    }
    /// Takes `bytes`, waiting in order of arrival until they fit.
    pub async fn reserve(&self, bytes: usize) -> Reservation {
        todo!()
    }
    /// Bytes in use.
    pub fn used(&self) -> usize {
        todo!()
    }
    /// Most bytes that may be in use.
    pub fn capacity(&self) -> usize {
        todo!()
    }
}

impl Reservation {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        todo!()
    }
    /// Takes `more` bytes on top; false (and unchanged) when they do not fit.
    pub fn try_grow(&mut self, more: usize) -> bool {
        todo!()
    }
    /// Gives back all but `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        todo!()
    }
}

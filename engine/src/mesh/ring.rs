//! A bounded ring with one producer and one consumer.

#[cfg(not(loom))]
use std::{
    cell::UnsafeCell,
    sync::atomic::{AtomicUsize, Ordering},
};

#[cfg(loom)]
use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicUsize, Ordering},
};

use std::mem::MaybeUninit;

/// A line of its own for each side, so that they do not fight over it (two, as processors fetch pairs).
#[repr(align(128))]
struct Padded<T>(T);

/// See the module. Head and tail count without end; their difference is the number of values.
pub(crate) struct Ring<T> {
    /// Next to take. Written by the consumer.
    head: Padded<AtomicUsize>,
    /// Next to fill. Written by the producer.
    tail: Padded<AtomicUsize>,
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: values cross from the producer's thread to the consumer's, and each slot is touched by one side at a time:
// by the producer while it lies outside head..tail, by the consumer while inside.
unsafe impl<T: Send> Sync for Ring<T> {}
// SAFETY: it owns its values.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T> Ring<T> {
    /// `capacity` is a power of two.
    pub(crate) fn new(capacity: usize) -> Self {
        assert!(capacity.is_power_of_two());
        Ring {
            head: Padded(AtomicUsize::new(0)),
            tail: Padded(AtomicUsize::new(0)),
            slots: (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
        }
    }

    /// Values inside, at least or at most as many as there are, depending on which side asks.
    pub(crate) fn len(&self) -> usize {
        self.tail.0.load(Ordering::Acquire).wrapping_sub(self.head.0.load(Ordering::Acquire))
    }

    /// Appends, or gives the value back when the ring is full.
    ///
    /// # Safety
    /// Only one thread at a time pushes.
    pub(crate) unsafe fn push(&self, value: T) -> Result<(), T> {
        let tail = self.tail.0.load(Ordering::Relaxed);
        // Acquire: the consumer is done with the slot before it is filled again.
        if tail.wrapping_sub(self.head.0.load(Ordering::Acquire)) == self.slots.len() {
            return Err(value);
        }
        self.with_slot(tail, |slot| {
            // SAFETY: the slot lies outside head..tail, so the consumer does not touch it, and no other producer
            // exists (the caller's promise).
            unsafe { (*slot).write(value) };
        });
        // Release: the value is there before the consumer sees the new tail.
        self.tail.0.store(tail.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// Takes the oldest value.
    ///
    /// # Safety
    /// Only one thread at a time pops.
    pub(crate) unsafe fn pop(&self) -> Option<T> {
        let head = self.head.0.load(Ordering::Relaxed);
        if head == self.tail.0.load(Ordering::Acquire) {
            return None;
        }
        let mut value = None;
        self.with_slot(head, |slot| {
            // SAFETY: the slot lies inside head..tail: filled by the producer, which does not touch it before the
            // head has moved; no other consumer exists (the caller's promise), so the value is taken once.
            value = Some(unsafe { (*slot).assume_init_read() });
        });
        self.head.0.store(head.wrapping_add(1), Ordering::Release);
        value
    }

    #[cfg(not(loom))]
    fn with_slot(&self, position: usize, f: impl FnOnce(*mut MaybeUninit<T>)) {
        f(self.slots[position & (self.slots.len() - 1)].get());
    }

    #[cfg(loom)]
    fn with_slot(&self, position: usize, f: impl FnOnce(*mut MaybeUninit<T>)) {
        self.slots[position & (self.slots.len() - 1)].with_mut(f);
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // SAFETY: nobody else has it any more.
        while unsafe { self.pop() }.is_some() {}
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn values_come_in_order_and_a_full_ring_gives_them_back() {
        let ring = Ring::new(4);
        for round in 0..10 {
            // SAFETY: one thread.
            unsafe {
                for n in 0..4 {
                    assert_eq!(ring.push(round * 4 + n), Ok(()));
                }
                assert_eq!(ring.push(99), Err(99));
                assert_eq!(ring.len(), 4);
                for n in 0..4 {
                    assert_eq!(ring.pop(), Some(round * 4 + n));
                }
                assert_eq!(ring.pop(), None);
            }
        }
    }

    #[test]
    fn what_is_left_is_dropped_with_the_ring() {
        let value = Arc::new(());
        let ring = Ring::new(4);
        // SAFETY: one thread.
        unsafe {
            assert!(ring.push(value.clone()).is_ok() && ring.push(value.clone()).is_ok());
            drop(ring.pop());
        }
        assert_eq!(Arc::strong_count(&value), 2);
        drop(ring);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn two_threads_pass_every_value_once_and_in_order() {
        let count = if cfg!(miri) { 200 } else { 200_000 };
        let ring = Arc::new(Ring::new(8));
        let producer = ring.clone();
        let thread = std::thread::spawn(move || {
            for n in 0..count {
                let mut value = Box::new(n);
                // SAFETY: this thread alone pushes.
                while let Err(back) = unsafe { producer.push(value) } {
                    value = back;
                    std::thread::yield_now();
                }
            }
        });
        for n in 0..count {
            // SAFETY: this thread alone pops.
            let value = std::iter::from_fn(|| Some(unsafe { ring.pop() })).flatten().next();
            assert_eq!(value, Some(Box::new(n)));
        }
        thread.join().expect("the producer ends");
    }
}

/// `RUSTFLAGS="--cfg loom" cargo test -p engine --lib loom`
#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;

    #[test]
    fn loom_every_interleaving_passes_each_value_once() {
        loom::model(|| {
            let ring = Arc::new(Ring::new(1));
            let producer = ring.clone();
            let thread = loom::thread::spawn(move || {
                for n in 0..2 {
                    let mut value = Box::new(n);
                    // SAFETY: this thread alone pushes.
                    while let Err(back) = unsafe { producer.push(value) } {
                        value = back;
                        loom::thread::yield_now();
                    }
                }
            });
            for n in 0..2 {
                // SAFETY: this thread alone pops.
                let value = loop {
                    match unsafe { ring.pop() } {
                        Some(value) => break value,
                        None => loom::thread::yield_now(),
                    }
                };
                assert_eq!(*value, n);
            }
            thread.join().expect("the producer ends");
        });
    }
}

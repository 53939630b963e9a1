//! How a shard learns that something has come for it, asleep or awake: without a lock, and without a wake for each.

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// What others have marked, and whether the shard sleeps.
///
/// Who has something for the shard marks it, then looks whether it sleeps; the shard says that it sleeps, then looks
/// for marks. With a fence between the two steps on either side, one of the two sees the other.
pub(crate) struct Attention {
    /// One bit per thread whose ring to this one was written to.
    dirty: Box<[AtomicU64]>,
    /// The locked list has something.
    letters: AtomicBool,
    sleeping: AtomicBool,
}

impl Attention {
    pub(crate) fn new(threads: usize) -> Self {
        Attention {
            dirty: (0..threads.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            letters: AtomicBool::new(false),
            sleeping: AtomicBool::new(false),
        }
    }

    // ---- from any thread. True: the shard slept, and it is for the caller to wake it. Only one caller gets that.

    /// Thread `from` has written to its ring.
    pub(crate) fn mark_ring(&self, from: usize) -> bool {
        // Release: who sees the mark sees what is in the ring.
        self.dirty[from / 64].fetch_or(1 << (from % 64), Ordering::Release);
        self.take_sleeping()
    }

    /// The locked list was written to.
    pub(crate) fn mark_letters(&self) -> bool {
        self.letters.store(true, Ordering::Release);
        self.take_sleeping()
    }

    fn take_sleeping(&self) -> bool {
        fence(Ordering::SeqCst);
        self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn is_asleep(&self) -> bool {
        self.sleeping.load(Ordering::Relaxed)
    }

    // ---- from the shard

    /// Takes the marks of 64 threads.
    pub(crate) fn take_dirty(&self, word: usize) -> u64 {
        let word = &self.dirty[word];
        if word.load(Ordering::Relaxed) == 0 { 0 } else { word.swap(0, Ordering::Acquire) }
    }

    pub(crate) fn dirty_words(&self) -> usize {
        self.dirty.len()
    }

    /// Takes the mark of the locked list.
    pub(crate) fn take_letters(&self) -> bool {
        self.letters.load(Ordering::Relaxed) && self.letters.swap(false, Ordering::Acquire)
    }

    pub(crate) fn is_marked(&self) -> bool {
        self.letters.load(Ordering::Relaxed)
            || self.dirty.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    }

    /// Goes to sleep, unless something is marked.
    pub(crate) fn try_sleep(&self) -> bool {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.is_marked() {
            self.awake();
            return false;
        }
        true
    }

    /// Is awake, by whatever it was woken.
    pub(crate) fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_mark_keeps_the_shard_awake_and_wakes_a_sleeper_once() {
        let attention = Attention::new(130);
        assert!(!attention.mark_ring(129), "it does not sleep");
        assert!(!attention.try_sleep());
        assert_eq!((attention.take_dirty(0), attention.take_dirty(2)), (0, 2));
        assert!(attention.try_sleep());
        assert!(attention.mark_letters() && !attention.mark_ring(5), "the first wakes");
        attention.awake();
        assert!(attention.take_letters() && !attention.take_letters());
        assert!(attention.is_marked());
        assert_eq!(attention.take_dirty(0), 1 << 5);
        assert!(attention.try_sleep());
    }

    /// A lost wake leaves the sleeper asleep. (loom cannot model this: it lets two read-modify-writes of one atomic
    /// read the same store.)
    #[test]
    fn a_shard_that_goes_to_sleep_misses_nothing() {
        let rounds = if cfg!(miri) { 50 } else { 100_000 };
        let attention = Arc::new(Attention::new(1));
        let (producer, sleeper) = (attention.clone(), std::thread::current());
        let seen = Arc::new(AtomicU64::new(0));
        let taken = seen.clone();
        let thread = std::thread::spawn(move || {
            for round in 0..rounds {
                if producer.mark_ring(0) {
                    sleeper.unpark();
                }
                // The next mark comes while the other goes to sleep.
                while taken.load(Ordering::Relaxed) <= round {
                    std::hint::spin_loop();
                    if round % 64 == 0 {
                        std::thread::yield_now();
                    }
                }
            }
        });
        for round in 1..=rounds {
            while attention.take_dirty(0) == 0 {
                if attention.try_sleep() {
                    let asleep = std::time::Instant::now();
                    while attention.sleeping.load(Ordering::Relaxed) {
                        std::thread::park_timeout(Duration::from_secs(20));
                        assert!(
                            asleep.elapsed() < Duration::from_secs(20),
                            "a wake was lost in round {round}"
                        );
                    }
                }
            }
            seen.store(round, Ordering::Relaxed);
        }
        thread.join().expect("the producer ends");
    }
}

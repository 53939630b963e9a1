//! What is counted by client address over all shards: open connections, failed logins.
//!
//! Both are tables of a fixed size whose slots are single atomic words, so that no shard ever waits for another. A slot
//! names its key by some bits of a keyed hash. Where a bucket of slots is full, connections go uncounted and the
//! oldest failures are forgotten: the tables bound memory, not truth.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::{ADDRESS_BUCKETS, ADDRESS_SLOTS, AUTH_FAILURE_WINDOW, AUTH_FAILURES_PER_ADDRESS};

/// Open connections of each address to each server.
#[derive(Debug)]
pub struct Crowd(Table);

/// A connection that is counted; no longer, once dropped.
#[derive(Debug)]
pub struct Counted {
    crowd: Arc<Crowd>,
    slot: usize,
}

/// Failed logins of each address, IPv6 by /64.
#[derive(Debug)]
pub struct Failures(Table);

#[derive(Debug)]
struct Table {
    slots: Box<[AtomicU64]>,
    keys: std::hash::RandomState,
}

/// Bits of a connection slot that count.
const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

impl Crowd {
    /// An empty one.
    pub fn new() -> Arc<Crowd> {
        Arc::new(Crowd(Table::new()))
    }

    /// Counts a connection unless there are `max` of its address to this server already. `Ok(None)`: it is not
    /// counted, for want of room.
    ///
    /// # Errors
    /// There are so many.
    pub fn enter(
        self: &Arc<Self>,
        server: usize,
        address: IpAddr,
        max: u32,
    ) -> Result<Option<Counted>, TooMany> {
        let (bucket, hash) = self.0.bucket(&(server, address.to_canonical()));
        let tag = hash >> COUNT_BITS | 1;
        'again: loop {
            let mut free = None;
            for slot in bucket.clone() {
                let seen = self.0.slots[slot].load(Ordering::Relaxed);
                if seen >> COUNT_BITS == tag {
                    let count = seen & COUNT_MASK;
                    if count >= u64::from(max) {
                        return Err(TooMany);
                    }
                    if self.0.change(slot, seen, seen + 1) {
                        return Ok(Some(Counted { crowd: Arc::clone(self), slot }));
                    }
                    continue 'again;
                }
                if seen == 0 && free.is_none() {
                    free = Some(slot);
                }
            }
            let Some(slot) = free else { return Ok(None) };
            if self.0.change(slot, 0, tag << COUNT_BITS | 1) {
                return Ok(Some(Counted { crowd: Arc::clone(self), slot }));
            }
        }
    }
}

/// See [`Crowd::enter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl Drop for Counted {
    fn drop(&mut self) {
        let table = &self.crowd.0;
        loop {
            let seen = table.slots[self.slot].load(Ordering::Relaxed);
            let left = if seen & COUNT_MASK == 1 { 0 } else { seen - 1 };
            if table.change(self.slot, seen, left) {
                return;
            }
        }
    }
}

/// A failure slot: 32 bits of tag, 24 of the second in which the window began, 8 of count.
#[derive(Clone, Copy)]
struct Window {
    tag: u64,
    start_s: u64,
    count: u64,
}

const START_MASK: u64 = (1 << 24) - 1;

impl Window {
    fn unpack(word: u64) -> Window {
        Window { tag: word >> 32, start_s: word >> 8 & START_MASK, count: word & 0xff }
    }

    fn pack(self) -> u64 {
        self.tag << 32 | (self.start_s & START_MASK) << 8 | self.count.min(0xff)
    }

    /// Whether its time is over: a step of the clock back ends it, too.
    fn is_over(self, now_s: u64) -> bool {
        now_s.wrapping_sub(self.start_s) & START_MASK >= AUTH_FAILURE_WINDOW.as_secs()
    }
}

impl Failures {
    /// An empty one.
    pub fn new() -> Arc<Failures> {
        Arc::new(Failures(Table::new()))
    }

    /// Counts a failure. From the [`AUTH_FAILURES_PER_ADDRESS`]th within [`AUTH_FAILURE_WINDOW`] on the address is
    /// blocked for as long again.
    pub fn count(&self, address: IpAddr, now_s: u64) {
        let (bucket, hash) = self.0.bucket(&network(address));
        let tag = hash >> 32 | 1;
        loop {
            let (slot, seen) = self.choose(bucket.clone(), tag, now_s);
            let before = Window::unpack(seen);
            let mut after = Window { tag, start_s: now_s, count: 1 };
            if before.tag == tag && !before.is_over(now_s) {
                after = Window { count: before.count + 1, ..before };
                if after.count >= AUTH_FAILURES_PER_ADDRESS {
                    after.start_s = now_s;
                }
            }
            if self.0.change(slot, seen, after.pack()) {
                return;
            }
        }
    }

    /// Whether the address may not log in now.
    pub fn is_blocked(&self, address: IpAddr, now_s: u64) -> bool {
        let (mut bucket, hash) = self.0.bucket(&network(address));
        let tag = hash >> 32 | 1;
        bucket.any(|slot| {
            let window = Window::unpack(self.0.slots[slot].load(Ordering::Relaxed));
            window.tag == tag && window.count >= AUTH_FAILURES_PER_ADDRESS && !window.is_over(now_s)
        })
    }

    /// The slot of this tag, or else the one that is missed least: free, over, or with the fewest failures.
    fn choose(&self, bucket: std::ops::Range<usize>, tag: u64, now_s: u64) -> (usize, u64) {
        let slots = bucket.map(|slot| (slot, self.0.slots[slot].load(Ordering::Relaxed)));
        let worth = |&(_, word): &(usize, u64)| {
            let window = Window::unpack(word);
            match () {
                () if word != 0 && window.tag == tag => 0,
                () if word == 0 || window.is_over(now_s) => 1,
                () => 1 + window.count,
            }
        };
        slots.min_by_key(worth).expect("a bucket has slots")
    }
}

impl Table {
    fn new() -> Table {
        let slots = (0..ADDRESS_BUCKETS * ADDRESS_SLOTS).map(|_| AtomicU64::new(0)).collect();
        Table { slots, keys: std::hash::RandomState::new() }
    }

    /// The slots that a key can be in, and its hash.
    fn bucket(&self, key: &impl std::hash::Hash) -> (std::ops::Range<usize>, u64) {
        let hash = self.keys.hash_one(key);
        let start = hash as usize % ADDRESS_BUCKETS * ADDRESS_SLOTS;
        (start..start + ADDRESS_SLOTS, hash)
    }

    fn change(&self, slot: usize, from: u64, to: u64) -> bool {
        self.slots[slot].compare_exchange_weak(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// Who is one client where many addresses are as good as one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn connections_of_an_address_are_counted_until_they_close() {
        let crowd = Crowd::new();
        let one = address("192.0.2.1");
        let first = crowd.enter(0, one, 2).expect("room");
        let second = crowd.enter(0, address("::ffff:192.0.2.1"), 2).expect("room");
        assert!(first.is_some() && second.is_some());
        assert_eq!(crowd.enter(0, one, 2).err(), Some(TooMany));
        assert!(crowd.enter(1, one, 2).is_ok(), "another server");
        assert!(crowd.enter(0, address("192.0.2.2"), 2).is_ok(), "another address");
        drop(first);
        let third = crowd.enter(0, one, 2).expect("room again");
        drop((second, third));
        assert!(crowd.0.slots.iter().all(|slot| slot.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn threads_that_count_the_same_address_lose_none() {
        let crowd = Crowd::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let held = crowd.enter(0, address("2001:db8::1"), 100);
                        assert!(held.is_ok());
                    }
                });
            }
        });
        assert!(crowd.0.slots.iter().all(|slot| slot.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn twenty_failures_in_ten_minutes_block_the_network_for_ten_more() {
        let failures = Failures::new();
        let (one, neighbour) = (address("2001:db8::1"), address("2001:db8::ffff"));
        for second in 0..19 {
            failures.count(one, 1000 + second);
        }
        assert!(!failures.is_blocked(one, 1019));
        failures.count(neighbour, 1500);
        assert!(failures.is_blocked(one, 1500) && failures.is_blocked(neighbour, 2099));
        assert!(!failures.is_blocked(address("2001:db8:0:1::1"), 1500));
        assert!(!failures.is_blocked(one, 2100));
        failures.count(one, 2100);
        assert!(!failures.is_blocked(one, 2100), "a new window");
    }

    #[test]
    fn failures_that_are_long_past_do_not_add_up() {
        let failures = Failures::new();
        for round in 0..10 {
            (0..19).for_each(|_| failures.count(address("192.0.2.1"), round * 600));
            assert!(!failures.is_blocked(address("192.0.2.1"), round * 600));
        }
    }

    #[test]
    fn a_full_bucket_forgets_those_with_the_fewest_failures() {
        let failures = Failures::new();
        let culprit = address("192.0.2.1");
        (0..20).for_each(|_| failures.count(culprit, 0));
        for number in 0..200_000u32 {
            failures.count(IpAddr::V4((0x0a00_0000 + number).into()), 1);
        }
        assert!(failures.is_blocked(culprit, 2));
    }
}

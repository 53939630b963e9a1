//! Who holds which lock of this shard, and who waits for it. No clock, no engine: the callers bring both.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::ExecutionId;
use crate::limits;

/// What can be locked: a key of shared memory (a barrier is one, too), or an entry of a cache that is being computed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LockKey {
    space: Space,
    name: Arc<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Space {
    Memory,
    Cache,
}

impl LockKey {
    /// The lock of a key of shared memory.
    pub fn memory(key: &[u8]) -> LockKey {
        LockKey { space: Space::Memory, name: key.into() }
    }

    /// The lock of an entry of a bucket.
    pub fn cache(bucket: &[u8], key: &[u8]) -> LockKey {
        let length = (bucket.len() as u64).to_be_bytes();
        LockKey { space: Space::Cache, name: [&length[..], bucket, key].concat().into() }
    }

    /// What decides on which shard the lock lives. An entry of a cache lives where its bucket does.
    pub(crate) fn place(&self) -> &[u8] {
        match self.space {
            Space::Memory => &self.name,
            Space::Cache => {
                let (length, rest) = self.name.split_first_chunk::<8>().expect("made above");
                &rest[..u64::from_be_bytes(*length) as usize]
            }
        }
    }
}

/// One wish of one execution for one lock. The serial number tells it from earlier wishes of the same execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who.
    pub execution: ExecutionId,
    /// Counts the claims of that execution's shard.
    pub serial: u64,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The lock is held.
    Granted,
    /// It will be granted when all before it have let go.
    Queued,
    /// Too many wait.
    Refused,
}

/// The locks of one shard.
#[derive(Debug, Default)]
pub struct Locks {
    locks: HashMap<LockKey, Lock>,
    /// Locks that an execution holds or waits for.
    by_execution: HashMap<ExecutionId, Vec<LockKey>>,
}

#[derive(Debug)]
struct Lock {
    holder: Claim,
    waiting: VecDeque<Claim>,
}

impl Locks {
    /// Asks for a lock, first come, first served. Who holds it already holds it under the new claim.
    pub fn acquire(&mut self, key: &LockKey, claim: Claim) -> Acquired {
        let Some(lock) = self.locks.get_mut(key) else {
            self.locks.insert(key.clone(), Lock { holder: claim, waiting: VecDeque::new() });
            self.by_execution.entry(claim.execution).or_default().push(key.clone());
            return Acquired::Granted;
        };
        if lock.holder.execution == claim.execution {
            lock.holder = claim;
            return Acquired::Granted;
        }
        if lock.waiting.len() >= limits::LOCK_WAITERS_MAX {
            return Acquired::Refused;
        }
        lock.waiting.push_back(claim);
        self.by_execution.entry(claim.execution).or_default().push(key.clone());
        Acquired::Queued
    }

    /// Lets go of a lock, or of the wish for it. Gives the claim that holds the lock now, if that is a new one. A claim
    /// that neither holds nor waits changes nothing.
    pub fn release(&mut self, key: &LockKey, claim: Claim) -> Option<Claim> {
        let lock = self.locks.get_mut(key)?;
        if lock.holder == claim {
            self.forget(claim.execution, key);
            return self.pass_on(key);
        }
        let place = lock.waiting.iter().position(|waiting| *waiting == claim)?;
        lock.waiting.remove(place);
        self.forget(claim.execution, key);
        None
    }

    /// An execution has ended: lets go of all that it holds and waits for. Gives the new holders.
    pub fn release_all(&mut self, execution: ExecutionId) -> Vec<Claim> {
        let keys = self.by_execution.remove(&execution).unwrap_or_default();
        let mut granted = Vec::new();
        for key in keys {
            let Some(lock) = self.locks.get_mut(&key) else { continue };
            lock.waiting.retain(|waiting| waiting.execution != execution);
            if lock.holder.execution == execution
                && let Some(claim) = self.pass_on(&key)
            {
                granted.push(claim);
            }
        }
        granted
    }

    /// Who holds a lock.
    pub fn holder(&self, key: &LockKey) -> Option<ExecutionId> {
        self.locks.get(key).map(|lock| lock.holder.execution)
    }

    /// Locks that are held.
    pub fn len(&self) -> usize {
        self.locks.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.locks.is_empty()
    }

    fn pass_on(&mut self, key: &LockKey) -> Option<Claim> {
        let lock = self.locks.get_mut(key)?;
        match lock.waiting.pop_front() {
            Some(next) => {
                lock.holder = next;
                Some(next)
            }
            None => {
                self.locks.remove(key);
                None
            }
        }
    }

    fn forget(&mut self, execution: ExecutionId, key: &LockKey) {
        if let Some(keys) = self.by_execution.get_mut(&execution) {
            keys.retain(|other| other != key);
            if keys.is_empty() {
                self.by_execution.remove(&execution);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(number: u64, serial: u64) -> Claim {
        Claim { execution: ExecutionId { shard: 0, number }, serial }
    }

    #[test]
    fn a_lock_goes_to_those_who_wait_in_their_order() {
        let mut locks = Locks::default();
        let key = LockKey::memory(b"k");
        assert_eq!(locks.acquire(&key, claim(1, 1)), Acquired::Granted);
        assert_eq!(locks.acquire(&key, claim(2, 2)), Acquired::Queued);
        assert_eq!(locks.acquire(&key, claim(3, 3)), Acquired::Queued);
        assert_eq!(locks.acquire(&key, claim(4, 4)), Acquired::Queued);
        assert_eq!(locks.release(&key, claim(3, 3)), None, "it gave up");
        assert_eq!(locks.release(&key, claim(9, 9)), None, "it has nothing to do with it");
        assert_eq!(locks.holder(&key), Some(claim(1, 1).execution));
        assert_eq!(locks.release(&key, claim(1, 1)), Some(claim(2, 2)));
        assert_eq!(locks.release(&key, claim(2, 2)), Some(claim(4, 4)));
        assert_eq!(locks.release(&key, claim(4, 4)), None);
        assert!(locks.is_empty() && locks.by_execution.is_empty());
    }

    #[test]
    fn a_late_release_of_an_earlier_claim_changes_nothing() {
        let mut locks = Locks::default();
        let key = LockKey::memory(b"k");
        locks.acquire(&key, claim(1, 1));
        assert_eq!(locks.acquire(&key, claim(1, 2)), Acquired::Granted);
        assert_eq!(locks.release(&key, claim(1, 1)), None);
        assert_eq!(locks.holder(&key), Some(claim(1, 2).execution));
        locks.release(&key, claim(1, 2));
        assert_eq!(locks.holder(&key), None);
    }

    #[test]
    fn who_ends_lets_go_of_all() {
        let mut locks = Locks::default();
        let (a, b) = (LockKey::memory(b"a"), LockKey::cache(b"b", b"a"));
        locks.acquire(&a, claim(1, 1));
        locks.acquire(&b, claim(2, 2));
        locks.acquire(&b, claim(1, 3));
        locks.acquire(&a, claim(2, 4));
        locks.acquire(&a, claim(3, 5));
        assert_eq!(locks.release_all(claim(2, 0).execution), [claim(1, 3)]);
        assert_eq!(locks.release_all(claim(1, 0).execution), [claim(3, 5)]);
        assert_eq!(locks.release_all(claim(3, 0).execution), []);
        assert!(locks.is_empty() && locks.by_execution.is_empty());
    }

    #[test]
    fn an_entry_of_a_cache_lives_where_its_bucket_does() {
        let (a, b) = (LockKey::cache(b"bucket", b"x"), LockKey::cache(b"bucke", b"tx"));
        assert_ne!(a, b);
        assert_eq!((a.place(), b.place()), (&b"bucket"[..], &b"bucke"[..]));
    }
}

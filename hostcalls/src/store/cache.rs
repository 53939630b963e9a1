//! Buckets of cached results: those that live on this shard. Times are milliseconds of any clock that does not go back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use script::value::Frozen;

/// Bytes that an entry takes besides key and value.
const ENTRY_BYTES: usize = 160;

/// Names a bucket: where `namespace` is empty, all callers of the function share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName {
    /// The option `namespace`.
    pub namespace: Arc<[u8]>,
    /// The function's name.
    pub function: Arc<[u8]>,
}

impl BucketName {
    /// The name in one string.
    pub(crate) fn joined(&self) -> Vec<u8> {
        [&(self.namespace.len() as u64).to_be_bytes()[..], &self.namespace, &self.function].concat()
    }
}

/// What a look-up found.
#[derive(Clone)]
pub enum Found {
    /// A result.
    Hit(Frozen),
    /// Nothing, or a result whose time is over.
    Miss(Option<Frozen>),
}

/// How to store a result.
#[derive(Clone, Copy, Debug)]
pub struct Storing {
    /// When it expires; `None`: never.
    pub expires_ms: Option<u64>,
    /// Most entries of the bucket; the smallest number that anybody names counts.
    pub size: usize,
    /// A full bucket drops the entry that was not used for longest; else it takes nothing.
    pub lru: bool,
}

/// The bounds of [`Caches`].
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of all buckets, keys included.
    pub bytes: usize,
    /// Buckets.
    pub buckets: usize,
}

/// What is known of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Which.
    pub name: BucketName,
    /// Entries now, those whose time is over included.
    pub entries: usize,
    /// Most entries.
    pub size: usize,
    /// Bytes of its entries.
    pub bytes: usize,
    /// Look-ups that found a result.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
    /// Entries that made room for others.
    pub evictions: u64,
}

/// Results by bucket and key.
#[derive(Default)]
pub struct Caches {
    buckets: HashMap<BucketName, Bucket>,
    bytes: usize,
}

#[derive(Default)]
struct Bucket {
    entries: HashMap<Arc<[u8]>, Entry>,
    /// Keys by last use.
    uses: BTreeMap<u64, Arc<[u8]>>,
    last_use: u64,
    size: Option<usize>,
    bytes: usize,
    hits: u64,
    misses: u64,
    evictions: u64,
}

struct Entry {
    value: Frozen,
    expires_ms: Option<u64>,
    used: u64,
}

impl Caches {
    /// Forgets everything.
    pub fn forget_all(&mut self) {
        if !self.buckets.is_empty() {
            *self = Caches::default();
        }
    }

    /// Looks up. `force` is a miss whatever is there.
    pub fn look_up(&mut self, name: &BucketName, key: &[u8], force: bool, now_ms: u64) -> Found {
        let Some(bucket) = self.buckets.get_mut(name) else { return Found::Miss(None) };
        bucket.last_use += 1;
        let found = match bucket.entries.get_mut(key) {
            None => Found::Miss(None),
            Some(entry) if force || entry.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) => {
                Found::Miss(Some(entry.value.clone()))
            }
            Some(entry) => {
                if let Some(key) = bucket.uses.remove(&entry.used) {
                    entry.used = bucket.last_use;
                    bucket.uses.insert(entry.used, key);
                }
                Found::Hit(entry.value.clone())
            }
        };
        match found {
            Found::Hit(_) => bucket.hits += 1,
            Found::Miss(_) => bucket.misses += 1,
        }
        found
    }

    /// Stores a result. False when there is no room for it.
    pub fn store(
        &mut self,
        name: &BucketName,
        key: &[u8],
        value: Frozen,
        storing: Storing,
        bounds: Bounds,
        now_ms: u64,
    ) -> bool {
        if !self.buckets.contains_key(name) {
            if self.buckets.len() >= bounds.buckets {
                return false;
            }
            // Whoever stores first has missed before there was a bucket to count in.
            let bucket = Bucket { misses: 1, ..Bucket::default() };
            self.buckets.insert(name.clone(), bucket);
        }
        let bucket = self.buckets.get_mut(name).expect("just made sure");
        let before = bucket.bytes;
        let others = self.bytes - before;
        let stored = bucket.store(key, value, storing, bounds.bytes.saturating_sub(others), now_ms);
        self.bytes = others + bucket.bytes;
        stored
    }

    /// Drops all buckets of a namespace. Gives how many entries they had.
    pub fn flush(&mut self, namespace: &[u8]) -> usize {
        let mut entries = 0;
        self.buckets.retain(|name, bucket| {
            let keep = *name.namespace != *namespace;
            if !keep {
                entries += bucket.entries.len();
                self.bytes -= bucket.bytes;
            }
            keep
        });
        entries
    }

    /// Drops the buckets of a namespace and a function; what is absent matches any. Gives how many there were.
    pub fn clear(&mut self, namespace: Option<&[u8]>, function: Option<&[u8]>) -> usize {
        let before = self.buckets.len();
        self.buckets.retain(|name, bucket| {
            let goes = namespace.is_none_or(|namespace| *name.namespace == *namespace)
                && function.is_none_or(|function| *name.function == *function);
            if goes {
                self.bytes -= bucket.bytes;
            }
            !goes
        });
        before - self.buckets.len()
    }

    /// Of all buckets, in no particular order.
    pub fn statistics(&self) -> Vec<Statistics> {
        let of = |(name, bucket): (&BucketName, &Bucket)| Statistics {
            name: name.clone(),
            entries: bucket.entries.len(),
            size: bucket.size.unwrap_or_default(),
            bytes: bucket.bytes,
            hits: bucket.hits,
            misses: bucket.misses,
            evictions: bucket.evictions,
        };
        self.buckets.iter().map(of).collect()
    }

    /// Bytes of all buckets.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Bucket {
    fn store(&mut self, key: &[u8], value: Frozen, storing: Storing, room: usize, now_ms: u64) -> bool {
        let size = self.size.map_or(storing.size, |size| size.min(storing.size));
        self.size = Some(size);
        self.remove(key);
        while self.entries.len() > size {
            self.evict();
        }
        let cost = key.len() + value.size_bytes() + ENTRY_BYTES;
        if size == 0 || cost > room {
            return false;
        }
        while self.entries.len() >= size || self.bytes + cost > room {
            if !storing.lru && !self.drop_expired(now_ms) {
                return false;
            }
            if storing.lru {
                self.evict();
            }
        }
        self.last_use += 1;
        let key: Arc<[u8]> = key.into();
        self.uses.insert(self.last_use, key.clone());
        self.entries.insert(key, Entry { value, expires_ms: storing.expires_ms, used: self.last_use });
        self.bytes += cost;
        true
    }

    /// Removes the entry that was not used for longest.
    fn evict(&mut self) {
        if let Some((_, key)) = self.uses.first_key_value() {
            let key = key.clone();
            self.remove(&key);
            self.evictions += 1;
        }
    }

    /// Removes what has expired; false when there is nothing.
    fn drop_expired(&mut self, now_ms: u64) -> bool {
        let over = |entry: &Entry| entry.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms);
        let expired: Vec<_> =
            self.entries.iter().filter(|(_, entry)| over(entry)).map(|(key, _)| key.clone()).collect();
        expired.iter().for_each(|key| self.remove(key));
        !expired.is_empty()
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some(entry) = self.entries.remove(key) {
            self.uses.remove(&entry.used);
            self.bytes -= key.len() + entry.value.size_bytes() + ENTRY_BYTES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { bytes: 100_000, buckets: 3 };

    fn name(namespace: &str, function: &str) -> BucketName {
        BucketName { namespace: namespace.as_bytes().into(), function: function.as_bytes().into() }
    }

    fn storing(size: usize) -> Storing {
        Storing { expires_ms: Some(1000), size, lru: true }
    }

    fn has(caches: &mut Caches, name: &BucketName, key: &str, now_ms: u64) -> bool {
        matches!(caches.look_up(name, key.as_bytes(), false, now_ms), Found::Hit(_))
    }

    fn put(caches: &mut Caches, name: &BucketName, key: &str, how: Storing, now_ms: u64) -> bool {
        caches.store(name, key.as_bytes(), Frozen::str(key), how, BOUNDS, now_ms)
    }

    #[test]
    fn a_full_bucket_drops_what_was_not_used_for_longest() {
        let (mut caches, name) = (Caches::default(), name("", "f"));
        for key in ["a", "b", "c"] {
            assert!(put(&mut caches, &name, key, storing(3), 0));
        }
        assert!(has(&mut caches, &name, "a", 0));
        put(&mut caches, &name, "d", storing(3), 0);
        let there: Vec<bool> = ["a", "b", "c", "d"].map(|key| has(&mut caches, &name, key, 0)).into();
        assert_eq!(there, [true, false, true, true]);
        // The smallest size that anybody names counts, also for those who name a larger one.
        put(&mut caches, &name, "e", storing(2), 0);
        put(&mut caches, &name, "f", storing(100), 0);
        let statistics = &caches.statistics()[0];
        assert_eq!((statistics.entries, statistics.size, statistics.evictions), (2, 2, 4));
        assert_eq!((statistics.hits, statistics.misses), (4, 2));
        assert!(has(&mut caches, &name, "e", 0) && has(&mut caches, &name, "f", 0));
    }

    #[test]
    fn without_lru_a_full_bucket_takes_nothing_until_something_expires() {
        let (mut caches, name) = (Caches::default(), name("", "f"));
        let how = Storing { lru: false, ..storing(1) };
        assert!(put(&mut caches, &name, "a", how, 0));
        assert!(!put(&mut caches, &name, "b", how, 999));
        assert!(put(&mut caches, &name, "b", how, 1000));
    }

    #[test]
    fn entries_expire_and_the_old_result_is_there_to_compare() {
        let (mut caches, name) = (Caches::default(), name("", "f"));
        put(&mut caches, &name, "a", storing(8), 0);
        put(&mut caches, &name, "b", Storing { expires_ms: None, ..storing(8) }, 0);
        assert!(has(&mut caches, &name, "a", 999));
        assert!(matches!(caches.look_up(&name, b"a", false, 1000), Found::Miss(Some(_))));
        assert!(has(&mut caches, &name, "b", u64::MAX));
        assert!(matches!(caches.look_up(&name, b"b", true, 0), Found::Miss(Some(_))), "forced");
    }

    #[test]
    fn bytes_and_buckets_are_bounded_and_flushed_by_namespace() {
        let mut caches = Caches::default();
        let (f, g) = (name("file:x", "f"), name("", "g"));
        let big = |caches: &mut Caches, name: &BucketName, key: &str| {
            caches.store(name, key.as_bytes(), Frozen::str(vec![0; 40_000]), storing(100), BOUNDS, 0)
        };
        assert!(big(&mut caches, &f, "1") && big(&mut caches, &f, "2") && big(&mut caches, &f, "3"));
        assert_eq!(caches.statistics()[0].entries, 2);
        assert!(!big(&mut caches, &g, "1"), "another bucket does not push them out");
        assert!(put(&mut caches, &g, "1", storing(1), 0));
        assert!(put(&mut caches, &name("", "h"), "1", storing(1), 0));
        assert!(!put(&mut caches, &name("", "i"), "1", storing(1), 0));
        let bytes = caches.bytes();
        assert!((80_000..BOUNDS.bytes).contains(&bytes));
        assert_eq!(caches.flush(b"file:x"), 2);
        assert!(caches.bytes() < 1000 && !has(&mut caches, &f, "2", 0) && has(&mut caches, &g, "1", 0));
        assert!(!put(&mut caches, &g, "z", storing(0), 0));
    }
}

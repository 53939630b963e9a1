//! What scripts of all shards share: shared memory with its locks (`memory_*`, `barrier`) and the buckets of `cache`.
//!
//! Each key and each bucket lives on one shard, its *owner*; others reach it over the mesh. Values are stored frozen:
//! strings, numbers and arrays of them, and the objects whose class has a frozen form (`Map` and `Set`). Functions and
//! other objects are refused with an error that names them.
//!
//! A key of shared memory has a lock. A barrier holds it while its block runs, a callback of a memory function while
//! it is called; it is re-entrant for the same script, and taken by others in their order. An entry of a cache has one
//! while a script computes it, so that the others wait for that one result. Whoever waits looks for a deadlock
//! ([`lock`]) and gives up after [`limits::LOCK_WAIT`]. A lock ends with its script, however that ends.

mod barrier;
mod cache;
mod cache_function;
mod lock;
mod locks;
mod memory;
mod memory_functions;
pub mod operators;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use engine::boot::ShardId;
use script::fault::Fault;

pub use cache::{Bounds, BucketName, Caches, Found, Statistics, Storing};
pub(crate) use lock::release_all;
pub use lock::{Held, LockError};
pub use locks::{Acquired, Claim, LockKey, Locks};
pub use memory::{Full, Memory};

use crate::library::Family;
use crate::{ExecutionId, limits};

/// Shared memory, `barrier` and `cache`.
pub(crate) static FAMILY: Family = Family { natives: &NATIVES, host: &HOST, ..Family::EMPTY };

static NATIVES: [script::native::Native; 11] = {
    let [a, b, c, d, e, f, g, h] = memory_functions::NATIVES;
    let [enter, leave] = barrier::NATIVES;
    [a, b, c, d, e, f, g, h, enter, leave, cache_function::NATIVE]
};

static HOST: [crate::library::HostFunction; 11] = {
    let [a, b, c, d, e, f, g] = memory_functions::HOST;
    let [look_up, store] = cache_function::HOST;
    let [enter, leave] = barrier::HOST;
    [a, b, c, d, e, f, g, enter, leave, look_up, store]
};

/// A shard's part of the store.
#[derive(Default)]
pub struct Store {
    pub(crate) locks: RefCell<Locks>,
    pub(crate) memory: RefCell<Memory>,
    pub(crate) caches: RefCell<Caches>,
    /// Executions of this shard that wait for a lock.
    waiting: RefCell<HashMap<ExecutionId, lock::Waiting>>,
    executions: Cell<u64>,
    serials: Cell<u64>,
}

impl Store {
    /// That of the shard that runs this code.
    pub fn here() -> Rc<Store> {
        engine::mesh::local::get_or_default()
    }

    pub(crate) fn next_execution(&self) -> u64 {
        self.executions.set(self.executions.get() + 1);
        self.executions.get()
    }
}

/// The shard that owns a name. The same on all shards.
fn owner(name: &[u8]) -> ShardId {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let shards = u64::from(engine::boot::shards()).max(1);
    ShardId((hasher.finish() % shards) as u16)
}

/// This shard's share of a bound of the process.
fn share(bound: usize) -> usize {
    bound / usize::from(engine::boot::shards()).max(1)
}

/// Runs `f` on the store of another shard, or of this one.
async fn at<T, F>(shard: ShardId, f: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce(&Store) -> T + Send + 'static,
{
    if shard == engine::boot::current() {
        return Ok(f(&Store::here()));
    }
    let called = engine::mesh::call(shard, move || f(&Store::here())).await;
    called.map_err(|error| Fault::error(format!("the shared store cannot be reached: {error}")))
}

/// The same, without waiting and without an answer. Calls of one shard to another arrive in their order.
fn tell<F>(shard: ShardId, f: F)
where
    F: FnOnce(&Store) + Send + 'static,
{
    if shard == engine::boot::current() {
        return f(&Store::here());
    }
    // What waits for a place in the ring may come after what is sent later: receivers know claims by their serial.
    let task = async move {
        // A shard that has ended has no locks.
        let _ = engine::mesh::call(shard, move || f(&Store::here())).await;
    };
    drop(engine::task::spawn(engine::task::Class::Interactive, task));
}

/// What the buckets of all shards know, for reports. In the order of their names.
pub async fn statistics() -> Result<Vec<Statistics>, Fault> {
    let mut all = Vec::new();
    for shard in 0..engine::boot::shards() {
        all.extend(at(ShardId(shard), |store| store.caches.borrow().statistics()).await?);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Drops what is cached under a namespace, on all shards. `file:X` when the file X has changed.
pub async fn flush(namespace: &[u8]) -> Result<usize, Fault> {
    let mut entries = 0;
    for shard in 0..engine::boot::shards() {
        let namespace = namespace.to_vec();
        entries += at(ShardId(shard), move |store| store.caches.borrow_mut().flush(&namespace)).await?;
    }
    Ok(entries)
}

/// Keys of shared memory on all shards, with the bytes they take.
pub async fn memory_usage() -> Result<(usize, usize), Fault> {
    let (mut keys, mut bytes) = (0, 0);
    for shard in 0..engine::boot::shards() {
        let here = |store: &Store| (store.memory.borrow().len(), store.memory.borrow().bytes());
        let (more_keys, more_bytes) = at(ShardId(shard), here).await?;
        (keys, bytes) = (keys + more_keys, bytes + more_bytes);
    }
    Ok((keys, bytes))
}

/// The name of a key, a barrier or a bucket: any value, in its text form.
fn name_of(function: &str, value: &script::Value) -> Result<Vec<u8>, Fault> {
    let mut name = Vec::new();
    match value.as_bytes() {
        Some(bytes) => name.extend_from_slice(bytes),
        None => value.write_text(&mut name)?,
    }
    if name.len() > limits::STORE_KEY_BYTES_MAX {
        let most = limits::STORE_KEY_BYTES_MAX;
        return Err(Fault::error(format!("{function}(): the key is longer than {most} bytes")));
    }
    Ok(name)
}

//! Calls between shards: an N by N grid of bounded single-producer rings of boxed calls.

use std::future::Future;

use crate::boot::ShardId;

/// Why a call did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeshError {
    /// The ring to that shard is full and the caller did not want to wait.
    Full,
    /// That shard has ended.
    Gone,
}

/// The rings between all threads of one process.
pub(crate) struct Grid;

/// Runs `f` on shard `to` and gives its result back. Waits for a credit (which reserves the reply slot) before
/// it sends, never while draining. `f` runs to completion inside the drain: it must be short.
pub async fn call<T, F>(to: ShardId, f: F) -> Result<T, MeshError>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    todo!()
}

/// Like [`call`], but what runs on shard `to` is a task of its own.
pub async fn call_task<T, F, Fut>(to: ShardId, f: F) -> Result<T, MeshError>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
    T: Send + 'static,
{
    todo!()
}

/// Sends `f` to shard `to` without a reply and without waiting.
pub fn send<F>(to: ShardId, f: F) -> Result<(), MeshError>
where
    F: FnOnce() + Send + 'static,
{
    todo!()
}

/// Shard-local values by type: how a call that arrives by mesh finds the state of the shard it runs on.
pub mod local {
    use std::rc::Rc;

    /// Stores the value of this type, replacing an earlier one.
    pub fn set<T: 'static>(value: Rc<T>) {
        todo!()
    }
    /// The value of this type, if one was stored on this shard.
    pub fn get<T: 'static>() -> Option<Rc<T>> {
        todo!()
    }
}

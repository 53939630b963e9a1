//! What operators see of shared memory and caches, and change in them. They do not wait for the locks of scripts: a value
//! is seen and replaced as a whole, as by `memory_store` without a callback.

use script::Value;
use script::fault::Fault;
use script::std::json::{JsonStyle, decode, encode};
use script::value::Frozen;

use super::{Full, at, owner, share, statistics};
use crate::limits;
use engine::boot::ShardId;

/// A value as JSON text; `None`: there is no such key.
///
/// # Errors
/// The shard that keeps it has ended, or JSON cannot say the value.
pub async fn memory_fetch(key: &[u8]) -> Result<Option<String>, Fault> {
    let name = key.to_vec();
    let value = at(owner(key), move |store| store.memory.borrow().get(&name)).await?;
    value.map(|value| json(&value)).transpose()
}

/// Stores what a JSON text says.
///
/// # Errors
/// It is not JSON, the memory is full, the key is too long, or the shard that keeps it has ended.
pub async fn memory_store(key: &[u8], text: &[u8]) -> Result<(), Fault> {
    let (value, name) = (checked(key, text)?, key.to_vec());
    let most = share(limits::MEMORY_BYTES_MAX);
    let stored = at(owner(key), move |store| store.memory.borrow_mut().put(&name, value, most)).await?;
    stored.map(drop).map_err(|Full| Fault::error("the shared memory is full"))
}

/// Whether [`memory_store`] would take these, were there room.
///
/// # Errors
/// It is not JSON, or the key is too long.
pub fn memory_check(key: &[u8], text: &[u8]) -> Result<(), Fault> {
    checked(key, text).map(drop)
}

fn checked(key: &[u8], text: &[u8]) -> Result<Frozen, Fault> {
    if key.len() > limits::STORE_KEY_BYTES_MAX {
        return Err(Fault::error(format!("the key is longer than {} bytes", limits::STORE_KEY_BYTES_MAX)));
    }
    decode(text, false).map_err(|error| Fault::error(format!("not JSON: {error}")))?.freeze()
}

/// Whether there is such a key.
///
/// # Errors
/// The shard that keeps it has ended.
pub async fn memory_has(key: &[u8]) -> Result<bool, Fault> {
    let name = key.to_vec();
    at(owner(key), move |store| store.memory.borrow().get(&name).is_some()).await
}

/// Removes a key. Whether there was one.
///
/// # Errors
/// The shard that keeps it has ended.
pub async fn memory_delete(key: &[u8]) -> Result<bool, Fault> {
    let name = key.to_vec();
    at(owner(key), move |store| store.memory.borrow_mut().remove(&name).is_some()).await
}

/// Keys that begin with `prefix`, in alphabetical order: at most [`limits::OPERATOR_KEYS`] of each shard are looked at.
///
/// # Errors
/// A shard has ended.
pub async fn memory_keys(prefix: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    let mut keys = Vec::new();
    for shard in 0..engine::boot::shards() {
        let all = at(ShardId(shard), |store| store.memory.borrow().entries(limits::OPERATOR_KEYS)).await?;
        keys.extend(all.into_iter().map(|(key, _)| key.into_vec()).filter(|key| key.starts_with(prefix)));
    }
    keys.sort_unstable();
    Ok(keys)
}

/// Drops the buckets of a namespace and a function; what is absent matches any. Gives how many there were.
///
/// # Errors
/// A shard has ended.
pub async fn cache_clear(namespace: Option<&[u8]>, function: Option<&[u8]>) -> Result<usize, Fault> {
    let mut buckets = 0;
    for shard in 0..engine::boot::shards() {
        let (namespace, function) = (namespace.map(<[u8]>::to_vec), function.map(<[u8]>::to_vec));
        let clear = move |store: &super::Store| {
            store.caches.borrow_mut().clear(namespace.as_deref(), function.as_deref())
        };
        buckets += at(ShardId(shard), clear).await?;
    }
    Ok(buckets)
}

/// How many [`cache_clear`] would drop.
///
/// # Errors
/// A shard has ended.
pub async fn cache_count(namespace: Option<&[u8]>, function: Option<&[u8]>) -> Result<usize, Fault> {
    let is_one = |wanted: Option<&[u8]>, name: &[u8]| wanted.is_none_or(|wanted| wanted == name);
    let all = statistics().await?;
    let meant = all.iter().filter(|bucket| {
        is_one(namespace, &bucket.name.namespace) && is_one(function, &bucket.name.function)
    });
    Ok(meant.count())
}

fn json(value: &Frozen) -> Result<String, Fault> {
    let mut text = Vec::new();
    encode(&Value::from_frozen(value), JsonStyle { ensure_ascii: false, pretty_print: false }, &mut text)
        .map_err(|error| Fault::error(format!("the value has no form in JSON: {error}")))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

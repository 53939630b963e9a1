//! `hsl memory` and `hsl cache`: what scripts share.

use std::future::Future;

use control::command_line::CommandLine as _;
use control::smtpd as proto;
use hostcalls::store::{operators, statistics};
use script::Fault;

use super::client::Client;
use crate::limits;

/// A value of shared memory.
///
/// # Errors
/// A sentence on why it cannot be had.
pub(super) async fn fetch(request: proto::HslMemoryRequest) -> Result<proto::HslMemoryResponse, String> {
    let value = in_time(operators::memory_fetch(request.key.as_bytes())).await?;
    Ok(proto::HslMemoryResponse { value })
}

/// Stores one.
///
/// # Errors
/// A sentence on why it cannot be stored.
pub(super) async fn store(
    client: &Client,
    request: proto::HslMemoryStoreRequest,
) -> Result<proto::HslMemoryStoreResponse, String> {
    if request.dryrun {
        operators::memory_check(request.key.as_bytes(), request.value.as_bytes())
            .map_err(|fault| fault.to_string())?;
        return Ok(proto::HslMemoryStoreResponse {});
    }
    in_time(operators::memory_store(request.key.as_bytes(), request.value.as_bytes())).await?;
    client.log_change(format_args!("{}: {} bytes", request.command_line(), request.value.len()));
    Ok(proto::HslMemoryStoreResponse {})
}

/// Removes one.
///
/// # Errors
/// A sentence on why it cannot be removed.
pub(super) async fn delete(
    client: &Client,
    request: proto::HslMemoryDeleteRequest,
) -> Result<proto::HslMemoryDeleteResponse, String> {
    if request.dryrun {
        let deleted = in_time(operators::memory_has(request.key.as_bytes())).await?;
        return Ok(proto::HslMemoryDeleteResponse { deleted });
    }
    let deleted = in_time(operators::memory_delete(request.key.as_bytes())).await?;
    if deleted {
        client.log_change(format_args!("{}: done", request.command_line()));
    }
    Ok(proto::HslMemoryDeleteResponse { deleted })
}

/// Keys.
///
/// # Errors
/// A shard does not answer.
pub(super) async fn keys(
    request: proto::HslMemoryListRequest,
) -> Result<proto::HslMemoryListResponse, String> {
    let number = |given: Option<u64>, else_: usize| match given {
        None | Some(0) => else_,
        Some(number) => usize::try_from(number).unwrap_or(usize::MAX),
    };
    let prefix = request.prefix.unwrap_or_default();
    let keys = in_time(operators::memory_keys(prefix.as_bytes())).await?;
    let shown = keys.iter().map(|key| String::from_utf8_lossy(key).into_owned());
    let shown = shown.skip(number(request.offset, 0)).take(number(request.limit, usize::MAX));
    Ok(proto::HslMemoryListResponse { keys: shown.collect() })
}

/// Buckets of caches.
///
/// # Errors
/// A shard does not answer.
pub(super) async fn caches() -> Result<proto::HslCacheResponse, String> {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let caches = in_time(statistics()).await?.into_iter().map(|bucket| proto::HslCache {
        namespace: lossy(&bucket.name.namespace),
        function: lossy(&bucket.name.function),
        maxsize: bucket.size as u64,
        size: bucket.entries as u64,
        hits: bucket.hits,
        misses: bucket.misses,
        evicts: bucket.evictions,
    });
    Ok(proto::HslCacheResponse { caches: caches.collect() })
}

/// Drops buckets.
///
/// # Errors
/// A shard does not answer.
pub(super) async fn clear(
    client: &Client,
    request: proto::HslCacheClearRequest,
) -> Result<proto::HslCacheClearResponse, String> {
    let (namespace, function) = (request.namespace.as_deref(), request.function.as_deref());
    if request.dryrun {
        let count = operators::cache_count(namespace.map(str::as_bytes), function.map(str::as_bytes));
        return Ok(proto::HslCacheClearResponse { cleared: in_time(count).await? as u64 });
    }
    let clear = operators::cache_clear(namespace.map(str::as_bytes), function.map(str::as_bytes));
    let cleared = in_time(clear).await? as u64;
    client.log_change(format_args!("{}: {cleared} buckets", request.command_line()));
    Ok(proto::HslCacheClearResponse { cleared })
}

/// A shard that stands still is not waited for.
async fn in_time<T>(answer: impl Future<Output = Result<T, Fault>>) -> Result<T, String> {
    match engine::time::timeout(2 * limits::CONTROL_PATIENCE, answer).await {
        Ok(answer) => answer.map_err(|fault| fault.to_string()),
        Err(engine::time::Elapsed) => Err("a shard stands still: see `shard status`".to_owned()),
    }
}

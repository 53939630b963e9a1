//! Servers and databases that scripts ask: modules under `extras://` with profiles in `plugins[]`.
//!
//! A [`Link`] is a connection with what it has received; [`Pools`] keep some of them, on each shard. Each service has a module
//! with a part that is pure, what crosses the wire, and a part that talks. Answers of a server are input from outside: they
//! are bounded in [`limits`](crate::limits), and none of them is a panic.

mod error;
mod link;
mod pool;
mod redis;
#[cfg(test)]
mod tests;

use script::native::{Native, NativeRun};

use error::ServiceError;
use link::Link;
use pool::Pools;

use crate::library::Family;
use crate::numbers;

const REDIS: u16 = numbers::SERVICES;
const REDIS_CLUSTER: u16 = numbers::SERVICES + 1;

pub(crate) static FAMILY: Family = Family {
    natives: &[host(
        "__redis_cluster",
        "string command [, string argument...]",
        (1, None),
        "What redisClusterCommand of extras://hiredis-cluster runs.",
        REDIS_CLUSTER,
    )],
    module_classes: &[("extras://redis", &redis::CLASS)],
    modules: &[
        ("extras://hiredis-cluster", include_str!("hsl/hiredis_cluster.hsl")),
        ("extras://rate-redis", include_str!("hsl/rate_redis.hsl")),
        ("extras://redis", include_str!("hsl/redis.hsl")),
    ],
    host: &redis::HOST,
    ..Family::EMPTY
};

const fn host(
    name: &'static str,
    params: &'static str,
    args: (u8, Option<u8>),
    doc: &'static str,
    number: u16,
) -> Native {
    Native { name, params, doc, min_args: args.0, max_args: args.1, run: NativeRun::Host(number) }
}

/// The connections of a shard.
#[derive(Default)]
pub(crate) struct Services {
    redis: redis::State,
}

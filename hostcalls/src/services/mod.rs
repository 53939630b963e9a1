//! Servers and databases that scripts ask: modules under `extras://` with profiles in `plugins[]`.
//!
//! A [`Link`] is a connection with what it has received; [`Pools`] keep some of them, on each shard. Each service has a module
//! with a part that is pure, what crosses the wire, and a part that talks. Answers of a server are input from outside: they
//! are bounded in [`limits`](crate::limits), and none of them is a panic.

mod error;
pub(crate) mod kafka;
mod ldap;
mod link;
pub(crate) mod mariadb;
mod pool;
mod postgresql;
mod profile;
mod rabbitmq;
mod redis;
mod sql;
mod sqlite;
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
const POSTGRESQL: u16 = numbers::SERVICES + 2;
const MARIADB: u16 = numbers::SERVICES + 3;
const SQLITE: u16 = numbers::SERVICES + 4;
const RABBITMQ: u16 = numbers::SERVICES + 5;
const KAFKA: u16 = numbers::SERVICES + 6;
/// And the four that follow.
const LDAP: u16 = numbers::SERVICES + 7;

pub(crate) static FAMILY: Family = Family {
    natives: &[
        host(
            "redisClusterCommand",
            "string command [, string argument...]",
            (1, None),
            "Sends a command to the cluster of Redis that plugins[] names: reply, or error. Also in extras://hiredis-cluster.",
            REDIS_CLUSTER,
        ),
        host(
            "__mysql_query",
            "string statement",
            (1, Some(1)),
            "What mysql_query of extras://mariadb runs.",
            MARIADB,
        ),
        mariadb::ESCAPE,
        host(
            "rabbitmq_publish",
            "string message_body [, array options]",
            (1, Some(2)),
            "Publishes a message to a broker of AMQP 0-9-1: result when the broker has it, or error. Options: hostname, port, \
             connect_timeout, vhost, username, password, exchange, routing_key, content_type, delivery_mode, tls_enabled, \
             tls_verify_peer, tls_verify_host. Also in extras://rabbitmq.",
            RABBITMQ,
        ),
        host(
            "__kafka_producer",
            "string id, string topic [, string value, string key, array headers, number partition]",
            (2, Some(6)),
            "What kafka_producer of extras://kafka runs.",
            KAFKA,
        ),
    ],
    module_classes: &[
        ("extras://ldap", &ldap::CLASS),
        ("extras://ldap", &ldap::RESULT),
        ("extras://mariadb", &mariadb::CLASS),
        ("extras://postgresql", &postgresql::CLASS),
        ("extras://redis", &redis::CLASS),
        ("extras://sqlite", &sqlite::CLASS),
    ],
    modules: &[
        ("extras://hiredis-cluster", include_str!("hsl/hiredis_cluster.hsl")),
        ("extras://kafka", include_str!("hsl/kafka.hsl")),
        ("extras://ldap", include_str!("hsl/ldap.hsl")),
        ("extras://mariadb", include_str!("hsl/mariadb.hsl")),
        ("extras://postgresql", include_str!("hsl/postgresql.hsl")),
        ("extras://rabbitmq", include_str!("hsl/rabbitmq.hsl")),
        ("extras://rate-redis", include_str!("hsl/rate_redis.hsl")),
        ("extras://redis", include_str!("hsl/redis.hsl")),
        ("extras://sqlite", include_str!("hsl/sqlite.hsl")),
    ],
    host: &{
        let [redis, cluster] = redis::HOST;
        let [bind, search, start_tls, unbind, next] = ldap::HOST;
        let [postgresql] = postgresql::HOST;
        let [mariadb] = mariadb::HOST;
        let [sqlite] = sqlite::HOST;
        let [rabbitmq] = rabbitmq::HOST;
        let [kafka] = kafka::HOST;
        [redis, cluster, bind, search, start_tls, unbind, next, postgresql, mariadb, sqlite, rabbitmq, kafka]
    },
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
    postgresql: postgresql::State,
    mariadb: mariadb::State,
    sqlite: sqlite::State,
    rabbitmq: rabbitmq::State,
    kafka: kafka::State,
}

/// Bytes as what a server says; the first one chooses which server. See the decoders' own checks.
pub fn check(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 6 {
        0 => redis::check(bytes),
        1 => ldap::check(bytes),
        2 => postgresql::check(bytes),
        3 => mariadb::check(bytes),
        4 => rabbitmq::check(bytes),
        _ => kafka::check(bytes),
    }
}

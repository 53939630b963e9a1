//! From checked trees to the typed profiles, with what they do not say filled in.

use std::time::Duration;

use super::{
    KafkaQueue, MARIADB_PATIENCE, MariadbProfile, PATIENCE, PostgresqlProfile, Profiles, RedisKind,
    RedisProfile, ServiceTls, SqliteProfile, UNNAMED,
};
use crate::plugins::required;
use crate::tree::{Checked, Tree};

pub(super) fn profiles<T>(plugin: Option<&Tree>, one: fn(&Tree) -> T) -> Profiles<T> {
    let Some(plugin) = plugin else { return Profiles::default() };
    Profiles {
        default: plugin.text("config.default_profile").map(str::to_owned),
        list: plugin.items("config.profiles").iter().map(one).collect(),
    }
}

pub(super) fn redis(profile: &Tree) -> RedisProfile {
    let kind = match profile.text("type") {
        Some("cluster") => RedisKind::Cluster,
        Some("sentinel") => RedisKind::Sentinel(required(profile, "master_name")),
        _ => RedisKind::Standalone,
    };
    let usual = if matches!(kind, RedisKind::Sentinel(_)) { 26379 } else { 6379 };
    let host =
        |tree: &Tree| (tree.text("host").unwrap_or("127.0.0.1").to_owned(), port(tree).unwrap_or(usual));
    let mut hosts: Vec<_> = match kind {
        RedisKind::Standalone => Vec::new(),
        _ => profile.items("hosts").iter().map(host).collect(),
    };
    if hosts.is_empty() {
        hosts.push(host(profile));
    }
    RedisProfile {
        id: required(profile, "id"),
        kind,
        hosts,
        user: owned(profile, "user"),
        password: owned(profile, "password"),
        db: profile.count("db").unwrap_or(0),
        pool_size: pool_size(profile, "pool_size"),
        connect_timeout: millis(profile, "connect_timeout").unwrap_or(PATIENCE),
        socket_timeout: millis(profile, "socket_timeout").unwrap_or(PATIENCE),
        wait_timeout: millis(profile, "wait_timeout").unwrap_or(PATIENCE),
        lifetime: millis(profile, "connection_lifetime"),
        idle_time: millis(profile, "connection_idle_time"),
        redirections: 5,
        tls: tls(profile),
    }
}

pub(super) fn redis_cluster(plugin: &Tree) -> Option<RedisProfile> {
    let local = RedisProfile::local();
    Some(RedisProfile {
        kind: RedisKind::Cluster,
        hosts: nodes_of(plugin)?,
        password: owned(plugin, "config.password"),
        pool_size: pool_size(plugin, "config.pool_size"),
        connect_timeout: seconds(plugin, "config.connect_timeout").unwrap_or(PATIENCE),
        socket_timeout: seconds(plugin, "config.timeout").unwrap_or(PATIENCE),
        redirections: plugin.count("config.max_retry").unwrap_or(local.redirections),
        ..local
    })
}

/// `host:port,host:port`; semicolons do as well. None: it is not that.
pub(super) fn nodes_of(plugin: &Tree) -> Option<Vec<(String, u16)>> {
    let nodes = plugin.text("config.nodes")?.split([',', ';']).map(str::trim).filter(|node| !node.is_empty());
    let nodes: Option<Vec<_>> = nodes
        .map(|node| {
            let (host, port) = node.rsplit_once(':')?;
            let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
            (!host.is_empty()).then(|| (host.to_owned(), port))
        })
        .collect();
    nodes.filter(|nodes| !nodes.is_empty())
}

pub(super) fn sqlite(profile: &Tree) -> SqliteProfile {
    SqliteProfile {
        id: required(profile, "id"),
        filename: required(profile, "filename").into(),
        pool_size: pool_size(profile, "pool_size"),
        foreign_keys: profile.bool("foreign_keys").unwrap_or(false),
        readonly: profile.bool("readonly").unwrap_or(false),
        busy_timeout: millis(profile, "busy_timeout").unwrap_or(PATIENCE),
    }
}

pub(super) fn postgresql(profile: &Tree) -> PostgresqlProfile {
    PostgresqlProfile {
        id: required(profile, "id"),
        host: owned(profile, "host").unwrap_or_else(|| "127.0.0.1".to_owned()),
        port: port(profile).unwrap_or(5432),
        database: owned(profile, "database"),
        username: owned(profile, "username").unwrap_or_else(|| "postgres".to_owned()),
        password: owned(profile, "password"),
        connect_timeout: seconds(profile, "connect_timeout").unwrap_or(PATIENCE),
        pool_size: pool_size(profile, "pool_size"),
        tls: tls(profile),
    }
}

pub(super) fn mariadb_profiles(plugin: Option<&Tree>) -> Profiles<MariadbProfile> {
    let mut all = profiles(plugin, |profile| mariadb(profile, required(profile, "id")));
    if let Some(config) = plugin.and_then(|plugin| plugin.get("config"))
        && config.get("cnf").is_some()
    {
        all.list.push(mariadb(config, UNNAMED.to_owned()));
        all.default.get_or_insert_with(|| UNNAMED.to_owned());
    }
    all
}

fn mariadb(profile: &Tree, id: String) -> MariadbProfile {
    MariadbProfile {
        id,
        cnf: required(profile, "cnf").into(),
        pool_size: pool_size(profile, "pool_size"),
        read_timeout: seconds(profile, "read_timeout").unwrap_or(MARIADB_PATIENCE),
        write_timeout: seconds(profile, "write_timeout").unwrap_or(MARIADB_PATIENCE),
    }
}

pub(super) fn kafka_queue(queue: &Tree) -> KafkaQueue {
    let text = |tree: &Tree| match &tree.value {
        Checked::Text(text) => text.clone(),
        Checked::Integer(number) => number.to_string(),
        Checked::Number(number) => number.to_string(),
        Checked::Bool(bool) => bool.to_string(),
        _ => String::new(),
    };
    let properties = queue.entries("config").iter().map(|(name, value)| (name.clone(), text(value)));
    KafkaQueue { id: required(queue, "id"), properties: properties.collect() }
}

fn tls(profile: &Tree) -> ServiceTls {
    ServiceTls {
        enabled: profile.bool("tls_enabled"),
        verify_peer: profile.bool("tls_verify_peer").unwrap_or(true),
        verify_host: profile.bool("tls_verify_host").unwrap_or(true),
    }
}

fn owned(tree: &Tree, key: &str) -> Option<String> {
    tree.text(key).map(str::to_owned)
}

fn port(tree: &Tree) -> Option<u16> {
    tree.count("port").map(|port| u16::try_from(port).expect("bounded by the schema"))
}

fn pool_size(tree: &Tree, key: &str) -> usize {
    tree.count(key).unwrap_or(1) as usize
}

fn millis(tree: &Tree, key: &str) -> Option<Duration> {
    tree.integer(key).map(Duration::from_millis)
}

/// None for 0, which would be for ever.
fn seconds(tree: &Tree, key: &str) -> Option<Duration> {
    tree.integer(key).filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

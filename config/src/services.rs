//! Servers and databases that scripts ask, out of `plugins[].config`: profiles of `redis`, `sqlite`, `postgresql` and `mariadb`,
//! queues of `kafka`. What a profile does not say is filled in here.

mod read;

use std::path::PathBuf;
use std::time::Duration;

use crate::plugins::join;
use crate::report::{Problem, Report};
use crate::tree::Tree;
use read::{kafka_queue, mariadb_profiles, nodes_of, postgresql, profiles, redis, redis_cluster, sqlite};

pub(crate) const REDIS: &[&str] = &[
    "default_profile",
    "profiles",
    "profiles.id",
    "profiles.type",
    "profiles.host",
    "profiles.port",
    "profiles.hosts",
    "profiles.master_name",
    "profiles.user",
    "profiles.password",
    "profiles.db",
    "profiles.pool_size",
    "profiles.connect_timeout",
    "profiles.socket_timeout",
    "profiles.wait_timeout",
    "profiles.connection_lifetime",
    "profiles.connection_idle_time",
    "profiles.keep_alive",
    "profiles.tls_enabled",
    "profiles.tls_verify_peer",
    "profiles.tls_verify_host",
];
pub(crate) const POSTGRESQL: &[&str] = &[
    "default_profile",
    "profiles",
    "profiles.id",
    "profiles.host",
    "profiles.port",
    "profiles.database",
    "profiles.username",
    "profiles.password",
    "profiles.connect_timeout",
    "profiles.pool_size",
    "profiles.tls_enabled",
    "profiles.tls_verify_peer",
    "profiles.tls_verify_host",
];
pub(crate) const SQLITE: &[&str] = &[
    "default_profile",
    "profiles",
    "profiles.id",
    "profiles.filename",
    "profiles.pool_size",
    "profiles.foreign_keys",
    "profiles.readonly",
    "profiles.busy_timeout",
];
pub(crate) const MARIADB: &[&str] = &[
    "default_profile",
    "profiles",
    "profiles.id",
    "profiles.cnf",
    "profiles.pool_size",
    "profiles.read_timeout",
    "profiles.write_timeout",
    "cnf",
    "pool_size",
    "read_timeout",
    "write_timeout",
];

/// How long connecting, a command or the wait for a connection may take unless the profile says otherwise.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same for an answer of `mariadb`.
const MARIADB_PATIENCE: Duration = Duration::from_secs(30);
/// The name of a profile that has none.
const UNNAMED: &str = "__default";

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Services {
    /// The servers of `redis`.
    pub redis: Profiles<RedisProfile>,
    /// The cluster of `hiredis-cluster`.
    pub redis_cluster: Option<RedisProfile>,
    /// The databases of `sqlite`.
    pub sqlite: Profiles<SqliteProfile>,
    /// The databases of `postgresql`.
    pub postgresql: Profiles<PostgresqlProfile>,
    /// The databases of `mariadb`.
    pub mariadb: Profiles<MariadbProfile>,
    /// The queues of `kafka`.
    pub kafka: Vec<KafkaQueue>,
}

/// Profiles by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profiles<T> {
    /// The one of scripts that name none.
    pub default: Option<String>,
    /// All.
    pub list: Vec<T>,
}

/// What has a name.
pub trait Named {
    /// The name in scripts.
    fn id(&self) -> &str;
}

/// Nodes that speak the protocol of Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisProfile {
    /// The name in scripts.
    pub id: String,
    /// What they are to each other.
    pub kind: RedisKind,
    /// Name or address, and port; at least one.
    pub hosts: Vec<(String, u16)>,
    /// For `AUTH`.
    pub user: Option<String>,
    /// For `AUTH`; none: it is not sent.
    pub password: Option<String>,
    /// Number of the database.
    pub db: u32,
    /// Most connections of the process.
    pub pool_size: usize,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a command may take.
    pub socket_timeout: Duration,
    /// How long to wait for a connection that is free.
    pub wait_timeout: Duration,
    /// How long a connection is used.
    pub lifetime: Option<Duration>,
    /// How long it may rest.
    pub idle_time: Option<Duration>,
    /// Redirections of a cluster that a command follows.
    pub redirections: u32,
    /// TLS.
    pub tls: ServiceTls,
}

/// What the nodes of a [`RedisProfile`] are to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisKind {
    /// There is one.
    Standalone,
    /// Each has some of the keys.
    Cluster,
    /// They know who the master of this name is.
    Sentinel(String),
}

/// TLS with a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceTls {
    /// Whether it is demanded; `None`: where the server has it.
    pub enabled: Option<bool>,
    /// Who issued the certificate counts.
    pub verify_peer: bool,
    /// Its name counts.
    pub verify_host: bool,
}

/// A file with a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteProfile {
    /// The name in scripts.
    pub id: String,
    /// The file.
    pub filename: PathBuf,
    /// Most connections of the process.
    pub pool_size: usize,
    /// Whether foreign keys hold.
    pub foreign_keys: bool,
    /// Whether it is only read.
    pub readonly: bool,
    /// How long to wait for a lock of others.
    pub busy_timeout: Duration,
}

/// A database of PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresqlProfile {
    /// The name in scripts.
    pub id: String,
    /// Name or address.
    pub host: String,
    /// Not 0.
    pub port: u16,
    /// Its name; none: that of the user.
    pub database: Option<String>,
    /// Who we are.
    pub username: String,
    /// Our secret.
    pub password: Option<String>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// Most connections of the process.
    pub pool_size: usize,
    /// TLS.
    pub tls: ServiceTls,
}

/// A database of MariaDB or MySQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MariadbProfile {
    /// The name in scripts.
    pub id: String,
    /// The option file that says where it is.
    pub cnf: PathBuf,
    /// Most connections of the process.
    pub pool_size: usize,
    /// How long to wait for an answer.
    pub read_timeout: Duration,
    /// How long sending may take.
    pub write_timeout: Duration,
}

/// A producer of Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaQueue {
    /// The name in scripts.
    pub id: String,
    /// Properties of the client, by name.
    pub properties: Vec<(String, String)>,
}

impl RedisProfile {
    /// A server on this machine, where nothing is configured.
    pub fn local() -> RedisProfile {
        RedisProfile {
            id: UNNAMED.to_owned(),
            kind: RedisKind::Standalone,
            hosts: vec![("127.0.0.1".to_owned(), 6379)],
            user: None,
            password: None,
            db: 0,
            pool_size: 1,
            connect_timeout: PATIENCE,
            socket_timeout: PATIENCE,
            wait_timeout: PATIENCE,
            lifetime: None,
            idle_time: None,
            redirections: 5,
            tls: ServiceTls { enabled: Some(false), verify_peer: true, verify_host: true },
        }
    }
}

impl<T> Default for Profiles<T> {
    fn default() -> Profiles<T> {
        Profiles { default: None, list: Vec::new() }
    }
}

impl<T: Named> Profiles<T> {
    /// The profile of this name; without a name the default one, or the only one.
    pub fn find(&self, name: Option<&str>) -> Option<&T> {
        match name.or(self.default.as_deref()) {
            Some(name) => self.list.iter().find(|profile| profile.id() == name),
            None => self.list.first().filter(|_| self.list.len() == 1),
        }
    }
}

impl<T: Named + Clone> Profiles<T> {
    fn joined(&self, running: &Profiles<T>) -> Profiles<T> {
        Profiles {
            default: running.default.clone().or_else(|| self.default.clone()),
            list: join(&self.list, &running.list, T::id),
        }
    }
}

impl Services {
    /// What both files say together; what both say is taken from the running file.
    pub(crate) fn joined(&self, running: &Services) -> Services {
        Services {
            redis: self.redis.joined(&running.redis),
            redis_cluster: running.redis_cluster.clone().or_else(|| self.redis_cluster.clone()),
            sqlite: self.sqlite.joined(&running.sqlite),
            postgresql: self.postgresql.joined(&running.postgresql),
            mariadb: self.mariadb.joined(&running.mariadb),
            kafka: join(&self.kafka, &running.kafka, |queue| &queue.id),
        }
    }

    /// The typed values of plugins without errors.
    pub(crate) fn of<'a>(find: &dyn Fn(&str) -> Option<&'a Tree>) -> Services {
        let kafka = find("kafka").map_or(&[][..], |plugin| plugin.items("config.queues"));
        Services {
            redis: profiles(find("redis"), redis),
            redis_cluster: find("hiredis-cluster").and_then(redis_cluster),
            sqlite: profiles(find("sqlite"), sqlite),
            postgresql: profiles(find("postgresql"), postgresql),
            mariadb: mariadb_profiles(find("mariadb")),
            kafka: kafka.iter().map(kafka_queue).collect(),
        }
    }
}

/// What the tables cannot say of one plugin.
pub(crate) fn check(plugin: &Tree, path: &str, report: &mut Report) {
    let id = plugin.text("id").unwrap_or_default();
    let profiles = plugin.items("config.profiles");
    let mut missing = |tree: &Tree, path: String| {
        report.error(tree.at, &path, Problem::new("required property is missing"));
    };
    for (index, profile) in profiles.iter().enumerate() {
        let at = |key: &str| format!("{path}.profiles[{index}].{key}");
        match id {
            "sqlite" if profile.get("filename").is_none() => missing(profile, at("filename")),
            "mariadb" if profile.get("cnf").is_none() => missing(profile, at("cnf")),
            "redis" if profile.text("type") == Some("sentinel") => {
                for key in ["hosts", "master_name"] {
                    if profile.get(key).is_none() {
                        missing(profile, at(key));
                    }
                }
            }
            _ => {}
        }
    }
    match (id, plugin.get("config")) {
        ("mariadb", Some(config)) if profiles.is_empty() && config.get("cnf").is_none() => {
            missing(config, format!("{path}.cnf"));
        }
        ("hiredis-cluster", config) => {
            let nodes = config.and_then(|config| config.get("nodes"));
            match nodes {
                None => missing(config.unwrap_or(plugin), format!("{path}.nodes")),
                Some(nodes) if nodes_of(plugin).is_none() => {
                    let problem = Problem::new("is no list such as \"host:port,host:port\"");
                    report.error(nodes.at, &format!("{path}.nodes"), problem);
                }
                Some(_) => {}
            }
        }
        _ => {}
    }
    if let Some(default) = plugin.get("config.default_profile")
        && let Some(name) = plugin.text("config.default_profile")
        && !profiles.is_empty()
        && profiles.iter().all(|profile| profile.text("id") != Some(name))
    {
        let problem = Problem::new(format!("there is no profile \"{name}\""));
        report.error(default.at, &format!("{path}.default_profile"), problem);
    }
}

macro_rules! named {
    ($($profile:ty),*) => {$(
        impl Named for $profile {
            fn id(&self) -> &str {
                &self.id
            }
        }
    )*};
}
named!(RedisProfile, SqliteProfile, PostgresqlProfile, MariadbProfile);

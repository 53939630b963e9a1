//! `smtpd.yaml`: what cannot change while the process lives.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::{Error, Loaded, Options, Source, Version};

/// The startup file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Startup {
    /// Version of the file, which selects behaviour.
    pub version: Version,
    /// Listen side of the servers, in file order. Ids are unique.
    pub servers: Vec<ListenServer>,
    /// The message store.
    pub spool: Spool,
    /// Most recipients kept in the queue; `None`: the queue's own bound.
    pub queue_max_messages: Option<u64>,
    /// Paths, privileges, limits.
    pub environment: Environment,
}

/// `servers[]`: one server and its sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenServer {
    /// Pairs with the entry of the running file.
    pub id: String,
    /// Must equal that of the running file.
    pub kind: ServerKind,
    /// At least one.
    pub listeners: Vec<Listener>,
}

/// `servers[].type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// `smtp`, the only type that exists so far.
    Smtp,
}

/// `servers[].listeners[]`: one TCP socket per shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Name for `servers[].tls.implicit`.
    pub id: Option<String>,
    /// Local address; `None`: all IPv4 and IPv6 addresses.
    pub address: Option<IpAddr>,
    /// TCP port, not 0.
    pub port: u16,
    /// Listen backlog; `None`: the system's.
    pub backlog: Option<u32>,
}

/// `spool`: the message store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spool {
    /// Directory of the logs. Absolute, or relative to where the program was started.
    pub path: PathBuf,
    /// `false`: a `250` does not mean that the message is on stable storage.
    pub fsync: bool,
    /// Refuse mail below this much free space; `None`: the store's own reserve.
    pub min_free_bytes: Option<u64>,
    /// Refuse mail below this many free inodes; 0: no limit.
    pub min_free_inodes: u64,
    /// What to do with a record that fails its checks at start.
    pub corrupt: Corrupt,
}

/// `spool.corrupt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corrupt {
    /// Drop the damaged record, with a log line.
    Unlink,
    /// Set it aside in a file of its own.
    Rename,
    /// Leave it where it is and go on.
    Ignore,
}

/// `environment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Path of the running file.
    pub appconf: PathBuf,
    /// Path of the policy file.
    pub policyconf: PathBuf,
    /// Path of the suspend file.
    pub suspendconf: PathBuf,
    /// Path of the delivery file.
    pub deliveryconf: PathBuf,
    /// Whom to become once the sockets are bound; `None`: stay.
    pub privdrop: Option<PrivDrop>,
    /// File mode creation mask; `None`: inherited.
    pub umask: Option<u32>,
    /// Limit on open files, to be set before the privilege drop; `None`: raise the soft limit to the hard one.
    pub rlimit_nofile: Option<u64>,
    /// Form of transaction ids.
    pub uuid: UuidVersion,
    /// Bit *n* set: syslog priority *n* passes.
    pub syslog_mask: u8,
    /// Where syslog files the lines.
    pub syslog_facility: Facility,
    /// Number of shards; `None`: what affinity and cgroup quota allow.
    pub shards: Option<u32>,
}

/// `environment.privdrop`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivDrop {
    /// User name; `None`: only the group changes.
    pub user: Option<String>,
    /// Group name; `None`: the user's primary group.
    pub group: Option<String>,
}

/// `environment.uuid.version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UuidVersion {
    /// Version 1, from time.
    Time,
    /// Version 4, random.
    Random,
}

/// `environment.syslog.facility`; the discriminant is the number of RFC 5424 table 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Facility {
    User = 1,
    Mail = 2,
    Daemon = 3,
    Local0 = 16,
    Local1 = 17,
    Local2 = 18,
    Local3 = 19,
    Local4 = 20,
    Local5 = 21,
    Local6 = 22,
    Local7 = 23,
}

/// Reads the startup file.
///
/// # Errors
/// Every problem of the file, in file order.
pub fn load_startup(source: &Source<'_>, options: &Options<'_>) -> Result<Loaded<Startup>, Vec<Error>> {
    todo!()
}

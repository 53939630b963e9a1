//! `smtpd.yaml`: what cannot change while the process lives.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::report::{Problem, Report};
use crate::schema::File;
use crate::tree::Tree;
use crate::{
    ControlListener, Error, Listener, Loaded, MonitorListener, Options, Pki, Plugins, Scope, ScriptSettings,
    Source, Version, check, control_socket, listeners, monitor, pki, plugins, scripting,
};

/// The startup file.
#[derive(Clone, Debug, PartialEq)]
pub struct Startup {
    /// Version of the file, which selects behaviour.
    pub version: Version,
    /// Listen side of the servers, in file order. Ids are unique.
    pub servers: Vec<ListenServer>,
    /// The message store.
    pub spool: Spool,
    /// Most recipients kept in the queue; `None`: the queue's own bound.
    pub queue_max_messages: Option<u64>,
    /// The accounting file; `None`: there is none.
    pub accounting: Option<Accounting>,
    /// The listener for probes and metrics; `None`: there is none.
    pub monitor: Option<MonitorListener>,
    /// What scripts may reach.
    pub scripting: ScriptSettings,
    /// Settings of plugins, to be [joined](Plugins::joined) with those of the running file.
    pub plugins: Plugins,
    /// Keys and certificates, read with start privileges; the running file can add to them.
    pub pki: Pki,
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
    /// Peers that send a PROXY header first.
    pub proxies: Vec<IpNet>,
}

/// `servers[].type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// `smtp`.
    Smtp,
    /// `http`: whole messages come in by HTTP, in clear.
    Http,
    /// `https`: the same under TLS.
    Https,
}

impl ServerKind {
    /// As the files name it.
    pub fn name(self) -> &'static str {
        match self {
            ServerKind::Smtp => "smtp",
            ServerKind::Http => "http",
            ServerKind::Https => "https",
        }
    }

    /// `http` or `https`.
    pub fn is_http(self) -> bool {
        matches!(self, ServerKind::Http | ServerKind::Https)
    }

    /// That of an entry of `servers` whose type exists.
    pub(crate) fn of(server: &Tree) -> ServerKind {
        match server.text("type") {
            Some("http") => ServerKind::Http,
            Some("https") => ServerKind::Https,
            _ => ServerKind::Smtp,
        }
    }
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
    /// Refuse mail below this many free inodes; `None`: the store's own reserve.
    pub min_free_inodes: Option<u64>,
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

/// `accounting`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounting {
    /// The file.
    pub path: PathBuf,
    /// It is changed when it is as large as this.
    pub rotate_size_bytes: u64,
    /// It is changed when it is as old as this.
    pub rotate_interval: Duration,
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
    /// Each log line is an object of JSON.
    pub log_json: bool,
    /// Number of shards; `None`: what affinity and cgroup quota allow.
    pub shards: Option<u32>,
    /// What sockets and files are driven by.
    pub driver: Driver,
    /// How long a stop lets transactions and attempts go on.
    pub drain: Duration,
    /// Where commands are taken.
    pub control: ControlListener,
    /// Public suffix list of the host; `None`: the one built into the program.
    pub publicsuffix: Option<PathBuf>,
}

/// `environment.driver`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring where the kernel has and allows it, else epoll.
    Auto,
    /// io_uring, or the server does not start.
    Uring,
    /// epoll.
    Epoll,
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
    let mut report = Report::new(source.name);
    let read = check::read(File::Startup, source, options, &mut report);
    let value = read.and_then(|(mut tree, version)| {
        if options.scope == Scope::Server {
            cross_check(&tree, &mut report);
        }
        plugins::cross_check(&tree, File::Startup, &mut report);
        pki::cross_check(&tree, &mut report);
        check::fill(&mut tree, File::Startup.keys(Scope::Server));
        (!report.has_errors()).then(|| startup(&tree, version))
    });
    report.loaded(value)
}

/// What the schema cannot say.
fn cross_check(tree: &Tree, report: &mut Report) {
    for (index, server) in tree.items("servers").iter().enumerate() {
        listeners::check(server, index, report);
    }
    listeners::unique(tree, report);
    monitor::cross_check_startup(tree, report);
    control_socket::cross_check(tree, report);
    if let Some(version @ (2 | 3)) = tree.integer("environment.uuid.version") {
        let at = tree.get("environment.uuid.version").map_or(tree.at, |tree| tree.at);
        report.error(at, "environment.uuid.version", Problem::new(format!("{version} is not one of 1, 4")));
    }
    if tree.items("servers").is_empty() {
        report.warning(tree.at, "servers", Problem::new("there are no servers, so no mail can come in"));
    }
    if let (Some(false), Some(fsync)) = (tree.bool("spool.fsync"), tree.get("spool.fsync")) {
        let problem = Problem::new("messages that were answered 250 can be lost in a crash");
        report.warning(fsync.at, "spool.fsync", problem);
    }
}

/// The typed value of a tree without errors and with all defaults.
fn startup(tree: &Tree, version: Version) -> Startup {
    Startup {
        version,
        servers: tree.items("servers").iter().map(server).collect(),
        spool: Spool {
            path: path(tree, "spool.path"),
            fsync: tree.bool("spool.fsync").expect("has a default"),
            min_free_bytes: tree.integer("spool.minfree.bytes"),
            min_free_inodes: tree.integer("spool.minfree.inodes"),
            corrupt: match tree.text("spool.corrupt").expect("has a default") {
                "unlink" => Corrupt::Unlink,
                "ignore" => Corrupt::Ignore,
                _ => Corrupt::Rename,
            },
        },
        queue_max_messages: tree.integer("queues.maxmessages"),
        accounting: tree.get("accounting").filter(|tree| tree.text("path").is_some()).map(|tree| {
            Accounting {
                path: path(tree, "path"),
                rotate_size_bytes: tree.integer("rotate.size").expect("has a default"),
                rotate_interval: tree.time("rotate.interval").expect("has a default"),
            }
        }),
        monitor: monitor::listener(tree),
        scripting: scripting::settings(tree),
        plugins: plugins::plugins(tree),
        pki: pki::pki(tree),
        environment: environment(tree.get("environment").expect("has a default")),
    }
}

fn server(tree: &Tree) -> ListenServer {
    ListenServer {
        id: tree.text("id").expect("required").to_owned(),
        kind: ServerKind::of(tree),
        proxies: tree.networks("proxyprotocol"),
        listeners: tree.items("listeners").iter().map(listeners::listener).collect(),
    }
}

fn environment(tree: &Tree) -> Environment {
    let user = tree.text("privdrop.user").map(str::to_owned);
    let group = tree.text("privdrop.group").map(str::to_owned);
    Environment {
        appconf: path(tree, "appconf"),
        policyconf: path(tree, "policyconf"),
        suspendconf: path(tree, "suspendconf"),
        deliveryconf: path(tree, "deliveryconf"),
        privdrop: (user.is_some() || group.is_some()).then_some(PrivDrop { user, group }),
        umask: tree.count("umask"),
        rlimit_nofile: tree.integer("rlimit.nofile"),
        uuid: match tree.integer("uuid.version") {
            Some(4) => UuidVersion::Random,
            _ => UuidVersion::Time,
        },
        syslog_mask: u8::try_from(tree.integer("syslog.mask").expect("has a default"))
            .expect("bounded by the schema"),
        syslog_facility: facility(tree.text("syslog.facility").expect("has a default")),
        log_json: tree.text("syslog.format") == Some("json"),
        shards: tree.count("shards"),
        driver: match tree.text("driver").expect("has a default") {
            "uring" => Driver::Uring,
            "epoll" => Driver::Epoll,
            _ => Driver::Auto,
        },
        drain: tree.time("drain").expect("has a default"),
        control: control_socket::control_socket(tree),
        publicsuffix: tree.text("publicsuffix").map(PathBuf::from),
    }
}

fn facility(name: &str) -> Facility {
    match name {
        "user" => Facility::User,
        "daemon" => Facility::Daemon,
        "local0" => Facility::Local0,
        "local1" => Facility::Local1,
        "local2" => Facility::Local2,
        "local3" => Facility::Local3,
        "local4" => Facility::Local4,
        "local5" => Facility::Local5,
        "local6" => Facility::Local6,
        "local7" => Facility::Local7,
        _ => Facility::Mail,
    }
}

fn path(tree: &Tree, key: &str) -> PathBuf {
    PathBuf::from(tree.text(key).expect("has a default"))
}

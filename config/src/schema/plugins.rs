//! `plugins[]` of both files. The settings of all plugins that are built in stand in one table; which are whose,
//! `config/src/plugins.rs` knows.

use super::*;

pub(super) const STARTUP: &[Key] = &[
    key("id", ID, "Name of the plugin").required(),
    key("path", PATH, "Library to load").no_effect("the plugin is built in"),
    key("config", Shape::Object(CONFIG), "Its settings"),
    key("autoload", BOOL, "Load at start")
        .default("true")
        .no_effect("the plugin is built in")
        .except(&["true"]),
];

pub(super) const RUNNING: &[Key] = &[
    key("id", ID, "Name of the plugin").required(),
    key("config", Shape::Object(CONFIG), "Its settings; they go before those of the startup file"),
];

const MILLISECONDS: Shape = Shape::One(Type::Integer { min: 1, max: 86_400_000 });

const CONFIG: &[Key] = &[
    key(
        "default_profile",
        ID,
        "`redis`, `sqlite`, `postgresql`, `mariadb`: the profile of scripts that name none; default the only one",
    ),
    key(
        "profiles",
        Shape::List(&Shape::Object(PROFILE)),
        "`redis`, `sqlite`, `postgresql`, `mariadb`: the profiles",
    ),
    key("cnf", PATH, "`mariadb`: as in a profile, for a single one without a name"),
    key("pool_size", POOL_SIZE, "`mariadb`, `hiredis-cluster`: as in a profile"),
    key("read_timeout", SECONDS, "`mariadb`: as in a profile"),
    key("write_timeout", SECONDS, "`mariadb`: as in a profile"),
    key("nodes", TEXT, "`hiredis-cluster`: nodes to begin with, as `host:port,host:port`"),
    key("password", TEXT, "`hiredis-cluster`: password for `AUTH`"),
    key(
        "max_retry",
        Shape::One(Type::Integer { min: 0, max: 100 }),
        "`hiredis-cluster`: redirections that a command follows; default 5",
    ),
    key("connect_timeout", SECONDS, "`hiredis-cluster`: seconds to connect; default 5"),
    key(
        "queues",
        Shape::List(&Shape::Object(QUEUE)),
        "`kafka`, `http-bulk`: the queues; those of `http-bulk` in the startup file only",
    ),
    key(
        "path",
        PATH,
        "`rate`: socket of `rated`, default `/var/run/halon/rated.sock`; `geoip`: the database, read at start and reload",
    ),
    key("port", PORT, "`rate`: UDP port of `rated`, instead of `path`"),
    key("address", Shape::One(Type::Host), "`rate`: its address or name; default 127.0.0.1"),
    key(
        "badhost",
        BOOL,
        "`rate`: leave out addresses that fail, as long as one is left and until the name is resolved again",
    ),
    key(
        "timeout",
        Shape::One(Type::Integer { min: 1, max: 3_600_000 }),
        "`rate`: milliseconds to wait for an answer; default 5000. `hiredis-cluster`: seconds for a command; default 5",
    ),
    key("reresolve", TIME_FROM_1_S, "`rate`: how often the name is resolved again; default never"),
    key(
        "lists",
        Shape::List(&Shape::Object(&[
            key("id", ID, "Name that scripts use").required(),
            key("path", PATH, "The file, read at start and reload").required(),
            key("autoreload", BOOL, "Read it again when the configuration is loaded again")
                .no_effect("it is always read again")
                .except(&["true"]),
        ])),
        "`bounce-list`, `suppression-list`, `ip-list`: the lists",
    ),
    key(
        "logs",
        Shape::List(&Shape::Object(&[
            key("id", ID, "Name that scripts use").required(),
            key("path", PATH, "The file that is appended to").required(),
            key("chmod", OCTAL, "Mode of a file that is made").default("\"0640\""),
            key("header", Shape::One(Type::TextOrEmpty), "First line of a file that is made"),
            key("fsync", BOOL, "Wait until it is on disk").default("true"),
        ])),
        "`logger`: the files",
    ),
    key(
        "exclude",
        BOOL,
        "`warmup`: an address under a schedule serves only mail that the schedule is about; default false",
    ),
    key(
        "schedules",
        Shape::List(&Shape::Object(SCHEDULE)),
        "`warmup`: how much mail addresses may send by their age; of equal classes that of the running file",
    ),
    key(
        "ips",
        Shape::List(&Shape::Object(&[
            key("ip", IP, "A source address").required(),
            key("helo", HOST_NAME, "The name that `warmup_ips()` gives with it"),
            key("class", ID, "Its schedule").required(),
            key("added", TEXT, "Day 0, as `2026-03-10`, in the time zone of this host").required(),
        ])),
        "`warmup`: the addresses that are new; in the running file only",
    ),
];

const SCHEDULE: &[Key] = &[
    key("class", ID, "Its name").required(),
    key(
        "fields",
        Shape::List(&Shape::OneOrObject(Type::Choice(&policy::NAMES), WITH_VALUE)),
        "Those of the policy that it adds conditions to; one with a value is for mail that matches that; `localip` must be there",
    )
    .derived("`[localip]`"),
    key("interval", INTERVAL, "Seconds that a number of messages is for; default 3600"),
    key("ratealgorithm", choice(&policy::ALGORITHMS), "How messages are counted").default("tokenbucket"),
    key("properties", Shape::Map(&Shape::One(Type::Free)), "Free data, for scripts"),
    key(
        "schedule",
        Shape::List(&Shape::Object(&[
            key(
                "day",
                Shape::One(Type::Integer { min: 0, max: 36_500 }),
                "The last day that it holds, counted from 0; after the last day of all there is no limit",
            )
            .required(),
            key("messages", POSITIVE, "Most messages in the interval").required(),
            key("interval", INTERVAL, "Another interval, in seconds"),
            key("properties", Shape::Map(&Shape::One(Type::Free)), "Free data; goes before that of the schedule"),
        ])),
        "The days",
    )
    .required(),
];

const INTERVAL: Shape = Shape::One(Type::Integer { min: 1, max: 31_622_400 });

/// The fields that a schedule can ask a value of.
const WITH_VALUE: &[Key] = &[
    key("tenantid", one(Field::TenantId), "Only for this tenant"),
    key("jobid", one(Field::JobId), "Only for this job"),
    key("transportid", one(Field::TransportId), "Only for this transport"),
    key("grouping", one(Field::Grouping), "Only for this group of destinations"),
    key("remoteip", one(Field::RemoteIp), "Only for this remote address"),
    key("remotemx", one(Field::RemoteMx), "Only for this MX"),
    key("recipientdomain", one(Field::RecipientDomain), "Only for this domain of recipients"),
];

const fn one(field: Field) -> Shape {
    Shape::One(Type::Match { field, lists: false })
}

const POOL_SIZE: Shape = Shape::One(Type::Integer { min: 1, max: 10_000 });
const SECONDS: Shape = Shape::One(Type::Integer { min: 0, max: 86_400 });

const PROFILE: &[Key] = &[
    key("id", ID, "Name that scripts use").required(),
    key(
        "type",
        choice(&["standalone", "cluster", "sentinel"]),
        "`redis`: what answers there; default standalone",
    ),
    key("host", HOST, "`redis`, `postgresql`: name or address of the server; default 127.0.0.1"),
    key("port", PORT, "`redis`, `postgresql`: its port; default 6379, 5432"),
    key(
        "hosts",
        Shape::List(&Shape::Object(&[
            key("host", HOST, "Name or address").required(),
            key("port", PORT, "Port; default 6379, of a sentinel 26379"),
        ])),
        "`redis`: nodes of the cluster to begin with, or the sentinels",
    ),
    key("master_name", TEXT, "`redis`: the name of the master that sentinels watch"),
    key("user", TEXT, "`redis`: user for `AUTH`; default the one that has no name"),
    key("username", TEXT, "`postgresql`: user; default postgres"),
    key("password", TEXT, "`redis`, `postgresql`: password"),
    key("database", TEXT, "`postgresql`: database; default the name of the user"),
    key("db", Shape::One(Type::Integer { min: 0, max: 15 }), "`redis`: number of the database").default("0"),
    key(
        "pool_size",
        POOL_SIZE,
        "Most connections of the process; each shard has its part, at least one; default 1",
    ),
    key(
        "connect_timeout",
        MILLISECONDS,
        "`redis`: milliseconds to connect; default 5000. `postgresql`: seconds; default 5",
    ),
    key("socket_timeout", MILLISECONDS, "`redis`: milliseconds for a command; default 5000"),
    key("wait_timeout", MILLISECONDS, "`redis`: milliseconds to wait for a free connection; default 5000"),
    key(
        "connection_lifetime",
        MILLISECONDS,
        "`redis`: milliseconds after which a connection is not used again",
    ),
    key(
        "connection_idle_time",
        MILLISECONDS,
        "`redis`: milliseconds without use after which it is not used again",
    ),
    key("keep_alive", BOOL, "`redis`: TCP keep-alive")
        .default("false")
        .no_effect("a connection that is dead is made again")
        .except(&["false"]),
    key(
        "tls_enabled",
        BOOL,
        "`redis`, `postgresql`: TLS; default false, for `postgresql`: where the server has it",
    ),
    key("tls_verify_peer", BOOL, "`redis`, `postgresql`: verify who issued the certificate").default("true"),
    key("tls_verify_host", BOOL, "`redis`, `postgresql`: verify that the certificate is for `host`")
        .default("true"),
    key("filename", PATH, "`sqlite`: the database; `:memory:` is one of each connection's own"),
    key("foreign_keys", BOOL, "`sqlite`: foreign keys hold").default("false"),
    key("readonly", BOOL, "`sqlite`: it is only read").default("false"),
    key(
        "busy_timeout",
        Shape::One(Type::Integer { min: 0, max: 60_000 }),
        "`sqlite`: milliseconds to wait for a lock of others; default 5000",
    ),
    key(
        "cnf",
        PATH,
        "`mariadb`: option file with `host`, `port`, `socket`, `user`, `password`, `database`, `connect-timeout`, `ssl`, `ssl-verify-server-cert` in the groups `client`, `client-server` and `client-mariadb`; read at start and reload",
    ),
    key("read_timeout", SECONDS, "`mariadb`: seconds to wait for an answer; default 30"),
    key("write_timeout", SECONDS, "`mariadb`: seconds to send a query; default 30"),
];
const QUEUE: &[Key] = &[
    key("id", ID, "Name that scripts use").required(),
    key(
        "config",
        Shape::Map(&Shape::One(Type::Free)),
        "`kafka`: properties of the client as librdkafka names them; which are known: [services](../hsl/services.md#kafka)",
    ),
    key(
        "path",
        PATH,
        "`http-bulk`: the directory that holds the queue, required; those of `concurrency` have `.2` and so on behind it",
    ),
    key("url", TEXT, "`http-bulk`: where batches are posted, required"),
    key(
        "format",
        Shape::One(Type::Choice(&["ndjson", "jsonarray", "custom"])),
        "`http-bulk`: how a batch is made of items: a line each, an array (with `max_items` 1 the item alone), or one behind the other; default jsonarray",
    ),
    key(
        "min_items",
        COUNT_FROM_1,
        "`http-bulk`: items that are waited for before a batch is sent; default 1",
    ),
    key("max_items", COUNT_FROM_1, "`http-bulk`: most items of a batch; default 1"),
    key(
        "max_interval",
        SECONDS,
        "`http-bulk`: seconds after the last batch after which fewer than `min_items` are sent; default 0: never",
    ),
    key("tls_verify", BOOL, "`http-bulk`: verify the certificate and the name of the server; default true"),
    key("preamble", Shape::One(Type::TextOrEmpty), "`http-bulk`: what each batch begins with"),
    key("postamble", Shape::One(Type::TextOrEmpty), "`http-bulk`: what each batch ends with"),
    key("username", TEXT, "`http-bulk`: user for HTTP"),
    key("password", TEXT, "`http-bulk`: password for HTTP"),
    key("timeout", SECONDS, "`http-bulk`: seconds that a request may take; default 300"),
    key("connect_timeout", SECONDS, "`http-bulk`: seconds that connecting may take; default 300"),
    key(
        "headers",
        Shape::List(&Shape::One(Type::Text)),
        "`http-bulk`: lines of `Name: value` to add to requests",
    ),
    key(
        "concurrency",
        Shape::One(Type::Integer { min: 1, max: 64 }),
        "`http-bulk`: requests at a time: as many queues, to which items are dealt in turn; default 1",
    ),
    key(
        "aws_sigv4",
        TEXT,
        "`http-bulk`: sign requests for Amazon (version 4) as `provider[:prefix[:region[:service]]]`, for example `aws:amz:us-east-1:es`; `username` is the access key, `password` its secret",
    ),
];

const COUNT_FROM_1: Shape = Shape::One(Type::Integer { min: 1, max: 1_000_000 });

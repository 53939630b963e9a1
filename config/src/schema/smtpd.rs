//! `smtpd.yaml`.

use super::*;

pub(super) const KEYS: &[Key] = &[
    VERSION,
    key("servers", Shape::List(&Shape::Object(SERVER)), "Listen side of the servers").default("[]"),
    key("queues", Shape::Object(QUEUES), "Queue threads and memory limits"),
    key("spool", Shape::Object(SPOOL), "Message store").since("5.4"),
    SCRIPTING_KEY,
    PLUGINS_KEY,
    PKI_KEY,
    key("cluster", Shape::Object(CLUSTER), "Link to the cluster coordinator")
        .no_effect("the counters of policies are those of this host alone"),
    key(
        "accounting",
        Shape::Object(ACCOUNTING),
        "File of what became of each message, as JSON lines (ours); absent: none",
    ),
    key("monitor", Shape::Object(MONITOR), "HTTP endpoint `/metrics`, `/ready`, `/healthy`; absent: none"),
    ENVIRONMENT_KEY,
];

/// What counts where scripts run without a server.
pub(super) const SCRIPT_KEYS: &[Key] = &[VERSION, SCRIPTING_KEY, PLUGINS_KEY, PKI_KEY, ENVIRONMENT_KEY];

const SCRIPTING_KEY: Key = key("scripting", Shape::Object(SCRIPTING), "Script settings that need a restart");
const PLUGINS_KEY: Key = key(
    "plugins",
    Shape::List(&Shape::Object(plugins::STARTUP)),
    "Settings of plugins; all are built in, and libraries are not loaded",
)
.since("5.6");
const PKI_KEY: Key = key("pki", Shape::Object(PKI), "Private keys and certificates");
const ENVIRONMENT_KEY: Key =
    key("environment", Shape::Object(ENVIRONMENT), "Paths, privileges, sockets, limits");

const SERVER: &[Key] = &[
    key("id", ID, "Same id and same type as the entry in the running file").required(),
    key(
        "type",
        choice(&["smtp", "http", "https", "plugin"]),
        "SMTP server, HTTP(S) submission endpoint, or injection by a plugin",
    )
    .default("smtp")
    .not_yet()
    .except(&["smtp", "http", "https"]),
    key(
        "listeners",
        Shape::List(&Shape::Object(LISTENER)),
        "Sockets to bind; at least one for type `smtp`, exactly one for `http` and `https`, none for `plugin`",
    ),
    key(
        "proxyprotocol",
        Shape::List(&Shape::One(Type::Network)),
        "Peers from which a PROXY header is required and trusted",
    )
    .default("[]"),
    key("threads", Shape::Object(SERVER_THREADS), "Threads of this server").no_effect(THREADS),
];

const LISTENER: &[Key] = &[
    key("port", PORT, "TCP port; required without `path`"),
    key("address", IP, "Local address").derived("all IPv4 and IPv6 addresses"),
    key("backlog", POSITIVE, "Listen backlog").derived("the system's"),
    key("id", ID, "Name for `servers[].tls.implicit` in the running file; unique in the server").since("5.0"),
    key(
        "path",
        PATH,
        "Absolute path of a Unix socket, instead of `port` and `address`; its clients count as 127.0.0.1",
    )
    .since("5.4"),
];

const SERVER_THREADS: &[Key] = &[
    key("event", POSITIVE, "Event loops"),
    key("script", POSITIVE, "Script threads"),
    key("priority", COUNT, "Thread priority"),
];

const QUEUES: &[Key] = &[
    key(
        "threads",
        Shape::Object(&[
            key("script", POSITIVE, "Queue script threads"),
            key("event", POSITIVE, "Delivery event loops"),
        ]),
        "Threads of the queue",
    )
    .no_effect(THREADS),
    key("maxmessages", POSITIVE, "Most messages kept loaded in memory").derived("the queue's own bound"),
];

const SPOOL: &[Key] = &[
    key("path", PATH, "Directory of the message store; relative paths start where the program was started").default("/var/spool/halon/queue"),
    key("fsync", BOOL, "A `250` after end of data means that the message is on stable storage; `false` gives that up").default("true").since("5.4"),
    key(
        "minfree",
        Shape::Object(&[
            key("bytes", SIZE, "Refuse mail with `452` below this much free space").derived("a reserve of the store").since("5.4"),
            key("inodes", COUNT, "The same for inodes").derived("a reserve of the store").since("5.4"),
        ]),
        "Free space to keep",
    ),
    key(
        "corrupt",
        choice(&["unlink", "rename", "ignore"]),
        "A record that fails its checks at start: drop it, set it aside in a file of its own, or leave it and go on; always with a log line",
    )
    .default("rename")
    .since("5.5"),
    key("loader", Shape::Object(&[key("threads", POSITIVE, "Threads that read the queue at start")]), "Start-up scan")
        .no_effect("each shard reads its own segments"),
];

const ACCOUNTING: &[Key] = &[
    key("path", PATH, "The file; its directory exists and can be written by the server's user").required(),
    key(
        "rotate",
        Shape::Object(&[
            key("size", SIZE, "Size from which on the file is renamed, with its first sequence number at the end, and begun anew")
                .default("256MiB"),
            key("interval", Shape::One(Type::Time { min_s: 60 }), "Age at which that is done").default("1d"),
        ]),
        "When the file is changed",
    ),
];

const SCRIPTING: &[Key] = &[
    key("rootpath", PATH, "Directory of `file://` imports and files; absent: there are none"),
    key("ffi", BOOL, "Allow native library calls from scripts; there are none in this program")
        .default("false"),
];

const PKI: &[Key] = &[key(
    "private",
    Shape::List(&Shape::Object(&[
        key("id", ID, "Name used by `tls.certs` and by scripts").required(),
        key("privatekey", PEM, "Private key, read with start privileges"),
        key("certificate", PEM, "Certificate chain, leaf first"),
    ])),
    "Keys with their certificates",
)];

const CLUSTER: &[Key] = &[
    key("address", HOST, "Host or address of the coordinator").required(),
    key("port", PORT, "Its port").default("2530"),
    key("tls", Shape::Any, "TLS to the coordinator"),
];

const MONITOR: &[Key] = &[
    key(
        "listener",
        Shape::Object(&[
            key("port", PORT, "HTTP port"),
            key("address", IP, "Local address").derived("all IPv4 and IPv6 addresses"),
            key("type", choice(&["http", "https"]), "Protocol").derived("`http`"),
            key("backlog", POSITIVE, "Listen backlog").derived("the system's"),
        ]),
        "Socket of the monitor",
    ),
    key("port", PORT, "Short form of `monitor.listener.port`"),
    key("address", IP, "Short form of `monitor.listener.address`"),
    key("type", choice(&["http", "https"]), "Short form of `monitor.listener.type`"),
];

const ENVIRONMENT: &[Key] = &[
    key("appconf", PATH, "Running file").default("/etc/halon/smtpd-app.yaml"),
    key("policyconf", PATH, "Policy file").default("/etc/halon/smtpd-policy.yaml").since("5.2"),
    key("suspendconf", PATH, "Suspend file").default("/etc/halon/smtpd-suspend.yaml").since("5.2"),
    key("deliveryconf", PATH, "Delivery file").default("/etc/halon/smtpd-delivery.yaml").since("5.3"),
    key("controlsocket", Shape::Object(CONTROL_SOCKET), "Where commands of `halonctl` and others are taken"),
    key(
        "privdrop",
        Shape::Object(&[
            key("user", TEXT, "User to run as").derived("stay as started"),
            key("group", TEXT, "Group to run as").derived("primary group of the user"),
        ]),
        "Privilege drop, once all sockets are bound",
    ),
    key("umask", OCTAL, "Process umask").derived("inherited"),
    key(
        "rlimit",
        Shape::Object(&[key("nofile", POSITIVE, "Most open files, set before the privilege drop")
            .derived("the hard limit")]),
        "Resource limits",
    ),
    key(
        "uuid",
        Shape::Object(&[key(
            "version",
            Shape::One(Type::Integer { min: 1, max: 4 }),
            "Transaction ids: 1 from time, 4 random",
        )
        .default("1")
        .since("5.4")]),
        "Form of ids",
    ),
    key(
        "syslog",
        Shape::Object(&[
            key(
                "mask",
                Shape::One(Type::Integer { min: 0, max: 255 }),
                "Bit *n* set: priority *n* is written",
            )
            .default("255")
            .since("5.2"),
            key("facility", choice(FACILITIES), "Syslog facility").default("mail"),
            key("format", choice(&["text", "json"]), "Form of log lines, to standard error too (ours); `json`: an object each")
                .default("text"),
        ]),
        "Logging",
    ),
    key("shards", Shape::One(Type::Integer { min: 1, max: 1024 }), "Number of shards")
        .derived("CPUs of the affinity mask, at most the cgroup quota"),
    key(
        "driver",
        choice(&["auto", "uring", "epoll"]),
        "What sockets and files are driven by (ours); `auto`: io_uring where the kernel has and allows it, else epoll",
    )
    .default("auto"),
    key(
        "drain",
        Shape::One(Type::Time { min_s: 0 }),
        "How long a stop lets transactions and attempts go on (ours); then they are dropped where they stand",
    )
    .default("30"),
    key("licensekey", TEXT, "Licence file").no_effect("no licence is needed").except(&[]),
    key("tmpdir", PATH, "Scratch directory")
        .default("/var/spool/halon/tmp")
        .no_effect("nothing needs scratch files yet"),
    key("publicsuffix", PATH, "Public suffix list"),
];

pub(crate) const FACILITIES: &[&str] = &[
    "user", "mail", "daemon", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

const CONTROL_SOCKET: &[Key] = &[
    key("path", PATH, "Unix socket").derived("/var/run/halon/smtpd.ctl"),
    key("owner", TEXT, "Owner of the socket").derived("who starts the program"),
    key("group", TEXT, "Group of the socket").derived("that of the program"),
    key("chmod", OCTAL, "Mode of the socket").default("\"0600\""),
    key("port", PORT, "TCP port instead of `path`"),
    key("address", IP, "Address for the TCP port").derived("127.0.0.1"),
    key(
        "tls",
        Shape::Object(&[
            key(
                "server",
                Shape::Object(&[
                    key("certificate", PEM, "Certificate of the server"),
                    key("privatekey", PEM, "Its key"),
                    key(
                        "clientcerts",
                        Shape::List(&PEM),
                        "Certificates, or issuers of certificates, that clients must show one of",
                    ),
                ]),
                "TLS on the TCP port",
            ),
            key(
                "client",
                Shape::Object(&[
                    key("certificate", PEM, "Certificate of client tools that read this file"),
                    key("privatekey", PEM, "Its key"),
                    key("verify", BOOL, "Check the server's certificate"),
                    key("verifyname", HOST_NAME, "Name to expect"),
                ]),
                "For client tools",
            ),
        ]),
        "TLS of the control socket",
    ),
];

//! `smtpd-app.yaml`.

use super::*;

pub(super) const KEYS: &[Key] = &[
    VERSION,
    key("servers", Shape::List(&Shape::Object(SERVER)), "Behaviour of the servers").default("[]"),
    key("transportgroups", Shape::List(&Shape::Object(GROUP)), "Outgoing routes").default("[]"),
    key("addresses", Shape::List(&Shape::Object(ADDRESS)), "Named source addresses").default("[]"),
    key("queues", Shape::Object(QUEUES), "Grouping, pooling, limits"),
    key("lists", Shape::Object(LISTS), "Named match lists, used as `@name`"),
    key("resolver", Shape::Object(RESOLVER), "DNS client"),
    key("scripting", Shape::Object(SCRIPTING), "Packed scripts and files"),
    key("pki", Shape::Object(PKI), "Certificates, trust").no_effect(NO_TLS),
    key(
        "plugins",
        Shape::List(&Shape::Object(&[
            key("id", ID, "Name of the plugin").required(),
            key("config", Shape::Any, "Handed to the plugin"),
        ])),
        "Running part of plugin settings",
    )
    .not_yet(),
    key("monitor", Shape::Object(MONITOR), "Security and limits of the monitor").no_effect(NO_MONITOR),
];

const SERVER: &[Key] = &[
    key("id", ID, "Pairs with the entry in the startup file").required(),
    key("type", choice(&["smtp", "http", "https", "plugin"]), "Equal to the startup entry").default("smtp").not_yet().except(&["smtp"]),
    key("transport", ID, "Transport given to recipients when no script chooses one").required(),
    key("openrelay", BOOL, "Listen beyond loopback without an `rcptto` or `eod` hook: everyone who can connect can send mail to anyone (a key of this project)").default("false"),
    key("hostname", HOST_NAME, "Name in banner, EHLO reply and Received header").derived("system host name"),
    key(
        "concurrency",
        Shape::Object(&[
            key("total", POSITIVE, "Most open connections; over it, `421`").default("10000").since("4.0"),
            key("remoteip", COUNT, "Most connections from one address; over it, `421`; 0: no limit").default("0"),
        ]),
        "Limits on connections",
    ),
    key("timeout", Shape::Object(&[key("idle", TIME_FROM_1_S, "Idle time before `421` and close").default("600").since("5.3")]), "Timeouts"),
    key("logging", Shape::Object(&[key("verbose", BOOL, "Protocol log").since("5.0").no_effect("there is no protocol log yet").except(&["false"])]), "Logging"),
    key("apikeys", Shape::List(&TEXT), "For `http` and `https`: accepted `X-API-Key` values").since("5.8").not_yet(),
    key("tls", Shape::Object(SERVER_TLS), "TLS for clients"),
    key("xclient", Shape::List(&Shape::Any), "Who may use XCLIENT").not_yet(),
    key("phases", Shape::Object(PHASES), "The phases of a session"),
    key("extensions", Shape::Object(EXTENSIONS), "What `EHLO` announces"),
];

const SERVER_TLS: &[Key] = &[
    key(
        "certs",
        Shape::Object(&[
            key("cert", ID, "`pki.private` entry used without SNI; absent: STARTTLS is not offered"),
            key(
                "sni",
                Shape::List(&Shape::Object(&[
                    key("hostname", TEXT, "Name"),
                    key("cert", ID, "`pki.private` entry"),
                ])),
                "Certificates by name",
            ),
        ]),
        "Certificates",
    )
    .not_yet(),
    key("implicit", BOOL, "All listeners start in TLS").since("5.0").not_yet().except(&["false"]),
    key("implicit", Shape::List(&ID), "Listeners that start in TLS").since("5.0").not_yet(),
    key("protocols", TEXT, "Protocol versions").no_effect(NO_TLS),
    key("ciphers", TEXT, "Cipher list").no_effect(NO_TLS),
    key("clientcert", choice(&["disabled", "optional", "require"]), "Ask for a client certificate")
        .default("disabled")
        .not_yet()
        .except(&["disabled"])
        .tolerating(&["optional"], NO_TLS),
    key("required", BOOL, "Refuse `MAIL` before TLS").default("false").not_yet().except(&["false"]),
];

const PHASES: &[Key] = &[
    key(
        "connect",
        Shape::Object(&[
            HOOK,
            key("remoteptr", BOOL, "Forward-confirmed reverse look-up of the peer").since("5.2").no_effect("there is no reverse look-up yet").except(&["false"]),
        ]),
        "Before the banner",
    ),
    key("proxy", Shape::Object(&[HOOK]), "Each command").since("5.1"),
    key(
        "helo",
        Shape::Object(&[HOOK, key("required", BOOL, "`MAIL` needs a `HELO` or `EHLO` before it").default("false").since("4.7")]),
        "HELO and EHLO",
    )
    .since("4.7"),
    key(
        "auth",
        Shape::Object(&[
            HOOK,
            key("tls", BOOL, "Offer AUTH only under TLS").no_effect("AUTH is not offered yet"),
            key("mechanisms", Shape::List(&TEXT), "Mechanisms").no_effect("AUTH is not offered yet"),
        ]),
        "AUTH",
    ),
    key(
        "mailfrom",
        Shape::Object(&[HOOK, key("maxmessages", COUNT, "Most transactions on one connection; 0: no limit").default("0").since("5.5")]),
        "MAIL FROM",
    ),
    key(
        "rcptto",
        Shape::Object(&[
            HOOK,
            key(
                "hook",
                Shape::Object(&[
                    key("id", ID, "Script for domains that are not in the map"),
                    key("recipientdomains", Shape::Map(&ID), "Script per recipient domain"),
                ]),
                "Scripts by recipient domain",
            )
            .not_yet(),
            key("maxrecipients", POSITIVE, "Most recipients in one transaction, then `452`").default("1000").since("5.5"),
        ]),
        "RCPT TO",
    ),
    key(
        "data",
        Shape::Object(&[
            key("maxsize", SIZE, "Largest message, announced with SIZE and enforced with `552`; 0: no limit").default("0").since("5.4"),
            key("maxhops", POSITIVE, "Most Received headers before a message counts as looping").default("100").since("5.4"),
            key("multipart", BOOL, "Parse the MIME tree while receiving").no_effect("messages are not parsed yet").except(&["false"]),
            key(
                "bareeol",
                choice(&["reject", "convert"]),
                "A bare CR or LF in a message: refuse it, or make it CRLF; in both cases only CRLF.CRLF ends the message (a key of this project)",
            )
            .default("reject"),
        ]),
        "The message",
    ),
    key("eod", Shape::Object(&[HOOK]), "End of data; without a hook every recipient is queued").since("5.0"),
    key("disconnect", Shape::Object(&[HOOK]), "Close").since("5.4"),
];

const HOOK: Key = key("hook", ID, "Script of this phase").not_yet();

const EXTENSIONS: &[Key] = &[
    key("pipelining", BOOL, "PIPELINING").default("true"),
    key("size", BOOL, "SIZE").default("true"),
    key("8bitmime", BOOL, "8BITMIME").default("true"),
    key("enhancedstatuscodes", BOOL, "ENHANCEDSTATUSCODES").default("true"),
    key("chunking", BOOL, "CHUNKING")
        .since("5.4")
        .no_effect("CHUNKING is not offered yet")
        .except(&["false"]),
    key("smtputf8", BOOL, "SMTPUTF8")
        .since("4.0")
        .no_effect("SMTPUTF8 is not offered yet")
        .except(&["false"]),
];

const ADDRESS: &[Key] = &[
    key("id", ID, "Name used in `sourceip` and in scripts").required(),
    key("address", IP, "IPv4 or IPv6 address").required(),
    key("hostname", HOST_NAME, "HELO name used with this address"),
    key("proxyprotocol", PROXY_TO, "Outgoing PROXY server for this address").not_yet(),
    key("nonlocal", BOOL, "Bind an address that the host does not have")
        .default("false")
        .not_yet()
        .except(&["false"]),
];

const PROXY_TO: Shape = Shape::Object(&[
    key("server", HOST, "PROXY server").required(),
    key("port", PORT, "Its port").required(),
]);

const GROUP: &[Key] = &[
    key("id", ID, "Name of the group").required(),
    CONNECTION,
    SESSION,
    RETRY,
    DSN,
    TIMEOUT,
    key(
        "transports",
        Shape::List(&Shape::Object(TRANSPORT)),
        "The transports; each inherits the blocks of its group key by key",
    )
    .default("[]"),
];

const TRANSPORT: &[Key] = &[
    key("id", ID, "Name of the transport; unique over all groups").required(),
    CONNECTION,
    SESSION,
    RETRY,
    DSN,
    TIMEOUT,
];

const CONNECTION: Key = key(
    "connection",
    Shape::Object(&[
        key("server", HOST, "Host name or address of the next hop")
            .derived("MX look-up of the recipient domain"),
        key("port", PORT, "TCP port, also for deliveries by MX").default("25"),
        key(
            "sourceip",
            Shape::Object(&[
                key("ipv4", BOOL, "`false`: do not use IPv4").default("true"),
                key("ipv4", Shape::List(&ID), "Address ids to rotate over").not_yet(),
                key("ipv6", BOOL, "`false`: do not use IPv6").default("true"),
                key("ipv6", Shape::List(&ID), "Address ids to rotate over").not_yet(),
                key("random", BOOL, "`false`: use addresses in the written order")
                    .since("5.5")
                    .no_effect("the system chooses the source address"),
            ]),
            "Source addresses",
        ),
        key("proxyprotocol", PROXY_TO, "Outgoing PROXY server").since("5.5").not_yet(),
        key(
            "mx",
            Shape::Object(&[
                key("include", Shape::List(&TEXT), "Use only MX names that match"),
                key("exclude", Shape::List(&TEXT), "Leave out MX names that match"),
            ]),
            "Filter on MX names",
        )
        .since("5.2")
        .not_yet(),
    ]),
    "Where to connect",
);

const SESSION: Key = key(
    "session",
    Shape::Object(&[
        key("helo", HOST_NAME, "HELO name").derived("system host name"),
        key("protocol", choice(&["smtp", "lmtp"]), "Protocol").default("smtp").not_yet().except(&["smtp"]),
        key("tls", Shape::Object(CLIENT_TLS), "Outgoing TLS"),
        key(
            "sasl",
            Shape::Object(&[key("username", TEXT, "User name"), key("password", TEXT, "Password")]),
            "Log in before `MAIL`",
        )
        .not_yet(),
        key("xclient", Shape::Map(&TEXT), "XCLIENT attributes to send").not_yet(),
    ]),
    "What to say",
);

const CLIENT_TLS: &[Key] = &[
    key(
        "mode",
        choice(&[
            "disabled",
            "optional",
            "optional_verify",
            "require",
            "require_verify",
            "dane",
            "dane_require",
            "dane_fallback_require",
            "dane_fallback_require_verify",
        ]),
        "Outgoing TLS policy",
    )
    .default("disabled")
    .not_yet()
    .except(&["disabled"])
    .tolerating(&["optional"], "there is no TLS yet: deliveries are in clear text"),
    key("implicit", BOOL, "TLS from the first byte").default("false").not_yet().except(&["false"]),
    key("protocols", TEXT, "Protocol versions").no_effect(NO_TLS),
    key("ciphers", TEXT, "Cipher list").no_effect(NO_TLS),
    key("sni", BOOL, "Send the connected name").no_effect(NO_TLS).except(&["false"]),
    key(
        "verify",
        Shape::Object(&[
            key("host", BOOL, "Check the certificate name against the host"),
            key("names", Shape::List(&TEXT), "Names to accept instead"),
            key("defaultca", BOOL, "Trust the system's certificate authorities"),
        ]),
        "Checks of the certificate",
    )
    .no_effect(NO_TLS),
    key("clientcert", ID, "`pki.private` entry").no_effect(NO_TLS),
];

const RETRY: Key = key(
    "retry",
    Shape::Object(&[
        key("count", COUNT, "Retries after the first attempt").default("0"),
        key(
            "intervals",
            Shape::List(&Shape::Object(&[
                key("interval", TIME_FROM_1_S, "Delay before the next attempt").required(),
                key("notify", BOOL, "Tell the sender that the message is delayed")
                    .default("false")
                    .no_effect(NO_DSN)
                    .except(&["false"]),
            ])),
            "One delay per retry; the last repeats",
        )
        .default("[{interval: 3600}]"),
        key("during", TIME_FROM_1_S, "Longest time in the queue").derived("only `count` decides"),
    ]),
    "When to try again; without the block, five days on a rising curve",
)
.default(FIVE_DAYS);

/// 1, 5, 15, 30 minutes, 1 and 2 hours, then every 4 hours: 35 retries in 119 h 51 min.
const FIVE_DAYS: &str = "{count: 35, during: 5d, intervals: [{interval: 1m}, {interval: 5m}, {interval: 15m}, \
                         {interval: 30m}, {interval: 1h}, {interval: 2h}, {interval: 4h}]}";

const DSN: Key = key(
    "dsn",
    Shape::Object(&[
        key(
            "transport",
            Shape::One(Type::TextOrEmpty),
            "Transport that carries notifications; empty: none are sent",
        ),
        key("from", TEXT, "From address"),
        key("fromname", TEXT, "From name"),
        key("format", choice(&["full", "headers"]), "What of the original is sent back"),
    ]),
    "Delivery status notifications",
)
.no_effect(NO_DSN);

const TIMEOUT: Key = key(
    "timeout",
    Shape::Object(&[
        key("connect", TIME_FROM_1_S, "TCP connect").default("30"),
        key("smtp", Shape::Object(STATES), "Wait for the reply, per state").since("5.2"),
    ]),
    "How long to wait",
);

const STATES: &[Key] = &[
    key("BANNER", TIME_FROM_1_S, "Greeting").default("300"),
    key("HELO", TIME_FROM_1_S, "HELO").default("300"),
    key("EHLO", TIME_FROM_1_S, "EHLO").default("300"),
    key("LHLO", TIME_FROM_1_S, "LHLO").no_effect("there is no LMTP yet"),
    key("STARTTLS", TIME_FROM_1_S, "STARTTLS").no_effect(NO_TLS),
    key("AUTH-CRAM-MD5", TIME_FROM_1_S, "AUTH").no_effect(NO_AUTH),
    key("AUTH-PLAIN", TIME_FROM_1_S, "AUTH").no_effect(NO_AUTH),
    key("AUTH-LOGIN", TIME_FROM_1_S, "AUTH").no_effect(NO_AUTH),
    key("AUTH-LOGIN-USER", TIME_FROM_1_S, "AUTH").no_effect(NO_AUTH),
    key("AUTH", TIME_FROM_1_S, "AUTH").no_effect(NO_AUTH),
    key("XCLIENT", TIME_FROM_1_S, "XCLIENT").no_effect("there is no XCLIENT yet"),
    key("MAIL", TIME_FROM_1_S, "MAIL FROM").default("300"),
    key("RCPT", TIME_FROM_1_S, "RCPT TO").default("300"),
    key("DATA", TIME_FROM_1_S, "DATA").default("120"),
    key("EOD", TIME_FROM_1_S, "The reply after the message").default("600"),
    key("RSET", TIME_FROM_1_S, "RSET").default("300"),
    key("NOOP", TIME_FROM_1_S, "NOOP").no_effect("NOOP is not sent"),
    key("QUIT", TIME_FROM_1_S, "QUIT").default("300"),
];

const NO_AUTH: &str = "there is no outgoing AUTH yet";

const QUEUES: &[Key] = &[
    key(
        "concurrency",
        Shape::Object(&[key("total", POSITIVE, "Most outgoing connections").default("10000")]),
        "Limits on connections",
    ),
    key("softbounce", BOOL, "Every permanent failure becomes a temporary one (a key of this project)")
        .default("false"),
    key(
        "pooling",
        Shape::Object(&[
            key("size", COUNT, "Idle outgoing connections kept for reuse; 0: none").default("1000"),
            key(
                "policy",
                choice(&["remoteip", "remotemx", "grouping", "recipientdomain"]),
                "What two messages must share to use the same connection",
            )
            .no_effect("connections are shared by next hop"),
        ]),
        "Connection reuse",
    ),
    key(
        "grouping",
        Shape::Object(&[
            key("default", choice(&["", "remotemx", "recipientdomain"]), "Group when no grouping matches")
                .default("\"\""),
            key(
                "groupings",
                Shape::List(&Shape::Object(GROUPING)),
                "Roll-up table; the first match in file order wins",
            )
            .default("[]"),
        ]),
        "Groups of destinations",
    )
    .since("5.12"),
];

const GROUPING: &[Key] = &[
    key("id", ID, "Seen in the queue as `&id`").required(),
    key(
        "remotemx",
        Shape::OneOrMany(Type::Match { field: Field::RemoteMx, lists: false }),
        "Match on the chosen MX",
    ),
    key(
        "recipientdomain",
        Shape::OneOrMany(Type::Match { field: Field::RecipientDomain, lists: false }),
        "Match on the recipient's domain",
    ),
    key(
        "remoteip",
        Shape::OneOrMany(Type::Match { field: Field::RemoteIp, lists: false }),
        "Match on the remote address",
    ),
];

const fn list(name: &'static str, field: Field) -> Key {
    // Shapes are referred to, so each needs a place of its own.
    key(name, Shape::Map(list_shape(field)), "Lists for this field, by name")
}

const fn list_shape(field: Field) -> &'static Shape {
    match field {
        Field::TenantId => &Shape::List(&Shape::One(Type::Match { field: Field::TenantId, lists: false })),
        Field::JobId => &Shape::List(&Shape::One(Type::Match { field: Field::JobId, lists: false })),
        Field::TransportId => {
            &Shape::List(&Shape::One(Type::Match { field: Field::TransportId, lists: false }))
        }
        Field::LocalIp => &Shape::List(&Shape::One(Type::Match { field: Field::LocalIp, lists: false })),
        Field::Grouping => &Shape::List(&Shape::One(Type::Match { field: Field::Grouping, lists: false })),
        Field::RemoteIp => &Shape::List(&Shape::One(Type::Match { field: Field::RemoteIp, lists: false })),
        Field::RemoteMx => &Shape::List(&Shape::One(Type::Match { field: Field::RemoteMx, lists: false })),
        Field::RecipientDomain => {
            &Shape::List(&Shape::One(Type::Match { field: Field::RecipientDomain, lists: false }))
        }
    }
}

const LISTS: &[Key] = &[
    list("tenantid", Field::TenantId),
    list("jobid", Field::JobId),
    list("transportid", Field::TransportId),
    list("localip", Field::LocalIp),
    list("grouping", Field::Grouping),
    list("remoteip", Field::RemoteIp),
    list("remotemx", Field::RemoteMx),
    list("recipientdomain", Field::RecipientDomain),
];

const RESOLVER: &[Key] = &[
    key(
        "cache",
        Shape::Object(&[
            key("size", COUNT, "Entries in the cache; 0: off").default("10000"),
            key(
                "ttl",
                Shape::Object(&[
                    key("min", TIME, "Shortest life of an entry").default("0"),
                    key("max", TIME_FROM_1_S, "Longest life of an entry").derived("what the answer says"),
                ]),
                "Life of entries",
            ),
        ]),
        "Cache of answers",
    ),
    key("concurrency", POSITIVE, "Most running queries").default("1000"),
    key(
        "servers",
        Shape::List(&Shape::One(Type::Server { port: 53 })),
        "Name servers: `address`, `address:port` or `[v6]:port`",
    )
    .derived("those of the system's resolver file"),
    key("timeout", TIME_FROM_1_S, "Per query").default("5"),
    key("domaincache", Shape::Object(&[key("size", COUNT, "Entries")]), "Cache of fully resolved domains")
        .no_effect("there is one cache"),
];

const SCRIPTING: &[Key] = &[
    key("hooks", Shape::Object(HOOKS), "Packed hooks"),
    key(
        "files",
        Shape::List(&Shape::Object(&[
            key("id", TEXT, "Path relative to `src/files`").required(),
            key("data", Shape::One(Type::TextOrEmpty), "Text, or base64 when `binary`"),
            key("binary", BOOL, "`data` is base64"),
            key("path", PATH, "Read from disk at load and reload"),
        ])),
        "Virtual files for imports and data",
    )
    .no_effect(NO_SCRIPTS),
];

const SCRIPTS: Shape = Shape::List(&Shape::Object(&[
    key("id", ID, "Name").required(),
    key("data", Shape::One(Type::TextOrEmpty), "Script text").required(),
]));

const HOOKS: &[Key] = &[
    // A hook that no server uses does nothing; using one is refused where it is used.
    key("connect", SCRIPTS, "Connect hooks").no_effect(NO_SCRIPTS),
    key("proxy", SCRIPTS, "Proxy hooks").no_effect(NO_SCRIPTS),
    key("helo", SCRIPTS, "HELO hooks").no_effect(NO_SCRIPTS),
    key("auth", SCRIPTS, "AUTH hooks").no_effect(NO_SCRIPTS),
    key("mailfrom", SCRIPTS, "MAIL FROM hooks").no_effect(NO_SCRIPTS),
    key("rcptto", SCRIPTS, "RCPT TO hooks").no_effect(NO_SCRIPTS),
    key("eod", SCRIPTS, "End-of-data hooks").no_effect(NO_SCRIPTS),
    key("disconnect", SCRIPTS, "Disconnect hooks").no_effect(NO_SCRIPTS),
    key("predelivery", Shape::One(Type::TextOrEmpty), "Script before each attempt").not_yet().except(&[""]),
    key("postdelivery", Shape::One(Type::TextOrEmpty), "Script after each attempt").not_yet().except(&[""]),
];

const PKI: &[Key] = &[
    key(
        "private",
        Shape::List(&Shape::Object(&[
            key("id", ID, "Joined with the startup entry of the same id").required(),
            key("certificate", PEM, "Certificate chain, leaf first"),
            key("privatekey", PEM, "Private key"),
        ])),
        "Keys with their certificates",
    ),
    key(
        "public",
        Shape::List(&Shape::Object(&[
            key("id", ID, "Name").required(),
            key("certificate", PEM, "Certificate"),
            key("publickey", PEM, "Public key"),
        ])),
        "Certificates without key, for scripts",
    ),
    key(
        "trusted",
        Shape::List(&Shape::Object(&[
            key("id", ID, "Name").required(),
            key("certificate", PEM, "Certificate"),
        ])),
        "More certificate authorities",
    ),
];

const MONITOR: &[Key] = &[
    key("apikeys", Shape::List(&TEXT), "Accepted `X-API-Key` values for `/metrics`"),
    key("type", choice(&["http", "https"]), "Equal to the startup listener type"),
    key(
        "tls",
        Shape::Object(&[key(
            "certs",
            Shape::Object(&[key("cert", ID, "`pki.private` entry")]),
            "Certificates",
        )]),
        "TLS",
    ),
    key(
        "healthy",
        Shape::Object(&[key(
            "maxmessages",
            Shape::Object(&[
                key("upper", COUNT, "Unhealthy above"),
                key("lower", COUNT, "Healthy again below"),
            ]),
            "By queued messages",
        )]),
        "When `/healthy` says no",
    ),
    key(
        "metrics",
        Shape::List(&Shape::Object(&[
            key("name", TEXT, "Name").required(),
            key("type", choice(&["counter", "gauge", "histogram"]), "Kind"),
            key("help", TEXT, "Text"),
            key("buckets", Shape::List(&Shape::One(Type::Free)), "Bounds of a histogram"),
        ])),
        "Custom metrics for scripts",
    ),
];

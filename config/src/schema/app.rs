//! `smtpd-app.yaml`.

use super::*;

pub(super) const KEYS: &[Key] = &[
    VERSION,
    key("servers", Shape::List(&Shape::Object(server::SERVER)), "Behaviour of the servers").default("[]"),
    key("transportgroups", Shape::List(&Shape::Object(transports::GROUP)), "Outgoing routes").default("[]"),
    key("addresses", Shape::List(&Shape::Object(ADDRESS)), "Named source addresses").default("[]"),
    key("queues", Shape::Object(QUEUES), "Grouping, pooling, limits"),
    key("lists", Shape::Object(LISTS), "Named match lists, used as `@name`"),
    RESOLVER_KEY,
    SCRIPTING_KEY,
    PKI_KEY,
    PLUGINS_KEY,
    key("monitor", Shape::Object(MONITOR), "Security and limits of the monitor"),
];

/// What counts where scripts run without a server.
pub(super) const SCRIPT_KEYS: &[Key] = &[
    VERSION,
    RESOLVER_KEY,
    SCRIPTING_KEY,
    PLUGINS_KEY,
    PKI_KEY,
    // Between programs, not for operators: the reference does not list it.
    key("__entrypoint", Shape::One(Type::TextOrEmpty), "Script to run when none is named"),
];

const RESOLVER_KEY: Key = key("resolver", Shape::Object(RESOLVER), "DNS client");
const SCRIPTING_KEY: Key = key("scripting", Shape::Object(SCRIPTING), "Packed scripts and files");
const PLUGINS_KEY: Key =
    key("plugins", Shape::List(&Shape::Object(plugins::RUNNING)), "Running part of plugin settings");
const PKI_KEY: Key = key("pki", Shape::Object(PKI), "Certificates, trust");

const ADDRESS: &[Key] = &[
    key("id", ID, "Name used in `sourceip` and in scripts").required(),
    key("address", IP, "IPv4 or IPv6 address").required(),
    key("hostname", HOST_NAME, "HELO name used with this address"),
    key(
        "proxyprotocol",
        transports::PROXY_TO,
        "Connections from this address are made by this proxy, instead of the transport's",
    )
    .optional("that of the transport"),
    key("nonlocal", BOOL, "Bind an address that the host does not have").default("false"),
];

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
                "What two messages must share, beside address, transport and source, to use the same connection",
            )
            .default("remoteip"),
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
                    key("max", TIME_FROM_1_S, "Longest life of an entry").derived("what the answer says, at most a day"),
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
    key("timeout", TIME_FROM_1_S, "Per query to one server")
        .derived("what the system's resolver file says, or 5; 5 with `servers`"),
    key(
        "trustad",
        BOOL,
        "The name servers, and the way to them, are trusted to have checked the signatures of what they call authentic (a key of this project)",
    )
    .derived("what the system's resolver file says (`options trust-ad`); false with `servers`"),
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
            key("binary", BOOL, "`data` is base64").default("false"),
            key("path", PATH, "Read from disk at load and reload"),
        ])),
        "Virtual files for imports and data; each has `data` or `path`",
    )
    .default("[]"),
];

const SCRIPTS: Shape = Shape::List(&Shape::Object(&[
    key("id", ID, "Name").required(),
    key("data", Shape::One(Type::TextOrEmpty), "Script text").required(),
]));

const HOOKS: &[Key] = &[
    key("connect", SCRIPTS, "Connect hooks"),
    key("proxy", SCRIPTS, "Proxy hooks"),
    key("helo", SCRIPTS, "HELO hooks"),
    key("auth", SCRIPTS, "AUTH hooks"),
    key("mailfrom", SCRIPTS, "MAIL FROM hooks"),
    key("rcptto", SCRIPTS, "RCPT TO hooks"),
    key("eod", SCRIPTS, "End-of-data hooks"),
    key("disconnect", SCRIPTS, "Disconnect hooks"),
    key("predelivery", Shape::One(Type::TextOrEmpty), "Script before each attempt"),
    key("postdelivery", Shape::One(Type::TextOrEmpty), "Script after each attempt"),
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
    key(
        "apikeys",
        Shape::List(&TEXT),
        "Accepted `X-API-Key` values for `/metrics`; `/ready` and `/healthy` need none",
    )
    .derived("`/metrics` is open"),
    key("type", choice(&["http", "https"]), "Equal to the startup listener type"),
    key(
        "tls",
        Shape::Object(&[key(
            "certs",
            Shape::Object(&[key("cert", ID, "`pki.private` entry; required for type `https`")]),
            "Certificates",
        )]),
        "TLS",
    ),
    key(
        "healthy",
        Shape::Object(&[key(
            "maxmessages",
            Shape::Object(&[
                key("upper", COUNT, "Unhealthy above so many queued recipients").derived("no limit"),
                key("lower", COUNT, "Healthy again below").derived("the same as `upper`"),
            ]),
            "By queued messages",
        )]),
        "When `/healthy` says no",
    ),
    key(
        "metrics",
        Shape::List(&Shape::Object(&[
            key("name", TEXT, "Name for scripts; `/metrics` puts `halon_` before it").required(),
            key("type", choice(&["counter", "gauge", "histogram"]), "Kind").required(),
            key("help", TEXT, "What it says, for `/metrics`"),
            key(
                "buckets",
                Shape::List(&Shape::One(Type::Free)),
                "Upper bounds of a histogram, growing; that of everything is added",
            ),
        ])),
        "Custom metrics for scripts",
    ),
];

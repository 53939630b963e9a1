//! `transportgroups[]` of `smtpd-app.yaml`.

use super::*;

pub(super) const PROXY_TO: Shape =
    Shape::Object(&[key("server", IP, "Its address").required(), key("port", PORT, "Its port").required()]);

pub(super) const GROUP: &[Key] = &[
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
                key("ipv4", BOOL, "`false`: do not use IPv4").derived(OTHER_FAMILY),
                key("ipv4", Shape::List(&ID), "Ids of `addresses` to spread over; an id may repeat")
                    .derived(OTHER_FAMILY),
                key("ipv6", BOOL, "`false`: do not use IPv6").derived(OTHER_FAMILY),
                key("ipv6", Shape::List(&ID), "Ids of `addresses` to spread over; an id may repeat")
                    .derived(OTHER_FAMILY),
                key("random", BOOL, "`false`: the first address that is not suspended, in the written order")
                    .since("5.5")
                    .default("true"),
            ]),
            "Source addresses",
        ),
        key(
            "proxyprotocol",
            PROXY_TO,
            "Connect through this proxy, which is told with PROXY version 2 from where to where",
        )
        .since("5.5")
        .optional("connect directly"),
        key(
            "mx",
            Shape::Object(&[
                key("include", Shape::List(&TEXT), "Use only MX names that match"),
                key("exclude", Shape::List(&TEXT), "Leave out MX names that match"),
            ]),
            "Filter on MX names; `*` stands for one whole label",
        )
        .since("5.2"),
    ]),
    "Where to connect",
);

const OTHER_FAMILY: &str = "`true`; `false` when the other family has a list";

const SESSION: Key = key(
    "session",
    Shape::Object(&[
        key("helo", HOST_NAME, "HELO name").derived("system host name"),
        key("protocol", choice(&["smtp", "lmtp"]), "Protocol").default("smtp"),
        key("tls", Shape::Object(CLIENT_TLS), "Outgoing TLS"),
        key(
            "sasl",
            Shape::Object(&[
                key("username", TEXT, "User name").required(),
                key("password", TEXT, "Password").required(),
            ]),
            "Log in before `MAIL`: SCRAM-SHA-256, CRAM-MD5, and PLAIN and LOGIN under TLS or where `tls.mode: disabled` stands",
        )
        .optional("no login"),
        key("xclient", Shape::Map(&TEXT), "XCLIENT attributes to send; a peer without XCLIENT gets no mail"),
        key("chunking", BOOL, "Send with `BDAT` to a peer that offers CHUNKING (ours)").default("true"),
        key(
            "8bitmime",
            choice(&["asis", "bounce"]),
            "An 8-bit message for a peer without 8BITMIME: send it as it is, or fail it (ours)",
        )
        .default("asis"),
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
    .derived("`disabled`"),
    key("implicit", BOOL, "TLS from the first byte; there is no delivery in clear then").default("false"),
    key("protocols", Shape::One(Type::TlsVersions), PROTOCOLS).derived("`TLSv1.2,TLSv1.3`"),
    key("ciphers", Shape::One(Type::Ciphers), CIPHERS).derived("all that this program has"),
    key(
        "sni",
        Shape::One(Type::BoolOrHostName),
        "`true`: ask for the connected host by its name; or the name to ask for",
    )
    .default("false"),
    key(
        "verify",
        Shape::Object(&[
            key("host", BOOL, "The certificate must be for the connected host")
                .derived("`true`; see compatibility.md"),
            key("names", Shape::List(&HOST), "The certificate must be for one of these instead")
                .default("[]"),
            key("defaultca", BOOL, "Trust the system's certificate authorities, besides `pki.trusted`")
                .derived("`true`; see compatibility.md"),
        ]),
        "Checks of the certificate, in the modes `optional_verify` and `require_verify`",
    ),
    key("clientcert", ID, "`pki.private` entry to show to servers that ask"),
];

const RETRY: Key = key(
    "retry",
    Shape::Object(&[
        key("count", COUNT, "Retries after the first attempt").default("0"),
        key("intervals", INTERVALS, "One delay per retry; the last repeats").default("[{interval: 3600}]"),
        key("during", TIME_FROM_1_S, "Longest time in the queue").derived("only `count` decides"),
    ]),
    "When to try again",
)
.optional("five days on a rising curve, from 1 minute to 4 hours");

pub(super) const INTERVALS: Shape = Shape::List(&Shape::Object(&[
    key("interval", TIME_FROM_1_S, "Delay before the next attempt").required(),
    key("notify", BOOL, "Tell the sender that the message is delayed").default("false"),
]));

const DSN: Key = key(
    "dsn",
    Shape::Object(&[
        key(
            "transport",
            Shape::One(Type::TextOrEmpty),
            "Transport that carries notifications; empty: none are sent",
        )
        .derived("the transport of the message"),
        key("from", TEXT, "From address").derived("`MAILER-DAEMON` at the HELO name"),
        key("fromname", TEXT, "From name").default("Mail Delivery System"),
        key(
            "format",
            choice(&["full", "headers"]),
            "What of the original is sent back when its sender does not say (RET)",
        )
        .default("headers"),
    ]),
    "Delivery status notifications",
);

const TIMEOUT: Key = key(
    "timeout",
    Shape::Object(&[
        key("connect", TIME_FROM_1_S, "TCP connect").default("30"),
        key("smtp", Shape::Object(&STATES), "Wait for the reply, per state").since("5.2"),
    ]),
    "How long to wait",
);

pub(super) const STATES: [Key; 18] = [
    key("BANNER", TIME_FROM_1_S, "Greeting").default("300"),
    key("HELO", TIME_FROM_1_S, "HELO").default("300"),
    key("EHLO", TIME_FROM_1_S, "EHLO").default("300"),
    key("LHLO", TIME_FROM_1_S, "LHLO").default("300"),
    key("STARTTLS", TIME_FROM_1_S, "STARTTLS, and the handshake after it").default("300"),
    key("AUTH-CRAM-MD5", TIME_FROM_1_S, "The challenge of `AUTH CRAM-MD5`").default("300"),
    key("AUTH-PLAIN", TIME_FROM_1_S, "The reply to `AUTH PLAIN`").default("300"),
    key("AUTH-LOGIN", TIME_FROM_1_S, "`AUTH LOGIN`").default("300"),
    key("AUTH-LOGIN-USER", TIME_FROM_1_S, "The user name of `AUTH LOGIN`").default("300"),
    key("AUTH", TIME_FROM_1_S, "The last thing said to log in, and each step of SCRAM").default("300"),
    key("XCLIENT", TIME_FROM_1_S, "XCLIENT").default("300"),
    key("MAIL", TIME_FROM_1_S, "MAIL FROM").default("300"),
    key("RCPT", TIME_FROM_1_S, "RCPT TO").default("300"),
    key("DATA", TIME_FROM_1_S, "DATA").default("120"),
    key("EOD", TIME_FROM_1_S, "The reply after the message").default("600"),
    key("RSET", TIME_FROM_1_S, "RSET").default("300"),
    key("NOOP", TIME_FROM_1_S, "NOOP").no_effect("NOOP is not sent"),
    key("QUIT", TIME_FROM_1_S, "QUIT").default("300"),
];

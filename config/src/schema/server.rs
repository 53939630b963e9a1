//! `servers[]` of `smtpd-app.yaml`.

use super::*;

pub(super) const SERVER: &[Key] = &[
    key("id", ID, "Pairs with the entry in the startup file").required(),
    key("type", choice(&["smtp", "http", "https", "plugin"]), "Equal to the startup entry").default("smtp").not_yet().except(&["smtp", "http", "https"]),
    key("transport", ID, "Transport given to recipients when no script chooses one; required without an `eod` hook"),
    key("openrelay", BOOL, "Listen beyond loopback without an `rcptto` or `eod` hook, or as `http` or `https` without `apikeys`: everyone who can connect can send mail to anyone (a key of this project)").default("false"),
    key("hostname", HOST_NAME, "Name in banner, EHLO reply and Received header").derived("system host name"),
    key(
        "concurrency",
        Shape::Object(&[
            key("total", POSITIVE, "Most open connections; over it, `421`").default("10000").since("4.0"),
            key("remoteip", COUNT, "Most connections from one address; over it, `421`; 0: no limit")
                .default("0"),
        ]),
        "Limits on connections",
    ),
    key("timeout", Shape::Object(&[key("idle", TIME_FROM_1_S, "Idle time before `421` and close").default("600").since("5.3")]), "Timeouts"),
    key("logging", Shape::Object(&[key("verbose", BOOL, "The SMTP dialogue goes to the log, without secrets and messages").default("false").since("5.0")]), "Logging"),
    key("apikeys", Shape::List(&TEXT), "For `http` and `https`: accepted `X-API-Key` values").derived("everyone may submit who can connect").since("5.8"),
    key("tls", Shape::Object(SERVER_TLS), "TLS for clients"),
    key("xclient", Shape::List(&Shape::One(Type::Network)), "Who may use XCLIENT: addresses or networks").default("[]"),
    key("phases", Shape::Object(PHASES), "The phases of a session"),
    key("extensions", Shape::Object(EXTENSIONS), "What `EHLO` announces"),
];

const SERVER_TLS: &[Key] = &[
    key(
        "certs",
        Shape::Object(&[
            key("cert", ID, "`pki.private` entry for clients that ask for no name, or for an unknown one; absent: STARTTLS is not offered; required for type `https`"),
            key(
                "sni",
                Shape::List(&Shape::Object(&[
                    key("hostname", TEXT, "Name, or `*.` and a domain for the names with one label more").required(),
                    key("cert", ID, "`pki.private` entry").required(),
                ])),
                "Certificates by the name that a client asks for",
            )
            .default("[]"),
        ]),
        "Certificates",
    ),
    key("implicit", BOOL, "All listeners start in TLS").default("false").since("5.0"),
    key("implicit", Shape::List(&ID), "Ids of the listeners that start in TLS").since("5.0"),
    key("protocols", Shape::One(Type::TlsVersions), PROTOCOLS).derived("`TLSv1.2,TLSv1.3`"),
    key("ciphers", Shape::One(Type::Ciphers), CIPHERS).derived("all that this program has"),
    key(
        "clientcert",
        choice(&["disabled", "optional", "require"]),
        "Ask clients for a certificate: never, without demanding that it passes, or as a condition; `pki.trusted` has the authorities",
    )
    .default("disabled"),
    key("required", BOOL, "Refuse `MAIL` before TLS with `530`").default("false"),
];

const PHASES: &[Key] = &[
    key(
        "connect",
        Shape::Object(&[
            HOOK,
            key("remoteptr", BOOL, "Forward-confirmed reverse look-up of the peer").default("true").since("5.2"),
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
            key("tls", BOOL, "Offer AUTH only under TLS").default("true"),
            key("mechanisms", Shape::List(&TEXT), "Mechanisms to offer where the phase has a hook; the server speaks PLAIN and LOGIN, the script any other").default("[PLAIN, LOGIN]"),
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
                    key("recipientdomains", Shape::Map(&ID), "Script per recipient domain; `*.domain` for those below one, `*` for all others; a domain in Unicode is the same as its A-labels"),
                ]),
                "Scripts by recipient domain",
            ),
            key("maxrecipients", POSITIVE, "Most recipients in one transaction, then `452`").default("1000").since("5.5"),
        ]),
        "RCPT TO",
    ),
    key(
        "data",
        Shape::Object(&[
            key("maxsize", SIZE, "Largest message, announced with SIZE and enforced with `552`; 0: no limit").default("0").since("5.4"),
            key("maxhops", POSITIVE, "Most Received headers before a message counts as looping").default("100").since("5.4"),
            key("multipart", BOOL, "Parse the MIME tree while receiving").no_effect("what a script asks for of the MIME tree is parsed when it asks, and nothing else ever").except(&["false"]),
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

const HOOK: Key = key("hook", ID, "Script of this phase: an id of `scripting.hooks`");

const EXTENSIONS: &[Key] = &[
    key("pipelining", BOOL, "PIPELINING").default("true"),
    key("size", BOOL, "SIZE").default("true"),
    key("8bitmime", BOOL, "8BITMIME").default("true"),
    key("enhancedstatuscodes", BOOL, "ENHANCEDSTATUSCODES").default("true"),
    key("chunking", BOOL, "CHUNKING (BDAT)").default("true").since("5.4"),
    key("smtputf8", BOOL, "SMTPUTF8").default("true").since("4.0"),
    key("dsn", BOOL, "DSN; without this, only a HELO script can announce it (a key of this project)")
        .default("false"),
    key("limits", BOOL, "LIMITS (a key of this project)").default("true"),
    key("requiretls", BOOL, "REQUIRETLS, under TLS (a key of this project)").default("true"),
];

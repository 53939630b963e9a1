//! `smtpd-delivery.yaml`.

use super::*;

pub(super) const KEYS: &[Key] = &[
    VERSION,
    key(
        "delivery",
        Shape::Object(&[
            key(
                "conditions",
                Shape::List(&Shape::Object(&[
                    key(
                        "if",
                        Shape::Object(&FIELDS),
                        "What is known once host and source address are; all given fields must match",
                    ),
                    key("then", Shape::Object(SETTINGS), "Settings"),
                ])),
                "Settings for what matches; the first condition that does applies",
            )
            .since("5.3")
            .default("[]"),
            key(
                "default",
                Shape::Object(SETTINGS),
                "Settings where no condition matches, and for what the condition that does leaves out",
            )
            .since("5.3"),
        ]),
        "Delivery settings, which go before those of transports",
    ),
];

const TRANSPORTS: &str = "the transport's";

const SETTINGS: &[Key] = &[
    key(
        "tls",
        Shape::Object(&[
            key(
                "mode",
                choice(&["disabled", "optional", "optional_verify", "require", "require_verify"]),
                "Outgoing TLS policy",
            )
            .derived(TRANSPORTS),
            key("protocols", Shape::One(Type::TlsVersions), PROTOCOLS).derived(TRANSPORTS),
        ]),
        "Outgoing TLS",
    ),
    key(
        "pooling",
        Shape::Object(&[
            key("enabled", BOOL, "Keep connections for other messages")
                .since("5.3")
                .derived("`true`; see compatibility.md"),
            key("timeout", TIME_FROM_1_S, "Idle time before a connection is closed").derived("10"),
            key("transactions", POSITIVE, "Messages before a connection is closed").derived("100"),
            key("evictable", BOOL, "It may be closed early when the pool is full").derived("`true`"),
        ]),
        "Use of connections for several messages",
    ),
    key(
        "timeout",
        Shape::Object(&[
            key("connect", TIME_FROM_1_S, "TCP connect").derived(TRANSPORTS),
            key("smtp", Shape::Object(&STATES), "Wait for the reply, per state"),
        ]),
        "How long to wait",
    ),
    key(
        "retry",
        Shape::Object(&[
            key("count", COUNT, "Retries after the first attempt").derived(TRANSPORTS),
            key("intervals", transports::INTERVALS, "One delay per retry; the last repeats")
                .derived(TRANSPORTS),
        ]),
        "When to try again",
    ),
];

/// As those of transports, whose values apply where there are none here.
const STATES: [Key; transports::STATES.len()] = {
    let mut states = transports::STATES;
    let mut index = 0;
    while index < states.len() {
        states[index].default = Default::Derived(TRANSPORTS);
        index += 1;
    }
    states
};

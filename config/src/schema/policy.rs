//! `smtpd-policy.yaml`.

use super::*;

pub(super) const KEYS: &[Key] = &[
    VERSION,
    key(
        "rate",
        Shape::Object(&[key("algorithm", choice(&ALGORITHMS), "How rates are counted")
            .since("6.2")
            .derived("`tokenbucket`; `fixedwindow` where the file's version is older than 6.2")]),
        "Rates",
    ),
    key(
        "policies",
        Shape::List(&Shape::Object(&[
            key(
                "fields",
                Shape::List(&Shape::One(Type::Field(&NAMES))),
                "Mail with the same values of these shares a counter; absent: all mail does",
            ),
            key(
                "conditions",
                Shape::List(&Shape::Object(&[
                    key("if", Shape::Object(&FIELDS), "Fields of this policy; all given ones must match"),
                    key("then", Shape::Object(THEN), "What its counters permit then"),
                ])),
                "The first that matches decides",
            )
            .default("[]"),
            key("default", Shape::Object(THEN), "What counters permit where no condition matches")
                .derived("no limit"),
        ])),
        "Each entry is one set of counters, which hold over all shards",
    )
    .since("5.2")
    .default("[]"),
];

pub(super) const ALGORITHMS: [&str; 2] = ["fixedwindow", "tokenbucket"];

/// The names of the fields.
pub(super) const NAMES: [&str; 8] = {
    let mut names = [""; 8];
    let mut index = 0;
    while index < names.len() {
        names[index] = FIELDS[index].name;
        index += 1;
    }
    names
};

const THEN: &[Key] = &[
    key("concurrency", COUNT, "Open connections at once, idle ones among them; 0 stops the mail"),
    key(
        "rate",
        Shape::One(Type::Free),
        "Messages to a recipient in a time, as `\"messages/seconds\"`; a number means in one second, 0 stops the mail",
    ),
    key("connectinterval", Shape::One(Type::Free), "Time between two connects; a number means seconds"),
    key("tag", Shape::One(Type::Tag), "Label, at most 32 characters"),
    key("stop", BOOL, "Where this applies, later policies are not looked at").default("false"),
    key("cluster", BOOL, "The limit is shared over the cluster")
        .default("true")
        .no_effect("there is no cluster; limits hold for this host"),
    key("ratealgorithm", choice(&ALGORITHMS), "How this rate is counted").derived("that of the file"),
    key("properties", Shape::Map(&Shape::One(Type::Free)), "Free data, for scripts"),
];

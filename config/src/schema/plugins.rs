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

const CONFIG: &[Key] = &[
    key("path", PATH, "`rate`: socket of `rated`; default `/var/run/halon/rated.sock`"),
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
        "`rate`: milliseconds to wait for an answer; default 5000",
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
];

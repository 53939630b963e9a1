//! `halonctl license`: there is nothing to fetch, but entry points of containers and cron jobs call it.

use super::{GROUP, Run};
use crate::cli::{Body, Command, Group, Value, flag, option};

pub(super) const LICENSE: Command<Run> = Command {
    name: "license",
    summary: "Licences",
    body: Body::Commands(&[Command {
        name: "fetch",
        summary: "Do nothing, successfully: this server needs no licence",
        about: "It is here so that scripts that call it go on working. Nothing is sent to anybody.",
        options: &[&IGNORED],
        operands: &[],
        examples: &[],
        body: Body::Run(|_, _| Ok(())),
    }]),
    ..GROUP
};

static IGNORED: Group = Group {
    title: "Ignored",
    note: "",
    options: &[
        option("username", Value::Text("USER"), "Ignored"),
        option("password", Value::Text("PASSWORD"), "Ignored"),
        option("path", Value::Path("FILE"), "Ignored"),
        flag("syslog", "Ignored"),
    ],
};

//! `halonctl queue suspend`.

use control::Command as Letter;
use control::smtpd::reload_check_request::File;
use control::smtpd::{
    SuspendAddRequest, SuspendAddResponse, SuspendDeleteRequest, SuspendDeleteResponse, SuspendRequest,
    SuspendResponse, SuspendUpdateRequest, SuspendUpdateResponse,
};

use super::{DRY_RUN, GROUP, JSON, Run, counted, leaf, reload, would_be_added};
use crate::Failure;
use crate::cli::{Arguments, Body, Command, Group, Value, option};
use crate::matching::{FIELDS, fields, properties, seconds, shown, shown_properties, shown_ttl};
use crate::output::Session;
use crate::table::{Align, Table};

pub(super) const SUSPEND: Command<Run> = Command {
    name: "suspend",
    summary: "Rules that keep matching messages from being sent",
    body: Body::Commands(&[
        Command {
            options: &[&LISTING, &FIELDS, &JSON],
            ..leaf("list", "List suspends; with fields, those that have them", list)
        },
        Command {
            about: "A message is kept back when every given field matches; without fields, every message. Adding what is \
                    there already only renews its time.",
            options: &[&ADDING, &FIELDS, &DRY_RUN, &JSON],
            examples: &[(
                "halonctl queue suspend add --recipientdomain example.com --ttl 3600 --tag maintenance",
                "Send nothing to a domain for an hour",
            )],
            ..leaf("add", "Add a suspend, and print its id", add)
        },
        Command {
            options: &[&UPDATING, &DRY_RUN, &JSON],
            ..leaf("update", "Change a dynamic suspend", update)
        },
        Command {
            about: "Configured suspends stay: take them out of smtpd-suspend.yaml, and reload.",
            options: &[&DELETING, &FIELDS, &DRY_RUN, &JSON],
            ..leaf("delete", "Remove dynamic suspends by id, or those that have the given fields", delete)
        },
        Command {
            options: reload::OPTIONS,
            ..leaf("reload", "Read smtpd-suspend.yaml again", |session, arguments| {
                reload::reload(session, arguments, Letter::SuspendReload, File::Suspends)
            })
        },
    ]),
    ..GROUP
};

const ID: crate::cli::Opt = option("id", Value::Text("ID"), "The suspend");
const TTL: crate::cli::Opt = option("ttl", Value::Text("SECONDS"), "Until it ends by itself; 0 for never");
const TAG: crate::cli::Opt = option("tag", Value::Text("TEXT"), "Label, at most 32 characters");
const PROPERTY: crate::cli::Opt = option("property", Value::Text("KEY=VALUE"), "Free data").repeated();

static LISTING: Group = Group {
    title: "Listing",
    note: "",
    options: &[
        option("id", Value::Text("ID"), "Only this one").repeated(),
        option("tag", Value::Text("TEXT"), "Only those with this label").repeated(),
        option("limit", Value::Text("ROWS"), "Rows at most"),
        option("offset", Value::Text("ROWS"), "Rows to leave out first"),
    ],
};
static ADDING: Group = Group {
    title: "Suspend",
    note: "",
    options: &[option("id", Value::Text("ID"), "Its id; made when absent"), TTL, TAG, PROPERTY],
};
static UPDATING: Group = Group { title: "Suspend", note: "", options: &[ID, TTL, TAG, PROPERTY] };
static DELETING: Group = Group {
    title: "Suspend",
    note: "",
    options: &[option("id", Value::Text("ID"), "The suspend").repeated()],
};

fn list(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let request = SuspendRequest {
        conditions: fields(arguments),
        ids: arguments.all("id").to_vec(),
        tags: arguments.all("tag").to_vec(),
        limit: arguments.number("limit")?.unwrap_or(0),
        offset: arguments.number("offset")?.unwrap_or(0),
    };
    let answer: SuspendResponse = session.ask(Letter::SuspendList, &request, Some("suspends"))?;
    if session.json {
        return Ok(());
    }
    let mut table = Table::new([
        ("ID", Align::Left),
        ("Origin", Align::Left),
        ("Fields", Align::Left),
        ("Tag", Align::Left),
        ("TTL", Align::Right),
        ("Properties", Align::Left),
    ]);
    for suspend in answer.suspends {
        let origin = if suspend.dynamic { "dynamic" } else { "file" };
        table.row([
            suspend.id,
            origin.to_owned(),
            shown(&suspend.fields.unwrap_or_default()),
            suspend.tag,
            shown_ttl(suspend.ttl),
            shown_properties(&suspend.properties),
        ]);
    }
    session.print(&table.render())
}

fn add(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let request = SuspendAddRequest {
        id: arguments.one("id").map(str::to_owned),
        fields: fields(arguments),
        ttl: seconds(arguments, "ttl")?.unwrap_or(0.0),
        tag: arguments.one("tag").unwrap_or_default().to_owned(),
        properties: properties(arguments)?,
        dryrun: arguments.has("dry-run"),
    };
    let answer: SuspendAddResponse = session.ask(Letter::SuspendAdd, &request, None)?;
    let would = would_be_added(request.dryrun, answer.renewed);
    if session.json { Ok(()) } else { session.print(&format!("{}{would}\n", answer.id)) }
}

fn update(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let id = arguments.one("id").ok_or_else(|| Failure::Usage("--id is missing".to_owned()))?;
    let request = SuspendUpdateRequest {
        id: id.to_owned(),
        ttl: seconds(arguments, "ttl")?,
        tag: arguments.one("tag").map(str::to_owned),
        properties: properties(arguments)?,
        dryrun: arguments.has("dry-run"),
    };
    let answer: SuspendUpdateResponse = session.ask(Letter::SuspendUpdate, &request, None)?;
    if answer.updated && request.dryrun && !session.json {
        return session.print(&format!("{id} would be changed\n"));
    }
    if answer.updated { Ok(()) } else { Err(Failure::Failed(format!("there is no dynamic suspend {id}"))) }
}

fn delete(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let request = SuspendDeleteRequest {
        ids: arguments.all("id").to_vec(),
        conditions: fields(arguments),
        dryrun: arguments.has("dry-run"),
    };
    if request.ids.is_empty() && request.conditions.is_none() {
        return Err(Failure::Usage("give --id, or fields".to_owned()));
    }
    let answer: SuspendDeleteResponse = session.ask(Letter::SuspendDelete, &request, None)?;
    if session.json {
        return Ok(());
    }
    session.print(&counted(answer.deleted, "suspends", request.dryrun, "removed"))
}

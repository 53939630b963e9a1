//! `halonctl queue list`.

use control::smtpd::{
    Conditions, QueueItem, QueueListRequest, QueueListResponse, QueueMatch, QueueState, Sort,
};
use control::{Command as Letter, Message};

use super::fields::{self, Field, field};
use super::{Run, leaf, missing};
use crate::cli::{Arguments, Command, Group, Value, option};
use crate::client::{decode, now};
use crate::limits::ANSWER;
use crate::output::Session;
use crate::selectors::{SELECTORS, conditions};
use crate::table::Table;
use crate::{Failure, json};

pub(super) const LIST: Command<Run> = Command {
    about: "One row for each recipient. Without -F and --view the columns are id, state, age, sender, recipient, \
            transportid, retrycount, retrydelay and waiting.",
    options: &[&COLUMNS, &SELECTORS, &super::JSON],
    examples: &[
        (
            "halonctl queue list --view defer --recipientdomain example.com",
            "What a domain has put off, and why",
        ),
        (
            "halonctl queue list --age '>3600' --sort age --order desc --limit 20",
            "The oldest of what is overdue",
        ),
        ("halonctl queue list --jobid 7 -F id -F recipient --json", "A job's recipients for a script"),
    ],
    ..leaf("list", "List queued recipients", run)
};

static COLUMNS: Group = Group {
    title: "Columns and order",
    note: "",
    options: &[
        option("field", Value::Word("FIELD", fields::NAMES), "A column, instead of those shown by default")
            .short('F')
            .repeated(),
        option(
            "view",
            Value::Word("VIEW", &["defer", "active", "connections"]),
            "A state with suitable columns: DEFER, ACTIVE, or open connections (SENDING)",
        ),
        option("limit", Value::Text("ROWS"), "Rows at most"),
        option("offset", Value::Text("ROWS"), "Rows to leave out first"),
        option(
            "sort",
            Value::Word("FIELD", fields::SORTABLE),
            "Sort by this; otherwise in no particular order",
        ),
        option("order", Value::Word("ORDER", &["asc", "desc"]), "Smallest or largest first"),
    ],
};

/// A view: its state and columns.
fn view(name: &str) -> (QueueState, &'static [&'static str]) {
    match name {
        "defer" => (
            QueueState::Defer,
            &["id", "recipient", "transportid", "retrycount", "retrydelay", "waiting", "last"],
        ),
        "active" => (
            QueueState::Active,
            &["id", "recipient", "transportid", "grouping", "priority", "age", "waiting"],
        ),
        _ => (QueueState::Sending, &["id", "recipient", "localip", "remoteip", "remotemx", "duration"]),
    }
}

const DEFAULT: &[&str] =
    &["id", "state", "age", "sender", "recipient", "transportid", "retrycount", "retrydelay", "waiting"];

fn run(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let (request, columns) = request(arguments)?;
    if session.json {
        return json_pages(session, request);
    }
    let mut table = Table::new(columns.iter().map(|field| (field.title, field.align)));
    let time = fields::wall();
    let add = |table: &mut Table, item: &QueueItem| {
        table.row(columns.iter().map(|field| (field.text)(item, time)));
    };
    let partial = pages(session, request, |_, answer, _| {
        answer.queue.iter().for_each(|item| add(&mut table, item));
        Ok(())
    })?;
    session.print(&table.render())?;
    missing::mention(session, &partial);
    Ok(())
}

fn request(arguments: &Arguments) -> Result<(QueueListRequest, Vec<&'static Field>), Failure> {
    let mut conditions = conditions(arguments)?.unwrap_or_default();
    let mut names: Vec<&str> = arguments.all("field").iter().map(String::as_str).collect();
    if let Some((state, columns)) = arguments.one("view").map(view) {
        if conditions.queues.is_empty() {
            conditions.queues = vec![QueueMatch { queue: state.into(), neq: false }];
        }
        if names.is_empty() {
            names = columns.to_vec();
        }
    }
    let asked = names.iter().map(|name| (*name).to_owned()).collect();
    if names.is_empty() {
        names = DEFAULT.to_vec();
    }
    let columns: Vec<&Field> = names.into_iter().filter_map(field).collect();
    let request = QueueListRequest {
        conditions: Some(conditions).filter(|conditions| *conditions != Conditions::default()),
        limit: arguments.number("limit")?.unwrap_or(0),
        offset: arguments.number("offset")?.unwrap_or(0),
        sort: sort(arguments),
        fields: asked,
        cursor: Vec::new(),
    };
    Ok((request, columns))
}

/// `--sort` and `--order`.
pub(super) fn sort(arguments: &Arguments) -> Vec<Sort> {
    let desc = arguments.one("order") == Some("desc");
    arguments.one("sort").map(|field| Sort { field: field.to_owned(), desc }).into_iter().collect()
}

fn json_pages(session: &mut Session<'_>, request: QueueListRequest) -> Result<(), Failure> {
    let mut array = json::Array::default();
    let partial = pages(session, request, |session, _, payload| {
        let text = array.page(Letter::QueueList, payload, "queue")?;
        session.print(&text)
    })?;
    session.print(array.end())?;
    missing::mention(session, &partial);
    Ok(())
}

/// Asks for page after page, and gives the shards that the last one lacked.
fn pages(
    session: &mut Session<'_>,
    mut request: QueueListRequest,
    mut each: impl FnMut(&mut Session<'_>, &QueueListResponse, &[u8]) -> Result<(), Failure>,
) -> Result<Vec<control::smtpd::Missing>, Failure> {
    let wanted = request.limit;
    let mut seen = 0;
    let begun = now();
    session.show_request(Letter::QueueList, &request.encode_to_vec())?;
    loop {
        request.limit = wanted.saturating_sub(seen);
        let payload = session.client()?.call(Letter::QueueList, &request.encode_to_vec(), ANSWER)?;
        let answer: QueueListResponse = decode(&payload)?;
        seen += answer.queue.len() as u64;
        each(session, &answer, &payload)?;
        if answer.cursor.is_empty() || (wanted != 0 && seen >= wanted) {
            session.progress("");
            return Ok(answer.missing);
        }
        if begun.elapsed().as_secs() >= 1 && !session.json {
            session.progress(&format!("{seen} of {} rows", answer.total));
        }
        request.cursor = answer.cursor;
        request.offset = 0;
    }
}

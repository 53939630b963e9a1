//! `halonctl resolver`.

use control::Command as Letter;
use control::smtpd::{
    ResolverListResponse, ResolverQueryRequest, ResolverQueryResponse, ResolverQueueResponse,
};

use super::{GROUP, JSON, Run, leaf};
use crate::Failure;
use crate::cli::{Arguments, Body, Command, Group, Value, operand, option};
use crate::output::Session;
use crate::table::{Align, Table};
use crate::text::visible;

pub(super) const RESOLVER: Command<Run> = Command {
    name: "resolver",
    summary: "Names and next hops",
    body: Body::Commands(&[
        leaf("clear", "Forget all cached answers", |session, _| session.order(Letter::ResolverClear)),
        Command {
            about: "A transaction id and its number of attempts settle which of several equal hosts it is.",
            options: &[&QUERY, &JSON],
            operands: &[operand("NAME", Value::Text("NAME"), "A domain")],
            ..leaf("query", "Show the next hop that a message would take", query)
        },
        leaf("list", "List running lookups", running),
        leaf("queue", "List waiting lookups", waiting),
        leaf("reload", "Read the system's resolver configuration again", |session, _| {
            session.order(Letter::ResolverReload)
        }),
    ]),
    ..GROUP
};

static QUERY: Group = Group {
    title: "Message",
    note: "",
    options: &[
        option("seed", Value::Text("TRANSACTION"), "Its transaction id"),
        option("retry", Value::Text("NUMBER"), "Its attempts so far"),
    ],
};

fn query(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let request = ResolverQueryRequest {
        name: arguments.operand("NAME").to_owned(),
        seed: arguments.one("seed").map(str::to_owned),
        retry: arguments.number("retry")?,
    };
    let answer: ResolverQueryResponse = session.ask(Letter::ResolverQuery, &request, None)?;
    if session.json {
        return Ok(());
    }
    let mut text = format!(
        "address: {}\nhostname: {}\ndnssec: {}\n",
        visible(&answer.address),
        visible(&answer.hostname),
        answer.dnssec
    );
    if let Some(tlsa) = answer.tlsa {
        text += &format!("tlsa:\n  dnssec: {}\n  rr:\n", tlsa.dnssec);
        text.extend(tlsa.rr.iter().map(|record| format!("    - {}\n", visible(record))));
    }
    session.print(&text)
}

fn running(session: &mut Session<'_>, _: &Arguments) -> Result<(), Failure> {
    let answer: ResolverListResponse = session.ask(Letter::ResolverList, &(), Some("lookups"))?;
    if session.json {
        return Ok(());
    }
    let mut table = Table::new([("Hostname", Align::Left), ("Duration", Align::Right)]);
    for lookup in answer.lookups {
        table.row([lookup.hostname, format!("{:.6}", lookup.duration)]);
    }
    session.print(&table.render())
}

fn waiting(session: &mut Session<'_>, _: &Arguments) -> Result<(), Failure> {
    let answer: ResolverQueueResponse = session.ask(Letter::ResolverQueue, &(), Some("lookups"))?;
    if session.json {
        return Ok(());
    }
    let mut table = Table::new([
        ("Position", Align::Right),
        ("Hostname", Align::Left),
        ("Priority", Align::Right),
        ("Dedup(s)", Align::Right),
    ]);
    for lookup in answer.lookups {
        let numbers =
            [lookup.position, u64::from(lookup.priority), lookup.dedups].map(|number| number.to_string());
        let [position, priority, dedups] = numbers;
        table.row([position, lookup.hostname, priority, dedups]);
    }
    session.print(&table.render())
}

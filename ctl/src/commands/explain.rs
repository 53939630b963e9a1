//! `halonctl queue explain` (ours).

use std::fmt::Write;

use control::Command as Letter;
use control::smtpd::waiting::Kind;
use control::smtpd::{
    ExplainHop, ExplainPolicy, QueueExplainRequest, QueueExplainResponse, QueueState, Waiting,
};

use super::fields::{time, waits_for, wall};
use super::policy_tables::{kind, limits, next};
use super::{JSON, Run, leaf, missing};
use crate::Failure;
use crate::cli::{Arguments, Command, Group, Value, operand, option};
use crate::matching::{shown, shown_ttl};
use crate::output::Session;
use crate::selectors::id;
use crate::table::{Align, Table};
use crate::text::{duration, visible};

pub(super) const EXPLAIN: Command<Run> = Command {
    about: "Shows the transport, the hosts in the order in which they would be tried, the addresses that mail would leave \
            from, TLS, the policies and suspends that match, and what is waiting. Nothing is sent; names are looked up. \
            Predelivery scripts, which may want something else, are not run.",
    options: &[&AS_IF, &JSON],
    operands: &[operand("RECIPIENT", Value::Text("RECIPIENT"), "An address, a domain, or with --id nothing")
        .optional()],
    examples: &[("halonctl queue explain kim@example.com", "Why does nothing go to this domain?")],
    ..leaf("explain", "Show what would become of a recipient, and what is in its way", run)
};

static AS_IF: Group = Group {
    title: "As if",
    note: "",
    options: &[
        option("id", Value::Text("TRANSACTION:QUEUE"), "A queued recipient, with all its properties"),
        option("sender", Value::Text("ADDRESS"), "From this sender"),
        option("transportid", Value::Text("ID"), "By this transport"),
        option("jobid", Value::Text("ID"), "Of this job"),
        option("tenantid", Value::Text("ID"), "Of this tenant"),
    ],
};

fn run(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let text = |name: &str| arguments.one(name).map(str::to_owned);
    let request = QueueExplainRequest {
        recipient: text("RECIPIENT").unwrap_or_default(),
        sender: text("sender"),
        transportid: text("transportid"),
        jobid: text("jobid"),
        tenantid: text("tenantid"),
        id: arguments.one("id").map(id).transpose()?,
    };
    if request.recipient.is_empty() == request.id.is_none() {
        return Err(Failure::Usage("give a recipient, or --id".to_owned()));
    }
    let answer: QueueExplainResponse = session.ask(Letter::QueueExplain, &request, None)?;
    if !session.json {
        session.print(&explained(&answer, wall()))?;
    }
    missing::mention(session, &answer.missing);
    Ok(())
}

fn explained(answer: &QueueExplainResponse, now: f64) -> String {
    let mut text = String::new();
    let facts = [
        ("recipient", &answer.recipient),
        ("domain", &answer.domain),
        ("transport", &answer.transportid),
        ("job", &answer.jobid),
        ("tenant", &answer.tenantid),
        ("grouping", &answer.grouping),
    ];
    for (name, value) in facts.into_iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "{name}: {}", visible(value));
    }
    for note in &answer.notes {
        let _ = writeln!(text, "! {}", visible(note));
    }
    if let Some(item) = &answer.item {
        let waiting = item.waiting.as_ref().map(|waiting| waits_for(waiting, now)).unwrap_or_default();
        let state = item.state().as_str_name();
        let _ = writeln!(text, "state: {state} {}", visible(&waiting));
        if let Some(last) = &item.last {
            let answer = format!("{} {}", time(last.ts), last.text);
            let _ = writeln!(text, "last answer: {}", visible(&answer));
        }
    }
    text += &hops(&answer.nexthops, now);
    text += &sources(answer);
    text += &policies(&answer.policies, now);
    text += &suspends(answer);
    text += &waiting(answer, now);
    text += &visible(&conclusion(answer, now));
    text.push('\n');
    text
}

/// One sentence: what it waits for, and until when.
fn conclusion(answer: &QueueExplainResponse, now: f64) -> String {
    if let Some(item) = &answer.item {
        return match &item.waiting {
            Some(waiting) if waiting.kind() != Kind::Nothing => {
                format!("It waits for {}.", until(waiting, answer, now))
            }
            _ if item.state() == QueueState::Sending => "It is being delivered.".to_owned(),
            _ => "It waits for nothing: its attempt is about to begin.".to_owned(),
        };
    }
    let total: u64 = answer.waiting.iter().map(|row| row.count).sum();
    let held_up = answer.waiting.iter().filter_map(|row| Some((row.count, row.waiting.as_ref()?)));
    let held_up = held_up.filter(|(_, waiting)| waiting.kind() != Kind::Nothing);
    match held_up.max_by_key(|(count, _)| *count) {
        Some((count, waiting)) => {
            format!("{count} of {total} queued recipients wait for {}.", until(waiting, answer, now))
        }
        None => new_mail(answer, now),
    }
}

/// The same for mail that came now.
fn new_mail(answer: &QueueExplainResponse, now: f64) -> String {
    if let Some(suspend) = answer.suspends.first() {
        let end = match suspend.ttl {
            Some(ttl) if ttl > 0.0 => format!("until {}", time(now + ttl)),
            _ => "until it is removed".to_owned(),
        };
        return format!("Mail for it would wait for suspend {} {end}.", suspend.id);
    }
    if answer.nexthops.is_empty() {
        let why = answer.notes.first().map_or("there is no next hop", String::as_str);
        return format!("Mail for it would not be sent: {why}.");
    }
    if answer.nexthops.iter().all(|hop| hop.parkeduntil > now) {
        let first = answer.nexthops.iter().map(|hop| hop.parkeduntil).fold(f64::INFINITY, f64::min);
        return format!("Mail for it would wait until {}, when a host is tried again.", time(first));
    }
    match answer.policies.iter().find(|policy| policy.exhausted) {
        Some(policy) => {
            let entry = policy.entry.clone().unwrap_or_default();
            let token = entry.rate.as_ref().map_or(0.0, |rate| rate.next);
            let next = entry.connectnext.max(token);
            let end =
                if next > now { format!("until {}", time(next)) } else { "until it has room".to_owned() };
            format!("Mail for it would wait for policy {} {end}.", policy.fields.join(","))
        }
        None => "Mail for it would be attempted at once.".to_owned(),
    }
}

fn until(waiting: &Waiting, answer: &QueueExplainResponse, now: f64) -> String {
    let what = waits_for(&Waiting { until: 0.0, ..waiting.clone() }, now);
    let end = match waiting.kind() {
        _ if waiting.until > now => format!("until {}", time(waiting.until)),
        Kind::Suspend => {
            let named = answer.suspends.iter().find(|suspend| waiting.text.contains(&suspend.id));
            match named.and_then(|suspend| suspend.ttl).filter(|ttl| *ttl > 0.0) {
                Some(ttl) => format!("until {}", time(now + ttl)),
                None => "until it ends".to_owned(),
            }
        }
        Kind::Policy | Kind::Attempts => "until there is room".to_owned(),
        Kind::Lease => "until it does".to_owned(),
        Kind::Operator => "until somebody releases it".to_owned(),
        Kind::Time | Kind::Parked | Kind::Localfault | Kind::Nothing => String::new(),
    };
    let what = if waiting.kind() == Kind::Operator { format!("an operator ({what})") } else { what };
    if end.is_empty() { what } else { format!("{what} {end}") }
}

fn hops(hops: &[ExplainHop], now: f64) -> String {
    let mut table = Table::new([
        ("Next hop", Align::Right),
        ("Host", Align::Left),
        ("Address", Align::Left),
        ("Port", Align::Right),
        ("Grouping", Align::Left),
        ("TLS", Align::Left),
        ("Idle", Align::Right),
        ("State", Align::Left),
    ]);
    for hop in hops {
        let state = if hop.parkeduntil > now {
            format!("left alone for {}: {}", duration(hop.parkeduntil - now), hop.parked)
        } else {
            "usable".to_owned()
        };
        table.row([
            hop.preference.to_string(),
            hop.hostname.clone(),
            hop.address.clone(),
            hop.port.to_string(),
            hop.grouping.clone(),
            hop.tls.clone(),
            hop.pooled.to_string(),
            state,
        ]);
    }
    let mut text = if hops.is_empty() { "no next hop\n".to_owned() } else { table.render() };
    for hop in hops.iter().filter(|hop| !hop.tlsnote.is_empty()) {
        let note = format!("{}[{}]: {}", hop.hostname, hop.address, hop.tlsnote);
        let _ = writeln!(text, "{}", visible(&note));
    }
    text
}

fn sources(answer: &QueueExplainResponse) -> String {
    let mut table = Table::new([("Source", Align::Left), ("HELO", Align::Left), ("State", Align::Left)]);
    for source in &answer.sources {
        let state = if source.blocked.is_empty() { "usable" } else { &source.blocked };
        let address = match (source.address.as_str(), source.family.as_str()) {
            ("", "ipv6") if source.blocked.is_empty() => "IPv6: as the system chooses",
            ("", _) if source.blocked.is_empty() => "IPv4: as the system chooses",
            ("", "ipv6") => "IPv6: none",
            ("", _) => "IPv4: none",
            (address, _) => address,
        };
        table.row([address, &source.helo, state]);
    }
    if answer.sources.is_empty() { String::new() } else { table.render() }
}

fn policies(policies: &[ExplainPolicy], now: f64) -> String {
    let mut table = Table::new([
        ("Policy", Align::Left),
        ("From", Align::Left),
        ("Values", Align::Left),
        ("Limits", Align::Left),
        ("Connections", Align::Right),
        ("Rate used", Align::Right),
        ("Next in", Align::Right),
        ("State", Align::Left),
    ]);
    for policy in policies {
        let entry = policy.entry.clone().unwrap_or_default();
        let from = match &policy.condition {
            Some(condition) => format!("{} {condition}", kind(policy.r#type())),
            None => "default".to_owned(),
        };
        table.row([
            policy.fields.join(","),
            from,
            entry.values.join(", "),
            entry.limits.as_ref().map(limits).unwrap_or_default(),
            entry.concurrency.to_string(),
            entry.rate.as_ref().map(|rate| rate.used.to_string()).unwrap_or_default(),
            next(&entry, now),
            if policy.exhausted { "holds back" } else { "has room" }.to_owned(),
        ]);
    }
    if policies.is_empty() { String::new() } else { table.render() }
}

fn suspends(answer: &QueueExplainResponse) -> String {
    let mut table = Table::new([("Suspend", Align::Left), ("Fields", Align::Left), ("TTL", Align::Right)]);
    for suspend in &answer.suspends {
        let fields = shown(&suspend.fields.clone().unwrap_or_default());
        table.row([suspend.id.clone(), fields, shown_ttl(suspend.ttl)]);
    }
    if answer.suspends.is_empty() { String::new() } else { table.render() }
}

fn waiting(answer: &QueueExplainResponse, now: f64) -> String {
    let mut table =
        Table::new([("Queued", Align::Right), ("State", Align::Left), ("Waits for", Align::Left)]);
    for row in &answer.waiting {
        let waiting = row.waiting.as_ref().map(|waiting| waits_for(waiting, now)).unwrap_or_default();
        table.row([row.count.to_string(), row.state().as_str_name().to_owned(), waiting]);
    }
    if answer.waiting.is_empty() { "nothing is queued for it\n".to_owned() } else { table.render() }
}

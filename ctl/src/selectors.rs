//! Which recipients a queue command is about (reference: cli-and-operations 3.2.1).

use control::smtpd::{
    AddressMatch, Conditions, MetadataMatch, NetworkMatch, NumberMatch, QueueId, QueueMatch, QueueState,
    StringMatch,
};

use crate::Failure;
use crate::cli::{Arguments, Group, Opt, Value, option};
use crate::numbers::{date, number, pair};

/// The names of the states.
pub(crate) const STATES: &[&str] = &["ACTIVE", "DEFER", "SENDING", "UNKNOWN", "HOLD", "UPDATE"];

const fn select(long: &'static str, value: &'static str, help: &'static str) -> Opt {
    option(long, Value::Text(value), help).repeated()
}

/// The options.
pub(crate) static SELECTORS: Group = Group {
    title: "Selectors",
    note: "Values of one option are alternatives; different options must all match. Numbers and times take an operator \
(>3, >=3, <3, <=3, =3) or a range with both ends included (1..3); put them in quotes.",
    options: &[
        select("id", "TRANSACTION[:QUEUE]", "Recipient, or all recipients of a transaction"),
        option(
            "state",
            Value::Word("STATE", STATES),
            "State, of a queue (ACTIVE, DEFER), working (SENDING, UNKNOWN) or frozen (HOLD, UPDATE)",
        )
        .repeated(),
        select("transportid", "ID", "Transport"),
        select("jobid", "ID", "Job"),
        select("tenantid", "ID", "Tenant"),
        select("grouping", "GROUP", "Group of destinations, as &id"),
        select("sender", "ADDRESS", "Sender"),
        select("recipient", "ADDRESS", "Recipient"),
        select("senderdomain", "DOMAIN", "Domain of the sender"),
        select("recipientdomain", "DOMAIN", "Domain of the recipient"),
        select("senderip", "NETWORK", "Address that the message came from, or a network like 192.0.2.0/24"),
        select("localip", "NETWORK", "Address that it leaves from, or a network"),
        select("remoteip", "NETWORK", "Address of the next hop, or a network"),
        select("remotemx", "HOST", "Host of the next hop, or *.DOMAIN"),
        select("retrycount", "NUMBER", "Attempts so far"),
        select("retrydelay", "SECONDS", "Time until the next attempt"),
        select("age", "SECONDS", "Time since reception"),
        select("ts", "TIME", "Time of reception, like 2026-03-01T14:00:00Z"),
        select("size", "BYTES", "Size of the message"),
        select("priority", "NUMBER", "Priority"),
        select("metadata", "KEY=VALUE", "Pair of metadata; KEY>=3 and the like compare numbers"),
        select("tag", "TAG", "Tag of a policy or suspend that applies"),
        select("serverid", "ID", "Server that took the message"),
        select("saslusername", "USER", "User who sent it"),
    ],
};

/// What the selectors say; `None` when there is none.
pub(crate) fn conditions(arguments: &Arguments) -> Result<Option<Conditions>, Failure> {
    if !SELECTORS.options.iter().any(|option| arguments.has(option.long)) {
        return Ok(None);
    }
    let texts =
        |name: &str| -> Vec<StringMatch> { arguments.all(name).iter().map(|value| text(value)).collect() };
    let networks = |name: &str| -> Vec<NetworkMatch> {
        let network = |value: &String| NetworkMatch { value: value.clone(), neq: false };
        arguments.all(name).iter().map(network).collect()
    };
    let numbers = |name: &str| -> Result<Vec<NumberMatch>, Failure> {
        arguments.all(name).iter().map(|text| number(name, text)).collect()
    };
    Ok(Some(Conditions {
        ids: arguments.all("id").iter().map(|text| id(text)).collect::<Result<_, _>>()?,
        queues: arguments
            .all("state")
            .iter()
            .map(|name| QueueMatch { queue: state(name).into(), neq: false })
            .collect(),
        transportids: texts("transportid"),
        jobids: texts("jobid"),
        tenantids: texts("tenantid"),
        groupings: texts("grouping"),
        senders: addresses(arguments.all("sender"), arguments.all("senderdomain")),
        recipients: addresses(arguments.all("recipient"), arguments.all("recipientdomain")),
        senderips: networks("senderip"),
        localips: networks("localip"),
        remoteips: networks("remoteip"),
        remotemxs: texts("remotemx"),
        tags: texts("tag"),
        serverids: texts("serverid"),
        saslusernames: texts("saslusername"),
        retrycounts: numbers("retrycount")?,
        retrydelays: numbers("retrydelay")?,
        ages: numbers("age")?,
        tss: arguments.all("ts").iter().map(|text| date("ts", text)).collect::<Result<_, _>>()?,
        sizes: numbers("size")?,
        priorities: numbers("priority")?,
        metadata: arguments.all("metadata").iter().map(|text| metadata(text)).collect::<Result<_, _>>()?,
    }))
}

/// The state of a name that the command line has checked.
pub(crate) fn state(name: &str) -> QueueState {
    QueueState::from_str_name(name).unwrap_or(QueueState::Unspecified)
}

/// `TRANSACTION` or `TRANSACTION:QUEUE`.
pub(crate) fn id(text: &str) -> Result<QueueId, Failure> {
    let (transaction, queue) = match text.split_once(':') {
        None => (text, None),
        Some((transaction, queue)) => {
            let wrong =
                || Failure::Usage(format!("--id: \"{}\" is not TRANSACTION:QUEUE", text.escape_debug()));
            (transaction, Some(queue.parse().map_err(|_| wrong())?))
        }
    };
    Ok(QueueId { transaction: transaction.to_owned(), queue })
}

fn text(value: &str) -> StringMatch {
    StringMatch { value: value.to_owned(), ..StringMatch::default() }
}

/// The protocol has alternatives of an address and its domain; both options together mean every combination.
fn addresses(addresses: &[String], domains: &[String]) -> Vec<AddressMatch> {
    let of_address =
        |address: &String| AddressMatch { address: Some(text(address)), ..AddressMatch::default() };
    let of_domain = |domain: &String| AddressMatch { domain: Some(text(domain)), ..AddressMatch::default() };
    match (addresses, domains) {
        (addresses, []) => addresses.iter().map(of_address).collect(),
        ([], domains) => domains.iter().map(of_domain).collect(),
        (addresses, domains) => addresses
            .iter()
            .flat_map(|address| {
                domains
                    .iter()
                    .map(move |domain| AddressMatch { domain: Some(text(domain)), ..of_address(address) })
            })
            .collect(),
    }
}

fn metadata(text: &str) -> Result<MetadataMatch, Failure> {
    let (key, value) = pair("metadata", text)?;
    Ok(match value {
        Ok(value) => {
            // Keys and values of metadata are the script's own: no letter is like another.
            let value = StringMatch { value, casesensitive: true, ..StringMatch::default() };
            MetadataMatch { key, value: Some(value), number: None }
        }
        Err(number) => MetadataMatch { key, value: None, number: Some(number) },
    })
}

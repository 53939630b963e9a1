//! The columns of `queue list`.

use control::smtpd::waiting::Kind;
use control::smtpd::{QueueItem, Waiting};
use jiff::Timestamp;

use crate::table::Align;

/// A column.
pub(super) struct Field {
    /// What `-F` calls it.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) align: Align,
    /// Its text, given the time in seconds.
    pub(super) text: fn(&QueueItem, f64) -> String,
}

/// The column of a name that the command line has checked.
pub(super) fn field(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

const fn left(name: &'static str, title: &'static str, text: fn(&QueueItem, f64) -> String) -> Field {
    Field { name, title, align: Align::Left, text }
}

const fn right(name: &'static str, title: &'static str, text: fn(&QueueItem, f64) -> String) -> Field {
    Field { name, title, align: Align::Right, text }
}

/// All of them.
pub(super) static FIELDS: &[Field] = &[
    left("id", "ID", |item, _| id(item)),
    left("state", "State", |item, _| item.state().as_str_name().to_owned()),
    left("ts", "Received", |item, _| time(item.ts)),
    right("age", "Age", |item, now| seconds(now - item.ts)),
    left("sender", "Sender", |item, _| item.sender.clone()),
    left("recipient", "Recipient", |item, _| item.recipient.clone()),
    left("senderdomain", "Sender domain", |item, _| {
        item.senderaddress.as_ref().map(|address| address.domain.clone()).unwrap_or_default()
    }),
    left("recipientdomain", "Recipient domain", |item, _| {
        item.recipientaddress.as_ref().map(|address| address.domain.clone()).unwrap_or_default()
    }),
    left("senderip", "Sender IP", |item, _| item.senderip.clone()),
    left("senderhelo", "Sender HELO", |item, _| item.senderhelo.clone()),
    left("saslusername", "SASL username", |item, _| item.saslusername.clone()),
    left("serverid", "Server", |item, _| item.serverid.clone()),
    left("transportid", "Transport", |item, _| item.transportid.clone()),
    left("jobid", "Job", |item, _| item.jobid.clone()),
    left("tenantid", "Tenant", |item, _| item.tenantid.clone()),
    left("grouping", "Grouping", |item, _| item.grouping.clone()),
    left("localip", "Local IP", |item, _| match item.localip.as_str() {
        "" => item.localips.join(", "),
        one => one.to_owned(),
    }),
    left("remoteip", "Remote IP", |item, _| item.remoteip.clone()),
    left("remotemx", "Remote MX", |item, _| item.remotemx.clone()),
    right("retrycount", "Retry count", |item, _| item.retry.to_string()),
    right("retrydelay", "Retry delay", |item, now| match item.retryts {
        0.0 => String::new(),
        at => seconds((at - now).max(0.0)),
    }),
    left("retryts", "Retry at", |item, _| time(item.retryts)),
    right("size", "Size", |item, _| item.size.to_string()),
    right("priority", "Priority", |item, _| item.priority.to_string()),
    left("tags", "Tags", |item, _| item.tags.join(", ")),
    left("metadata", "Metadata", |item, _| {
        let pairs: Vec<String> = item.metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(", ")
    }),
    right("duration", "Duration", |item, _| format!("{:.1}", item.duration)),
    left("subject", "Subject", |item, _| item.subject.clone()),
    left("quotas", "Quotas", |item, _| item.quotas.join(", ")),
    left("waiting", "Waits for", |item, now| {
        item.waiting.as_ref().map(|waiting| waits_for(waiting, now)).unwrap_or_default()
    }),
    left("last", "Last answer", |item, _| last(item)),
    left("lastts", "Last attempt", |item, _| {
        item.last.as_ref().map(|last| time(last.ts)).unwrap_or_default()
    }),
];

/// What `-F` takes. A test holds it against [`FIELDS`].
pub(super) const NAMES: &[&str] = &[
    "id",
    "state",
    "ts",
    "age",
    "sender",
    "recipient",
    "senderdomain",
    "recipientdomain",
    "senderip",
    "senderhelo",
    "saslusername",
    "serverid",
    "transportid",
    "jobid",
    "tenantid",
    "grouping",
    "localip",
    "remoteip",
    "remotemx",
    "retrycount",
    "retrydelay",
    "retryts",
    "size",
    "priority",
    "tags",
    "metadata",
    "duration",
    "subject",
    "quotas",
    "waiting",
    "last",
    "lastts",
];

/// What `--sort` takes: a subject is read from disk only for rows that are shown, and metadata are many values.
pub(super) const SORTABLE: &[&str] = &[
    "id",
    "state",
    "ts",
    "age",
    "sender",
    "recipient",
    "senderdomain",
    "recipientdomain",
    "senderip",
    "senderhelo",
    "saslusername",
    "serverid",
    "transportid",
    "jobid",
    "tenantid",
    "grouping",
    "localip",
    "remoteip",
    "remotemx",
    "retrycount",
    "retrydelay",
    "retryts",
    "size",
    "priority",
    "tags",
    "duration",
    "quotas",
    "waiting",
    "last",
    "lastts",
];

fn id(item: &QueueItem) -> String {
    item.id.as_ref().map(|id| format!("{}:{}", id.transaction, id.queue())).unwrap_or_default()
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.0}")
}

/// A time of day in UTC, to the second; nothing for none.
pub(super) fn time(seconds: f64) -> String {
    if seconds == 0.0 {
        return String::new();
    }
    // A float to integer cast saturates.
    Timestamp::from_second(seconds as i64).map(|time| time.to_string()).unwrap_or_default()
}

/// What something waits for, in a few words.
pub(super) fn waits_for(waiting: &Waiting, now: f64) -> String {
    let kind = match waiting.kind() {
        Kind::Nothing => return String::new(),
        Kind::Time => "retry time",
        Kind::Suspend => "suspend",
        Kind::Policy => "policy",
        Kind::Lease => "lease",
        Kind::Parked => "hosts left alone",
        Kind::Localfault => "local fault",
        Kind::Attempts => "attempts ahead",
        Kind::Operator => "operator",
    };
    let mut text = match (waiting.kind(), waiting.text.as_str()) {
        (_, "") => kind.to_owned(),
        // The text says who, or what, by itself.
        (Kind::Operator, text) => text.to_owned(),
        (_, text) if text.starts_with(kind) => text.to_owned(),
        (_, text) => format!("{kind}: {text}"),
    };
    if waiting.until > now {
        text = format!("{text} ({} s)", seconds(waiting.until - now));
    }
    text
}

/// The answer of the last attempt.
fn last(item: &QueueItem) -> String {
    let Some(last) = &item.last else { return String::new() };
    // A reply has its code already; what went wrong without one has none.
    last.text.clone()
}

/// The time of this host, seconds since 1970.
pub(super) fn wall() -> f64 {
    Timestamp::now().as_millisecond() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_can_be_named() {
        let names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
        assert_eq!(names, NAMES);
        let sortable = |name: &&str| !matches!(*name, "subject" | "metadata");
        assert_eq!(names.into_iter().filter(sortable).collect::<Vec<_>>(), SORTABLE);
    }
}

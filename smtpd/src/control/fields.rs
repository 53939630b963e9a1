//! Fields of a queued recipient by the names of the documented interface: what listings sort by and group by.

use std::cmp::Ordering;

use queue::ItemView;
use queue::filter::{IpField, Listed, NumberField, TextField, ip_of, number_of, text_of};
use uuid::Uuid;

/// A field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Id,
    State,
    Sender,
    Recipient,
    Helo,
    Text(TextField),
    Ip(IpField),
    Number(NumberField),
    /// Seconds that the attempt in progress has taken.
    Duration,
    /// A value of metadata.
    Metadata,
}

/// What a field has.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    /// `None`: there is none.
    Number(Option<f64>),
}

/// Names and fields.
const NAMES: &[(&str, Field)] = &[
    ("id", Field::Id),
    ("state", Field::State),
    ("ts", Field::Number(NumberField::Received)),
    ("age", Field::Number(NumberField::Age)),
    ("sender", Field::Sender),
    ("recipient", Field::Recipient),
    ("senderdomain", Field::Text(TextField::SenderDomain)),
    ("recipientdomain", Field::Text(TextField::RecipientDomain)),
    ("senderip", Field::Ip(IpField::Sender)),
    ("senderhelo", Field::Helo),
    ("saslusername", Field::Text(TextField::SaslUser)),
    ("serverid", Field::Text(TextField::ServerId)),
    ("transportid", Field::Text(TextField::TransportId)),
    ("jobid", Field::Text(TextField::JobId)),
    ("tenantid", Field::Text(TextField::TenantId)),
    ("grouping", Field::Text(TextField::Grouping)),
    ("localip", Field::Ip(IpField::Local)),
    ("remoteip", Field::Ip(IpField::Remote)),
    ("remotemx", Field::Text(TextField::RemoteMx)),
    ("retry", Field::Number(NumberField::RetryCount)),
    ("retrycount", Field::Number(NumberField::RetryCount)),
    ("retrydelay", Field::Number(NumberField::RetryDelay)),
    ("retryts", Field::Number(NumberField::RetryDelay)),
    ("size", Field::Number(NumberField::Size)),
    ("priority", Field::Number(NumberField::Priority)),
    ("duration", Field::Duration),
    ("metadata", Field::Metadata),
];

impl Field {
    /// The field of a name.
    ///
    /// # Errors
    /// A sentence with the names that there are.
    pub(super) fn of(name: &str) -> Result<Field, String> {
        let found = NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, field)| *field).ok_or_else(|| {
            let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
            format!("there is no field \"{name}\"; fields are {}", names.join(", "))
        })
    }

    /// What an item has there. `key`: of metadata.
    pub(super) fn value(self, item: &ItemView<'_>, key: &[u8], now_ms: u64) -> Value {
        let lossy = |bytes: &[u8]| Value::Text(String::from_utf8_lossy(bytes).into_owned());
        match self {
            Field::Id => {
                let transaction = Uuid::from_bytes(item.transaction);
                Value::Text(format!("{transaction}:{:010}", u64::from(item.key.recipient) + 1))
            }
            Field::State => Value::Text(state_name(Listed::of(item)).to_owned()),
            Field::Sender => lossy(item.sender),
            Field::Recipient => lossy(item.recipient),
            Field::Helo => Value::Text(item.origin.helo.to_string()),
            Field::Text(field) => Value::Text(text_of(field, item).to_owned()),
            Field::Ip(field) => {
                Value::Text(ip_of(field, item).map(|address| address.to_string()).unwrap_or_default())
            }
            Field::Number(field) => Value::Number(number_of(field, item, now_ms)),
            Field::Duration => Value::Number(duration_s(item, now_ms)),
            Field::Metadata => lossy(item.metadata.get(key).unwrap_or_default()),
        }
    }
}

/// Seconds that the attempt in progress has taken.
pub(super) fn duration_s(item: &ItemView<'_>, now_ms: u64) -> Option<f64> {
    let began_ms = item.tried_ms.filter(|_| item.state == queue::State::Sending)?;
    Some(now_ms.saturating_sub(began_ms) as f64 / 1000.0)
}

/// As the documented interface writes it.
fn state_name(state: Listed) -> &'static str {
    match state {
        Listed::Active => "ACTIVE",
        Listed::Defer => "DEFER",
        Listed::Hold => "HOLD",
        Listed::Sending => "SENDING",
        Listed::Unknown => "UNKNOWN",
        Listed::Update => "UPDATE",
    }
}

impl Value {
    /// What has none comes first.
    pub(super) fn compare(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Text(one), Value::Text(other)) => one.cmp(other),
            (Value::Number(one), Value::Number(other)) => match (one, other) {
                (Some(one), Some(other)) => one.total_cmp(other),
                (one, other) => one.is_some().cmp(&other.is_some()),
            },
            // Values of one field are of one kind.
            _ => Ordering::Equal,
        }
    }
}

//! What operators select queued items by (cli-and-operations 3.2.1).
//!
//! A [`Filter`] is made of conditions by field. Values of one field are alternatives; different fields must all match.

mod number;
#[cfg(test)]
mod tests;
mod text;

use std::net::IpAddr;

use ipnet::IpNet;
use rustc_hash::FxHashSet;

pub use number::{Compare, NumberMatch};
use text::TextSet;
pub use text::{BadPattern, TextMatch};

use crate::item::{ItemView, State};

/// A state as it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listed {
    /// Due.
    Active,
    /// Due later.
    Defer,
    /// Held.
    Hold,
    /// Being sent.
    Sending,
    /// Neither queued nor on the wire: a hook, a report or an operator has it.
    Unknown,
    /// An update of it is being written.
    Update,
}

impl Listed {
    /// The state that an item is listed in.
    pub fn of(item: &ItemView<'_>) -> Listed {
        match item.state {
            State::Sending => Listed::Sending,
            State::InHand => Listed::Unknown,
            _ if item.is_writing() => Listed::Update,
            State::Active => Listed::Active,
            State::Defer { .. } => Listed::Defer,
            State::Hold => Listed::Hold,
        }
    }
}

/// A field that is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextField {
    /// Transport.
    TransportId,
    /// Job id.
    JobId,
    /// Tenant id.
    TenantId,
    /// Group of destinations, once it is known.
    Grouping,
    /// Host of the attempt that is running, or of the last one.
    RemoteMx,
    /// Server that took the message.
    ServerId,
    /// Name that the client logged in with.
    SaslUser,
    /// Domain of the recipient.
    RecipientDomain,
    /// Domain of the sender.
    SenderDomain,
}

/// A field that is an IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpField {
    /// The client that the message came from.
    Sender,
    /// Our address of the attempt that is running, or of the last one.
    Local,
    /// The host's address, likewise.
    Remote,
}

/// A field that is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberField {
    /// Attempts behind the item.
    RetryCount,
    /// Seconds until it is due; 0 when it is. A held item has none.
    RetryDelay,
    /// Seconds since the message was received.
    Age,
    /// When it was received, in seconds since the Unix epoch.
    Received,
    /// Bytes of the message.
    Size,
    /// Priority: 0 or 1.
    Priority,
}

/// A mail address, by its parts; all that are given must match.
#[derive(Clone, Debug, Default)]
pub struct AddressMatch {
    /// The whole.
    pub address: Option<TextMatch>,
    /// What is before the last `@`.
    pub local_part: Option<TextMatch>,
    /// What is behind it.
    pub domain: Option<TextMatch>,
}

/// A pair of metadata: the key is there, and its value matches what is given.
#[derive(Clone, Debug)]
pub struct MetadataMatch {
    /// The key, exactly.
    pub key: Box<[u8]>,
    /// Its value as text.
    pub value: Option<TextMatch>,
    /// Its value as a number; one that is none does not match.
    pub number: Option<NumberMatch>,
}

/// Something, or all else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negatable<T> {
    /// The value.
    pub value: T,
    /// Matches all but the value.
    pub negate: bool,
}

/// Alternatives for one field.
#[derive(Clone, Debug)]
pub enum Condition {
    /// Transaction, and number of the recipient in it from 1; without a number all of the transaction.
    Ids(FxHashSet<([u8; 16], Option<u32>)>),
    /// States.
    States(Vec<Negatable<Listed>>),
    /// Text.
    Text(TextField, Vec<TextMatch>),
    /// Sender.
    Sender(Vec<AddressMatch>),
    /// Recipient.
    Recipient(Vec<AddressMatch>),
    /// Addresses and networks.
    Ip(IpField, Vec<Negatable<IpNet>>),
    /// Numbers.
    Number(NumberField, Vec<NumberMatch>),
    /// Metadata.
    Metadata(Vec<MetadataMatch>),
}

/// Alternatives that are compared one after the other.
const COMPARED: usize = 4;

/// Selects items: every condition must match. Without conditions it selects all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    conditions: Vec<Condition>,
    /// Many texts for one thing, which are looked up instead of compared with one after the other.
    listed: Vec<(Of, TextSet)>,
}

/// What of an item a list of texts is about.
#[derive(Clone, Copy, Debug)]
enum Of {
    Field(TextField),
    /// The part of an address that is its domain.
    SenderDomain,
    RecipientDomain,
}

impl Filter {
    /// From conditions; those without alternatives are left out.
    pub fn new(conditions: impl IntoIterator<Item = Condition>) -> Filter {
        let mut filter = Filter::default();
        for condition in conditions.into_iter().filter(|condition| !condition.is_empty()) {
            match listed(condition) {
                Ok(listed) => filter.listed.push(listed),
                Err(condition) => filter.conditions.push(condition),
            }
        }
        filter
    }

    /// It selects all.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty() && self.listed.is_empty()
    }

    /// Whether it selects the item. `now_ms`: milliseconds since the Unix epoch.
    pub fn matches(&self, item: &ItemView<'_>, now_ms: u64) -> bool {
        self.conditions.iter().all(|condition| condition.matches(item, now_ms))
            && self.listed.iter().all(|(of, set)| set.matches(of.text(item)))
    }
}

/// The condition as a list that is looked up in, where it is one of many texts.
fn listed(condition: Condition) -> Result<(Of, TextSet), Condition> {
    match condition {
        Condition::Text(field, list) if list.len() > COMPARED => Ok((Of::Field(field), TextSet::new(list))),
        Condition::Sender(list) if list.len() > COMPARED => match domains(&list) {
            Some(domains) => Ok((Of::SenderDomain, TextSet::new(domains))),
            None => Err(Condition::Sender(list)),
        },
        Condition::Recipient(list) if list.len() > COMPARED => match domains(&list) {
            Some(domains) => Ok((Of::RecipientDomain, TextSet::new(domains))),
            None => Err(Condition::Recipient(list)),
        },
        condition => Err(condition),
    }
}

/// The domains, where nothing else is asked of addresses.
fn domains(list: &[AddressMatch]) -> Option<Vec<TextMatch>> {
    let domain = |wanted: &AddressMatch| match wanted {
        AddressMatch { address: None, local_part: None, domain } => domain.clone(),
        _ => None,
    };
    list.iter().map(domain).collect()
}

impl Of {
    fn text<'a>(self, item: &ItemView<'a>) -> &'a [u8] {
        match self {
            Of::Field(field) => text_of(field, item).as_bytes(),
            Of::SenderDomain => parts(item.sender).1,
            Of::RecipientDomain => parts(item.recipient).1,
        }
    }
}

/// Local part and domain of an address.
fn parts(address: &[u8]) -> (&[u8], &[u8]) {
    match address.iter().rposition(|byte| *byte == b'@') {
        Some(at) => (&address[..at], &address[at + 1..]),
        None => (address, &[]),
    }
}

impl Condition {
    fn is_empty(&self) -> bool {
        match self {
            Condition::Ids(list) => list.is_empty(),
            Condition::States(list) => list.is_empty(),
            Condition::Text(_, list) => list.is_empty(),
            Condition::Sender(list) | Condition::Recipient(list) => list.is_empty(),
            Condition::Ip(_, list) => list.is_empty(),
            Condition::Number(_, list) => list.is_empty(),
            Condition::Metadata(list) => list.is_empty(),
        }
    }

    fn matches(&self, item: &ItemView<'_>, now_ms: u64) -> bool {
        match self {
            Condition::Ids(list) => {
                let number = item.key.recipient.saturating_add(1);
                list.contains(&(item.transaction, Some(number))) || list.contains(&(item.transaction, None))
            }
            Condition::States(list) => {
                let state = Listed::of(item);
                list.iter().any(|wanted| (wanted.value == state) != wanted.negate)
            }
            Condition::Text(field, list) => {
                let text = text_of(*field, item).as_bytes();
                list.iter().any(|wanted| wanted.matches(text))
            }
            Condition::Sender(list) => list.iter().any(|wanted| wanted.matches(item.sender)),
            Condition::Recipient(list) => list.iter().any(|wanted| wanted.matches(item.recipient)),
            Condition::Ip(field, list) => {
                let address = ip_of(*field, item);
                list.iter().any(|wanted| {
                    address.is_some_and(|address| wanted.value.contains(&address)) != wanted.negate
                })
            }
            Condition::Number(field, list) => number_of(*field, item, now_ms)
                .is_some_and(|number| list.iter().any(|wanted| wanted.matches(number))),
            Condition::Metadata(list) => list.iter().any(|wanted| wanted.matches(item)),
        }
    }
}

/// A field's text; empty where there is none.
pub fn text_of<'a>(field: TextField, item: &ItemView<'a>) -> &'a str {
    match field {
        TextField::TransportId => item.transport,
        TextField::JobId => item.job_id.unwrap_or_default(),
        TextField::TenantId => item.tenant_id.unwrap_or_default(),
        TextField::Grouping => item.link.map(|link| &*link.grouping).unwrap_or_default(),
        TextField::RemoteMx => {
            item.link.and_then(|link| link.remote.as_ref()).map(|remote| &*remote.name).unwrap_or_default()
        }
        TextField::ServerId => &item.origin.server_id,
        TextField::SaslUser => &item.origin.sasl_user,
        TextField::RecipientDomain => item.domain,
        TextField::SenderDomain => item.sender_domain.unwrap_or_default(),
    }
}

/// A field's address.
pub fn ip_of(field: IpField, item: &ItemView<'_>) -> Option<IpAddr> {
    match field {
        IpField::Sender => item.origin.peer,
        IpField::Local => item.link.and_then(|link| link.local),
        IpField::Remote => item.link.and_then(|link| link.remote.as_ref()).map(|remote| remote.address),
    }
}

/// A field's number.
pub fn number_of(field: NumberField, item: &ItemView<'_>, now_ms: u64) -> Option<f64> {
    let seconds = |ms: u64| ms as f64 / 1000.0;
    Some(match field {
        NumberField::RetryCount => f64::from(item.attempts),
        NumberField::RetryDelay => match item.state {
            State::Defer { until_ms } => seconds(until_ms.saturating_sub(now_ms)),
            State::Active | State::Sending | State::InHand => 0.0,
            State::Hold => return None,
        },
        NumberField::Age => seconds(now_ms.saturating_sub(item.received_ms)),
        NumberField::Received => seconds(item.received_ms),
        NumberField::Size => item.size_bytes as f64,
        NumberField::Priority => f64::from(u8::from(item.urgent)),
    })
}

impl AddressMatch {
    fn matches(&self, address: &[u8]) -> bool {
        let (local_part, domain) = parts(address);
        let parts = [(&self.address, address), (&self.local_part, local_part), (&self.domain, domain)];
        parts.into_iter().all(|(wanted, part)| wanted.as_ref().is_none_or(|wanted| wanted.matches(part)))
    }
}

impl MetadataMatch {
    fn matches(&self, item: &ItemView<'_>) -> bool {
        let Some(value) = item.metadata.get(&self.key) else { return false };
        let number = || std::str::from_utf8(value).ok()?.trim().parse::<f64>().ok();
        self.value.as_ref().is_none_or(|wanted| wanted.matches(value))
            && self.number.as_ref().is_none_or(|wanted| number().is_some_and(|number| wanted.matches(number)))
    }
}

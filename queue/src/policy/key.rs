//! What names a counter.

use std::net::IpAddr;
use std::sync::Arc;

use crate::matching::{Fact, Facts, Field};

/// A set of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldSet(u8);

impl FieldSet {
    /// The set of these.
    pub fn new(fields: impl IntoIterator<Item = Field>) -> FieldSet {
        FieldSet(fields.into_iter().fold(0, |set, field| set | bit(field)))
    }

    /// Whether a field is in it.
    pub fn contains(self, field: Field) -> bool {
        self.0 & bit(field) != 0
    }

    /// The fields in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Field> {
        Field::ALL.into_iter().filter(move |field| self.contains(*field))
    }

    /// The fields of both.
    pub fn union(self, other: FieldSet) -> FieldSet {
        FieldSet(self.0 | other.0)
    }

    /// Number of fields.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// No field.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

fn bit(field: Field) -> u8 {
    1 << field as u8
}

/// Names a counter, on all shards and over reloads: the fields of its policy and their values. About 100 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    fields: FieldSet,
    /// Number of the policy among those with the same fields.
    twin: u8,
    /// In the order of the fields.
    values: Arc<[Value]>,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Value {
    Text(Box<str>),
    Ip(IpAddr),
}

impl Key {
    /// `None`: a field is not known.
    pub(super) fn new(fields: FieldSet, twin: u8, facts: &Facts<'_>) -> Option<Key> {
        let value = |field| {
            facts.get(field).map(|fact| match fact {
                Fact::Text(text) => Value::Text(text.into()),
                Fact::Ip(ip) => Value::Ip(ip.to_canonical()),
            })
        };
        let values = fields.iter().map(value).collect::<Option<Arc<[Value]>>>()?;
        Some(Key { fields, twin, values })
    }

    /// Its fields.
    pub fn fields(&self) -> FieldSet {
        self.fields
    }

    pub(super) fn twin(&self) -> u8 {
        self.twin
    }

    /// The values as text, in the order of the fields.
    pub fn values(&self) -> impl Iterator<Item = (Field, String)> {
        self.fields.iter().zip(&*self.values).map(|(field, value)| {
            let text = match value {
                Value::Text(text) => text.to_string(),
                Value::Ip(ip) => ip.to_string(),
            };
            (field, text)
        })
    }

    /// What the counter knows of the mail that it counts: its fields.
    pub(super) fn facts(&self) -> Facts<'_> {
        let mut facts = Facts::default();
        for (field, value) in self.fields.iter().zip(&*self.values) {
            let (text, ip) = match value {
                Value::Text(text) => (Some(&**text), None),
                Value::Ip(ip) => (None, Some(*ip)),
            };
            match field {
                Field::TenantId => facts.tenant_id = text,
                Field::JobId => facts.job_id = text,
                Field::TransportId => facts.transport_id = text,
                Field::LocalIp => facts.local_ip = ip,
                Field::Grouping => facts.grouping = text,
                Field::RemoteIp => facts.remote_ip = ip,
                Field::RemoteMx => facts.remote_mx = text,
                Field::RecipientDomain => facts.recipient_domain = text,
            }
        }
        facts
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.fields.is_empty() {
            return f.write_str("all");
        }
        for (index, (field, value)) in self.values().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{}={value}", field.name())?;
        }
        Ok(())
    }
}

//! One question for records of any type that scripts may ask for, and what a server's message says to it.

use std::net::IpAddr;

use bytes::Bytes;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, Name, RData, Record as WireRecord, RecordType};

use crate::dns::message::{self, Asked, NotOurs, Opened, RANDOM_BYTES, Response};
use crate::dns::name::NameError;
use crate::limits;

/// A type of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Mail exchangers.
    Mx,
    /// Texts.
    Txt,
    /// The name that this one is an alias of.
    Cname,
    /// Name servers.
    Ns,
    /// Names of an address.
    Ptr,
    /// The zone's own record.
    Soa,
    /// What certificates of a server must be equal to (RFC 6698). Scripts do not ask for them.
    Tlsa,
}

impl RecordKind {
    /// By its name, in any case.
    pub fn from_name(name: &[u8]) -> Option<RecordKind> {
        Some(match &name.to_ascii_lowercase()[..] {
            b"a" => RecordKind::A,
            b"aaaa" => RecordKind::Aaaa,
            b"mx" => RecordKind::Mx,
            b"txt" => RecordKind::Txt,
            b"cname" => RecordKind::Cname,
            b"ns" => RecordKind::Ns,
            b"ptr" => RecordKind::Ptr,
            b"soa" => RecordKind::Soa,
            _ => return None,
        })
    }

    pub(super) fn record_type(self) -> RecordType {
        match self {
            RecordKind::A => RecordType::A,
            RecordKind::Aaaa => RecordType::AAAA,
            RecordKind::Mx => RecordType::MX,
            RecordKind::Txt => RecordType::TXT,
            RecordKind::Cname => RecordType::CNAME,
            RecordKind::Ns => RecordType::NS,
            RecordKind::Ptr => RecordType::PTR,
            RecordKind::Soa => RecordType::SOA,
            RecordKind::Tlsa => RecordType::TLSA,
        }
    }
}

/// A record, without its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its lifetime, in seconds.
    pub ttl_s: u32,
    /// What it says.
    pub data: RecordData,
}

/// What a record says. Names are in lower case, without the last dot; the root is `.`, and bytes that no host name has
/// are `\DDD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordData {
    /// Of A and AAAA.
    Address(IpAddr),
    /// Of MX.
    Mx {
        /// Lower is tried first.
        preference: u16,
        /// The host.
        host: String,
    },
    /// Of TXT: its strings, joined.
    Text(Vec<u8>),
    /// Of CNAME, NS and PTR.
    Name(String),
    /// Of SOA.
    Soa {
        /// The first name server.
        mname: String,
        /// The mailbox of who is responsible, as a name.
        rname: String,
        /// serial, refresh, retry, expire, minimum.
        numbers: [i64; 5],
    },
    /// Of TLSA.
    Tlsa {
        /// Certificate usage.
        usage: u8,
        /// What of the certificate.
        selector: u8,
        /// In which form.
        matching: u8,
        /// What it must be equal to.
        data: Vec<u8>,
    },
}

impl RecordData {
    /// What it takes in memory, roughly.
    pub fn size_bytes(&self) -> usize {
        64 + match self {
            RecordData::Address(_) => 0,
            RecordData::Text(text) => text.len(),
            RecordData::Mx { host: name, .. } | RecordData::Name(name) => name.len(),
            RecordData::Soa { mname, rname, .. } => mname.len() + rname.len(),
            RecordData::Tlsa { data, .. } => data.len(),
        }
    }
}

/// What a message says to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// The records, MX in the order of their preference. None of them: the name has none of this type. With whether the
    /// server vouches for the answer.
    Found(Vec<Record>, bool),
    /// The name does not exist; with whether the server vouches for that.
    NoDomain(bool),
    /// Not to be trusted over UDP, or cut short: ask the same server by TCP.
    AskByTcp,
    /// FORMERR or NOTIMP: ask without EDNS, or elsewhere.
    NotUnderstood(u16),
    /// Another response code: ask elsewhere.
    ServerFailure(u16),
    /// It makes no sense: ask elsewhere.
    Malformed,
}

/// A query under way.
#[derive(Clone, Debug)]
pub struct RecordQuery {
    asked: Asked,
    payload: Bytes,
}

impl RecordQuery {
    /// Asks for records of the name `name`, with or without a last dot. `random` is 34 bytes that nobody can guess.
    pub fn new(
        name: &[u8],
        kind: RecordKind,
        edns: bool,
        random: &[u8; RANDOM_BYTES],
    ) -> Result<RecordQuery, NameError> {
        let text = name.strip_suffix(b".").unwrap_or(name);
        let labels = || text.split(|byte| *byte == b'.');
        if text.len() > 253 || !labels().all(|label| (1..=63).contains(&label.len())) {
            return Err(NameError);
        }
        let name = message::random_case(labels(), &random[2..]);
        let (payload, asked) = message::encode_query(name, kind.record_type(), edns, true, random);
        Ok(RecordQuery { asked, payload })
    }

    /// What to send by UDP.
    pub fn datagram(&self) -> Bytes {
        self.payload.clone()
    }

    /// What to send by TCP.
    pub fn tcp_message(&self) -> Bytes {
        message::for_tcp(&self.payload)
    }

    /// What a datagram, or a message of a TCP stream, says. `None`: it is no answer to this query.
    pub fn answer(&self, bytes: &[u8], tcp: bool) -> Option<Records> {
        let sections = match message::open(bytes, &self.asked, !tcp) {
            Ok(Opened::Sections(sections)) => sections,
            Err(NotOurs) => return None,
            Ok(Opened::Response(response)) => {
                return Some(match response {
                    Response::Truncated | Response::CaseChanged if !tcp => Records::AskByTcp,
                    Response::NotUnderstood(code) => Records::NotUnderstood(code),
                    Response::ServerFailure(code) => Records::ServerFailure(code),
                    _ => Records::Malformed,
                });
            }
        };
        let name = match self.asked.kind {
            RecordType::CNAME => &self.asked.name,
            _ => match message::follow_aliases(&self.asked.name, &sections.answers) {
                Some((name, _)) => name,
                None => return Some(Records::Malformed),
            },
        };
        let wanted = |record: &&WireRecord| {
            record.name == *name
                && record.dns_class == DNSClass::IN
                && record.record_type() == self.asked.kind
        };
        let found: Vec<Record> = sections
            .answers
            .iter()
            .filter(wanted)
            .take(limits::DNS_RECORDS_MAX)
            .filter_map(convert)
            .collect();
        if found.is_empty() && sections.code == ResponseCode::NXDomain {
            return Some(Records::NoDomain(sections.authentic));
        }
        Some(Records::Found(in_order(found), sections.authentic))
    }
}

fn in_order(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by_key(|record| match record.data {
        RecordData::Mx { preference, .. } => preference,
        _ => 0,
    });
    records
}

fn convert(record: &WireRecord) -> Option<Record> {
    Some(Record { ttl_s: message::lifetime_s(record), data: data(&record.data)? })
}

/// `None`: it is of a type that nobody asks for.
pub(super) fn data(data: &RData) -> Option<RecordData> {
    Some(match data {
        RData::A(a) => RecordData::Address(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => RecordData::Address(IpAddr::V6(aaaa.0)),
        RData::MX(mx) => RecordData::Mx { preference: mx.preference, host: text(&mx.exchange) },
        RData::TXT(txt) => RecordData::Text(txt.txt_data.concat()),
        RData::CNAME(name) => RecordData::Name(text(&name.0)),
        RData::NS(name) => RecordData::Name(text(&name.0)),
        RData::PTR(name) => RecordData::Name(text(&name.0)),
        RData::SOA(soa) => RecordData::Soa {
            mname: text(&soa.mname),
            rname: text(&soa.rname),
            numbers: [
                soa.serial.into(),
                soa.refresh.into(),
                soa.retry.into(),
                soa.expire.into(),
                soa.minimum.into(),
            ],
        },
        RData::TLSA(tlsa) => RecordData::Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone(),
        },
        _ => return None,
    })
}

/// Lower case: a name may be compressed against our question, whose letters have a random case.
fn text(name: &Name) -> String {
    if name.is_root() {
        return ".".into();
    }
    let mut text = String::with_capacity(name.len());
    for label in name.iter() {
        if !text.is_empty() {
            text.push('.');
        }
        for byte in label {
            match byte {
                b'.' | b'\\' => text.extend(['\\', char::from(*byte)]),
                byte if byte.is_ascii_graphic() => text.push(char::from(byte.to_ascii_lowercase())),
                byte => text.push_str(&format!("\\{byte:03}")),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests;

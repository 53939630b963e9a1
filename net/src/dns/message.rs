//! Queries to bytes, and bytes to what they say about a query.
//!
//! An answer is believed when it carries the random id and the question with the random case of its letters
//! (draft-vixie-dnsext-dns0x20); that it came from the server that was asked is up to the connected socket.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use hickory_proto::op::{Edns, Header, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use crate::dns::answer::{Answer, Kind, Mx, Question};
use crate::dns::name::DomainName;
use crate::dns::records;
use crate::limits;

/// Random bytes that a query takes: the id, and a bit for each letter.
pub const RANDOM_BYTES: usize = 2 + 32;

/// How a query was asked; what an answer to it must repeat.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(super) id: u16,
    pub(super) name: Name,
    pub(super) kind: RecordType,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    /// An answer.
    Answer(Answer, Found),
    /// The name is an alias of this one, about which nothing is said.
    Alias(DomainName, Found),
    /// Cut short: ask by TCP.
    Truncated,
    /// It repeats the question in another case: from a server that changes case, or from a forger.
    CaseChanged,
    /// FORMERR or NOTIMP, which of them: perhaps the server does not know EDNS.
    NotUnderstood(u16),
    /// Any other response code.
    ServerFailure(u16),
    /// An answer to this query that makes no sense.
    Malformed,
    /// Aliases in a circle, or too many.
    AliasLoop,
}

/// What else an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// For how many seconds it is good; `None`: it does not say.
    pub(crate) ttl_s: Option<u32>,
    /// The server vouches for it (AD).
    pub(crate) authentic: bool,
}

/// The bytes do not belong to the query: keep waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotOurs;

/// A query for UDP, and what its answer must repeat. `ask_authentic` as for [`encode_query`].
pub(crate) fn encode(
    question: &Question,
    edns: bool,
    ask_authentic: bool,
    random: &[u8; RANDOM_BYTES],
) -> (Bytes, Asked) {
    let name = random_case(question.name.as_str().split('.').map(str::as_bytes), &random[2..]);
    encode_query(name, record_type(question.kind), edns, ask_authentic, random)
}

/// Takes away what decides on the case of letters: all of them are small.
pub(crate) fn in_lower_case(random: &mut [u8; RANDOM_BYTES]) {
    random[2..].fill(0);
}

/// Whether a message repeats the question with its letters in their case.
pub(crate) fn repeats_case(bytes: &[u8], asked: &Asked) -> bool {
    let mut decoder = BinDecoder::new(bytes);
    if Header::read(&mut decoder).is_err() {
        return false;
    }
    let queries = Message::read_queries(&mut decoder, 1).unwrap_or_default();
    queries.first().is_some_and(|query| query.name.eq_case(&asked.name))
}

/// The same for any name and type; `ask_authentic` asks whether the server vouches for the answer (RFC 6840 5.7).
pub(super) fn encode_query(
    name: Name,
    kind: RecordType,
    edns: bool,
    ask_authentic: bool,
    random: &[u8; RANDOM_BYTES],
) -> (Bytes, Asked) {
    let id = u16::from_be_bytes([random[0], random[1]]);
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.authentic_data = ask_authentic;
    message.add_query(Query::query(name.clone(), kind));
    if edns {
        let mut edns = Edns::new();
        edns.set_max_payload(limits::DNS_UDP_BYTES_MAX);
        message.set_edns(edns);
    }
    let bytes = message.to_vec().expect("one question fits in a message");
    (bytes.into(), Asked { id, name, kind })
}

/// The same with the two length bytes of TCP in front.
pub(crate) fn for_tcp(message: &[u8]) -> Bytes {
    let length = u16::try_from(message.len()).expect("a query is short");
    [&length.to_be_bytes()[..], message].concat().into()
}

/// The first message of a TCP stream, when all of it is there.
pub fn first_tcp_message(stream: &[u8]) -> Option<&[u8]> {
    let (length, rest) = stream.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}

/// What `bytes` say about the query. `exact_case` for UDP; over TCP nobody can forge.
pub(crate) fn decode(bytes: &[u8], asked: &Asked, exact_case: bool) -> Result<Response, NotOurs> {
    Ok(match open(bytes, asked, exact_case)? {
        Opened::Response(response) => response,
        Opened::Sections(sections) => interpret(asked, &sections),
    })
}

/// A message that belongs to the query.
pub(super) enum Opened {
    /// It has no answer, but says this.
    Response(Response),
    /// It has an answer, or says that there is none.
    Sections(Sections),
}

/// The parts of an answer.
pub(super) struct Sections {
    /// NOERROR or NXDOMAIN.
    pub(super) code: ResponseCode,
    /// The server vouches for it (AD).
    pub(super) authentic: bool,
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
}

pub(super) fn open(bytes: &[u8], asked: &Asked, exact_case: bool) -> Result<Opened, NotOurs> {
    let mut decoder = BinDecoder::new(bytes);
    let header = Header::read(&mut decoder).map_err(|_| NotOurs)?;
    let metadata = &header.metadata;
    if metadata.id != asked.id
        || metadata.message_type != MessageType::Response
        || metadata.op_code != OpCode::Query
    {
        return Err(NotOurs);
    }
    if header.counts.queries == 0 && metadata.response_code != ResponseCode::NoError {
        // Some servers do not repeat a question they do not understand. A forger would have to guess the id only,
        // so it is worth no more than another try.
        return Ok(Opened::Response(failure(metadata.response_code)));
    }
    if header.counts.queries != 1 {
        return Err(NotOurs);
    }
    let queries = Message::read_queries(&mut decoder, 1).map_err(|_| NotOurs)?;
    let query = queries.first().ok_or(NotOurs)?;
    if query.query_type != asked.kind || query.query_class != DNSClass::IN || query.name != asked.name {
        return Err(NotOurs);
    }
    if exact_case && !query.name.eq_case(&asked.name) {
        return Ok(Opened::Response(Response::CaseChanged));
    }
    if metadata.truncation {
        return Ok(Opened::Response(Response::Truncated));
    }
    match metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        code => return Ok(Opened::Response(failure(code))),
    }
    let mut section = |count: u16| {
        Message::read_records(&mut decoder, usize::from(count), false, OpCode::Query)
            .map(|(records, ..)| records)
    };
    // What may follow in the additional section is of no use here, so nothing in it can spoil the answer.
    let (Ok(answers), Ok(authorities)) = (section(header.counts.answers), section(header.counts.authorities))
    else {
        return Ok(Opened::Response(Response::Malformed));
    };
    let (code, authentic) = (metadata.response_code, metadata.authentic_data);
    Ok(Opened::Sections(Sections { code, authentic, answers, authorities }))
}

fn failure(code: ResponseCode) -> Response {
    match code {
        ResponseCode::FormErr | ResponseCode::NotImp => Response::NotUnderstood(u16::from(code)),
        code => Response::ServerFailure(u16::from(code)),
    }
}

fn interpret(asked: &Asked, sections: &Sections) -> Response {
    let Sections { code, authentic, answers, authorities } = sections;
    let found = |ttl_s: Option<u32>| Found { ttl_s, authentic: *authentic };
    let aliases = match asked.kind {
        // It is the alias itself that is asked for.
        RecordType::CNAME => Some((&asked.name, u32::MAX)),
        _ => follow_aliases(&asked.name, answers),
    };
    let Some((name, alias_ttl_s)) = aliases else { return Response::AliasLoop };
    let records = answers.iter().filter(|record| {
        record.name == *name && record.dns_class == DNSClass::IN && record.record_type() == asked.kind
    });
    let (mut ttl_s, mut data) = (alias_ttl_s, Vec::new());
    for record in records.take(limits::DNS_RECORDS_MAX) {
        ttl_s = ttl_s.min(lifetime_s(record));
        data.push(&record.data);
    }
    if !data.is_empty() {
        return Response::Answer(collect(asked.kind, &data), found(Some(ttl_s)));
    }
    let negative_s = negative_lifetime_s(authorities).map(|negative_s| negative_s.min(alias_ttl_s));
    if *code == ResponseCode::NXDomain {
        return Response::Answer(Answer::NoDomain, found(negative_s));
    }
    if negative_s.is_some() {
        return Response::Answer(Answer::NoData, found(negative_s));
    }
    if *name != asked.name {
        return match to_domain_name(name) {
            Some(name) => Response::Alias(name, found(Some(alias_ttl_s))),
            None => Response::Answer(Answer::NoData, found(Some(alias_ttl_s))),
        };
    }
    // RFC 2308 2.2: with NS records and no SOA it is a referral, from a server that does not resolve for us.
    if authorities.iter().any(|record| record.record_type() == RecordType::NS) {
        return Response::ServerFailure(u16::from(ResponseCode::Refused));
    }
    Response::Answer(Answer::NoData, found(None))
}

/// Where the aliases of `name` lead, with the shortest lifetime on the way. `None`: too far.
pub(super) fn follow_aliases<'a>(name: &'a Name, answers: &'a [Record]) -> Option<(&'a Name, u32)> {
    let (mut name, mut ttl_s) = (name, u32::MAX);
    for _ in 0..=limits::DNS_ALIASES_MAX {
        let alias = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == *name => Some((&target.0, lifetime_s(record))),
            _ => None,
        });
        match alias {
            Some((target, alias_ttl_s)) => (name, ttl_s) = (target, ttl_s.min(alias_ttl_s)),
            None => return Some((name, ttl_s)),
        }
    }
    None
}

fn collect(kind: RecordType, found: &[&RData]) -> Answer {
    if kind == RecordType::MX {
        let exchangers = found.iter().filter_map(|data| match data {
            RData::MX(mx) if mx.exchange.is_root() => Some(Mx { preference: mx.preference, host: None }),
            RData::MX(mx) => {
                Some(Mx { preference: mx.preference, host: Some(to_domain_name(&mx.exchange)?) })
            }
            _ => None,
        });
        return Answer::Mx(exchangers.collect());
    }
    if kind == RecordType::PTR {
        let mut names: Vec<DomainName> = Vec::new();
        for data in found {
            if let RData::PTR(name) = data
                && let Some(name) = to_domain_name(&name.0).filter(|name| !names.contains(name))
            {
                names.push(name);
            }
        }
        return if names.is_empty() { Answer::NoData } else { Answer::Names(names.into()) };
    }
    if !matches!(kind, RecordType::A | RecordType::AAAA) {
        let mut data: Vec<_> = found.iter().filter_map(|data| records::data(data)).collect();
        data.dedup();
        return if data.is_empty() { Answer::NoData } else { Answer::Records(data.into()) };
    }
    let mut addresses: Vec<IpAddr> = Vec::new();
    for data in found {
        let address = match data {
            RData::A(a) => IpAddr::V4(a.0),
            RData::AAAA(aaaa) => IpAddr::V6(aaaa.0),
            _ => continue,
        };
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Answer::NoData } else { Answer::Addresses(Arc::from(addresses)) }
}

/// RFC 2181 section 8: a TTL with the highest bit set is zero.
pub(super) fn lifetime_s(record: &Record) -> u32 {
    if record.ttl > i32::MAX as u32 { 0 } else { record.ttl }
}

/// RFC 2308 section 5: the smaller of the SOA record's TTL and its minimum field.
fn negative_lifetime_s(authorities: &[Record]) -> Option<u32> {
    authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(lifetime_s(record).min(soa.minimum)),
        _ => None,
    })
}

fn record_type(kind: Kind) -> RecordType {
    match kind {
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
        Kind::Mx => RecordType::MX,
        Kind::Ptr => RecordType::PTR,
        Kind::Records(kind) => kind.record_type(),
    }
}

/// The name of these labels, of 1 to 63 bytes each, with letters in the case that the bits say.
pub(super) fn random_case<'a>(labels: impl Iterator<Item = &'a [u8]>, bits: &[u8]) -> Name {
    let mut place = 0;
    let mut cased = |byte: &u8| {
        let bit = bits[place / 8 % bits.len()] >> (place % 8) & 1 == 1;
        place += 1;
        if bit { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() }
    };
    // From labels, not from text: a name that begins with a hyphen is none in text, but the wire carries it, and a
    // recipient or somebody's MX record may well name it.
    let labels: Vec<Vec<u8>> = labels.map(|label| label.iter().map(&mut cased).collect()).collect();
    let mut name = Name::from_labels(labels.iter().map(Vec::as_slice)).expect("labels have 1 to 63 bytes");
    name.set_fqdn(true);
    name
}

/// `None` for names that are no host names: they cannot be connected to.
fn to_domain_name(name: &Name) -> Option<DomainName> {
    let mut text = String::with_capacity(name.len());
    for label in name.iter() {
        if !text.is_empty() {
            text.push('.');
        }
        // A dot within a label would come out as another name.
        if label.contains(&b'.') {
            return None;
        }
        text.push_str(std::str::from_utf8(label).ok()?);
    }
    DomainName::from_str(&text).ok()
}

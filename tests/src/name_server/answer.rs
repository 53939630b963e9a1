//! From a query to what is sent back.

use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, PTR, SOA, TLSA, TXT};
use hickory_proto::rr::{Name, RData, Record as WireRecord, RecordType};

use super::{Fault, Query, Record, Zone};

/// Aliases followed in one answer.
const ALIASES_MAX: usize = 16;

/// What to send, and when.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) messages: Vec<Vec<u8>>,
    pub(super) delay: Duration,
}

impl Zone {
    /// None: no answer.
    pub(super) fn answer(&self, query: &Message, seen: &Query) -> Option<Reply> {
        let mut message = self.truth(query, seen);
        let mut delay = Duration::ZERO;
        match self.fault_of(&seen.name) {
            None | Some(Fault::MissingOnce) => {}
            Some(Fault::Silence) => return None,
            Some(Fault::Unsigned) => message.metadata.authentic_data = false,
            Some(Fault::Delay(time)) => delay = time,
            Some(Fault::ServerFailure) => fail(&mut message, ResponseCode::ServFail),
            Some(Fault::Refused) => fail(&mut message, ResponseCode::Refused),
            Some(Fault::NoEdns) if seen.edns.is_some() => fail(&mut message, ResponseCode::FormErr),
            Some(Fault::NoEdns) => {}
            Some(Fault::TruncatedWithoutTcp) if seen.tcp => return None,
            Some(Fault::Truncated | Fault::TruncatedWithoutTcp) if !seen.tcp => {
                message.answers.clear();
                message.metadata.truncation = true;
            }
            Some(Fault::Truncated | Fault::TruncatedWithoutTcp) => {}
            Some(Fault::Forged) => return Some(Reply { messages: forged(&message), delay }),
            Some(Fault::LowerCase) => {
                for question in &mut message.queries {
                    question.name = question.name.to_lowercase();
                }
            }
            Some(Fault::CutRecord) => {
                let mut bytes = message.to_vec().ok()?;
                bytes.pop();
                return Some(Reply { messages: vec![bytes], delay });
            }
            Some(Fault::Garbage) => {
                let id = seen.id.to_be_bytes();
                return Some(Reply { messages: vec![[&id[..], b"this is no DNS"].concat()], delay });
            }
        }
        Some(Reply { messages: vec![message.to_vec().ok()?], delay })
    }

    fn fault_of(&self, name: &str) -> Option<Fault> {
        let of =
            |wanted: &str| self.faults.iter().find(|(owner, _)| owner == wanted).map(|(_, fault)| *fault);
        of(name).or_else(|| of("*"))
    }

    fn truth(&self, query: &Message, seen: &Query) -> Message {
        let question = query.queries[0].clone();
        let mut message = Message::new(seen.id, MessageType::Response, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.metadata.recursion_available = true;
        message.metadata.authentic_data = self.authentic;
        let wanted = question.query_type();
        let mut owner = question.name().clone();
        message.add_query(question);
        for _ in 0..ALIASES_MAX {
            let name = owner.to_ascii().trim_end_matches('.').to_ascii_lowercase();
            let missing = self.fault_of(&name) == Some(Fault::MissingOnce);
            let Some(records) = self.records_of(&name).filter(|_| !missing) else {
                message.metadata.response_code = ResponseCode::NXDomain;
                break;
            };
            let of = |kind: RecordType| move |record: &&Record| record.kind() == Some(kind);
            let alias = records.iter().find(of(RecordType::CNAME)).filter(|_| wanted != RecordType::CNAME);
            let Some(alias @ Record::Cname(target)) = alias else {
                message.add_answers(
                    records.iter().filter(of(wanted)).filter_map(|record| self.record(&owner, *record)),
                );
                break;
            };
            message.add_answers(self.record(&owner, *alias));
            owner = to_name(target);
        }
        let found = message.answers.iter().any(|record| record.record_type() == wanted);
        if let (false, Some(ttl_s)) = (found, self.negative_ttl_s) {
            let soa = SOA::new(to_name("ns.test"), to_name("hostmaster.test"), 1, 3_600, 600, 86_400, ttl_s);
            message.add_authority(WireRecord::from_rdata(to_name("test"), ttl_s, RData::SOA(soa)));
        }
        message
    }

    fn record(&self, owner: &Name, record: Record) -> Option<WireRecord> {
        Some(WireRecord::from_rdata(owner.clone(), self.ttl_s, data(record)?))
    }

    /// None: the name does not exist.
    fn records_of(&self, name: &str) -> Option<Vec<Record>> {
        let of = |owner: &str| -> Option<Vec<Record>> {
            let records = self.records.iter().filter(|(name, _)| *name == owner);
            let records: Vec<Record> = records.map(|(_, record)| *record).collect();
            (!records.is_empty()).then_some(records)
        };
        let above = || name.match_indices('.').find_map(|(dot, _)| of(&format!("*{}", &name[dot..])));
        of(name).or_else(above)
    }
}

fn fail(message: &mut Message, code: ResponseCode) {
    message.metadata.response_code = code;
    message.answers.clear();
    message.authorities.clear();
}

/// Two answers that nobody may believe.
fn forged(message: &Message) -> Vec<Vec<u8>> {
    let mut other_id = message.clone();
    other_id.metadata.id = message.metadata.id.wrapping_add(1);
    let mut other_name = message.clone();
    for question in &mut other_name.queries {
        question.name = to_name("victim.example");
    }
    [other_id, other_name].iter().filter_map(|message| message.to_vec().ok()).collect()
}

fn to_name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).expect("the test's own name");
    name.set_fqdn(true);
    name
}

fn data(record: Record) -> Option<RData> {
    Some(match record {
        Record::Mx(preference, host) => RData::MX(MX::new(preference, to_name(host))),
        Record::A(address) => RData::A(A(address.parse().expect("the test's own address"))),
        Record::Aaaa(address) => RData::AAAA(AAAA(address.parse().expect("the test's own address"))),
        Record::Cname(target) => RData::CNAME(CNAME(to_name(target))),
        Record::Txt(text) => RData::TXT(TXT::new(vec![text.to_owned()])),
        Record::Ptr(name) => RData::PTR(PTR(to_name(name))),
        Record::Tlsa(text) => {
            let [usage, selector, matching, data] = text.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{text}: not four words");
            };
            let number = |text: &str| text.parse::<u8>().expect("the test's own number");
            let data = data_encoding::HEXLOWER.decode(data.as_bytes()).expect("the test's own data");
            RData::TLSA(TLSA::new(
                number(usage).into(),
                number(selector).into(),
                number(matching).into(),
                data,
            ))
        }
        Record::Nothing => return None,
    })
}

//! Questions of scripts in the words of the mail server's resolver, and its answers in theirs.

use net::dns::{Answer, DomainName, Failure, Kind, Question, Record, RecordData, RecordKind, Resolved};

use super::{DnsError, DnsQuestion, DnsReply};

/// `None`: the name is none that a resolver of mail servers knows; scripts may ask for it all the same.
pub(super) fn question(question: &DnsQuestion) -> Option<Question> {
    let name = DomainName::parse(std::str::from_utf8(&question.name).ok()?).ok()?;
    let kind = match question.kind {
        RecordKind::A => Kind::A,
        RecordKind::Aaaa => Kind::Aaaa,
        RecordKind::Mx => Kind::Mx,
        RecordKind::Ptr => Kind::Ptr,
        other => Kind::Records(other),
    };
    Some(Question { name, kind })
}

/// What `dns_query` would give a script for an answer of the mail server's resolver. Records live as long as the answer.
pub fn reply(resolved: &Resolved) -> DnsReply {
    let ttl_s = u32::try_from(resolved.left_ms / 1_000).unwrap_or(u32::MAX);
    let records = data(&resolved.answer);
    let records = records.map(|all| all.into_iter().map(|data| Record { ttl_s, data }).collect());
    DnsReply { dnssec: resolved.authentic, records }
}

/// At least one.
fn data(answer: &Answer) -> Result<Vec<RecordData>, DnsError> {
    let data: Vec<RecordData> = match answer {
        Answer::Addresses(addresses) => addresses.iter().copied().map(RecordData::Address).collect(),
        Answer::Mx(exchangers) => {
            let mut exchangers: Vec<_> = exchangers.iter().collect();
            exchangers.sort_by_key(|mx| mx.preference);
            let host = |host: Option<&DomainName>| host.map_or(".", DomainName::as_str).to_owned();
            let data = |mx: &net::dns::Mx| RecordData::Mx {
                preference: mx.preference,
                host: host(mx.host.as_ref()),
            };
            exchangers.into_iter().map(data).collect()
        }
        Answer::Names(names) => names.iter().map(|name| RecordData::Name(name.as_str().to_owned())).collect(),
        Answer::Records(records) => records.to_vec(),
        Answer::NoData => Vec::new(),
        Answer::NoDomain => return Err(DnsError::NoDomain),
        Answer::Failed(failure) => {
            return Err(match failure {
                Failure::ServerFailure(code) => DnsError::Code(*code),
                Failure::Malformed | Failure::AliasLoop => DnsError::NoRecovery,
                Failure::Timeout
                | Failure::Unreachable
                | Failure::AllSilent
                | Failure::Overloaded
                | Failure::NoServers => DnsError::TryAgain,
            });
        }
    };
    if data.is_empty() { Err(DnsError::NoData) } else { Ok(data) }
}

#[cfg(test)]
mod tests {
    use net::dns::Mx;

    use super::*;

    #[test]
    fn questions_and_answers_keep_their_meaning() {
        let wanted = |name: &str, kind| question(&DnsQuestion::new(name, kind));
        let name = DomainName::parse("_dmarc.x.example").unwrap();
        let txt = Question { name, kind: Kind::Records(RecordKind::Txt) };
        assert_eq!(wanted("_DMARC.x.example.", RecordKind::Txt), Some(txt));
        assert_eq!(wanted("a..b", RecordKind::A), None);
        assert_eq!(wanted("b\u{e9}b\u{e9}/.example", RecordKind::A), None);
        let of = |answer| reply(&Resolved { answer, authentic: true, left_ms: 1_999 });
        let mx = |preference, host: Option<&str>| Mx {
            preference,
            host: host.map(|host| DomainName::parse(host).unwrap()),
        };
        let mails = of(Answer::Mx([mx(20, Some("b.example")), mx(10, Some("a.example"))].into()));
        let hosts: Vec<String> = mails
            .records
            .unwrap()
            .into_iter()
            .map(|record| match record.data {
                RecordData::Mx { preference, host } => format!("{preference} {host} {}", record.ttl_s),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(hosts, ["10 a.example 1", "20 b.example 1"]);
        let null = of(Answer::Mx([mx(0, None)].into())).records.unwrap();
        assert_eq!(null[0].data, RecordData::Mx { preference: 0, host: ".".to_owned() });
        assert_eq!(of(Answer::Mx([].into())).records, Err(DnsError::NoData));
        assert_eq!(of(Answer::NoDomain), DnsReply { dnssec: true, records: Err(DnsError::NoDomain) });
        let failed = reply(&Resolved::failed(Failure::ServerFailure(2)));
        assert_eq!(failed, DnsReply { dnssec: false, records: Err(DnsError::Code(2)) });
    }
}

//! Which TLSA records count for a host (RFC 7672 section 2.2).

use std::sync::Arc;

use crate::dns::answer::{Answer, Failure, Kind, Question, Resolved};
use crate::dns::name::DomainName;
use crate::dns::records::{RecordData, RecordKind};
use crate::limits;

/// A search for the TLSA records of a host: asks one question after the other.
///
/// They are looked for at the name that the host's aliases lead to, where all of them are secure, and then at the host's own
/// name, if that is secure. The first name that has secure ones is the *base domain*: it is what the server is asked for by
/// (SNI), and what its certificate must name where that counts.
#[derive(Debug)]
pub struct TlsaSearch {
    port: u16,
    /// All of the way to the host's addresses is secure.
    authentic: bool,
    state: State,
}

/// What a search for TLSA records came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecureTlsa {
    /// There are some.
    Records {
        /// The name that they are of.
        base: DomainName,
        /// At least one, each a [`RecordData::Tlsa`].
        records: Arc<[RecordData]>,
    },
    /// There are none that count.
    None(NoTlsa),
    /// Not known now: the host gets no mail (section 2.1.2).
    Unknown(Failure),
}

/// Why no TLSA records count for a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTlsa {
    /// The way to the host is not secure.
    InsecureHost,
    /// It has some, which are not secure.
    InsecureRecords,
    /// It has none.
    NoRecords,
}

#[derive(Debug)]
enum State {
    /// Where does this alias lead, after so many from the host?
    Alias {
        name: DomainName,
        followed: usize,
        host: DomainName,
    },
    /// Has this name records? Else the other one.
    Records {
        base: DomainName,
        or: Option<DomainName>,
        none_so_far: NoTlsa,
    },
    Done(SecureTlsa),
}

impl TlsaSearch {
    /// For a host by its name, and the port that it is connected to. `authentic`: all of the way to its addresses is secure;
    /// `name_authentic`: that to its name is (see [`MailHost`](crate::dns::MailHost)).
    pub fn new(name: &str, authentic: bool, name_authentic: bool, port: u16) -> TlsaSearch {
        let state = match DomainName::parse(name) {
            Ok(host) if authentic || name_authentic => State::Alias { name: host.clone(), followed: 0, host },
            _ => State::Done(SecureTlsa::None(NoTlsa::InsecureHost)),
        };
        TlsaSearch { port, authentic, state }
    }

    /// What is to be asked next. `None`: nothing, the result is there.
    pub fn question(&self) -> Option<Question> {
        match &self.state {
            State::Alias { name, .. } => {
                Some(Question { name: name.clone(), kind: Kind::Records(RecordKind::Cname) })
            }
            State::Records { base, .. } => {
                let name = DomainName::parse(&format!("_{}._tcp.{base}", self.port)).ok()?;
                Some(Question { name, kind: Kind::Records(RecordKind::Tlsa) })
            }
            State::Done(_) => None,
        }
    }

    /// Takes the answer to that.
    pub fn answer(&mut self, resolved: Resolved) {
        let done = State::Done(SecureTlsa::None(NoTlsa::NoRecords));
        self.state = match std::mem::replace(&mut self.state, done) {
            State::Alias { name, followed, host } => self.after_alias(name, followed, host, resolved),
            State::Records { base, or, none_so_far } => after_records(base, or, none_so_far, resolved),
            done => done,
        };
    }

    /// The result. A name that is too long to have records has none.
    pub fn result(self) -> SecureTlsa {
        match self.state {
            State::Done(found) => found,
            State::Alias { .. } => SecureTlsa::None(NoTlsa::InsecureHost),
            State::Records { none_so_far, .. } => SecureTlsa::None(none_so_far),
        }
    }

    fn after_alias(
        &self,
        name: DomainName,
        followed: usize,
        host: DomainName,
        Resolved { answer, authentic, .. }: Resolved,
    ) -> State {
        let records_of = |base: DomainName, or| State::Records { base, or, none_so_far: NoTlsa::NoRecords };
        let is_first = followed == 0;
        let target = match answer {
            Answer::Failed(failure) => return State::Done(SecureTlsa::Unknown(failure)),
            Answer::Records(records) => records.iter().find_map(|record| match record {
                RecordData::Name(target) => DomainName::parse(target).ok(),
                _ => None,
            }),
            _ => None,
        };
        match target {
            // Without secure addresses only a secure alias makes the host's own name one that counts.
            _ if !self.authentic && is_first => match target.is_some() && authentic {
                true => records_of(host, None),
                false => State::Done(SecureTlsa::None(NoTlsa::InsecureHost)),
            },
            None if is_first => records_of(name, None),
            None => records_of(name, Some(host)),
            // What made the addresses secure has changed since, or leads nowhere.
            Some(_) if !authentic || followed >= limits::DNS_ALIASES_MAX => match is_first {
                true => State::Done(SecureTlsa::None(NoTlsa::InsecureHost)),
                false => records_of(host, None),
            },
            Some(target) => State::Alias { name: target, followed: followed + 1, host },
        }
    }
}

fn after_records(
    base: DomainName,
    or: Option<DomainName>,
    none_so_far: NoTlsa,
    Resolved { answer, authentic, .. }: Resolved,
) -> State {
    let none_so_far = match answer {
        Answer::Failed(failure) => return State::Done(SecureTlsa::Unknown(failure)),
        Answer::Records(records) if authentic => return State::Done(SecureTlsa::Records { base, records }),
        Answer::Records(_) => NoTlsa::InsecureRecords,
        _ => none_so_far,
    };
    match or {
        Some(base) => State::Records { base, or: None, none_so_far },
        None => State::Done(SecureTlsa::None(none_so_far)),
    }
}

impl std::fmt::Display for NoTlsa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NoTlsa::InsecureHost => "DNSSEC does not secure the way to it",
            NoTlsa::InsecureRecords => "DNSSEC does not secure its TLSA records",
            NoTlsa::NoRecords => "it has no TLSA records",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What DNS says of a name: secure or not, an alias or TLSA records with this in them.
    enum Says {
        Alias(&'static str),
        Tlsa(u8),
        Fails,
    }
    use Says::{Alias, Fails, Tlsa};

    type Zone<'z> = &'z [(&'z str, bool, Says)];

    fn answer(zone: Zone<'_>, question: &Question) -> Resolved {
        let tlsa = question.kind == Kind::Records(RecordKind::Tlsa);
        let name = question.name.as_str();
        let name = if tlsa { name.strip_prefix("_25._tcp.").expect("the port is 25") } else { name };
        let says = zone.iter().find(|(owner, _, says)| *owner == name && tlsa != matches!(says, Alias(_)));
        let (authentic, answer) = match says {
            None => (true, Answer::NoData),
            Some((_, authentic, Alias(target))) => {
                (*authentic, Answer::Records([RecordData::Name((*target).to_owned())].into()))
            }
            Some((_, authentic, Tlsa(byte))) => {
                let record = RecordData::Tlsa { usage: 3, selector: 1, matching: 1, data: vec![*byte] };
                (*authentic, Answer::Records([record].into()))
            }
            Some((_, _, Fails)) => (false, Answer::Failed(Failure::Timeout)),
        };
        Resolved { answer, authentic, left_ms: 1 }
    }

    /// The result in words.
    fn search(zone: Zone<'_>, authentic: bool, name_authentic: bool) -> String {
        let mut search = TlsaSearch::new("mx.test", authentic, name_authentic, 25);
        for _ in 0..100 {
            let Some(question) = search.question() else { break };
            search.answer(answer(zone, &question));
        }
        match search.result() {
            SecureTlsa::Records { base, records } => match &records[0] {
                RecordData::Tlsa { data, .. } => format!("{base} {}", data[0]),
                other => panic!("{other:?}"),
            },
            SecureTlsa::None(why) => format!("{why:?}"),
            SecureTlsa::Unknown(_) => "unknown".to_owned(),
        }
    }

    #[test]
    fn the_base_domain_is_where_aliases_lead_if_that_is_secure_and_else_the_host() {
        let alias = |secure| ("mx.test", secure, Alias("a.test"));
        let further = |secure| ("a.test", secure, Alias("b.test"));
        let cases: [(Zone<'_>, bool, bool, &str); 14] = [
            (&[("mx.test", true, Tlsa(1))], true, true, "mx.test 1"),
            (&[], true, true, "NoRecords"),
            (&[("mx.test", false, Tlsa(1))], true, true, "InsecureRecords"),
            (&[("mx.test", true, Fails)], true, true, "unknown"),
            // Nothing is asked about a host that is not secure.
            (&[("mx.test", true, Tlsa(1))], false, false, "InsecureHost"),
            (&[("mx.test", true, Tlsa(1))], false, true, "InsecureHost"),
            (
                &[alias(true), further(true), ("mx.test", true, Tlsa(1)), ("b.test", true, Tlsa(2))],
                true,
                true,
                "b.test 2",
            ),
            (&[alias(true), further(true), ("mx.test", true, Tlsa(1))], true, true, "mx.test 1"),
            (
                &[alias(true), further(true), ("mx.test", true, Tlsa(1)), ("b.test", false, Tlsa(2))],
                true,
                true,
                "mx.test 1",
            ),
            // A failure at the name that counts first is no reason to go on to the other.
            (
                &[alias(true), further(true), ("mx.test", true, Tlsa(1)), ("b.test", true, Fails)],
                true,
                true,
                "unknown",
            ),
            // The alias is secure, and its target is not.
            (&[alias(true), ("mx.test", true, Tlsa(1)), ("a.test", true, Tlsa(2))], false, true, "mx.test 1"),
            (&[alias(false), ("mx.test", true, Tlsa(1))], false, true, "InsecureHost"),
            (&[alias(true), ("mx.test", true, Tlsa(1))], false, false, "InsecureHost"),
            // An alias that leads back.
            (
                &[alias(true), ("a.test", true, Alias("mx.test")), ("mx.test", true, Tlsa(1))],
                true,
                true,
                "mx.test 1",
            ),
        ];
        for (number, (zone, authentic, name_authentic, expected)) in cases.into_iter().enumerate() {
            assert_eq!(search(zone, authentic, name_authentic), expected, "case {number}");
        }
    }
}

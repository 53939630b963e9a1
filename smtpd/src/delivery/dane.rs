//! DANE: what DNS asks of TLS with a host (RFC 7672).
//!
//! A host whose records are not known now gets no mail; others may.

use data_encoding::HEXLOWER;
use hooks::queued::Tlsa;
use net::dns::{RecordData, SecureTlsa, TlsaSearch};
use queue::{Diagnosis, Reason};
use tls::{Dane, Demand, ResultType, TlsaRecord};

use super::next_hop::Candidate;
use crate::resolver::tlsa_record;
use crate::shard::Shard;
use crate::snapshot::Route;

/// Why a host gets no mail.
pub(super) enum Refused {
    /// Its records are not known now.
    NotKnown(Reason),
    /// It has none that can be used, and the transport wants some.
    Missing(Reason, ResultType),
}

impl Refused {
    /// The kind of failure that it is to a report.
    pub(super) fn result_type(&self) -> ResultType {
        match self {
            Refused::NotKnown(_) => ResultType::DnssecInvalid,
            Refused::Missing(_, kind) => *kind,
        }
    }
}

/// What is asked of TLS with a host; `None`: nothing but what the route says. `domain` is where its MX records were found.
pub(super) async fn demand(
    shard: &Shard,
    route: &Route,
    to: &Candidate,
    domain: Option<&str>,
    found: &mut Option<Tlsa>,
) -> Result<Option<Demand>, Refused> {
    *found = None;
    let Some(dane) = route.tls.as_ref().and_then(|tls| tls.dane.as_ref()) else { return Ok(None) };
    let mut search = TlsaSearch::new(&to.name, to.authentic, to.name_authentic, route.port);
    while let Some(question) = search.question() {
        search.answer(shard.resolver.ask(question).await);
    }
    let (records, missing) = match search.result() {
        SecureTlsa::Records { base, records } => {
            *found = Some(described(&records));
            let records: Vec<TlsaRecord> = records.iter().filter_map(tlsa_record).collect();
            let domain = domain.filter(|_| matches!(route.next_hop, config::NextHop::Mx));
            (Ok(Dane::new(&records, base.as_str(), domain)), ResultType::TlsaInvalid)
        }
        SecureTlsa::None(why) => {
            *found = Some(Tlsa::Error(why.to_string()));
            (Err(why.to_string()), ResultType::DaneRequired)
        }
        SecureTlsa::Unknown(failure) => {
            *found = Some(Tlsa::Error(failure.to_string()));
            let text = format!("{}[{}]: its TLSA records are not known now: {failure}", to.name, to.address);
            // RFC 3463: 4.4.3 directory server failure.
            return Err(Refused::NotKnown(Diagnosis::new(text).with_enhanced(4, 4, 3).into()));
        }
    };
    dane.policy.demand(records).map_err(|lacks| {
        let text = format!("{}[{}]: {lacks}, and the transport requires DANE", to.name, to.address);
        Refused::Missing(Diagnosis::new(text).with_enhanced(4, 7, 5).into(), missing)
    })
}

fn described(records: &[RecordData]) -> Tlsa {
    let record = |record: &RecordData| match record {
        RecordData::Tlsa { usage, selector, matching, data } => {
            Some((*usage, *selector, *matching, HEXLOWER.encode(data)))
        }
        _ => None,
    };
    Tlsa::Records(records.iter().filter_map(record).collect())
}

//! DANE: what DNS asks of TLS with a host (RFC 7672).
//!
//! Records count only where a trusted name server vouches for all of the way: the MX records, the host's addresses, and
//! the TLSA records. A host whose records are not known now gets no mail; others may.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use hooks::queued::Tlsa;
use queue::{Diagnosis, Reason};
use tls::{Dane, TlsaRecord};

use super::next_hop::Candidate;
use crate::shard::Shard;
use crate::snapshot::Route;

/// What TLS with a host must satisfy. There is no mail in clear for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Demand {
    /// A certificate that these records vouch for.
    Certificate(Arc<Dane>),
    /// That there is TLS: it has records of which none can be used (section 2.2).
    Encryption,
}

/// Why a host gets no mail.
pub(super) enum Refused {
    /// Its records are not known now.
    NotKnown(Reason),
    /// It has none that can be used, and the transport wants some.
    Missing(Reason),
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
    let Some(tls) = &route.tls else { return Ok(None) };
    let Some(dane) = &tls.dane else { return Ok(None) };
    let missing = |what: &str| -> Refused {
        let text = format!("{}[{}]: {what}, and the transport requires DANE", to.name, to.address);
        Refused::Missing(Diagnosis::new(text).with_enhanced(4, 7, 5).into())
    };
    let why_not = match secure_records(shard, route, to).await? {
        Ok(records) => {
            let names = [Some(&*to.name), domain.filter(|_| matches!(route.next_hop, config::NextHop::Mx))];
            let names: Vec<&str> = names.into_iter().flatten().collect();
            *found = Some(described(&records));
            match Dane::new(&records, &names) {
                Some(dane) => return Ok(Some(Demand::Certificate(Arc::new(dane)))),
                // What a route falls back to is as strict.
                None if tls.optional => return Ok(Some(Demand::Encryption)),
                None => "none of its TLSA records can be used",
            }
        }
        Err(why) => {
            *found = Some(Tlsa::Error(why.to_owned()));
            why
        }
    };
    if dane.required { Err(missing(why_not)) } else { Ok(None) }
}

/// At least one; the inner error is why there are none that count.
async fn secure_records(
    shard: &Shard,
    route: &Route,
    to: &Candidate,
) -> Result<Result<Vec<TlsaRecord>, &'static str>, Refused> {
    if !to.authentic {
        return Ok(Err("DNSSEC does not secure the way to it"));
    }
    match shard.resolver.tlsa(&to.name, route.port).await {
        Ok((records, _)) if records.is_empty() => Ok(Err("it has no TLSA records")),
        Ok((_, false)) => Ok(Err("DNSSEC does not secure its TLSA records")),
        Ok((records, true)) => Ok(Ok(records)),
        Err(failure) => {
            let text = format!("{}[{}]: its TLSA records are not known now: {failure}", to.name, to.address);
            // RFC 3463: 4.4.3 directory server failure.
            Err(Refused::NotKnown(Diagnosis::new(text).with_enhanced(4, 4, 3).into()))
        }
    }
}

fn described(records: &[TlsaRecord]) -> Tlsa {
    let record =
        |record: &TlsaRecord| (record.usage, record.selector, record.matching, HEXLOWER.encode(&record.data));
    Tlsa::Records(records.iter().map(record).collect())
}

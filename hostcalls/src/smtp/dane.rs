//! DANE of a session: what DNS asks of TLS with a host (RFC 7672).

use net::dns::{RecordData, SecureTlsa, TlsaSearch};
use tls::{Dane, Demand, TlsaRecord};

use super::dialogue::{Candidate, Failure};
use super::server::Server;
use crate::Environment;

/// What is asked of TLS with a host; `None`: nothing but what the server's settings say. `domain`: where its MX records were
/// found, if that is how it was.
///
/// # Errors
/// It gets nothing.
pub(super) async fn demand(
    environment: &Environment,
    server: &Server,
    host: &Candidate,
    domain: Option<&str>,
) -> Result<Option<Demand>, Failure> {
    let Some(dane) = server.tls.as_ref().and_then(|tls| tls.dane.as_ref()) else { return Ok(None) };
    let mut search = TlsaSearch::new(&host.name, host.authentic, host.name_authentic, server.port);
    while let Some(question) = search.question() {
        search.answer(environment.resolver().look_up(question).await);
    }
    let refused = |why: String| Failure::Unreachable {
        temporary: true,
        message: format!("{}[{}]: {why}", host.name, host.address),
    };
    let found = match search.result() {
        SecureTlsa::Records { base, records } => {
            let records: Vec<TlsaRecord> = records.iter().filter_map(record).collect();
            Ok(Dane::new(&records, base.as_str(), domain))
        }
        SecureTlsa::None(why) => Err(why.to_string()),
        SecureTlsa::Unknown(failure) => {
            return Err(refused(format!("its TLSA records are not known now: {failure}")));
        }
    };
    dane.policy.demand(found).map_err(|lacks| refused(format!("{lacks}, and DANE is required")))
}

fn record(data: &RecordData) -> Option<TlsaRecord> {
    let RecordData::Tlsa { usage, selector, matching, data } = data else { return None };
    Some(TlsaRecord { usage: *usage, selector: *selector, matching: *matching, data: data.as_slice().into() })
}

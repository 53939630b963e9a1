//! The hosts that mail would be tried at, and the ways to them: from which of our addresses, with which TLS, under which
//! policies.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use control::smtpd as proto;
use net::dns::MailHost;
use queue::Facts;

use super::Found;
use crate::control::policies;
use crate::delivery::parked_until_ms;
use crate::delivery::preview::{self, of_system};
use crate::ruleset::Ruleset;
use crate::shard::Shard;
use crate::snapshot::{Route, Snapshot};

/// What a look at hosts needs.
pub(super) struct Hops<'a> {
    pub(super) shard: &'a Rc<Shard>,
    pub(super) snapshot: &'a Snapshot,
    pub(super) route: &'a Arc<Route>,
    pub(super) rules: &'a Ruleset,
}

/// A way from one of our addresses.
struct Way {
    /// As it is configured; `None`: the system chooses.
    source: Option<IpAddr>,
    /// With what the delivery file sets there.
    route: Result<Arc<Route>, String>,
}

/// Why a host is left alone.
const PARKED: &str = "connects have failed";

impl Hops<'_> {
    /// Looks at the addresses of hosts, in order.
    pub(super) async fn look(&self, hosts: &[MailHost], facts: &Facts<'_>, found: &mut Found) {
        let domain = facts.recipient_domain.unwrap_or_default();
        for host in hosts {
            // The same for all addresses of a host.
            let mut records: Option<preview::Records> = None;
            for address in &host.addresses {
                let grouping = self.snapshot.groups.of(domain, &host.name, *address);
                let facts = Facts {
                    remote_mx: Some(&host.name),
                    remote_ip: Some(*address),
                    grouping: Some(grouping),
                    ..*facts
                };
                let ways = self.ways(&facts, *address, found).await;
                let routes = || ways.iter().filter_map(|way| way.route.as_ref().ok());
                let under_dane = routes().find(|route| preview::is_under_dane(route));
                if let (Some(route), None) = (under_dane, &records) {
                    records = Some(preview::dane(self.shard, route, host, domain).await);
                }
                let records = records.as_ref().filter(|_| under_dane.is_some());
                let demanded = records.is_some_and(|records| records.demand_tls);
                let in_clear = !demanded && routes().any(|route| preview::goes_in_clear(route, *address));
                let notes = [records.map(|records| &*records.text), in_clear.then_some(IN_CLEAR)];
                let tlsnote = notes.into_iter().flatten().collect::<Vec<_>>().join("; ");
                let parked_until_ms = self.parked_until_ms(&ways, *address);
                found.hops.push(proto::ExplainHop {
                    preference: host.preference.into(),
                    hostname: host.name.to_string(),
                    address: address.to_string(),
                    port: self.route.port.into(),
                    grouping: grouping.to_owned(),
                    dnssec: host.authentic,
                    tls: tls(&ways),
                    tlsnote,
                    parkeduntil: parked_until_ms.map(policies::at_unix_seconds).unwrap_or_default(),
                    parked: parked_until_ms.map(|_| PARKED.to_owned()).unwrap_or_default(),
                    ..proto::ExplainHop::default()
                });
            }
        }
    }

    /// The ways to an address, from each of ours; notes which suspends and policies are on them.
    async fn ways(&self, facts: &Facts<'_>, address: IpAddr, found: &mut Found) -> Vec<Way> {
        found.suspends.extend(self.rules.suspends.matches(facts));
        let sources = self.route.sources.configured();
        let sources = sources.filter(|source| source.address.is_ipv4() == address.is_ipv4());
        let mut sources: Vec<_> = sources.map(|source| Some(source.address)).collect();
        sources.dedup();
        if sources.is_empty() {
            sources.push(None);
        }
        let mut ways = Vec::with_capacity(sources.len());
        for source in sources {
            let local_ip = match source {
                Some(address) => Some(address),
                None => of_system(SocketAddr::new(address, self.route.port)).await,
            };
            for applying in self.rules.policies.applying(&Facts { local_ip, ..*facts }) {
                if found.applying.iter().all(|known| known.key != applying.key) {
                    found.applying.push(applying);
                }
            }
            let settings = self.snapshot.conditions.of(&Facts { local_ip: source, ..*facts });
            let route = match settings {
                None => Ok(Arc::clone(self.route)),
                Some(settings) => self.shard.delivery.route_with(self.snapshot, self.route, settings),
            };
            ways.push(Way { source, route });
        }
        ways
    }

    /// `Some`: all ways are left alone, at least until then.
    fn parked_until_ms(&self, ways: &[Way], address: IpAddr) -> Option<u64> {
        let remote = SocketAddr::new(address, self.route.port);
        let parked: Option<Vec<u64>> = ways.iter().map(|way| parked_until_ms(way.source, remote)).collect();
        parked.and_then(|until_ms| until_ms.into_iter().min())
    }
}

/// Where TLS is optional, and did not work.
const IN_CLEAR: &str = "its TLS has failed lately, so its mail goes in clear for a while";

/// The mode of TLS by its name; where it is not the same from all of our addresses, with those.
fn tls(ways: &[Way]) -> String {
    let mut modes: Vec<(String, Vec<String>)> = Vec::new();
    for way in ways {
        let mode = match &way.route {
            Ok(route) => preview::tls_mode(route),
            Err(why) => format!("cannot be used: {why}"),
        };
        let from = way.source.map(|source| source.to_string());
        match modes.iter_mut().find(|(known, _)| *known == mode) {
            Some((_, sources)) => sources.extend(from),
            None => modes.push((mode, from.into_iter().collect())),
        }
    }
    match modes.as_slice() {
        [(mode, _)] => mode.clone(),
        several => {
            let named = several.iter().map(|(mode, from)| format!("{mode} from {}", from.join(", ")));
            named.collect::<Vec<_>>().join("; ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_named_with_addresses_only_where_they_differ() {
        let way = |source: &str, why: &str| Way { source: source.parse().ok(), route: Err(why.to_owned()) };
        assert_eq!(tls(&[way("192.0.2.1", "x"), way("192.0.2.2", "x")]), "cannot be used: x");
        assert_eq!(
            tls(&[way("192.0.2.1", "x"), way("192.0.2.2", "y"), way("192.0.2.3", "x")]),
            "cannot be used: x from 192.0.2.1, 192.0.2.3; cannot be used: y from 192.0.2.2"
        );
    }
}

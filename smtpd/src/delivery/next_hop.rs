//! Where an attempt can connect to.

use std::net::IpAddr;
use std::sync::Arc;

use config::NextHop;
use net::dns::{MailHost, MailHosts};
use queue::{Destination, Outcome};

use crate::shard::Shard;
use crate::snapshot::Route;

/// One address to connect to.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Name of the host, or its address where the configuration has that.
    pub(super) name: Arc<str>,
    /// Its address.
    pub(super) address: IpAddr,
}

/// The candidates in the order in which to try them. The error is the outcome for all recipients.
pub(super) async fn find(
    shard: &Shard,
    route: &Route,
    destination: &Destination,
) -> Result<Vec<Candidate>, Outcome> {
    let hosts = match &route.next_hop {
        NextHop::Address(address) => {
            return Ok(vec![Candidate { name: address.to_string().into(), address: *address }]);
        }
        NextHop::Host(name) => shard.resolver.host(name, route.ipv4, route.ipv6).await,
        NextHop::Mx => {
            let domain = destination.domain.as_deref().unwrap_or_default();
            shard.resolver.mail_hosts(domain, route.ipv4, route.ipv6).await
        }
    };
    candidates(hosts)
}

/// What a look-up means for the mail: only what the domain itself says is final.
fn candidates(hosts: MailHosts) -> Result<Vec<Candidate>, Outcome> {
    match hosts {
        MailHosts::Found(hosts) => Ok(hosts.into_iter().flat_map(of_host).collect()),
        MailHosts::NullMx => Err(Outcome::Permanent("556 5.1.10 the domain takes no mail (null MX)".into())),
        MailHosts::NoDomain(reason) => Err(Outcome::NoDomain(reason)),
        MailHosts::NoMailHost(reason) => Err(Outcome::Temporary(reason)),
        MailHosts::Temporary(reason) => Err(Outcome::LocalFault(reason)),
    }
}

fn of_host(host: MailHost) -> impl Iterator<Item = Candidate> {
    let name = host.name;
    host.addresses.into_iter().map(move |address| Candidate { name: Arc::clone(&name), address })
}

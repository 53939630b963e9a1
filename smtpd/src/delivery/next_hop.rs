//! Where an attempt can connect to.

use std::net::IpAddr;
use std::sync::Arc;

use config::NextHop;
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
    let _ = hosts;
    Err(Outcome::NotTried)
}

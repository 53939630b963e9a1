//! The resolver of a shard: `net::dns` on the engine's sockets.

use std::rc::Rc;

use net::dns::MailHosts;

/// Looks up mail hosts, with a cache and one question at a time for each name. One per shard.
#[derive(Debug)]
pub struct Resolver {}

impl Resolver {
    /// Starts with these settings; the system's resolver file is read when they name no servers.
    pub fn start(settings: &config::Resolver) -> Rc<Resolver> {
        Rc::new(Resolver {})
    }

    /// Takes new settings (reload). Questions in flight go on under the old ones.
    pub fn reconfigure(&self, settings: &config::Resolver) {
        todo!()
    }

    /// The hosts for mail to `domain` by MX, or by address when it has no MX; also for an address literal
    /// (`[192.0.2.1]`, `[IPv6:2001:db8::1]`). Hosts of equal preference come in random order.
    pub async fn mail_hosts(&self, domain: &str, ipv4: bool, ipv6: bool) -> MailHosts {
        todo!()
    }

    /// The addresses of a fixed next hop: a host name, an address (bare or in brackets), or `localhost`.
    pub async fn host(&self, name: &str, ipv4: bool, ipv6: bool) -> MailHosts {
        todo!()
    }
}

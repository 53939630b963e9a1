<<<<<<< HEAD
//! DNS client of a shard.
use std::rc::Rc;
/// placeholder
#[derive(Debug)]
pub struct Resolver;
impl Resolver {
    pub fn start(_: &config::Resolver) -> Rc<Resolver> {
        Rc::new(Resolver)
    }
    pub fn reconfigure(&self, _: &config::Resolver) {}
    pub async fn host(&self, _: &str, _: bool, _: bool) {}
    pub async fn mail_hosts(&self, _: &str, _: bool, _: bool) {}
=======
//! The resolver of a shard: `net::dns` on the engine's sockets.

use std::rc::Rc;

use net::dns::MailHosts;

/// Looks up mail hosts, with a cache and one question at a time for each name. One per shard.
#[derive(Debug)]
pub struct Resolver {}

impl Resolver {
    /// Starts with these settings; the system's resolver file is read when they name no servers. `shards` is the
    /// number of shards that share the limits of `settings`.
    pub async fn start(settings: &config::Resolver, shards: u32) -> Rc<Resolver> {
        todo!()
    }

    /// Takes new settings (reload). Questions in flight go on under the old ones.
    pub async fn reconfigure(&self, settings: &config::Resolver, shards: u32) {
        todo!()
    }

    /// The hosts for mail to `domain` by MX, or by address when it has no MX; also for an address literal
    /// (`[192.0.2.1]`, `[IPv6:2001:db8::1]`). The same `seed` gives the same order among hosts of equal preference,
    /// as long as DNS answers the same: mix transaction id and attempt number into it.
    pub async fn mail_hosts(&self, domain: &str, ipv4: bool, ipv6: bool, seed: u64) -> MailHosts {
        todo!()
    }

    /// The addresses of a fixed next hop: a host name, an address (bare or in brackets), or `localhost`.
    pub async fn host(&self, name: &str, ipv4: bool, ipv6: bool, seed: u64) -> MailHosts {
        todo!()
    }

    /// Empties the cache.
    pub fn clear(&self) {
        todo!()
    }
>>>>>>> 7a3d589 (DNS: the resolver's interface)
}

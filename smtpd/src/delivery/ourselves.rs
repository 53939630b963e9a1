//! This host among the hosts of a domain. Mail that it took for one of them would come back to it and go round until its
//! Received fields stop it, so it goes only to hosts that are better than this one (RFC 5321 section 5.1).

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use config::{ListenPlace, Reloadable, Startup};
use engine::mesh;
use engine::time::Instant;
use net::dns::{DomainName, MailHost, MailHosts};
use rustc_hash::FxHashMap;

use super::source;
use crate::limits;

/// What this host is known by.
#[derive(Debug, Default)]
pub struct Ourselves {
    /// The names that it gives itself.
    pub names: Arc<[DomainName]>,
    /// Where it listens; `None`: on all addresses that it has.
    places: Vec<(Option<IpAddr>, u16)>,
}

impl Ourselves {
    /// From the files; `hostname` is the system's.
    pub fn of(startup: &Startup, files: &Reloadable, hostname: &str) -> Ourselves {
        let running = &files.running;
        let servers = running.servers.iter().filter_map(|server| server.hostname.as_deref());
        let addresses = running.addresses.iter().filter_map(|address| address.hostname.as_deref());
        let transports = running.transports.iter().filter_map(|transport| transport.helo.as_deref());
        let names = [hostname].into_iter().chain(servers).chain(addresses).chain(transports);
        let names: BTreeSet<DomainName> =
            names.filter_map(|name| DomainName::from_unicode(name).ok()).collect();
        let listeners = startup.servers.iter().flat_map(|server| &server.listeners);
        let places = listeners.filter_map(|listener| match listener.place {
            ListenPlace::Tcp { address, port } => {
                Some((address.filter(|address| !address.is_unspecified()), port))
            }
            ListenPlace::Unix(_) => None,
        });
        Ourselves { names: names.into_iter().collect(), places: places.collect() }
    }

    /// Whether a connection to there would be one to this host: for certain, or if the address is one of this host's.
    fn listens_on(&self, address: IpAddr, port: u16) -> Listens {
        let on_port = || self.places.iter().filter(|place| place.1 == port);
        if on_port().any(|place| place.0 == Some(address)) {
            Listens::Yes
        } else if on_port().any(|place| place.0.is_none()) {
            Listens::OnItsOwn
        } else {
            Listens::No
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Listens {
    Yes,
    No,
    /// On whatever addresses it has.
    OnItsOwn,
}

/// What is left of `hosts`, which get their mail at `port`, without this one and those that do not go before it.
pub(super) async fn leave_out(ourselves: &Ourselves, port: u16, hosts: MailHosts) -> MailHosts {
    let MailHosts::Found { hosts: found, .. } = &hosts else { return hosts };
    let mut ours = Vec::new();
    for address in found.iter().flat_map(|host| &host.addresses) {
        let is_ours = match ourselves.listens_on(*address, port) {
            Listens::Yes => true,
            Listens::No => false,
            Listens::OnItsOwn => address.is_loopback() || Local::here().has(*address).await,
        };
        if is_ours {
            ours.push(*address);
        }
    }
    match ours.is_empty() {
        true => hosts,
        false => {
            hosts.before_us(|host: &MailHost| host.addresses.iter().any(|address| ours.contains(address)))
        }
    }
}

/// Whether addresses are this host's, as the system says; asked for again after a while, since addresses come and go.
#[derive(Debug, Default)]
struct Local {
    known: RefCell<FxHashMap<IpAddr, (bool, Instant)>>,
}

impl Local {
    /// This shard's.
    fn here() -> Rc<Local> {
        mesh::local::get_or_default()
    }

    async fn has(&self, address: IpAddr) -> bool {
        let now = engine::time::now();
        let known = self.known.borrow().get(&address).copied();
        if let Some((is_local, until)) = known
            && now < until
        {
            return is_local;
        }
        // The way to an address of its own leaves from that address. The port does not matter.
        let is_local = source::of_system(SocketAddr::new(address, 25)).await == Some(address);
        let mut known = self.known.borrow_mut();
        if known.len() >= limits::LOCALITY_KNOWN {
            known.clear();
        }
        known.insert(address, (is_local, now + limits::LOCALITY));
        is_local
    }
}

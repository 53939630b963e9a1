//! Peers that offer something and do not do it.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

use engine::boot::ShardId;
use engine::mesh;
use engine::time::Instant;
use rustc_hash::FxHashMap;
use tls::ResultType;

use crate::limits;

/// What was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Offer {
    /// CHUNKING. Who does not know its own BDAT takes the message for commands: it gets DATA.
    Chunking,
    /// STARTTLS, whose handshake fails. Where TLS is optional the mail goes in clear at once, instead of over a second
    /// connection each time.
    StartTls,
}

/// Addresses that are taken at their deeds for a while, whatever they offer. What one shard finds out, all are told; a
/// message that is lost because a shard is too busy costs it the same discovery.
#[derive(Debug, Default)]
pub(super) struct Distrust {
    found: RefCell<FxHashMap<(IpAddr, Offer), Found>>,
}

/// What was found out about an offer.
#[derive(Clone, Copy, Debug)]
struct Found {
    until: Instant,
    /// How TLS failed.
    tls: Option<ResultType>,
}

impl Distrust {
    /// This shard's.
    pub(super) fn here() -> Rc<Distrust> {
        mesh::local::get_or_default()
    }

    pub(super) fn chunking_fails(&self, peer: IpAddr) -> bool {
        self.of(peer, Offer::Chunking).is_some()
    }

    /// How TLS with this peer fails; `None`: it is not known to.
    pub(super) fn tls_fails(&self, peer: IpAddr) -> Option<ResultType> {
        self.of(peer, Offer::StartTls)?.tls
    }

    fn of(&self, peer: IpAddr, offer: Offer) -> Option<Found> {
        let found = self.found.borrow();
        // Nearly always there is none, and no clock to read.
        if found.is_empty() {
            return None;
        }
        found.get(&(peer, offer)).filter(|found| found.until > engine::time::now()).copied()
    }

    /// Remembers on all shards that chunks fail.
    pub(super) fn distrust_chunking(&self, peer: IpAddr) {
        self.distrust(peer, Offer::Chunking, None);
    }

    /// Remembers on all shards how TLS fails. False: that it does was known.
    pub(super) fn distrust_tls(&self, peer: IpAddr, how: ResultType) -> bool {
        self.distrust(peer, Offer::StartTls, Some(how))
    }

    fn distrust(&self, peer: IpAddr, offer: Offer, tls: Option<ResultType>) -> bool {
        if self.of(peer, offer).is_some() {
            return false;
        }
        self.note(peer, offer, tls);
        let here = engine::boot::current();
        for shard in (0..engine::boot::shards()).map(ShardId).filter(|shard| *shard != here) {
            let _ = mesh::send(shard, move || Distrust::here().note(peer, offer, tls));
        }
        true
    }

    fn note(&self, peer: IpAddr, offer: Offer, tls: Option<ResultType>) {
        let now = engine::time::now();
        let mut all = self.found.borrow_mut();
        if all.len() >= limits::DISTRUSTED {
            all.retain(|_, found| found.until > now);
        }
        if all.len() < limits::DISTRUSTED {
            all.insert((peer, offer), Found { until: now + limits::DISTRUST, tls });
        }
    }
}

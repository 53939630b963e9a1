//! Peers that offer something and do not do it.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

use engine::boot::ShardId;
use engine::mesh;
use engine::time::Instant;
use rustc_hash::FxHashMap;

use crate::limits;

/// What was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Offer {
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
    until: RefCell<FxHashMap<(IpAddr, Offer), Instant>>,
}

impl Distrust {
    /// This shard's.
    pub(super) fn here() -> Rc<Distrust> {
        mesh::local::get_or_default()
    }

    pub(super) fn is_distrusted(&self, peer: IpAddr, offer: Offer) -> bool {
        let until = self.until.borrow();
        // Nearly always there is none, and no clock to read.
        !until.is_empty() && until.get(&(peer, offer)).is_some_and(|until| *until > engine::time::now())
    }

    /// Remembers it on all shards. False: it was known.
    pub(super) fn distrust(&self, peer: IpAddr, offer: Offer) -> bool {
        if self.is_distrusted(peer, offer) {
            return false;
        }
        self.note(peer, offer);
        let here = engine::boot::current();
        for shard in (0..engine::boot::shards()).map(ShardId).filter(|shard| *shard != here) {
            let _ = mesh::send(shard, move || Distrust::here().note(peer, offer));
        }
        true
    }

    fn note(&self, peer: IpAddr, offer: Offer) {
        let now = engine::time::now();
        let mut all = self.until.borrow_mut();
        if all.len() >= limits::DISTRUSTED {
            all.retain(|_, until| *until > now);
        }
        if all.len() < limits::DISTRUSTED {
            all.insert((peer, offer), now + limits::DISTRUST);
        }
    }
}

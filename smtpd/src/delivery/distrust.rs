//! Peers that offer CHUNKING and do not do it.

use std::cell::RefCell;
use std::net::IpAddr;

use engine::time::Instant;
use rustc_hash::FxHashMap;

use crate::limits;

/// Addresses that get DATA for a while, whatever they offer: a peer that does not know its own BDAT takes the message
/// for commands.
#[derive(Debug, Default)]
pub(super) struct Chunking {
    until: RefCell<FxHashMap<IpAddr, Instant>>,
}

impl Chunking {
    pub(super) fn is_distrusted(&self, peer: IpAddr) -> bool {
        let until = self.until.borrow();
        // Nearly always there is none, and no clock to read.
        !until.is_empty() && until.get(&peer).is_some_and(|until| *until > engine::time::now())
    }

    pub(super) fn distrust(&self, peer: IpAddr) {
        let now = engine::time::now();
        let mut all = self.until.borrow_mut();
        if all.len() >= limits::CHUNKING_DISTRUSTED {
            all.retain(|_, until| *until > now);
        }
        if all.len() < limits::CHUNKING_DISTRUSTED {
            all.insert(peer, now + limits::CHUNKING_DISTRUST);
        }
    }
}

//! Which name server to ask: in the listed order, dead ones left out while there are others.

use std::net::SocketAddr;

use crate::limits;

/// Times without an answer in a row after which a server counts as dead.
const DEAD_AFTER: u32 = 2;

/// For how long.
const DEAD_MS: u64 = 30_000;

#[derive(Debug)]
pub(crate) struct Servers {
    list: Vec<Server>,
}

#[derive(Debug)]
struct Server {
    address: SocketAddr,
    silent: u32,
    dead_until_ms: u64,
}

impl Servers {
    pub(crate) fn new(addresses: &[SocketAddr]) -> Servers {
        let server = |address: &SocketAddr| Server { address: *address, silent: 0, dead_until_ms: 0 };
        Servers { list: addresses.iter().take(limits::DNS_SERVERS_MAX).map(server).collect() }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn address(&self, number: usize) -> SocketAddr {
        self.list[number].address
    }

    /// The server to ask after `last`: the next one that is alive, else the next one; `excluded` ones not at all
    /// (bit by number).
    pub(crate) fn choose(&self, last: Option<usize>, excluded: u32, now_ms: u64) -> Option<usize> {
        let count = self.list.len();
        let start = last.map_or(0, |last| last + 1);
        let in_turn = || (0..count).map(|step| (start + step) % count);
        let permitted = |number: &usize| excluded >> number & 1 == 0;
        in_turn()
            .filter(permitted)
            .find(|number| self.list[*number].dead_until_ms <= now_ms)
            .or_else(|| in_turn().find(permitted))
    }

    pub(crate) fn answered(&mut self, number: usize) {
        let server = &mut self.list[number];
        (server.silent, server.dead_until_ms) = (0, 0);
    }

    pub(crate) fn was_silent(&mut self, number: usize, now_ms: u64) {
        let server = &mut self.list[number];
        server.silent = server.silent.saturating_add(1);
        if server.silent >= DEAD_AFTER {
            server.dead_until_ms = now_ms.saturating_add(DEAD_MS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_server_is_left_out_until_its_time_is_over() {
        let mut servers = Servers::new(&["192.0.2.1:53".parse().unwrap(), "192.0.2.2:53".parse().unwrap()]);
        assert_eq!(servers.choose(None, 0, 0), Some(0));
        assert_eq!(servers.choose(Some(0), 0, 0), Some(1));
        assert_eq!(servers.choose(Some(1), 0, 0), Some(0));
        servers.was_silent(0, 0);
        assert_eq!(servers.choose(None, 0, 0), Some(0), "once is no proof");
        servers.was_silent(0, 0);
        assert_eq!(servers.choose(None, 0, 1), Some(1));
        assert_eq!(servers.choose(None, 0b10, 1), Some(0), "a dead one is better than none");
        assert_eq!(servers.choose(None, 0b11, 1), None);
        assert_eq!(servers.choose(None, 0, DEAD_MS), Some(0));
        servers.was_silent(0, DEAD_MS);
        servers.answered(0);
        assert_eq!(servers.choose(None, 0, DEAD_MS), Some(0));
    }
}

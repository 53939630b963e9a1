//! Which name server to ask, and how: in the listed order, dead ones left out while there are others.
//!
//! A dead server is asked again by a *probe*, which is a copy of somebody's question: nobody waits for it. When no
//! server answers at all, most questions fail at once and one a second is sent, so that whoever asks finds out soon
//! that it is over.

use std::net::SocketAddr;

use crate::limits;

/// Times without an answer in a row after which a server counts as dead.
const DEAD_AFTER: u32 = 2;

/// For how long, until it is probed.
const DEAD_MS: u64 = 30_000;

/// All servers are silent when each of them has not answered so often ...
const SILENT_AFTER: u32 = 5;

/// ... and for so long.
const SILENT_MS: u64 = 10_000;

/// An outage: for so long, and so often in a row, nothing that any server said was of use.
const OUTAGE_AFTER: u32 = 5;
const OUTAGE_MS: u64 = 10_000;

/// Pause between two questions that are sent while all servers are silent.
const SILENT_PAUSE_MS: u64 = 1_000;

/// For how long it is remembered what a server does not understand.
const MANNERS_MS: u64 = 600_000;

#[derive(Debug)]
pub(crate) struct Servers {
    list: Vec<Server>,
    /// Begin with another one each time.
    rotate: bool,
    turn: usize,
    /// When the next question may be sent while all are silent.
    permit_ms: u64,
    /// Tries in a row, at any server, without an answer or with one of no use, such as SERVFAIL.
    useless: u32,
    /// Since when.
    useless_since_ms: u64,
}

#[derive(Debug)]
struct Server {
    address: SocketAddr,
    /// Tries in a row without an answer.
    silent: u32,
    /// Since when.
    silent_since_ms: u64,
    /// When it is to be probed; none: it is not dead.
    probe_at_ms: Option<u64>,
    /// Until then it is asked without EDNS.
    without_edns_until_ms: u64,
    /// Until then it is asked in lower case.
    in_one_case_until_ms: u64,
}

/// How to ask a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// With EDNS.
    pub(crate) edns: bool,
    /// With letters of random case, which the answer must repeat.
    pub(crate) mixed_case: bool,
}

impl Servers {
    pub(crate) fn new(addresses: &[SocketAddr], rotate: bool) -> Servers {
        let server = |address: &SocketAddr| Server {
            address: *address,
            silent: 0,
            silent_since_ms: 0,
            probe_at_ms: None,
            without_edns_until_ms: 0,
            in_one_case_until_ms: 0,
        };
        let list = addresses.iter().take(limits::DNS_SERVERS_MAX).map(server).collect();
        Servers { list, rotate, turn: 0, permit_ms: 0, useless: 0, useless_since_ms: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn address(&self, number: usize) -> SocketAddr {
        self.list[number].address
    }

    /// The server for a new question.
    pub(crate) fn first(&mut self) -> usize {
        let start = if self.rotate { self.turn } else { 0 };
        self.turn = (self.turn + 1) % self.list.len().max(1);
        self.choose(start, 0).unwrap_or(0)
    }

    /// The server to ask after `last`: the next one that is alive, else the next one; `excluded` ones not at all
    /// (bit by number).
    pub(crate) fn after(&self, last: usize, excluded: u32) -> Option<usize> {
        self.choose(last + 1, excluded)
    }

    fn choose(&self, start: usize, excluded: u32) -> Option<usize> {
        let count = self.list.len();
        let in_turn = || (0..count).map(|step| (start + step) % count);
        let permitted = |number: &usize| excluded >> number & 1 == 0;
        in_turn()
            .filter(permitted)
            .find(|number| self.list[*number].probe_at_ms.is_none())
            .or_else(|| in_turn().find(permitted))
    }

    /// No server has answered for some time.
    pub(crate) fn all_silent(&self, now_ms: u64) -> bool {
        self.list.iter().all(|server| {
            server.silent >= SILENT_AFTER && now_ms.saturating_sub(server.silent_since_ms) >= SILENT_MS
        })
    }

    /// Whether a new question may be sent now.
    pub(crate) fn permits(&mut self, now_ms: u64) -> bool {
        if !self.all_silent(now_ms) {
            return true;
        }
        let permitted = now_ms >= self.permit_ms;
        if permitted {
            self.permit_ms = now_ms.saturating_add(SILENT_PAUSE_MS);
        }
        permitted
    }

    /// A dead server that is to be probed now, while others answer. It counts as being probed until
    /// [`Servers::answered`], or for another [`DEAD_MS`].
    pub(crate) fn take_probe(&mut self, now_ms: u64) -> Option<usize> {
        if self.list.iter().all(|server| server.probe_at_ms.is_some()) {
            return None;
        }
        let is_due = |server: &Server| server.probe_at_ms.is_some_and(|at_ms| at_ms <= now_ms);
        let number = self.list.iter().position(is_due)?;
        self.list[number].probe_at_ms = Some(now_ms.saturating_add(DEAD_MS));
        Some(number)
    }

    pub(crate) fn answered(&mut self, number: usize) {
        let server = &mut self.list[number];
        (server.silent, server.probe_at_ms) = (0, None);
    }

    /// A try came to nothing, by silence or by an answer of no use.
    pub(crate) fn was_useless(&mut self, now_ms: u64) {
        if self.useless == 0 {
            self.useless_since_ms = now_ms;
        }
        self.useless = self.useless.saturating_add(1);
    }

    /// An answer of use came. True when it ends an outage.
    pub(crate) fn was_useful(&mut self, now_ms: u64) -> bool {
        let tries = std::mem::take(&mut self.useless);
        tries >= OUTAGE_AFTER && now_ms.saturating_sub(self.useless_since_ms) >= OUTAGE_MS
    }

    pub(crate) fn was_silent(&mut self, number: usize, now_ms: u64) {
        let server = &mut self.list[number];
        if server.silent == 0 {
            server.silent_since_ms = now_ms;
        }
        server.silent = server.silent.saturating_add(1);
        if server.silent >= DEAD_AFTER {
            server.probe_at_ms = Some(now_ms.saturating_add(DEAD_MS));
        }
    }

    pub(crate) fn manner(&self, number: usize, now_ms: u64) -> Manner {
        let server = &self.list[number];
        Manner {
            edns: server.without_edns_until_ms <= now_ms,
            mixed_case: server.in_one_case_until_ms <= now_ms,
        }
    }

    /// The server has answered without EDNS what it had not understood with it.
    pub(crate) fn knows_no_edns(&mut self, number: usize, now_ms: u64) {
        self.list[number].without_edns_until_ms = now_ms.saturating_add(MANNERS_MS);
    }

    /// The server has changed the case of a question, where nobody else could have.
    pub(crate) fn changes_case(&mut self, number: usize, now_ms: u64) {
        self.list[number].in_one_case_until_ms = now_ms.saturating_add(MANNERS_MS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Servers {
        Servers::new(&["192.0.2.1:53".parse().unwrap(), "192.0.2.2:53".parse().unwrap()], false)
    }

    #[test]
    fn a_dead_server_is_left_out_until_a_probe_was_answered() {
        let mut servers = two();
        assert_eq!((servers.first(), servers.after(0, 0), servers.after(1, 0)), (0, Some(1), Some(0)));
        servers.was_silent(0, 0);
        assert_eq!(servers.first(), 0, "once is no proof");
        servers.was_silent(0, 0);
        assert_eq!(servers.first(), 1);
        assert_eq!(servers.after(1, 0), Some(1));
        assert_eq!(servers.after(1, 0b10), Some(0), "a dead one is better than none");
        assert_eq!(servers.after(1, 0b11), None);
        assert_eq!(servers.take_probe(DEAD_MS - 1), None);
        assert_eq!(servers.take_probe(DEAD_MS), Some(0));
        assert_eq!((servers.take_probe(DEAD_MS), servers.first()), (None, 1), "one probe at a time");
        servers.was_silent(0, DEAD_MS + 5_000);
        assert_eq!(servers.take_probe(2 * DEAD_MS), None);
        assert_eq!(servers.take_probe(2 * DEAD_MS + 5_000), Some(0));
        servers.answered(0);
        assert_eq!((servers.first(), servers.take_probe(u64::MAX)), (0, None));
    }

    #[test]
    fn while_all_are_silent_one_question_a_second_is_sent() {
        let mut servers = two();
        for number in [0, 1] {
            (0..SILENT_AFTER).for_each(|_| servers.was_silent(number, 5_000));
        }
        assert!(servers.permits(14_999) && servers.permits(14_999), "a burst that was lost is no proof");
        let permitted: Vec<u64> = (15_000..18_000).filter(|now_ms| servers.permits(*now_ms)).collect();
        assert_eq!(permitted, [15_000, 16_000, 17_000]);
        assert_eq!(servers.take_probe(100_000), None, "there is nobody else to ask");
        servers.answered(1);
        assert!(servers.permits(17_001) && servers.permits(17_001));
    }

    #[test]
    fn an_outage_is_long_and_of_many_tries_and_ends_with_the_first_answer_of_use() {
        let mut servers = two();
        for now_ms in [0, 1, 2, 3] {
            servers.was_useless(now_ms);
        }
        assert!(!servers.was_useful(20_000), "too few tries");
        (0..OUTAGE_AFTER).for_each(|_| servers.was_useless(20_000));
        assert!(!servers.was_useful(20_000 + OUTAGE_MS - 1), "too short");
        (0..OUTAGE_AFTER).for_each(|_| servers.was_useless(40_000));
        assert!(servers.was_useful(40_000 + OUTAGE_MS));
        assert!(!servers.was_useful(90_000), "it is over");
    }

    #[test]
    fn servers_take_turns_where_that_is_wanted() {
        let addresses = ["192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53"].map(|text| text.parse().unwrap());
        let mut servers = Servers::new(&addresses, true);
        let turns: Vec<usize> = (0..4).map(|_| servers.first()).collect();
        assert_eq!(turns, [0, 1, 2, 0]);
    }
}

//! A question on its way: what is asked for now, of whom, and how.

use crate::dns::answer::{Failure, Question};
use crate::dns::message::Asked;
use crate::dns::name::DomainName;
use crate::dns::servers::Manner;

/// A question that has no answer yet.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) question: Question,
    /// What is asked for now: the question's name, or where its aliases led.
    pub(super) name: DomainName,
    pub(super) aliases: usize,
    /// Shortest lifetime on the way.
    pub(super) alias_ttl_ms: u64,
    /// All aliases on the way are vouched for.
    pub(super) alias_authentic: bool,
    /// Tries for `name` that came to nothing.
    pub(super) tries: u32,
    /// Number of the last transmit.
    pub(super) transmit: u32,
    pub(super) server: usize,
    /// Servers that answered, without success: no use in asking them again. Bit by number.
    pub(super) useless: u32,
    pub(super) way: Way,
    pub(super) last_failure: Failure,
    pub(super) in_flight: Option<InFlight>,
    /// Nobody waits for the answer: it shows whether the server is alive.
    pub(super) is_probe: bool,
}

#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) asked: Asked,
    pub(super) deadline_ms: u64,
}

/// How the server is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) tcp: bool,
    pub(super) manner: Manner,
    /// It did not understand EDNS.
    pub(super) edns_refused: bool,
    /// It, or a forger, has changed the case of the question.
    pub(super) case_changed: bool,
}

impl Way {
    pub(super) fn new(tcp: bool, manner: Manner) -> Way {
        Way { tcp, manner, edns_refused: false, case_changed: false }
    }
}

impl Query {
    pub(super) fn new(question: Question, server: usize, way: Way, is_probe: bool) -> Query {
        Query {
            name: question.name.clone(),
            question,
            aliases: 0,
            alias_ttl_ms: u64::MAX,
            alias_authentic: true,
            tries: 0,
            transmit: 0,
            server,
            useless: 0,
            way,
            last_failure: Failure::Timeout,
            in_flight: None,
            is_probe,
        }
    }

    /// What is asked for now.
    pub(super) fn current(&self) -> Question {
        Question { name: self.name.clone(), kind: self.question.kind }
    }
}

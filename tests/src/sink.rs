//! A next hop that takes mail, or answers one thing everywhere. For anything finer there is [`crate::peer`].

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use crate::peer::{Behaviour, Message, Peer, Phase, Rule};

/// What the sink answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkReply {
    /// To everything as it should.
    Accept,
    /// This reply to every RCPT.
    Rcpt(String),
    /// This reply to the final dot.
    Eod(String),
    /// This greeting.
    Banner(String),
}

/// A next hop on loopback. Ends with the test.
#[derive(Debug)]
pub struct Sink {
    peer: Peer,
    manners: Mutex<(SinkReply, Duration)>,
}

impl Sink {
    /// Starts one on a free port.
    pub fn start() -> Sink {
        Sink::start_on(0)
    }

    /// Starts one on this port.
    pub fn start_on(port: u16) -> Sink {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Sink {
            peer: Peer::start_at(address, Behaviour::new()),
            manners: Mutex::new((SinkReply::Accept, Duration::ZERO)),
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.peer.port()
    }

    /// The peer that it is.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What it answers from now on.
    pub fn answer(&self, reply: SinkReply) {
        self.change(|manners| manners.0 = reply);
    }

    /// How long it waits before its answer to a final dot.
    pub fn pause(&self, pause: Duration) {
        self.change(|manners| manners.1 = pause);
    }

    fn change(&self, change: impl FnOnce(&mut (SinkReply, Duration))) {
        let mut manners = self.manners.lock().expect("not poisoned");
        change(&mut manners);
        let rule = match &manners.0 {
            SinkReply::Accept => Rule::at(Phase::Dot).delay(manners.1),
            SinkReply::Rcpt(text) => Rule::at(Phase::Rcpt).reply(text),
            SinkReply::Eod(text) => Rule::at(Phase::Dot).reply(text),
            SinkReply::Banner(text) => Rule::at(Phase::Banner).reply_then_close(text),
        };
        self.peer.behave(Behaviour::new().rule(rule));
    }

    /// What it has got so far.
    pub fn messages(&self) -> Vec<Message> {
        self.peer.messages()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.peer.connection_count()
    }

    /// Most connections at once.
    pub fn open_max(&self) -> usize {
        self.peer.open_max()
    }

    /// Waits until it has got `count` messages, and gives them.
    ///
    /// # Panics
    /// When they do not come within a minute.
    pub fn wait_for(&self, count: usize) -> Vec<Message> {
        self.peer.wait_for(count)
    }
}

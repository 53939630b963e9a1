//! A connection to a next hop: opening, moving bytes, closing.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use net::smtp::client::{self, Cause, Closed, Phase, Protection, Session, Step};
use net::smtp::error::{Error, Network};
use queue::{Diagnosis, Outcome, Reason, Remote};
use tls::{Demand, Received, ResultType, Stream, TlsError, TlsInfo, Verified};

use super::dial::{Unusable, dial};
use super::distrust::Distrust;
use super::ending;
use super::facts::{AttemptFacts, ConnectionFacts};
use super::moving::Moving;
use super::next_hop::Candidate;
use super::paths::say;
use super::policies::Units;
use super::pool::Key;
use super::report::outcome_of;
use super::source::Choice;
use crate::limits;
use crate::log::Priority;
use crate::patience::Clocks;
use crate::snapshot::RouteTls;
use crate::stats::Stats;
use crate::trace::{Tap, Who};

/// An open SMTP session with a peer, between transactions.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) session: Session,
    /// What was agreed in the TLS handshake; `None` in clear.
    tls: Option<Rc<TlsInfo>>,
    /// What failed of TLS that was wanted.
    tls_result: Option<ResultType>,
    clocks: Clocks,
    /// What has been received, and how much of it the session has seen.
    pub(super) input: Option<(Received, usize)>,
    /// Name of the host.
    mx: Arc<str>,
    /// The name that we give ourselves.
    helo: Arc<str>,
    /// `mx.example.net[192.0.2.1]:25`, for the log.
    pub(super) peer: Rc<str>,
    key: Key,
    /// Id of our address in the configuration.
    source: Option<Arc<str>>,
    /// For scripts, once it was greeted.
    facts: Option<Rc<ConnectionFacts>>,
    counted: Counted,
    /// What operators watch.
    pub(super) tap: Tap,
    /// Its places among those that policies count.
    units: Units,
}

/// An open connection among those of the shard; given back on drop.
#[derive(Debug)]
struct Counted(Rc<Stats>);

impl Counted {
    fn new(stats: &Rc<Stats>) -> Counted {
        stats.delivery.connections.add(1);
        Counted::taken_over(stats)
    }

    /// One that another shard has opened.
    fn taken_over(stats: &Rc<Stats>) -> Counted {
        stats.delivery.open.raise();
        Counted(Rc::clone(stats))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.delivery.open.lower();
    }
}

impl Connection {
    /// A connection that has been greeted and is ready for transactions. Where TLS is optional and fails, a second one
    /// is made without, and for a while none is tried with it. `facts` are told what is known of one that fails, too.
    pub(super) async fn establish(
        to: &Candidate,
        from: &Choice,
        key: Key,
        stats: &Rc<Stats>,
        facts: &mut AttemptFacts,
    ) -> Result<Connection, Unusable> {
        if key.demand.is_some() {
            let begins_in_tls = key.route.tls.as_ref().is_some_and(|tls| tls.implicit);
            let session = move |config| Session::encrypted(config, begins_in_tls);
            return Connection::open_and_greet(to, from, key, session, stats, facts).await;
        }
        let optional = key.route.tls.as_ref().is_some_and(|tls| tls.optional);
        let distrust = Distrust::here();
        if optional && let Some(kind) = distrust.tls_fails(to.address) {
            let mut open = Connection::open_and_greet(to, from, key, Session::in_clear, stats, facts).await?;
            open.tls_result = Some(kind);
            return Ok(open);
        }
        match Connection::open_and_greet(to, from, key.clone(), Session::new, stats, facts).await {
            Err(Unusable::NoTls(why, kind)) if optional => {
                let mut open =
                    Connection::open_and_greet(to, from, key, Session::in_clear, stats, facts).await?;
                open.tls_result = Some(kind);
                if distrust.distrust_tls(to.address, kind) {
                    let (peer, minutes) = (&open.peer, limits::DISTRUST.as_secs() / 60);
                    let line =
                        format_args!("{peer} fails in TLS, its mail goes in clear for {minutes} min: {why}");
                    say(Priority::Warning, line);
                }
                Ok(open)
            }
            other => other,
        }
    }

    async fn open_and_greet(
        to: &Candidate,
        from: &Choice,
        key: Key,
        session: impl FnOnce(Arc<client::Config>) -> Session,
        stats: &Rc<Stats>,
        facts: &mut AttemptFacts,
    ) -> Result<Connection, Unusable> {
        let route = Arc::clone(&key.route);
        let config = match from {
            Choice::From(source) => Arc::clone(&source.session),
            _ => Arc::clone(&route.session),
        };
        let helo = String::from_utf8_lossy(config.hostname.as_bytes()).into();
        let mut open = Connection::open(to, from, key, (session(config), helo), stats).await?;
        open.describe(facts);
        let tls = route.tls.as_ref();
        if let Some(tls) = tls.filter(|tls| tls.implicit)
            && let Err(error) = open.shake_hands(tls, route.session.timeouts.starttls).await
        {
            let diagnosis = Diagnosis::new(format!("TLS: {error}")).with_enhanced(4, 7, 5);
            let reason = diagnosis.with_remote(open.remote()).into();
            return Err(Unusable::NoImplicitTls(reason, error.result_type()));
        }
        open.greeted(tls, facts).await?;
        if tls.is_some() && open.tls.is_none() {
            open.tls_result = Some(ResultType::StartTlsNotSupported);
        }
        let greeting = open.session.greeting().cloned();
        let id = hostcalls::ids::transaction_id(hostcalls::ids::UuidVersion::V4);
        let certificates = open.stream.peer_certificates().iter().map(|der| der.to_vec()).collect();
        open.facts = Some(Rc::new(ConnectionFacts { id, greeting, certificates }));
        Ok(open)
    }

    async fn open(
        to: &Candidate,
        from: &Choice,
        key: Key,
        (session, helo): (Session, Arc<str>),
        stats: &Rc<Stats>,
    ) -> Result<Connection, Unusable> {
        let peer: Rc<str> = format!("{}[{}]:{}", to.name, to.address, key.route.port).into();
        let peer_host = Remote { name: Arc::clone(&to.name), address: to.address };
        // RFC 3463: 4.4.1 no answer from host.
        let failed = |what: &dyn std::fmt::Display| -> Reason {
            let text = format!("connect to {peer}: {what}");
            Diagnosis::new(text).with_enhanced(4, 4, 1).with_remote(peer_host.clone()).into()
        };
        let conn = dial(&key, from, failed).await?;
        let (stream, mx) = (Stream::plain(conn), Arc::clone(&to.name));
        Ok(Connection {
            stream,
            session,
            tls: None,
            tls_result: None,
            clocks: Clocks::start(),
            input: None,
            mx,
            helo,
            peer,
            key,
            source: from.id().cloned(),
            facts: None,
            counted: Counted::new(stats),
            tap: Tap::default(),
            units: Units::default(),
        })
    }

    /// Takes it off this shard when it is idle. `None`: it is of no use any more, and closed.
    pub(super) async fn take_off(mut self) -> Option<Moving> {
        if !self.is_usable() {
            return None;
        }
        Some(Moving {
            stream: self.stream.take_off().await?,
            session: self.session,
            tls: self.tls.map(Rc::unwrap_or_clone),
            tls_result: self.tls_result,
            mx: self.mx,
            helo: self.helo,
            key: self.key,
            source: self.source,
            facts: self.facts.map(Rc::unwrap_or_clone),
            units: self.units,
        })
    }

    /// One that comes from another shard.
    pub(super) fn take_up(moving: Moving, stats: &Rc<Stats>) -> Connection {
        let Moving { stream, session, tls, tls_result, mx, helo, key, source, facts, units } = moving;
        let peer = format!("{mx}[{}]:{}", key.remote.ip(), key.remote.port()).into();
        Connection {
            stream: stream.take_up(),
            session,
            tls: tls.map(Rc::new),
            tls_result,
            clocks: Clocks::start(),
            input: None,
            mx,
            helo,
            peer,
            key,
            source,
            facts: facts.map(Rc::new),
            counted: Counted::taken_over(stats),
            tap: Tap::default(),
            units,
        }
    }

    /// Gives it its places among those that policies count.
    pub(super) fn with_units(self, units: Units) -> Connection {
        Connection { units, ..self }
    }

    /// Its places among those that policies count.
    pub(super) fn units(&self) -> &Units {
        &self.units
    }

    /// Our address.
    pub(super) fn local_ip(&self) -> IpAddr {
        self.stream.local_addr().ip()
    }

    /// What messages must share to use it.
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// Name of the host.
    pub(super) fn mx(&self) -> &str {
        &self.mx
    }

    /// Transactions so far.
    pub(super) fn transactions(&self) -> u32 {
        self.session.transactions()
    }

    /// The TLS handshake.
    async fn shake_hands(&mut self, tls: &RouteTls, timeout: Duration) -> Result<(), TlsError> {
        let connecting = async {
            match (&tls.dane, &self.key.demand) {
                (Some(of_route), Some(Demand::Certificate(dane))) => {
                    self.stream.connect_tls_by_dane(&of_route.side, dane).await
                }
                _ => self.stream.connect_tls(&tls.side, &self.mx).await,
            }
        };
        let agreed = engine::time::timeout(timeout, connecting).await;
        let info = agreed.unwrap_or(Err(TlsError::TimedOut))?;
        self.session.tls_started(match info.verified {
            Verified::Passed => Protection::Verified,
            Verified::Unchecked | Verified::Failed(_) => Protection::Encrypted,
        });
        self.tap.note(format_args!("TLS: {} {}", info.version, info.cipher));
        self.tls = Some(Rc::new(info));
        Ok(())
    }

    /// The peer's address.
    pub(super) fn address(&self) -> IpAddr {
        self.key.remote.ip()
    }

    /// The peer, for a diagnosis.
    pub(super) fn remote(&self) -> Remote {
        Remote { name: Arc::clone(&self.mx), address: self.key.remote.ip() }
    }

    /// `mx.example.net[192.0.2.1]:25`.
    pub(super) fn peer(&self) -> Rc<str> {
        Rc::clone(&self.peer)
    }

    /// Notes what the connection is.
    pub(super) fn describe(&self, facts: &mut AttemptFacts) {
        // Behind a proxy, the addresses are not those of the connection.
        let local = self.stream.local_addr();
        facts.local = Some(self.key.source.map_or(local, |source| match source == local.ip() {
            true => local,
            false => SocketAddr::new(source, 0),
        }));
        facts.source.clone_from(&self.source);
        facts.remote = Some(self.key.remote);
        facts.mx = Some(Arc::clone(&self.mx));
        facts.helo = Some(Arc::clone(&self.helo));
        facts.reused = self.session.transactions();
        facts.tls.clone_from(&self.tls);
        facts.tls_result = self.tls_result;
        facts.connection.clone_from(&self.facts);
    }

    /// Waits for greeting, EHLO and what goes before MAIL. The error means that the peer does not serve us.
    async fn greeted(&mut self, tls: Option<&RouteTls>, facts: &mut AttemptFacts) -> Result<(), Unusable> {
        if self.session.wants_nonce() {
            let mut nonce = [0; 18];
            engine::rng::fill(&mut nonce);
            self.session.give_nonce(nonce);
        }
        loop {
            match (self.advance().await, tls) {
                (Step::Ready, _) => return Ok(()),
                (Step::StartTls, Some(tls)) => {
                    let (wait, _) = self.clocks.wait(self.session.patience());
                    if let Err(error) = self.shake_hands(tls, wait).await {
                        self.tls_result = Some(error.result_type());
                        self.session.tls_failed(&error.to_string());
                    }
                }
                (Step::Closed(closed), _) => {
                    facts.trouble = closed.cause.as_ref().and_then(ending::trouble);
                    return Err(self.unusable(closed));
                }
                (Step::NeedInput | Step::StartTls | Step::SendBody(_) | Step::Done(_), _) => {
                    return Err(Unusable::Ours("the session began out of order".into()));
                }
            }
        }
    }

    /// It is about the peer, not about the message: never final.
    fn unusable(&self, closed: Closed) -> Unusable {
        let phase = closed.phase;
        let cause = closed.cause.unwrap_or(Cause::Error(Error::Network(Network::ConnectionLost)));
        match outcome_of(&client::Outcome { phase, cause }, Some(&self.remote())) {
            Outcome::Permanent(reason) | Outcome::Temporary(reason) => match phase {
                Phase::Banner | Phase::Ehlo | Phase::Helo => Unusable::Host(reason),
                Phase::StartTls => {
                    let kind = self.tls_result.unwrap_or(ResultType::StartTlsNotSupported);
                    Unusable::NoTls(reason, kind)
                }
                _ => Unusable::Refused(reason),
            },
            Outcome::LocalFault(reason) => Unusable::Ours(reason),
            _ => Unusable::Ours("the session ended out of order".into()),
        }
    }

    /// Takes up the traces that are on.
    pub(super) fn watch(&mut self) {
        let traces = &self.counted.0.traces;
        if self.tap.is_stale(traces) {
            let (local, remote) = (self.stream.local_addr(), self.stream.peer_addr());
            let who = Who { outgoing: true, remote: remote.ip(), name: &self.mx };
            self.tap.renew(traces, who, (local, remote), None);
        }
    }

    /// Steps up to the next thing to decide: sends what is to be sent, receives, watches the clocks.
    pub(super) async fn advance(&mut self) -> Step {
        loop {
            let mut rest: &[u8] = match &self.input {
                Some((buffer, used)) => &buffer[*used..],
                None => &[],
            };
            let len = rest.len();
            let step = self.session.step(&mut rest);
            let left = rest.len();
            if let Some((buffer, used)) = &self.input {
                self.tap.received(&buffer[*used..*used + (len - left)]);
            }
            match &mut self.input {
                Some(_) if left == 0 => self.input = None,
                Some((_, used)) => *used += len - left,
                None => {}
            }
            if !matches!(step, Step::NeedInput) {
                return step;
            }
            let output = self.session.take_output();
            self.watch();
            self.tap.sent(&output);
            if !output.is_empty()
                && let Err(how) = self.send(vec![output]).await
            {
                self.session.lost(how);
                continue;
            }
            self.receive().await;
        }
    }

    async fn receive(&mut self) {
        let (wait, _) = self.clocks.wait(self.session.patience());
        match engine::time::timeout(wait, self.stream.recv()).await {
            Ok(Ok(buffer)) if !buffer.is_empty() => self.input = Some((buffer, 0)),
            Ok(_) => self.session.lost(Network::ConnectionLost),
            Err(engine::time::Elapsed) => self.session.lost(Network::TimedOut),
        }
    }

    pub(super) async fn send(&mut self, list: Vec<Bytes>) -> Result<(), Network> {
        let (wait, _) = self.clocks.wait(self.session.patience());
        match engine::time::timeout(wait, self.stream.send_list(list)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Network::ConnectionLost),
            Err(engine::time::Elapsed) => Err(Network::TimedOut),
        }
    }

    /// Ends when the peer of an idle connection says something or goes: then it is of no more use.
    pub(super) async fn disturbed(&mut self) {
        if let Ok(buffer) = self.stream.recv().await
            && !buffer.is_empty()
        {
            self.input = Some((buffer, 0));
        } else {
            self.session.lost(Network::ConnectionLost);
        }
    }

    /// Whether a further transaction can begin here.
    pub(super) fn is_usable(&mut self) -> bool {
        self.input.is_none()
            && matches!(self.session.step(&mut &[][..]), Step::Ready)
            && self.session.has_room()
    }

    /// Says goodbye; the answer is waited for where policies limit connections.
    pub(super) async fn quit(mut self) {
        if matches!(self.session.step(&mut &[][..]), Step::Ready) {
            self.session.quit();
            let output = self.session.take_output();
            self.tap.sent(&output);
            let _ = engine::time::timeout(limits::FAREWELL, async {
                self.stream.send(output).await?;
                // Where connections are limited, the place is free when the peer has seen this one end, too.
                while !self.units.held().is_empty() && !self.stream.recv().await?.is_empty() {}
                self.stream.close().await
            })
            .await;
        }
    }
}

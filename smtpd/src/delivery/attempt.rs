//! A connection to a next hop: opening, moving bytes, closing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::net::{Conn, Connect};
use net::smtp::client::{self, Cause, Closed, Protection, Session, Step};
use net::smtp::error::{Error, Network};
use queue::{Diagnosis, Outcome, Remote};
use tls::{Received, Stream, TlsError, TlsInfo, Verified};

use super::facts::AttemptFacts;
use super::next_hop::Candidate;
use super::report::outcome_of;
use crate::limits;
use crate::patience::Clocks;
use crate::snapshot::{Route, RouteTls};

/// An open SMTP session with a peer, between transactions.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) session: Session,
    /// What was agreed in the TLS handshake; `None` in clear.
    tls: Option<Rc<TlsInfo>>,
    clocks: Clocks,
    /// What has been received, and how much of it the session has seen.
    pub(super) input: Option<(Received, usize)>,
    /// Name of the host.
    mx: Arc<str>,
    /// `mx.example.net[192.0.2.1]:25`, for the log.
    pub(super) peer: Rc<str>,
}

/// Why there is no connection that is ready for transactions.
struct Unready {
    outcome: Outcome,
    /// Where the session ended, if it had begun.
    at: Option<client::Phase>,
}

impl Connection {
    /// A connection that has been greeted and is ready for transactions. Where TLS is optional and fails, a second one
    /// is made without.
    pub(super) async fn establish(route: &Route, to: &Candidate) -> Result<Connection, Outcome> {
        match Connection::open_and_greet(route, to, Session::new).await {
            Err(Unready { at: Some(client::Phase::StartTls), .. })
                if route.tls.as_ref().is_some_and(|tls| tls.optional) =>
            {
                Connection::open_and_greet(route, to, Session::in_clear).await
            }
            other => other,
        }
        .map_err(|unready| unready.outcome)
    }

    async fn open_and_greet(
        route: &Route,
        to: &Candidate,
        session: fn(Arc<client::Config>) -> Session,
    ) -> Result<Connection, Unready> {
        let session = session(Arc::clone(&route.session));
        let opened = Connection::open(route, to, session).await;
        let mut open = opened.map_err(|outcome| Unready { outcome, at: None })?;
        let tls = route.tls.as_ref();
        if let Some(tls) = tls.filter(|tls| tls.implicit)
            && let Err(error) = open.shake_hands(tls, route.session.timeouts.starttls).await
        {
            let diagnosis = Diagnosis::new(format!("TLS: {error}")).with_enhanced(4, 7, 5);
            let outcome = Outcome::Temporary(diagnosis.with_remote(open.remote()).into());
            return Err(Unready { outcome, at: None });
        }
        open.greeted(tls).await.map(|()| open)
    }

    async fn open(route: &Route, to: &Candidate, session: Session) -> Result<Connection, Outcome> {
        let remote = SocketAddr::new(to.address, route.port);
        let peer: Rc<str> = format!("{}[{}]:{}", to.name, to.address, route.port).into();
        let connecting = Conn::connect(Connect { remote, local: None });
        let peer_host = Remote { name: Arc::clone(&to.name), address: to.address };
        // RFC 3463: 4.4.1 no answer from host.
        let failed = |what: &dyn std::fmt::Display| {
            let text = format!("connect to {peer}: {what}");
            Diagnosis::new(text).with_enhanced(4, 4, 1).with_remote(peer_host.clone())
        };
        let conn = match engine::time::timeout(route.connect_timeout, connecting).await {
            Ok(Ok(conn)) => conn,
            Ok(Err(error)) => return Err(connect_failure(&error, failed(&error))),
            Err(engine::time::Elapsed) => return Err(Outcome::Temporary(failed(&"timed out").into())),
        };
        let (stream, mx) = (Stream::plain(conn), Arc::clone(&to.name));
        Ok(Connection { stream, session, tls: None, clocks: Clocks::start(), input: None, mx, peer })
    }

    /// The TLS handshake.
    async fn shake_hands(&mut self, tls: &RouteTls, timeout: Duration) -> Result<(), TlsError> {
        let connecting = self.stream.connect_tls(&tls.side, &self.mx);
        let agreed = engine::time::timeout(timeout, connecting).await;
        let info = agreed.unwrap_or(Err(TlsError::TimedOut))?;
        self.session.tls_started(match info.verified {
            Verified::Passed => Protection::Verified,
            Verified::Unchecked | Verified::Failed(_) => Protection::Encrypted,
        });
        self.tls = Some(Rc::new(info));
        Ok(())
    }

    /// The peer's address.
    pub(super) fn address(&self) -> IpAddr {
        self.stream.peer_addr().ip()
    }

    /// The peer, for a diagnosis.
    pub(super) fn remote(&self) -> Remote {
        Remote { name: Arc::clone(&self.mx), address: self.stream.peer_addr().ip() }
    }

    /// `mx.example.net[192.0.2.1]:25`.
    pub(super) fn peer(&self) -> Rc<str> {
        Rc::clone(&self.peer)
    }

    /// Notes what the connection is.
    pub(super) fn describe(&self, facts: &mut AttemptFacts) {
        facts.local = Some(self.stream.local_addr());
        facts.remote = Some(self.stream.peer_addr());
        facts.mx = Some(Arc::clone(&self.mx));
        facts.reused = self.session.transactions();
        facts.tls.clone_from(&self.tls);
    }

    /// Waits for greeting, EHLO and what goes before MAIL. The error means that the peer does not serve us.
    async fn greeted(&mut self, tls: Option<&RouteTls>) -> Result<(), Unready> {
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
                        self.session.tls_failed(&error.to_string());
                    }
                }
                (Step::Closed(closed), _) => {
                    return Err(Unready { at: Some(closed.phase), outcome: self.closed_outcome(closed) });
                }
                (Step::NeedInput | Step::StartTls | Step::SendBody(_) | Step::Done(_), _) => {
                    let outcome = Outcome::LocalFault("the session began out of order".into());
                    return Err(Unready { outcome, at: None });
                }
            }
        }
    }

    fn closed_outcome(&self, closed: Closed) -> Outcome {
        let cause = closed.cause.unwrap_or(Cause::Error(Error::Network(Network::ConnectionLost)));
        match outcome_of(&client::Outcome { phase: closed.phase, cause }, Some(&self.remote())) {
            // It is about the peer, not about the message: never final.
            Outcome::Permanent(reason) => Outcome::Temporary(reason),
            other => other,
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
            match &mut self.input {
                Some(_) if left == 0 => self.input = None,
                Some((_, used)) => *used += len - left,
                None => {}
            }
            if !matches!(step, Step::NeedInput) {
                return step;
            }
            let output = self.session.take_output();
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

    /// Says goodbye; the answer is not waited for.
    pub(super) async fn quit(mut self) {
        if matches!(self.session.step(&mut &[][..]), Step::Ready) {
            self.session.quit();
            let output = self.session.take_output();
            let _ = engine::time::timeout(limits::FAREWELL, async {
                self.stream.send(output).await?;
                self.stream.close().await
            })
            .await;
        }
    }
}

/// A connect that failed because of this host does not count against the message.
fn connect_failure(error: &io::Error, diagnosis: Diagnosis) -> Outcome {
    match error.raw_os_error() {
        Some(
            libc::EMFILE
            | libc::ENFILE
            | libc::ENOBUFS
            | libc::ENOMEM
            | libc::ENETUNREACH
            | libc::ENETDOWN
            | libc::EADDRNOTAVAIL
            | libc::EACCES
            | libc::EPERM,
        ) => Outcome::LocalFault(diagnosis.into()),
        _ => Outcome::Temporary(diagnosis.into()),
    }
}

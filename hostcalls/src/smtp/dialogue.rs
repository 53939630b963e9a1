//! A session with a server: opening, moving bytes, closing.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use config::NextHop;
use engine::net::{Bind, Conn, Connect};
use engine::time::timeout;
use net::dns::{Families, HostSearch, MailHosts};
use net::smtp::client::{
    Aim, BodyForm, Cause, Closed, DotStuffer, Envelope, LineEnds, Outcome, Phase, Protection, Session, Step,
};
use net::smtp::error::{Error, Network};
use script::fault::Fault;
use tls::{Demand, Received, Stream, TlsError, TlsInfo, Verified};

use super::dane;
use super::server::{Server, Source};
use crate::mail::Taken;
use crate::{Environment, limits};

/// What is known of a connection, for results.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) local: Option<IpAddr>,
    pub(super) local_id: Option<String>,
    pub(super) remote: Option<IpAddr>,
    pub(super) mx: Option<Arc<str>>,
    pub(super) tls: Option<TlsInfo>,
    /// The peer's certificate and chain, in DER.
    pub(super) certificates: Vec<Vec<u8>>,
}

/// Why there is no session.
#[derive(Debug)]
pub(super) enum Failure {
    /// The last host that was tried ended it at this phase, with this.
    Peer(Phase, Cause),
    /// There is nobody to ask for, no host, or none that could be reached.
    Unreachable {
        /// Later it may be otherwise.
        temporary: bool,
        message: String,
    },
}

/// A session between greeting and goodbye.
pub(super) struct Dialogue {
    stream: Stream,
    session: Session,
    /// What DNS asks of TLS.
    demand: Option<Demand>,
    /// What has been received, and how much of it the session has seen.
    input: Option<(Received, usize)>,
    pub(super) facts: Facts,
}

/// What is sent.
pub(super) enum Content {
    /// These bytes.
    Bytes(Bytes),
    /// A message that may be on disk while it is not wanted.
    Message(Rc<Taken>),
}

impl Content {
    /// All of it.
    pub(super) async fn bytes(&self) -> Result<Bytes, Fault> {
        match self {
            Content::Bytes(bytes) => Ok(bytes.clone()),
            Content::Message(message) => message.bytes("send").await,
        }
    }
}

/// One address to connect to.
pub(super) struct Candidate {
    pub(super) name: Arc<str>,
    pub(super) address: IpAddr,
    /// DNS vouches for the way to it.
    pub(super) authentic: bool,
    /// DNS vouches for the way to its name.
    pub(super) name_authentic: bool,
}

impl Dialogue {
    /// A session that has been greeted, and logged in where that is asked for: with the first host that serves us. `facts`
    /// are of the last one that was tried.
    pub(super) async fn begin(
        environment: &Environment,
        server: &Server,
        domain: &[u8],
        facts: &mut Facts,
    ) -> Result<Dialogue, Failure> {
        let mut last = Failure::Unreachable { temporary: true, message: "there is no address to use".into() };
        for candidate in candidates(environment, server, domain).await? {
            match Dialogue::with(environment, server, domain, &candidate, facts).await {
                Ok(dialogue) => return Ok(dialogue),
                // The next host may not know better, and trying many passwords looks like an attack.
                Err(failure @ Failure::Peer(phase, _)) if is_login(phase) => return Err(failure),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// With this host. Where TLS is optional and fails, once more without.
    async fn with(
        environment: &Environment,
        server: &Server,
        domain: &[u8],
        host: &Candidate,
        facts: &mut Facts,
    ) -> Result<Dialogue, Failure> {
        let domain = String::from_utf8_lossy(domain);
        let by_mx = Some(&*domain).filter(|_| server.next_hop == NextHop::Mx);
        if let Some(demand) = dane::demand(environment, server, host, by_mx).await? {
            let begins_in_tls = server.tls.as_ref().is_some_and(|tls| tls.implicit);
            let session = |config| Session::encrypted(config, begins_in_tls);
            return Dialogue::open(server, host, Some(demand), session, facts).await;
        }
        let optional = server.tls.as_ref().is_some_and(|tls| tls.optional);
        match Dialogue::open(server, host, None, Session::new, facts).await {
            Err(Failure::Peer(Phase::StartTls, _)) if optional => {
                Dialogue::open(server, host, None, Session::in_clear, facts).await
            }
            other => other,
        }
    }

    async fn open(
        server: &Server,
        host: &Candidate,
        demand: Option<Demand>,
        session: impl FnOnce(Arc<net::smtp::client::Config>) -> Session,
        facts: &mut Facts,
    ) -> Result<Dialogue, Failure> {
        *facts = Facts { remote: Some(host.address), mx: Some(host.name.clone()), ..Facts::default() };
        let unreachable = |what: &dyn std::fmt::Display| Failure::Unreachable {
            temporary: true,
            message: format!("connect to {}[{}]:{}: {what}", host.name, host.address, server.port),
        };
        let remote = SocketAddr::new(host.address, server.port);
        let connecting = async {
            match &server.sources[usize::from(host.address.is_ipv6())] {
                Source::From { address, nonlocal, .. } => {
                    let bind = Bind { addr: SocketAddr::new(*address, 0), nonlocal: *nonlocal };
                    Conn::connect_from(remote, bind).await
                }
                Source::Off | Source::System => Conn::connect(Connect { remote, local: None }).await,
            }
        };
        let conn = match timeout(server.connect_timeout, connecting).await {
            Ok(Ok(conn)) => conn,
            Ok(Err(error)) => return Err(unreachable(&error)),
            Err(engine::time::Elapsed) => return Err(unreachable(&"timed out")),
        };
        facts.local = Some(conn.local_addr().ip());
        if let Source::From { id, .. } = &server.sources[usize::from(host.address.is_ipv6())] {
            facts.local_id = Some(id.clone()).filter(|id| !id.is_empty());
        }
        let mut dialogue = Dialogue {
            stream: Stream::plain(conn),
            session: session(Arc::clone(&server.session)),
            demand,
            input: None,
            facts: facts.clone(),
        };
        let greeted = dialogue.greeted(server, &host.name).await;
        facts.clone_from(&dialogue.facts);
        greeted.map(|()| dialogue)
    }

    async fn greeted(&mut self, server: &Server, name: &str) -> Result<(), Failure> {
        if self.session.wants_nonce() {
            let mut nonce = [0; 18];
            engine::rng::fill(&mut nonce);
            self.session.give_nonce(nonce);
        }
        if server.tls.as_ref().is_some_and(|tls| tls.implicit)
            && let Err(error) = self.shake_hands(server, name).await
        {
            return Err(Failure::Peer(Phase::StartTls, Cause::Tls(error.to_string().into())));
        }
        loop {
            match self.advance().await {
                Step::Ready => return Ok(()),
                Step::StartTls => {
                    if let Err(error) = self.shake_hands(server, name).await {
                        self.session.tls_failed(&error.to_string());
                    }
                }
                Step::Closed(Closed { phase, cause }) => {
                    return Err(Failure::Peer(phase, cause.unwrap_or_else(lost)));
                }
                Step::NeedInput | Step::SendBody(_) | Step::Done(_) => {
                    return Err(Failure::Peer(self.session.phase(), lost()));
                }
            }
        }
    }

    async fn shake_hands(&mut self, server: &Server, name: &str) -> Result<(), TlsError> {
        let Some(tls) = &server.tls else { return Err(TlsError::Own("TLS is not prepared".to_owned())) };
        let connecting = async {
            match (&tls.dane, &self.demand) {
                (Some(of_server), Some(Demand::Certificate(dane))) => {
                    self.stream.connect_tls_by_dane(&of_server.side, dane).await
                }
                _ => self.stream.connect_tls(&tls.side, name).await,
            }
        };
        let agreed = timeout(server.session.timeouts.starttls, connecting).await;
        let info = agreed.unwrap_or(Err(TlsError::TimedOut))?;
        self.session.tls_started(match info.verified {
            Verified::Passed => Protection::Verified,
            Verified::Unchecked | Verified::Failed(_) => Protection::Encrypted,
        });
        self.facts.certificates = self.stream.peer_certificates().iter().map(|der| der.to_vec()).collect();
        self.facts.tls = Some(info);
        Ok(())
    }

    /// One transaction, to its end; `content` is what is sent, if it comes to that. The outcomes of its recipients.
    pub(super) async fn transact(&mut self, envelope: Envelope, aim: Aim, content: Content) -> Vec<Outcome> {
        let count = envelope.recipients.len();
        let over = |phase| vec![Outcome { phase, cause: lost() }; count];
        if !matches!(self.advance().await, Step::Ready) {
            return over(self.session.phase());
        }
        self.session.begin_with(envelope, aim);
        loop {
            match self.advance().await {
                Step::SendBody(form) => match self.send_content(&content, form).await {
                    Ok(()) => self.session.body_sent(),
                    Err(how) => self.session.lost(how),
                },
                Step::Done(outcomes) => return outcomes,
                Step::Closed(_) | Step::Ready | Step::NeedInput | Step::StartTls => {
                    return over(self.session.phase());
                }
            }
        }
    }

    async fn send_content(&mut self, content: &Content, form: BodyForm) -> Result<(), Network> {
        // What cannot be read any more ends the script, too.
        let message = content.bytes().await.map_err(|_| Network::ConnectionLost)?;
        // What is not clean was refused before.
        let unclean = |_| Network::ConnectionLost;
        let mut list = vec![self.session.take_output()];
        if form == BodyForm::Dots {
            let mut stuffer = DotStuffer::new();
            stuffer.push(message, &mut list).map_err(unclean)?;
            stuffer.finish(&mut list).map_err(unclean)?;
        } else {
            list.push(message);
        }
        list.retain(|piece| !piece.is_empty());
        self.send(list).await
    }

    /// Steps up to the next thing to decide: sends what is to be sent, receives, watches the clock.
    async fn advance(&mut self) -> Step {
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
            match timeout(self.session.patience().idle, self.stream.recv()).await {
                Ok(Ok(buffer)) if !buffer.is_empty() => self.input = Some((buffer, 0)),
                Ok(_) => self.session.lost(Network::ConnectionLost),
                Err(engine::time::Elapsed) => self.session.lost(Network::TimedOut),
            }
        }
    }

    async fn send(&mut self, list: Vec<Bytes>) -> Result<(), Network> {
        match timeout(self.session.patience().idle, self.stream.send_list(list)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Network::ConnectionLost),
            Err(engine::time::Elapsed) => Err(Network::TimedOut),
        }
    }

    /// Says goodbye; the answer is not waited for.
    pub(super) async fn quit(mut self) {
        if matches!(self.session.step(&mut &[][..]), Step::Ready) {
            self.session.quit();
            let output = self.session.take_output();
            let farewell = async {
                self.stream.send(output).await?;
                self.stream.close().await
            };
            let _ = timeout(limits::SMTP_FAREWELL, farewell).await;
        }
    }
}

/// Whether a message can be sent: it has no CR or LF that is no part of a CRLF.
pub(crate) fn is_clean(message: &Bytes) -> bool {
    let mut line_ends = LineEnds::new();
    line_ends.push(message).is_ok() && line_ends.finish().is_ok()
}

fn lost() -> Cause {
    Cause::Error(Error::Network(Network::ConnectionLost))
}

fn is_login(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::Auth | Phase::AuthCramMd5 | Phase::AuthLogin | Phase::AuthLoginUser | Phase::AuthPlain
    )
}

/// The addresses to try, in order.
async fn candidates(
    environment: &Environment,
    server: &Server,
    domain: &[u8],
) -> Result<Vec<Candidate>, Failure> {
    let is_on = |ipv6: bool| !matches!(server.sources[usize::from(ipv6)], Source::Off);
    let families = Families { ipv4: is_on(false), ipv6: is_on(true) };
    let seed = engine::rng::u64();
    let search = match &server.next_hop {
        NextHop::Address(address) => {
            let name = address.to_string().into();
            return Ok(vec![Candidate { name, address: *address, authentic: false, name_authentic: false }]);
        }
        NextHop::Host(name) => HostSearch::host(name, families, seed),
        NextHop::Mx => HostSearch::mail(&String::from_utf8_lossy(domain), families, seed),
    };
    let failed =
        |temporary, message: &str| Err(Failure::Unreachable { temporary, message: message.to_owned() });
    match environment.resolver().mail_hosts(search, |host| server.mx.permits(host)).await {
        MailHosts::Found { hosts, .. } => {
            let of_host = |host: net::dns::MailHost| {
                let net::dns::MailHost { name, addresses, authentic, name_authentic, .. } = host;
                let of = move |address| Candidate { name: name.clone(), address, authentic, name_authentic };
                addresses.into_iter().map(of)
            };
            Ok(hosts.into_iter().flat_map(of_host).take(limits::CONNECT_ADDRESSES_MAX).collect())
        }
        MailHosts::NullMx => failed(false, "the domain takes no mail (null MX)"),
        MailHosts::NoDomain { text, .. } | MailHosts::OnlyUs(text) => failed(false, &text),
        MailHosts::NoMailHost(_, text) | MailHosts::Temporary(text) => failed(true, &text),
    }
}

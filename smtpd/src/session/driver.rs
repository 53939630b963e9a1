//! One session: moves bytes between a connection and the machine of [`net::smtp::server`], and decides.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use hooks::Refusal;
use net::smtp::error::{Error, LocalLimit, Storage};
use net::smtp::reply::Reply;
use net::smtp::server::{Close, Discard, Event, Hello, Session, Step, Summary};
use tls::{Received, TlsInfo};
use uuid::Uuid;

use super::Place;
use super::by_address::Counted;
use super::client::{Client, Refused};
use super::ending::Ending;
use super::hooks::Talk;
use super::peer::{Peer, Turn};
use super::transaction::{Reception, Transaction};
use crate::limits;
use crate::log::event::Action;
use crate::patience::Clocks;
use crate::shard::Shard;
use crate::snapshot::Server;
use crate::stage::OnStage;
use crate::trace::{Tap, Who};

/// The task of a session.
pub(super) async fn run(place: Place, server: Arc<Server>, peer: Rc<Peer>) {
    let mut driver = Driver::new(&place, server, peer);
    if Box::pin(driver.begin(&place)).await.is_ok() {
        driver.converse().await;
    }
    // Replies that are still due: to QUIT, or with the reason why we close.
    driver.flush().await;
    driver.end().await;
}

/// The session is over.
pub(super) struct Over;

pub(super) struct Driver {
    pub(super) machine: Session,
    pub(super) shard: Rc<Shard>,
    pub(super) server: Arc<Server>,
    /// The live stage, where the connection is on it: its server, its scripts.
    pub(super) stage: Option<OnStage>,
    pub(super) peer: Rc<Peer>,
    pub(super) client: Client,
    /// Which of the startup file's servers it is.
    pub(super) number: usize,
    /// The connection as one of its client's.
    pub(super) counted: Option<Counted>,
    pub(super) hello: Option<Hello>,
    /// What was agreed in a handshake; `None` in clear.
    pub(super) tls: Option<Rc<TlsInfo>>,
    pub(super) transaction: Option<Box<Transaction>>,
    /// With the scripts, if the server has any.
    pub(super) talk: Option<Box<Talk>>,
    pub(super) clocks: Clocks,
    /// What has arrived and was not stepped through.
    pub(super) input: Option<Input>,
    /// Why we close; `None` while we do not, and when the peer did.
    pub(super) closed: Option<Close>,
    /// More about that, for a script that asks.
    pub(super) ending: Option<Box<Ending>>,
    /// What operators watch.
    pub(super) tap: Tap,
}

/// What the end of a message comes to. What is queued is durable.
pub(super) enum Settled {
    /// Queued, or dropped because a script says so, under this id.
    Queued(Uuid),
    /// The same with an answer of the script's.
    Said(Reply),
    /// The script has refused it.
    Refused(Refusal),
    /// It could not be taken.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Settled {
    fn from(error: E) -> Settled {
        Settled::Failed(error.into())
    }
}

/// What the machine asks for and takes a wait to answer.
enum Awaited {
    Event(Event),
    /// The handshake of STARTTLS.
    Handshake,
}

/// Input that has arrived: a buffer, mostly of the ring, or a copy of what was left of one when the session had to wait.
pub(super) enum Input {
    Received(Received, usize),
    Copy(Vec<u8>, usize),
}

impl Input {
    pub(super) fn rest(&self) -> &[u8] {
        match self {
            Input::Received(buffer, used) => &buffer[*used..],
            Input::Copy(bytes, used) => &bytes[*used..],
        }
    }

    fn advance(&mut self, by: usize) {
        match self {
            Input::Received(_, used) | Input::Copy(_, used) => *used += by,
        }
    }

    /// Gives the ring its buffer back, before a wait.
    fn release(&mut self) {
        if let Input::Received(..) = self
            && let Input::Received(buffer, used) = std::mem::replace(self, Input::Copy(Vec::new(), 0))
        {
            *self = Input::Copy(buffer.into_vec(used), 0);
        }
    }
}

impl Driver {
    /// For a connection that nothing was read from.
    pub(super) fn new(place: &Place, server: Arc<Server>, peer: Rc<Peer>) -> Driver {
        Driver {
            machine: Session::new(Arc::clone(&server.session)),
            shard: Rc::clone(&place.shard),
            server,
            stage: None,
            client: Client::new(peer.stream.peer_addr(), peer.stream.local_addr()),
            peer,
            number: place.door.server,
            counted: None,
            hello: None,
            tls: None,
            transaction: None,
            talk: None,
            clocks: Clocks::start(),
            input: None,
            closed: None,
            ending: None,
            tap: Tap::default(),
        }
    }

    /// Closes the connection, of which the last script hears.
    pub(super) async fn end(&mut self) {
        self.peer.turn.set(Turn::Server);
        let _ = engine::time::timeout(limits::FAREWELL, self.peer.stream.close()).await;
        if self.talk.is_some() {
            Box::pin(self.hook_disconnect()).await;
        }
    }

    /// From the first byte to the greeting. The error means that the session is over.
    async fn begin(&mut self, place: &Place) -> Result<(), Over> {
        let met = if place.admitted { self.meet().await } else { Err(Refused::TooMany) };
        if let Err(Refused::Silently) = met {
            return Err(Over);
        }
        self.begin_in_tls(place.door.listener, met.is_ok()).await?;
        self.greet(met.is_ok()).await
    }

    /// Up to the greeting. The error means that the session is over.
    async fn greet(&mut self, admitted: bool) -> Result<(), Over> {
        self.watch();
        let Step::Event(Event::Connect) = self.machine.step(&mut &[][..]) else { return Err(Over) };
        if !admitted {
            self.refuse_connection(LocalLimit::TooManyConnections);
            return Err(Over);
        }
        self.begin_talk();
        self.peer.turn.set(Turn::Answer);
        if self.has_script(&Event::Connect) {
            self.hook_connect().await;
        } else {
            self.machine.accept();
        }
        if self.input.is_some() {
            return Ok(());
        }
        match self.early_input().await {
            None => {}
            Some(Ok(early)) if !early.is_empty() => self.input = Some(Input::Received(early, 0)),
            Some(_) => return Err(Over),
        }
        Ok(())
    }

    /// What has arrived before the greeting leaves: sent by a peer that did not wait for it. Costs one loop turn, in
    /// which the kernel hands over what it already has.
    async fn early_input(&self) -> Option<io::Result<Received>> {
        let mut recv = pin!(self.peer.stream.recv());
        for turn in 0..2 {
            if turn > 0 {
                engine::task::yield_now().await;
            }
            let polled = poll_fn(|cx| Poll::Ready(recv.as_mut().poll(cx))).await;
            if let Poll::Ready(received) = polled {
                return Some(received);
            }
        }
        None
    }

    /// Until the session is over. What may wait long or holds much is boxed: it must not make the task of every
    /// idle session as large.
    async fn converse(&mut self) {
        loop {
            loop {
                match self.consume() {
                    Ok(None) => break,
                    Ok(Some(awaited)) => {
                        if Box::pin(self.answer(awaited)).await.is_err() {
                            return;
                        }
                    }
                    Err(Over) => return,
                }
            }
            if self.machine.in_data() {
                Box::pin(self.await_room()).await;
            }
            if !self.flush().await {
                return;
            }
            if self.shard.is_stopping() && !self.machine.in_transaction() {
                self.refuse_connection(LocalLimit::ShuttingDown);
                return;
            }
            if self.receive().await.is_err() {
                return;
            }
        }
    }

    /// The client is read no further than the buffers allow.
    async fn await_room(&mut self) {
        if let Some(transaction) = &mut self.transaction
            && let Err(error) = transaction.ready().await
        {
            self.refuse_message(error);
        }
    }

    /// Answers what takes a wait. The error means that the session is over.
    async fn answer(&mut self, awaited: Awaited) -> Result<(), Over> {
        match awaited {
            Awaited::Event(Event::EndOfData(summary)) => self.commit(summary).await,
            Awaited::Event(Event::Line) => self.hook_line().await,
            Awaited::Event(Event::Hello(hello)) => self.hook_hello(hello).await,
            Awaited::Event(Event::Mail(mail)) => self.hook_mail(mail).await,
            Awaited::Event(Event::Rcpt(rcpt)) => self.hook_rcpt(rcpt).await,
            Awaited::Event(Event::Auth(claim)) => self.hook_auth(claim).await,
            Awaited::Event(event) => self.decide(event),
            Awaited::Handshake => self.shake_hands(&[]).await?,
        }
        Ok(())
    }

    /// Whether the answer to an event takes a wait.
    fn must_wait(&self, event: &Event) -> bool {
        matches!(event, Event::EndOfData(_)) || self.has_script(event)
    }

    /// Answers the end of data.
    async fn commit(&mut self, summary: Summary) {
        self.tap.note(format_args!("message, {} bytes", summary.size_bytes));
        let id = self.transaction_id();
        match self.settle_message(summary).await {
            Settled::Queued(id) => self.accept_message(id),
            Settled::Said(reply) => self.machine.reply(&reply),
            Settled::Refused(refusal) => self.answer_refusal(&refusal, Action::Message),
            Settled::Failed(error) => {
                self.machine.refuse(error);
                self.log_refusal_within(id, error, Action::Command);
            }
        }
        self.forget_transaction();
    }

    /// A message has come in whole: asks the script, makes it durable, queues it.
    pub(super) async fn settle_message(&mut self, summary: Summary) -> Settled {
        let Some(transaction) = self.transaction.take() else { return Storage::Failed.into() };
        self.client.name.settle().await;
        let at = Reception {
            shard: &self.shard,
            server: &self.server,
            stage: self.stage.as_ref(),
            client: &self.client,
            hello: self.hello.as_ref(),
        };
        let prefix = transaction.received(at);
        if let Some(script) = self.server.hooks.eod
            && self.talk.is_some()
        {
            return self.hook_end_of_data(script, transaction, summary, prefix).await;
        }
        let id = transaction.id;
        match transaction.commit(at, summary, prefix, None).await {
            Ok(()) => Settled::Queued(id),
            Err(error) => Settled::Failed(error),
        }
    }

    /// The message is the server's now.
    fn accept_message(&mut self, id: Uuid) {
        self.machine.accept_message(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    }

    pub(super) fn refuse_connection(&mut self, limit: LocalLimit) {
        let error = Error::LocalLimit(limit);
        self.machine.abort(error);
        // It is told here, and not once more when the machine says that it closes.
        self.closed = Some(Close::Failed(error));
        self.log_refusal(error, Action::Connection);
    }

    /// Sends all replies so far. False when the peer has gone.
    pub(super) async fn flush(&mut self) -> bool {
        let output = self.machine.take_output();
        if output.is_empty() {
            return true;
        }
        self.tap.sent(&output);
        match self.peer.send(output).await {
            Ok(()) => true,
            Err(error) => {
                self.note_ending(|_| Ending::Broken(error));
                false
            }
        }
    }

    /// Waits for input as long as the machine's patience lasts; when that is over, the machine is told, and says
    /// what to do at the next step. The error means that the peer has gone.
    async fn receive(&mut self) -> Result<(), Over> {
        self.watch();
        let (wait, clock) = self.clocks.wait(self.machine.patience());
        if !self.machine.in_transaction() {
            self.peer.turn.set(Turn::Client);
        }
        let received = engine::time::timeout(wait, self.peer.recv()).await;
        self.peer.turn.set(Turn::Answer);
        if self.peer.dismissed.get() {
            // An answer would run into the farewell that is being sent.
            self.closed = Some(Close::Failed(LocalLimit::ShuttingDown.into()));
            return Err(Over);
        }
        match received {
            Ok(Ok(buffer)) if !buffer.is_empty() => self.input = Some(Input::Received(buffer, 0)),
            Ok(ended) => {
                let error = ended.err().unwrap_or_else(closed_by_peer);
                self.note_ending(|_| Ending::Broken(error));
                return Err(Over);
            }
            Err(engine::time::Elapsed) => self.machine.timed_out(clock),
        }
        Ok(())
    }

    /// Takes up the traces that are on, and the log where the dialogue goes there.
    pub(super) fn watch(&mut self) {
        let begins = self.server.verbose && !self.tap.is_on();
        if begins || self.tap.is_stale(&self.shard.stats.traces) {
            let remote = self.client.remote;
            let who = Who { outgoing: false, remote: remote.ip(), name: &self.server.id };
            let local = self.peer.stream.local_addr();
            let log = self.server.verbose.then_some(&self.shard.log);
            self.tap.renew(&self.shard.stats.traces, who, (local, remote), log);
        }
    }

    /// Steps through what has arrived to its end, or to something whose answer takes a wait.
    fn consume(&mut self) -> Result<Option<Awaited>, Over> {
        let mut input = self.input.take().unwrap_or(Input::Copy(Vec::new(), 0));
        loop {
            let mut rest = input.rest();
            let len = rest.len();
            let shows = self.tap.is_on() && !self.machine.in_data();
            let step = self.machine.step(&mut rest);
            let used = len - rest.len();
            if shows && !matches!(step, Step::Body(_)) {
                self.tap.received(&input.rest()[..used]);
            }
            match step {
                Step::NeedInput => return Ok(None),
                Step::Handshake => return Ok(Some(Awaited::Handshake)),
                Step::Close(why) => {
                    self.log_close(why);
                    return Err(Over);
                }
                Step::Body(bytes) => {
                    if let Some(transaction) = &mut self.transaction {
                        transaction.write(bytes);
                    }
                    input.advance(used);
                }
                Step::Discard(why) => {
                    input.advance(used);
                    self.discard(why);
                }
                Step::Event(event) if self.must_wait(&event) => {
                    input.advance(used);
                    input.release();
                    self.input = Some(input);
                    return Ok(Some(Awaited::Event(event)));
                }
                Step::Event(event) => {
                    input.advance(used);
                    self.decide(event);
                }
            }
        }
    }

    /// Answers an event that needs no wait.
    pub(super) fn decide(&mut self, event: Event) {
        let decision = match event {
            Event::Hello(hello) => {
                self.note_hello(hello);
                Ok(())
            }
            Event::Mail(mail) => {
                self.begin_transaction(mail).map(|transaction| self.note_transaction(transaction))
            }
            Event::Rcpt(rcpt) => {
                self.note_recipient(rcpt, None);
                Ok(())
            }
            Event::Data => match &mut self.transaction {
                Some(transaction) => transaction.open_intake(&self.shard),
                None => Ok(()),
            },
            // Offered only where there is a certificate; the handshake follows.
            Event::StartTls => Ok(()),
            Event::XClient(xclient) => return self.xclient(*xclient),
            Event::Auth(claim) => return self.auth_unchecked(&claim),
            // Answered elsewhere.
            Event::Connect | Event::Line | Event::EndOfData(_) => Ok(()),
        };
        match decision {
            Ok(()) => self.machine.accept(),
            Err(error) => self.refuse_event(error),
        }
    }

    pub(super) fn refuse_event(&mut self, error: Error) {
        self.machine.refuse(error);
        self.log_refusal(error, Action::Command);
    }

    /// While a message comes in: it cannot be stored.
    fn refuse_message(&mut self, error: Error) {
        self.transaction = None;
        self.machine.refuse_message(error);
        self.log_refusal(error, Action::Message);
    }

    fn discard(&mut self, why: Discard) {
        if let Discard::Refused(error) = why {
            self.log_refusal(error, Action::Message);
        }
        self.forget_transaction();
    }
}

pub(super) fn closed_by_peer() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed the connection")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task_bytes<A, B, C, F: Future>(_: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_task_of_an_idle_session_is_small() {
        let bytes = task_bytes(run);
        assert!(bytes <= 900, "{bytes} bytes");
    }
}

//! Servers of type `http` and `https`: a message comes whole, by one request, and goes through the end of data as one does that
//! came by SMTP (reference: configuration 4.6, cli-and-operations 7.3).
//!
//! - here: a connection, its requests, what is not let in; [`request`] says what that is (pure).
//! - [`submission`]: one that is let in, to its answer; its parts as they come are [`parts`], its options [`options`] (pure).
//! - [`answer`]: what is answered (pure).
//!
//! The connection is a [`Driver`] whose SMTP machine is never stepped: client, TLS, scripts and log are the same.

mod answer;
mod options;
mod parts;
mod request;
mod submission;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::time::timeout;
use net::http::server::{BadRequest, BodyReader, Framing, RequestHead};
use net::smtp::error::{Error, LocalLimit};
use net::smtp::server::Close;
use tls::Received;

use super::Place;
use super::client::Refused;
use super::driver::{Driver, Over, closed_by_peer};
use super::ending::Ending;
use super::peer::{Peer, Turn};
use crate::limits;
use crate::log::event::{Action, AuthFailed, Event};
use crate::snapshot::Server;
use answer::Answer;

/// The task of a connection. What may hold much is boxed: it must not make the task of every idle connection as large.
pub(super) async fn run(place: Place, server: Arc<Server>, peer: Rc<Peer>) {
    let mut connection = Connection { driver: Driver::new(&place, server, peer), ahead: Vec::new() };
    if Box::pin(connection.begin(&place)).await.is_ok() {
        connection.converse().await;
    }
    connection.driver.end().await;
}

/// The answer to a request that is not over when the service closes.
pub(super) fn closing(error: Error) -> Bytes {
    Answer::error(503, error.text(), false).encode(false, true).into()
}

struct Connection {
    driver: Driver,
    /// What has arrived and was not read.
    ahead: Vec<u8>,
}

/// Why nothing more comes.
enum Lost {
    Gone,
    TimedOut,
}

impl Connection {
    /// Up to the first request.
    async fn begin(&mut self, place: &Place) -> Result<(), Over> {
        let driver = &mut self.driver;
        let met = if place.admitted { driver.meet().await } else { Err(Refused::TooMany) };
        if let Err(Refused::Silently) = met {
            return Err(Over);
        }
        driver.begin_in_tls(place.door.listener, met.is_ok()).await?;
        if let Some(early) = driver.input.take() {
            self.ahead = early.rest().to_vec();
        }
        driver.watch();
        if met.is_err() {
            let error = Error::from(LocalLimit::TooManyConnections);
            driver.log_refusal(error, Action::Connection);
            let answer = Answer::error(503, error.text(), false);
            self.answer(&answer, false, true).await;
            return Err(Over);
        }
        driver.begin_talk();
        Ok(())
    }

    /// Request after request, until the connection is over.
    async fn converse(&mut self) {
        while let Ok(head) = self.next_head().await {
            if !Box::pin(self.serve(head)).await {
                self.driver.closed.get_or_insert(Close::HungUp);
                return;
            }
        }
    }

    /// The next request.
    async fn next_head(&mut self) -> Result<Result<RequestHead, BadRequest>, Over> {
        let mut deadline = None;
        loop {
            match RequestHead::parse(&self.ahead) {
                Ok(None) => {}
                Ok(Some((head, used))) => {
                    self.ahead.drain(..used);
                    return Ok(Ok(head));
                }
                Err(bad) => return Ok(Err(bad)),
            }
            let is_idle = self.ahead.is_empty();
            if is_idle {
                self.ahead = Vec::new();
            }
            let now = engine::time::now();
            let idle = self.driver.server.session.timeouts.idle;
            let wait = match is_idle {
                true => idle,
                false => idle.min(*deadline.get_or_insert(now + limits::HTTP_HEAD_PATIENCE) - now),
            };
            if is_idle && self.driver.shard.is_stopping() {
                self.driver.closed = Some(Close::HungUp);
                return Err(Over);
            }
            self.driver.watch();
            self.driver.peer.turn.set(if is_idle { Turn::Client } else { Turn::Answer });
            let received = self.receive(wait).await;
            self.driver.peer.turn.set(Turn::Answer);
            if self.driver.peer.dismissed.get() {
                self.driver.closed = Some(Close::HungUp);
                return Err(Over);
            }
            match received {
                Ok(bytes) => self.ahead.extend_from_slice(&bytes),
                Err(Lost::Gone) => return Err(Over),
                Err(Lost::TimedOut) => {
                    self.driver.closed = Some(Close::HungUp);
                    if !is_idle {
                        let answer = Answer::error(408, "the request did not come in time", false);
                        Box::pin(self.answer(&answer, false, true)).await;
                    }
                    return Err(Over);
                }
            }
        }
    }

    /// Answers one request. False: it was the last.
    async fn serve(&mut self, head: Result<RequestHead, BadRequest>) -> bool {
        let head = match head {
            Ok(head) => head,
            Err(bad) => {
                let text = match bad {
                    BadRequest::Malformed => "this is no HTTP/1.1",
                    BadRequest::TooLarge => "the head of the request is too large",
                };
                return self.answer(&Answer::error(bad.status(), text, false), false, true).await;
            }
        };
        self.driver.tap.note(format_args!("{} {}", head.method, head.path));
        let current = self.current();
        let keys = current.http.as_ref().map_or(&[][..], |http| &http.api_keys);
        match request::judge(&head, keys, body_bytes_max(&self.driver.server)) {
            Ok(welcome) => self.submit(head, &welcome).await,
            Err(refused) => {
                if refused.wrong_key {
                    self.log_wrong_key();
                }
                let is_whole = head.keep_alive && self.discard(&head).await;
                self.answer(&refused.answer, is_whole, head.method != "HEAD").await
            }
        }
    }

    /// The server as it is configured now. A connection that lasts is not served by another one for long: its requests must
    /// have a key that is one now, and the answer to the next one is its last.
    fn current(&self) -> Arc<Server> {
        let driver = &self.driver;
        match &driver.stage {
            Some(stage) if driver.shard.stage.has(stage) => Arc::clone(&driver.server),
            _ => Arc::clone(&driver.shard.snapshot().servers[driver.number]),
        }
    }

    /// Reads the body of a request that is refused, if it is small. False: it was not read.
    async fn discard(&mut self, head: &RequestHead) -> bool {
        let framing = match head.framing() {
            Ok(None) => return true,
            Ok(Some(Framing::Length(bytes))) if bytes > limits::HTTP_DISCARD_BYTES => return false,
            // It waits to be told that its body is welcome.
            Ok(Some(_)) if head.expects_continue() && self.ahead.is_empty() => return false,
            Ok(Some(framing)) => framing,
            Err(_) => return false,
        };
        let (mut body, mut dropped) = (BodyReader::new(framing), 0u64);
        let deadline = engine::time::now() + limits::HTTP_HEAD_PATIENCE;
        loop {
            let mut input = &self.ahead[..];
            let done = body.receive(&mut input, |data| dropped += data.len() as u64);
            self.ahead = input.to_vec();
            match done {
                Ok(true) => return true,
                Ok(false) if dropped <= limits::HTTP_DISCARD_BYTES => {}
                _ => return false,
            }
            let wait = self.driver.server.session.timeouts.idle.min(deadline - engine::time::now());
            let Ok(bytes) = self.receive(wait).await else { return false };
            self.ahead.extend_from_slice(&bytes);
        }
    }

    /// Waits for bytes.
    async fn receive(&mut self, wait: Duration) -> Result<Received, Lost> {
        match timeout(wait, self.driver.peer.recv()).await {
            Ok(Ok(bytes)) if !bytes.is_empty() => Ok(bytes),
            Ok(ended) => {
                let error = ended.err().unwrap_or_else(closed_by_peer);
                self.driver.note_ending(|_| Ending::Broken(error));
                Err(Lost::Gone)
            }
            Err(engine::time::Elapsed) => Err(Lost::TimedOut),
        }
    }

    /// Sends an answer. False: nothing else comes on this connection.
    async fn answer(&mut self, answer: &Answer, keep: bool, with_body: bool) -> bool {
        let keep =
            keep && !self.driver.shard.is_stopping() && Arc::ptr_eq(&self.driver.server, &self.current());
        self.driver.tap.note(format_args!("answered {}", answer.status));
        let sent = self.send(answer.encode(keep, with_body).into()).await;
        if sent && !keep {
            // Whether it has read all or not, this is the end.
            self.driver.peer.turn.set(Turn::Server);
            let _ = timeout(limits::FAREWELL, self.driver.peer.linger()).await;
        }
        sent && keep
    }

    async fn send(&mut self, bytes: Bytes) -> bool {
        matches!(timeout(limits::HTTP_SEND_PATIENCE, self.driver.peer.send(bytes)).await, Ok(Ok(())))
    }

    /// The line that `packaging/fail2ban` looks for.
    fn log_wrong_key(&self) {
        let driver = &self.driver;
        driver.shard.log.event(&Event::AuthFailed(&AuthFailed {
            server: &driver.server.id,
            remote: driver.client.remote,
            mechanism: "X-API-Key",
            user: None,
            why: "none of the server's keys",
        }));
    }
}

/// What a body may take that holds a message of the largest size.
fn body_bytes_max(server: &Server) -> u64 {
    match server.session.size_bytes_max {
        0 => u64::MAX,
        most => most
            .saturating_add(limits::SUBMISSION_OPTIONS_BYTES as u64)
            .saturating_add(limits::SUBMISSION_FORM_BYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task_bytes<A, B, C, F: Future>(_: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_task_of_an_idle_connection_is_small() {
        let bytes = task_bytes(run);
        assert!(bytes <= 1100, "{bytes} bytes");
    }
}

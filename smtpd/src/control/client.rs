//! One client of the control socket.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use control::framing::{self, Request, RequestDecoder, RequestError, Status};
use control::smtpd::HslLogResponse;
use control::{Command, Message};
use engine::net::Conn;
use hostcalls::debugger::Printed;
use tls::{ServerSide, Stream};

use super::dispatch;
use super::transfer::Known;
use crate::limits;
use crate::log::Priority;
use crate::program::Control;
use crate::stage::{End, Watching};

/// One client, as those who answer it see it.
#[derive(Debug)]
pub struct Client {
    /// The control thread's state.
    pub control: Rc<Control>,
    /// `uid 0, pid 17`, or its address.
    who: String,
    /// Tells clients apart.
    number: u64,
    stream: Stream,
    decoder: RefCell<RequestDecoder>,
    /// Requests that have come and were not answered.
    ahead: RefCell<VecDeque<Result<Request, RequestError>>>,
    /// The live stage whose scripts it looks at.
    pub(super) watching: RefCell<Option<Watching>>,
    /// What it has taken into the queue goes by this.
    pub(super) known: RefCell<Option<Known>>,
}

/// The client does not take what it is sent, or has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// What happened while a client was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meanwhile {
    /// Something has changed.
    Changed,
    /// It has said something more.
    More,
    /// It has said its last.
    Ended,
}

/// From its connect to its end.
pub(super) async fn run(control: Rc<Control>, conn: Conn, side: Option<ServerSide>) {
    let who = match conn.credentials() {
        Ok(who) => match who.pid {
            Some(pid) => format!("uid {}, pid {pid}", who.uid),
            None => format!("uid {}", who.uid),
        },
        Err(_) => conn.peer_addr().to_string(),
    };
    let stream = Stream::plain(conn);
    if let Some(side) = side {
        let shaken = engine::time::timeout(limits::TLS_HANDSHAKE, stream.accept_tls(&side)).await;
        let failed = match shaken {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(engine::time::Elapsed) => Some("timed out".to_owned()),
        };
        if let Some(why) = failed {
            control.log.line(Priority::Warning, format_args!("control: {who}: TLS: {why}"));
            return;
        }
    }
    let number = control.next_client();
    let client = Client {
        control,
        who,
        number,
        stream,
        decoder: RefCell::new(RequestDecoder::new()),
        ahead: RefCell::default(),
        watching: RefCell::default(),
        known: RefCell::default(),
    };
    // Why it ended is nobody's business: clients come and go.
    let _ = client.serve().await;
    client.end().await;
}

impl Client {
    async fn serve(&self) -> Result<(), Gone> {
        loop {
            let Some(next) = self.next_request().await? else { return Ok(()) };
            match next {
                Ok(request) => {
                    let (status, payload) = match dispatch::answer(self, request).await {
                        Ok(payload) => (Status::Success, payload),
                        Err(why) => (Status::Error, why.into_bytes()),
                    };
                    self.send(status, &payload).await?;
                }
                Err(error) => {
                    // What follows cannot be told apart any more.
                    self.send(Status::Error, error.to_string().as_bytes()).await?;
                    return self.stream.close().await.map_err(|_| Gone);
                }
            }
        }
    }

    /// What ends with it.
    async fn end(&self) {
        if let Some(stage) = self.control.deck.bound_to(self.number) {
            self.control.end_stage(stage, End::ClientGone).await;
        }
    }

    /// The next request; `None`: it has said its last. Meanwhile it is sent what scripts of its live stage print.
    async fn next_request(&self) -> Result<Option<Result<Request, RequestError>>, Gone> {
        loop {
            self.send_printed().await?;
            if let Some(next) = self.ahead.borrow_mut().pop_front() {
                return Ok(Some(next));
            }
            if self.meanwhile().await? == Meanwhile::Ended {
                return Ok(None);
            }
        }
    }

    /// Waits until the client has said something more, or has ended, or something has changed on the desk of the live stage that it
    /// looks at. Whatever was looked at before the call without a wait in between is not missed.
    pub(super) async fn meanwhile(&self) -> Result<Meanwhile, Gone> {
        let live = self.watching.borrow().as_ref().map(|watching| Rc::clone(watching.live()));
        let mut changed = pin!(async {
            match &live {
                Some(live) => live.desk.changed().await,
                None => pending().await,
            }
        });
        let mut more = pin!(self.read_more());
        poll_fn(|cx| match more.as_mut().poll(cx) {
            Poll::Ready(more) => Poll::Ready(more),
            Poll::Pending => changed.as_mut().poll(cx).map(|()| Ok(Meanwhile::Changed)),
        })
        .await
    }

    /// Reads what comes, but not without end.
    async fn read_more(&self) -> Result<Meanwhile, Gone> {
        if self.ahead.borrow().len() >= limits::CONTROL_AHEAD {
            pending::<()>().await;
        }
        // Holds a buffer only while there is something in it.
        let received = self.stream.recv().await.map_err(|_| Gone)?;
        if received.is_empty() {
            return Ok(Meanwhile::Ended);
        }
        let mut ahead = self.ahead.borrow_mut();
        self.decoder.borrow_mut().take(&received, |next| ahead.push_back(next));
        Ok(Meanwhile::More)
    }

    /// Sends what scripts have printed.
    pub(super) async fn send_printed(&self) -> Result<(), Gone> {
        loop {
            let printed = self.watching.borrow().as_ref().and_then(|watching| watching.live().desk.read());
            let Some(Printed { about, text }) = printed else { return Ok(()) };
            let frame = HslLogResponse { id: about, text };
            self.send(Status::Asynchronous, &frame.encode_to_vec()).await?;
        }
    }

    /// Whether it has asked for this already, after what it waits for.
    pub(super) fn asks_next(&self, command: Command) -> bool {
        let ahead = self.ahead.borrow();
        ahead.front().is_some_and(|next| next.as_ref().is_ok_and(|request| request.command == command))
    }

    /// Tells it from others.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Sends an answer, or something in between.
    ///
    /// # Errors
    /// The client has gone, or takes nothing for [`limits::CONTROL_SEND`].
    pub async fn send(&self, status: Status, payload: &[u8]) -> Result<(), Gone> {
        let mut wire = Vec::with_capacity(payload.len() + 9);
        framing::write_response(&mut wire, status, payload);
        let mut wire = Bytes::from(wire);
        while !wire.is_empty() {
            let part = wire.split_to(wire.len().min(limits::CONTROL_SEND_BYTES));
            let sent = engine::time::timeout(limits::CONTROL_SEND, self.stream.send(part)).await;
            sent.map_err(|_| Gone)?.map_err(|_| Gone)?;
        }
        Ok(())
    }

    /// Waits until the client has gone. What it says meanwhile is lost.
    pub async fn gone(&self) {
        while self.stream.recv().await.is_ok_and(|received| !received.is_empty()) {}
    }

    /// Writes down what a client has changed.
    pub fn log_change(&self, what: std::fmt::Arguments<'_>) {
        self.control.log.line(Priority::Notice, format_args!("control: {}: {what}", self.who));
    }
}

//! One client of the control socket.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use control::framing::{self, RequestDecoder, Status};
use engine::net::Conn;
use tls::{ServerSide, Stream};

use super::dispatch;
use super::transfer::Known;
use crate::limits;
use crate::log::Priority;
use crate::program::Control;

/// One client, as those who answer it see it.
#[derive(Debug)]
pub struct Client {
    /// The control thread's state.
    pub control: Rc<Control>,
    /// `uid 0, pid 17`, or its address.
    who: String,
    stream: Stream,
    /// What it has taken into the queue goes by this.
    pub(super) known: RefCell<Option<Known>>,
}

/// The client does not take what it is sent, or has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

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
    // Why it ended is nobody's business: clients come and go.
    let _ = Client { control, who, stream, known: RefCell::default() }.serve().await;
}

impl Client {
    async fn serve(self) -> Result<(), Gone> {
        let mut decoder = RequestDecoder::new();
        loop {
            // Holds a buffer only while there is something in it.
            let received = self.stream.recv().await.map_err(|_| Gone)?;
            let mut input = &received[..];
            if input.is_empty() {
                return Ok(());
            }
            loop {
                match decoder.next(&mut input) {
                    Ok(Some(request)) => {
                        let (status, payload) = match dispatch::answer(&self, request).await {
                            Ok(payload) => (Status::Success, payload),
                            Err(why) => (Status::Error, why.into_bytes()),
                        };
                        self.send(status, &payload).await?;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        // What follows cannot be told apart any more.
                        self.send(Status::Error, error.to_string().as_bytes()).await?;
                        return self.stream.close().await.map_err(|_| Gone);
                    }
                }
            }
        }
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

//! `-C`: a debugger that waits on a socket in the file system is told where the script stands, and what it prints (reference:
//! cli-and-operations 5.3 and 6.6).

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::path::Path;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use control::framing::{self, Request, RequestDecoder, RequestError, Status};
use control::smtpd::HslLogResponse;
use control::{Command, Message};
use engine::buf::RecvBuf;
use engine::net::Conn;
use engine::task::{Class, Task, spawn};
use engine::time::timeout;
use hostcalls::debugger::{Desk, NO_BREAKPOINT, Printed, response};
use script::machine::Stop;

use crate::limits::{DEBUGGER_AHEAD, DEBUGGER_CONNECT, DEBUGGER_FAREWELL};

/// The debugger, for the scripts of the shard.
pub(crate) struct Debugger {
    desk: Desk,
}

/// The talk with it.
pub(crate) struct Talk {
    debugger: Rc<Debugger>,
    task: Task<()>,
}

/// The debugger has gone.
struct Gone;

impl Talk {
    /// Connects to the debugger and does what it says from now on.
    ///
    /// # Errors
    /// A sentence: it is not there.
    pub(crate) async fn begin(path: &Path) -> Result<Talk, String> {
        let connected = timeout(DEBUGGER_CONNECT, Conn::connect_unix(path)).await;
        let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let conn = connected.map_err(|error| format!("-C {}: {error}", path.display()))?;
        let debugger = Rc::new(Debugger { desk: Desk::default() });
        debugger.desk.enter();
        let talk = Conversation {
            conn,
            debugger: Rc::clone(&debugger),
            decoder: RequestDecoder::new(),
            ahead: VecDeque::new(),
            told: false,
        };
        let task = spawn(Class::Interactive, talk.serve());
        Ok(Talk { debugger, task })
    }

    /// What scripts stop for.
    pub(crate) fn debugger(&self) -> &Rc<Debugger> {
        &self.debugger
    }

    /// The script has ended: the debugger is sent what is left, and let go.
    pub(crate) async fn end(self) {
        self.debugger.desk.close();
        let _ = timeout(DEBUGGER_FAREWELL, self.task).await;
    }
}

impl Debugger {
    /// Shows what a script prints. False: nobody looks.
    pub(crate) fn print(&self, text: &[u8]) -> bool {
        let is_open = !self.desk.is_closed();
        if is_open {
            self.desk.print(Printed { about: String::new(), text: text.to_vec() });
        }
        is_open
    }
}

impl hostcalls::Debugger for Debugger {
    fn is_attached(&self) -> bool {
        !self.desk.is_closed()
    }

    fn stage(&self) -> Option<Rc<str>> {
        None
    }

    fn stop(&self, stop: Stop) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        // There is one shard with one script, which stands in one place.
        Box::pin(self.desk.stand((0, 0), stop))
    }
}

struct Conversation {
    conn: Conn,
    debugger: Rc<Debugger>,
    decoder: RequestDecoder,
    /// Requests that were not answered.
    ahead: VecDeque<Result<Request, RequestError>>,
    /// It was told that the script has ended.
    told: bool,
}

impl Conversation {
    /// Until the debugger goes, or the script has ended and it was told so.
    async fn serve(mut self) {
        let _ = self.converse().await;
        // Who stands goes on.
        self.debugger.desk.close();
        let _ = self.conn.shutdown().await;
    }

    async fn converse(&mut self) -> Result<(), Gone> {
        let debugger = Rc::clone(&self.debugger);
        let desk = &debugger.desk;
        loop {
            while let Some(Printed { text, .. }) = desk.read() {
                let frame = HslLogResponse { id: String::new(), text };
                self.send(Status::Asynchronous, &frame.encode_to_vec()).await?;
            }
            let answer = match self.ahead.front() {
                Some(Ok(request)) => answer(desk, request.command),
                Some(Err(error)) => {
                    let error = error.to_string();
                    self.send(Status::Error, error.as_bytes()).await?;
                    return Err(Gone);
                }
                None if self.told => return Ok(()),
                None => None,
            };
            if let Some((status, payload)) = answer {
                self.ahead.pop_front();
                self.send(status, &payload).await?;
                self.told = desk.is_closed() && status == Status::Error;
                continue;
            }
            if let Some(received) = self.more(desk).await {
                let received = received.map_err(|_| Gone)?;
                self.take(&received)?;
            }
        }
    }

    /// What comes next; `None`: something has changed on the desk.
    async fn more(&self, desk: &Desk) -> Option<io::Result<RecvBuf>> {
        if desk.is_closed() {
            // Between two commands it has not heard of the end yet.
            return Some(self.conn.recv().await);
        }
        let mut changed = pin!(desk.changed());
        let mut more = pin!(self.conn.recv());
        poll_fn(|cx| match more.as_mut().poll(cx) {
            Poll::Ready(more) => Poll::Ready(Some(more)),
            Poll::Pending => changed.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    /// Takes what has come.
    fn take(&mut self, input: &[u8]) -> Result<(), Gone> {
        if input.is_empty() || self.ahead.len() > DEBUGGER_AHEAD {
            return Err(Gone);
        }
        self.decoder.take(input, |next| self.ahead.push_back(next));
        Ok(())
    }

    async fn send(&self, status: Status, payload: &[u8]) -> Result<(), Gone> {
        let mut wire = Vec::with_capacity(payload.len() + 9);
        framing::write_response(&mut wire, status, payload);
        self.conn.send(Bytes::from(wire)).await.map_err(|_| Gone)
    }
}

/// The answer to a command; `None`: not yet.
fn answer(desk: &Desk, command: Command) -> Option<(Status, Vec<u8>)> {
    let no = || (Status::Error, NO_BREAKPOINT.as_bytes().to_vec());
    let first = || desk.first().map(|stop| (Status::Success, response(stop).encode_to_vec()));
    match command {
        Command::BreakPointWait => first().or_else(|| desk.is_closed().then(no)),
        Command::BreakPointPoll => Some(first().unwrap_or_else(no)),
        Command::BreakPointContinue => {
            Some(desk.go_on().map_or_else(|_| no(), |()| (Status::Success, Vec::new())))
        }
        _ => Some((Status::Error, b"hsh knows the commands d, e and f".to_vec())),
    }
}

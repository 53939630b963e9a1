//! How a connection ends, for the last hook (reference: hooks 3.10).

use std::io;

use hooks::{EndError, Ended};
use net::smtp::error::Error;
use net::smtp::reply::{EnhancedCode, Reply};
use net::smtp::server::Close;
use nix::errno::Errno;
use tls::TlsError;

use super::driver::Driver;

/// OpenSSL's number for all that goes wrong in TLS; which of its many reasons it would be, nobody else can say.
const SSL_ERROR_SSL: i32 = 1;

/// Why a connection is over, as far as the machine does not say it.
#[derive(Debug)]
pub(super) enum Ending {
    /// It broke, or the peer closed it.
    Broken(io::Error),
    /// The TLS handshake failed.
    NoTls(TlsError),
    /// We hung up after this reply, and what it answers.
    Said(Reply, &'static str),
}

impl Driver {
    /// Closes the connection behind a reply that has been given.
    pub(super) fn hang_up_after(&mut self, reply: &Reply) {
        self.note_ending(|driver| Ending::Said(driver.as_sent(reply.clone()), driver.machine.stage()));
        self.machine.hang_up();
    }

    /// Notes what ends the connection, where a script may ask for it.
    pub(super) fn note_ending(&mut self, ending: impl FnOnce(&Driver) -> Ending) {
        if self.server.hooks.disconnect.is_some() && self.ending.is_none() {
            self.ending = Some(Box::new(ending(self)));
        }
    }

    /// The last hook, once the connection is over.
    pub(super) async fn hook_disconnect(&mut self) {
        let Some(script) = self.server.hooks.disconnect else { return };
        let ended = self.ended();
        if let Some(talk) = &mut self.talk {
            talk.conversation.disconnect(&talk.runner, script, &ended).await;
        }
    }

    fn ended(&mut self) -> Ended {
        let by_us =
            |reply, state: &str| Ended { local: true, reply: Some((reply, state.to_owned())), error: None };
        match (self.closed, self.ending.take().map(|ending| *ending)) {
            (Some(Close::Quit), _) => {
                let enhanced = EnhancedCode { class: 2, subject: 0, detail: 0 };
                by_us(self.as_sent(Reply::new(221, Some(enhanced), "Bye")), "QUIT")
            }
            (Some(Close::Failed(error)), _) => by_us(self.as_sent(reply_of(error)), self.machine.stage()),
            (_, Some(Ending::Said(reply, stage))) => by_us(reply, stage),
            (_, Some(Ending::NoTls(error))) => without_tls(&error),
            (_, Some(Ending::Broken(error))) => broken(&error),
            (Some(Close::HungUp), None) => Ended { local: true, ..Ended::default() },
            (None, None) => Ended::default(),
        }
    }

    /// A reply as the peer has got it.
    fn as_sent(&self, reply: Reply) -> Reply {
        if self.machine.with_enhanced() { reply } else { reply.without_enhanced() }
    }
}

fn reply_of(error: Error) -> Reply {
    Reply::new(error.code(), Some(error.enhanced()), error.text())
}

fn broken(error: &io::Error) -> Ended {
    // The stream says so of what breaks the rules of TLS.
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(fault) => without_tls(fault),
        None => on_socket(false, error.to_string(), error.raw_os_error().unwrap_or_default()),
    }
}

/// Who closes depends on who is at fault: of what the peer says wrong we tell it and go.
fn without_tls(error: &TlsError) -> Ended {
    let reason = error.to_string();
    match error {
        TlsError::Connection(cause) => on_socket(false, reason, cause.raw_os_error().unwrap_or_default()),
        TlsError::Ended => on_socket(false, reason, 0),
        TlsError::TimedOut => on_socket(true, reason, Errno::ETIMEDOUT as i32),
        TlsError::Refused(_) => in_tls(false, reason),
        TlsError::Certificate(..) | TlsError::Peer(_) | TlsError::Own(_) => in_tls(true, reason),
    }
}

fn on_socket(local: bool, reason: String, code: i32) -> Ended {
    Ended { local, reply: None, error: Some(EndError { reason, kind: "socket", code }) }
}

fn in_tls(local: bool, reason: String) -> Ended {
    Ended { local, reply: None, error: Some(EndError { reason, kind: "tls", code: SSL_ERROR_SSL }) }
}

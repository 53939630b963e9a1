//! TLS of a session: implicit, or after STARTTLS.

use std::rc::Rc;
use std::sync::Arc;

use net::smtp::error::LocalLimit;
use tls::TlsError;

use super::driver::{Driver, Input, Over};
use super::ending::Ending;
use super::peer::Turn;
use crate::limits;
use crate::log::event::{Action, Event, TlsFailed};

impl Driver {
    /// TLS before the greeting (RFC 8314), where the listener begins with it. The error means that the session is over.
    pub(super) async fn begin_in_tls(&mut self, listener: usize, admitted: bool) -> Result<(), Over> {
        let tls = self.server.tls.as_ref();
        if tls.is_none_or(|tls| tls.implicit.get(listener) != Some(&true)) {
            return Ok(());
        }
        if !admitted {
            // There is no way to say so without the work of a handshake.
            self.log_refusal(LocalLimit::TooManyConnections.into(), Action::Connection);
            return Err(Over);
        }
        // What came behind a proxy's header belongs to the handshake.
        let early = self.input.take();
        self.shake_hands(early.as_ref().map_or(&[], Input::rest)).await
    }

    /// The handshake, of which `early` has come, once its announcement has been sent. What arrived in clear before it is
    /// dropped: it may have been put there by somebody between the client and us. The error means that the session is
    /// over.
    pub(super) async fn shake_hands(&mut self, early: &[u8]) -> Result<(), Over> {
        self.input = None;
        if !self.flush().await {
            return Err(Over);
        }
        let server = Arc::clone(&self.server);
        let Some(tls) = &server.tls else { return Err(Over) };
        self.peer.turn.set(Turn::Server);
        let accepting = self.peer.stream.accept_tls_after(&tls.side, early);
        let agreed = engine::time::timeout(limits::TLS_HANDSHAKE, accepting).await;
        match agreed.unwrap_or(Err(TlsError::TimedOut)) {
            Ok(info) => {
                self.peer.turn.set(Turn::Answer);
                self.tap.note(format_args!("TLS: {} {}", info.version, info.cipher));
                self.tls = Some(Rc::new(info));
                self.hello = None;
                self.client.user = None;
                self.forget_transaction();
                self.tell_of_tls();
                self.machine.tls_started();
                Ok(())
            }
            Err(error) => {
                self.log_tls_failure(&error);
                self.note_ending(|_| Ending::NoTls(error));
                Err(Over)
            }
        }
    }

    fn log_tls_failure(&self, error: &TlsError) {
        self.shard.log.event(&Event::TlsFailed(&TlsFailed {
            server: &self.server.id,
            remote: self.client.remote,
            error: &error.to_string(),
        }));
    }
}

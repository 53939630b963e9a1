//! What is known of an attempt beside its outcome: for the log and for accounting.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use engine::time::Instant;
use net::smtp::reply::Reply;
use queue::RetryPolicy;
use tls::{ResultType, TlsInfo};
use uuid::Uuid;

/// Facts of one attempt, filled in along its way. What it did not get to stays empty.
#[derive(Clone, Debug, Default)]
pub struct AttemptFacts {
    /// Our address and port.
    pub local: Option<SocketAddr>,
    /// Id of our address in the configuration.
    pub source: Option<Arc<str>>,
    /// The peer's address and port.
    pub remote: Option<SocketAddr>,
    /// Name of the host, as DNS or the configuration gave it.
    pub mx: Option<Arc<str>>,
    /// The name given with EHLO.
    pub helo: Option<Arc<str>>,
    /// What was agreed in the TLS handshake; `None` in clear text.
    pub tls: Option<Rc<TlsInfo>>,
    /// The connection, once it was greeted.
    pub connection: Option<Rc<ConnectionFacts>>,
    /// What came of the question for TLSA records, where the last host was asked for them.
    pub tlsa: Option<hooks::queued::Tlsa>,
    /// What failed of TLS with the last host, where it was wanted.
    pub tls_result: Option<ResultType>,
    /// What ended the session with the last host before a transaction, in a word, if it was no reply.
    pub trouble: Option<&'static str>,
    /// DANE stood in the way of the last host.
    pub dane_failed: bool,
    /// The schedule of the last host's route, where that is not the transport's.
    pub retry: Option<Arc<RetryPolicy>>,
    /// What DNS said, in a word, where that ended the attempt.
    pub dns_trouble: Option<&'static str>,
    /// Connections opened or tried to be opened for it.
    pub connects: u32,
    /// Transactions on the connection before this one: 0 on a new one.
    pub reused: u32,
    /// From when the message was received to the beginning of the attempt.
    pub queue_ms: u64,
    /// Looking for the next hop.
    pub dns_ms: u64,
    /// From the connect to the end of EHLO, STARTTLS and AUTH, over all hosts that were tried.
    pub connect_ms: u64,
    /// From MAIL to the last reply.
    pub send_ms: u64,
}

/// What does not change as long as a connection is open.
#[derive(Clone, Debug)]
pub struct ConnectionFacts {
    /// Its id.
    pub id: Uuid,
    /// What the peer greeted us with.
    pub greeting: Option<Reply>,
    /// The certificates that it sent, its own first, in DER.
    pub certificates: Arc<[Vec<u8>]>,
}

impl AttemptFacts {
    /// The peer, for a diagnosis.
    pub fn remote_host(&self) -> Option<queue::Remote> {
        Some(queue::Remote { name: Arc::clone(self.mx.as_ref()?), address: self.remote?.ip() })
    }
}

/// Measures one stretch of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub(super) fn start() -> Stopwatch {
        Stopwatch(engine::time::now())
    }

    /// Milliseconds since then.
    pub(super) fn elapsed_ms(self) -> u64 {
        u64::try_from((engine::time::now() - self.0).as_millis()).unwrap_or(u64::MAX)
    }
}

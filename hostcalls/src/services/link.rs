//! A connection to a service, with what it has received.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use config::ServiceTls;
use engine::net::{Conn, Connect};
use engine::time::timeout;
use tls::{ClientOptions, ClientSide, Protocols, Sni, Stream, VerifyName};

use super::ServiceError;
use crate::Environment;
use crate::dns::addresses;
use crate::limits::SERVICE_INPUT_BYTES_MAX;

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Name or address, and port.
    Host(String, u16),
    /// A socket in the file system.
    Path(PathBuf),
}

/// A connection. Its input is what was received and not taken yet.
pub(super) struct Link {
    stream: Stream,
    pub(super) input: BytesMut,
    /// Something came since the last question.
    answered: bool,
}

impl Link {
    /// Connects, within this time.
    pub(super) async fn connect(
        environment: &Environment,
        place: &Place,
        patience: Duration,
    ) -> Result<Link, ServiceError> {
        let connecting = async {
            let conn = match place {
                Place::Path(path) => Conn::connect_unix(path).await.map_err(|error| {
                    ServiceError::Connect { to: path.display().to_string(), why: error.to_string() }
                })?,
                Place::Host(host, port) => to_host(environment, host, *port, patience).await?,
            };
            Ok(Link { stream: Stream::plain(conn), input: BytesMut::new(), answered: false })
        };
        within(patience, "connecting", connecting).await
    }

    /// Agrees on TLS.
    pub(super) async fn encrypt(
        &mut self,
        environment: &Environment,
        host: &str,
        tls: ServiceTls,
    ) -> Result<(), ServiceError> {
        if !self.input.is_empty() {
            return Err(ServiceError::protocol("it speaks before TLS begins"));
        }
        let side = ClientSide::new(ClientOptions {
            protocols: Protocols::default(),
            issuers: if tls.verify_peer { Some(environment.roots(true).await) } else { None },
            names: if tls.verify_host { VerifyName::Host } else { VerifyName::Any },
            sni: Sni::Host,
            identity: None,
        });
        let side = side.map_err(ServiceError::Tls)?;
        let agreed = self.stream.connect_tls(&side, host).await;
        agreed.map(drop).map_err(|error| ServiceError::Tls(error.to_string()))
    }

    /// Whether it is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.stream.is_encrypted()
    }

    /// The connection below.
    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Sends all of it: a question, whose answer begins with what comes next.
    pub(super) async fn send(&mut self, data: impl Into<Bytes>) -> Result<(), ServiceError> {
        self.answered = false;
        let sent = self.stream.send(data.into()).await;
        sent.map_err(|error| ServiceError::broken(&error, true))
    }

    /// Receives more.
    pub(super) async fn fill(&mut self) -> Result<(), ServiceError> {
        if self.input.len() > SERVICE_INPUT_BYTES_MAX {
            return Err(ServiceError::protocol("a part of an answer is too long"));
        }
        let received = self.stream.recv().await;
        let before_answer = !self.answered;
        let bytes = received.map_err(|error| ServiceError::broken(&error, before_answer))?;
        if bytes.is_empty() {
            return Err(ServiceError::Broken { why: "the server closed it".to_owned(), before_answer });
        }
        self.answered = true;
        self.input.extend_from_slice(&bytes);
        Ok(())
    }

    /// Receives until there are this many bytes, and takes them.
    pub(super) async fn take(&mut self, length: usize) -> Result<Bytes, ServiceError> {
        self.want(length).await?;
        Ok(self.input.split_to(length).freeze())
    }

    /// Receives until there are this many bytes.
    pub(super) async fn want(&mut self, length: usize) -> Result<(), ServiceError> {
        if length > SERVICE_INPUT_BYTES_MAX {
            return Err(ServiceError::Protocol(format!("an answer of {length} bytes is too long")));
        }
        while self.input.len() < length {
            self.fill().await?;
        }
        Ok(())
    }
}

/// Runs something within a time.
pub(super) async fn within<T>(
    patience: Duration,
    what: &'static str,
    run: impl Future<Output = Result<T, ServiceError>>,
) -> Result<T, ServiceError> {
    timeout(patience, run).await.unwrap_or(Err(ServiceError::Timeout { what, after: patience }))
}

async fn to_host(
    environment: &Environment,
    host: &str,
    port: u16,
    patience: Duration,
) -> Result<Conn, ServiceError> {
    let found = addresses(environment, host.as_bytes(), None).await;
    // Each address gets its share of the time, so that a dead one leaves some for the next.
    let share = patience / found.len().clamp(1, 3) as u32;
    let mut failed = ServiceError::Unresolved(host.to_owned());
    for address in found {
        let remote = SocketAddr::new(address, port);
        let why = match timeout(share, Conn::connect(Connect { remote, local: None })).await {
            Ok(Ok(conn)) => return Ok(conn),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {share:?}"),
        };
        failed = ServiceError::Connect { to: remote.to_string(), why };
    }
    Err(failed)
}

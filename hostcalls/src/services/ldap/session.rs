//! A connection to a directory: requests by number, and the answers that came for others meanwhile.

use std::collections::{HashMap, VecDeque};

use config::ServiceTls;

use super::ber::frame;
use super::codes::{CONNECT_ERROR, DECODING_ERROR, LOCAL_ERROR, SERVER_DOWN, TIMEOUT};
use super::message::{self, Outcome, Response};
use super::url::Server;
use crate::Environment;
use crate::execution::Slot;
use crate::limits::LDAP_WAITING_BYTES_MAX;
use crate::services::ServiceError;
use crate::services::link::Link;

use super::Patience;

/// What went wrong: a code, and a text for people.
pub(super) type Failed = Outcome;

/// A connection.
pub(super) struct Session {
    pub(super) link: Link,
    /// Answers to searches that nobody has asked for yet.
    waiting: HashMap<i32, VecDeque<Response>>,
    waiting_bytes: usize,
    last_id: i32,
    /// The name that the certificate has to be for.
    host: String,
    _slot: Slot,
}

impl Session {
    /// Connects to the first server that answers.
    pub(super) async fn open(
        environment: &Environment,
        servers: &[Server],
        patience: Patience,
        tls: ServiceTls,
        slot: Slot,
    ) -> Result<Session, Failed> {
        let mut failed = failure(SERVER_DOWN, "there is no server");
        for server in servers {
            let connecting = async {
                let mut link = Link::connect(environment, &server.place, patience.network).await?;
                if server.tls {
                    link.encrypt(environment, &server.host, tls).await?;
                }
                Ok(link)
            };
            match crate::services::link::within(patience.network, "connecting", connecting).await {
                Ok(link) => {
                    let host = server.host.clone();
                    return Ok(Session {
                        link,
                        waiting: HashMap::new(),
                        waiting_bytes: 0,
                        last_id: 0,
                        host,
                        _slot: slot,
                    });
                }
                Err(error) => failed = failed_by(&error),
            }
        }
        Err(failed)
    }

    /// A number for the next request.
    pub(super) fn next_id(&mut self) -> i32 {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.last_id
    }

    /// Sends a request.
    pub(super) async fn send(&mut self, request: Vec<u8>) -> Result<(), Failed> {
        self.link.send(request).await.map_err(|error| failed_by(&error))
    }

    /// The next answer to a request.
    pub(super) async fn answer(&mut self, id: i32) -> Result<Response, Failed> {
        if let Some(response) = self.waiting.get_mut(&id).and_then(VecDeque::pop_front) {
            return Ok(response);
        }
        loop {
            let length = match frame(&self.link.input) {
                Ok(Some(length)) if length <= self.link.input.len() => length,
                Ok(_) => {
                    self.link.fill().await.map_err(|error| failed_by(&error))?;
                    continue;
                }
                Err(_) => return Err(failure(DECODING_ERROR, "what came is no message of LDAP")),
            };
            let bytes = self.link.input.split_to(length);
            let (answered, response) = message::read(&bytes)
                .map_err(|_| failure(DECODING_ERROR, "what came is no message of LDAP"))?;
            match response {
                response if answered == id => return Ok(response),
                // A notice of disconnection.
                Response::Done(outcome) if answered == 0 => {
                    return Err(Failed { code: SERVER_DOWN, text: outcome.text });
                }
                response => self.keep(answered, response, length)?,
            }
        }
    }

    /// An answer that somebody else waits for, or nobody any more.
    fn keep(&mut self, id: i32, response: Response, bytes: usize) -> Result<(), Failed> {
        if let Some(line) = self.waiting.get_mut(&id) {
            self.waiting_bytes += bytes;
            if self.waiting_bytes > LDAP_WAITING_BYTES_MAX {
                return Err(failure(LOCAL_ERROR, "too many results of other searches wait"));
            }
            line.push_back(response);
        }
        Ok(())
    }

    /// Answers to this request are kept until they are asked for.
    pub(super) fn expect(&mut self, id: i32) {
        self.waiting.insert(id, VecDeque::new());
    }

    /// No more.
    pub(super) fn forget(&mut self, id: i32) {
        self.waiting.remove(&id);
        if self.waiting.is_empty() {
            self.waiting_bytes = 0;
        }
    }

    /// Begins TLS after the server has agreed to.
    pub(super) async fn encrypt(&mut self, environment: &Environment, tls: ServiceTls) -> Result<(), Failed> {
        let host = self.host.clone();
        let agreed = self.link.encrypt(environment, &host, tls).await;
        agreed.map_err(|error| failed_by(&error))
    }
}

pub(super) fn failure(code: i32, text: &str) -> Failed {
    Failed { code, text: text.as_bytes().to_vec() }
}

fn failed_by(error: &ServiceError) -> Failed {
    let code = match error {
        ServiceError::Timeout { .. } => TIMEOUT,
        ServiceError::Tls(_) => CONNECT_ERROR,
        ServiceError::Protocol(_) => DECODING_ERROR,
        ServiceError::Settings(_) | ServiceError::Refused(_) | ServiceError::Sql { .. } => LOCAL_ERROR,
        ServiceError::Unresolved(_) | ServiceError::Connect { .. } | ServiceError::Broken { .. } => {
            SERVER_DOWN
        }
    };
    failure(code, &error.to_string())
}

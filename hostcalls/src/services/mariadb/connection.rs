//! A session with MariaDB or MySQL.

use bytes::BytesMut;

use super::options::Options;
use super::packet::{
    Answer, BadPacket, CLIENT_SSL, LoginStep, RowPacket, SqlError, answer, capabilities, column, greeting,
    login, login_head, login_step, proof, row,
};
use crate::Environment;
use crate::limits::{SERVICE_ANSWER_BYTES_MAX, SERVICE_INPUT_BYTES_MAX, SERVICE_ITEMS_MAX, SQL_COLUMNS_MAX};
use crate::services::link::{Place, within};
use crate::services::{Link, ServiceError};

/// The longest piece of a packet, which says that another one follows.
const PIECE_BYTES: usize = 0xff_ffff;
/// The command that runs a statement.
const COM_QUERY: u8 = 3;

/// What a server says that ends, or that has ended the session while it rested.
const GOODBYES: [u16; 3] = [1053, 1927, 4031];

/// A session.
pub(super) struct Connection {
    link: Link,
    sequence: u8,
    pub(super) in_transaction: bool,
}

/// What a statement gives.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Option<Vec<u8>>>>,
    pub(super) affected: u64,
}

impl Connection {
    /// Connects, agrees on TLS, and says who we are.
    pub(super) async fn open(
        environment: &Environment,
        options: &Options,
    ) -> Result<Result<Connection, SqlError>, ServiceError> {
        let place = options.place();
        let opening = async {
            let link = Link::connect(environment, &place, options.connect_timeout).await?;
            let mut connection = Connection { link, sequence: 0, in_transaction: false };
            let logged_in = connection.login(environment, options, &place).await?;
            Ok(logged_in.map(|()| connection))
        };
        within(options.connect_timeout, "connecting", opening).await
    }

    async fn login(
        &mut self,
        environment: &Environment,
        options: &Options,
        place: &Place,
    ) -> Result<Result<(), SqlError>, ServiceError> {
        let packet = self.packet().await?;
        let greeting = match greeting(&packet).map_err(bad)? {
            Ok(greeting) => greeting,
            Err(error) => return Ok(Err(error)),
        };
        let database = options.database.as_deref();
        let ssl = options.tls.enabled == Some(true);
        let ours = capabilities(greeting.capabilities, database.is_some(), ssl);
        if ssl {
            if ours & CLIENT_SSL == 0 {
                return Err(ServiceError::Tls("the server has none".to_owned()));
            }
            self.send(&login_head(ours)).await?;
            let host = match place {
                Place::Host(host, _) => host,
                Place::Path(_) => "localhost",
            };
            self.link.encrypt(environment, host, options.tls).await?;
        }
        let (mut plugin, mut nonce) = (greeting.plugin, greeting.nonce);
        // One that is not known is answered with another, and the server asks for its own.
        let first = if proof(&plugin, b"", b"").is_some() { &*plugin } else { "mysql_native_password" };
        let password = options.password.as_bytes();
        let proven = proof(first, password, &nonce).unwrap_or_default();
        self.send(&login(ours, &options.user, &proven, database, first)).await?;
        // Each server asks once or twice.
        for _ in 0..5 {
            let packet = self.packet().await?;
            match login_step(&packet).map_err(bad)? {
                LoginStep::Done => return Ok(Ok(())),
                LoginStep::Error(error) => return Ok(Err(error)),
                LoginStep::Switch(to, with) => {
                    (plugin, nonce) = (to, with);
                    let proven = proof(&plugin, password, &nonce).ok_or_else(|| {
                        ServiceError::Protocol(format!(
                            "it asks for a login by {plugin}, which is not known here"
                        ))
                    })?;
                    self.send(&proven).await?;
                }
                LoginStep::More(data) => match data[..] {
                    // It has our password in its cache.
                    [3] => {}
                    [4] if self.link.is_encrypted() || matches!(place, Place::Path(_)) => {
                        self.send(&[password, b"\0"].concat()).await?;
                    }
                    [4] => {
                        let what = "the server wants the password itself, which goes over TLS only: set ssl";
                        return Err(ServiceError::Settings(what.to_owned()));
                    }
                    _ => return Err(bad(BadPacket)),
                },
            }
        }
        Err(ServiceError::protocol("the login does not end"))
    }

    /// Runs a statement.
    pub(super) async fn query(
        &mut self,
        statement: &[u8],
    ) -> Result<Result<Outcome, SqlError>, ServiceError> {
        self.sequence = 0;
        self.send(&[&[COM_QUERY], statement].concat()).await?;
        let mut first: Option<Outcome> = None;
        let (mut bytes, mut items) = (0, 0);
        loop {
            let (outcome, more) = match self.result(&mut bytes, &mut items).await? {
                Ok(result) => result,
                Err(error) => return Ok(Err(error)),
            };
            // Of a procedure, the first result.
            let kept = first.get_or_insert(outcome);
            if !more {
                return Ok(Ok(std::mem::take(kept)));
            }
        }
    }

    /// One result, and whether another one follows.
    async fn result(
        &mut self,
        bytes: &mut usize,
        items: &mut usize,
    ) -> Result<Result<(Outcome, bool), SqlError>, ServiceError> {
        let columns = loop {
            match answer(&self.packet().await?).map_err(bad)? {
                Answer::Ok { affected, in_transaction, more } => {
                    self.in_transaction = in_transaction;
                    return Ok(Ok((Outcome { affected, ..Outcome::default() }, more)));
                }
                Answer::Error(error) if GOODBYES.contains(&error.number) => {
                    return Err(ServiceError::Broken { why: error.text, before_answer: true });
                }
                Answer::Error(error) => return Ok(Err(error)),
                // It gets an empty one.
                Answer::File => self.send(&[]).await?,
                Answer::Rows(columns) => break columns,
            }
        };
        if columns > SQL_COLUMNS_MAX as u64 {
            return Err(ServiceError::protocol("a row has too many columns"));
        }
        let mut outcome = Outcome::default();
        for _ in 0..columns {
            outcome.columns.push(column(&self.packet().await?).map_err(bad)?);
        }
        if !matches!(row(&self.packet().await?, 0), Ok(RowPacket::End { .. })) {
            return Err(bad(BadPacket));
        }
        loop {
            let packet = self.packet().await?;
            match row(&packet, outcome.columns.len()).map_err(bad)? {
                RowPacket::Row(row) => {
                    *bytes += packet.len();
                    *items += row.len() + 1;
                    if *bytes > SERVICE_ANSWER_BYTES_MAX || *items > SERVICE_ITEMS_MAX {
                        return Err(ServiceError::protocol("it gives more rows than are taken; use LIMIT"));
                    }
                    outcome.rows.push(row);
                }
                RowPacket::Error(error) => return Ok(Err(error)),
                RowPacket::End { in_transaction, more } => {
                    self.in_transaction = in_transaction;
                    outcome.affected = outcome.rows.len() as u64;
                    return Ok(Ok((outcome, more)));
                }
            }
        }
    }

    /// The next packet, put together.
    async fn packet(&mut self) -> Result<BytesMut, ServiceError> {
        let mut whole = BytesMut::new();
        loop {
            let header = self.link.take(4).await?;
            let length = usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16;
            let in_order = header[3] == self.sequence;
            self.sequence = self.sequence.wrapping_add(1);
            if whole.len() + length > SERVICE_INPUT_BYTES_MAX {
                return Err(ServiceError::protocol("a packet is too long"));
            }
            whole.extend_from_slice(&self.link.take(length).await?);
            // A goodbye is no answer, and counts by itself.
            if !in_order && whole.first() != Some(&0xff) {
                return Err(ServiceError::protocol("packets are out of order"));
            }
            if length < PIECE_BYTES {
                return Ok(whole);
            }
        }
    }

    async fn send(&mut self, packet: &[u8]) -> Result<(), ServiceError> {
        let mut out = Vec::with_capacity(packet.len() + 4);
        let mut rest = packet;
        loop {
            let (piece, behind) = rest.split_at(rest.len().min(PIECE_BYTES));
            out.extend(&(piece.len() as u32).to_le_bytes()[..3]);
            out.push(self.sequence);
            out.extend(piece);
            self.sequence = self.sequence.wrapping_add(1);
            rest = behind;
            if piece.len() < PIECE_BYTES {
                break;
            }
        }
        self.link.send(out).await
    }
}

fn bad(_: BadPacket) -> ServiceError {
    ServiceError::protocol("what came is no packet of it")
}

//! A session with PostgreSQL (version 3 of its protocol).

use bytes::{Bytes, BytesMut};
use config::{PostgresqlProfile, ServiceTls};
use postgres_protocol::IsNull;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorFields, Header, Message};
use postgres_protocol::message::frontend;

use crate::Environment;
use crate::limits::{SERVICE_ANSWER_BYTES_MAX, SERVICE_INPUT_BYTES_MAX, SERVICE_ITEMS_MAX, SQL_COLUMNS_MAX};
use crate::services::link::Place;
use crate::services::sql::Param;
use crate::services::{Link, ServiceError};

/// A session.
pub(super) struct Connection {
    link: Link,
    /// As the server says: I, T within a transaction, E within one that has failed.
    status: u8,
}

/// What a query gives.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) columns: Vec<Column>,
    /// None: NULL.
    pub(super) rows: Vec<Vec<Option<Bytes>>>,
}

/// A column.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) type_oid: u32,
}

impl Connection {
    /// Connects, agrees on TLS, and says who we are.
    pub(super) async fn open(
        environment: &Environment,
        profile: &PostgresqlProfile,
    ) -> Result<Connection, ServiceError> {
        let place = Place::Host(profile.host.clone(), profile.port);
        let mut link = Link::connect(environment, &place, profile.connect_timeout).await?;
        if profile.tls.enabled != Some(false) {
            ask_for_tls(environment, &mut link, profile).await?;
        }
        let mut connection = Connection { link, status: b'I' };
        connection.login(profile).await?;
        Ok(connection)
    }

    /// Whether queries belong together until one ends that.
    pub(super) fn in_transaction(&self) -> bool {
        self.status != b'I'
    }

    async fn login(&mut self, profile: &PostgresqlProfile) -> Result<(), ServiceError> {
        let database = profile.database.as_ref().unwrap_or(&profile.username);
        let parameters = [("user", &*profile.username), ("database", database), ("client_encoding", "UTF8")];
        let mut out = BytesMut::new();
        frontend::startup_message(parameters, &mut out).map_err(unsendable)?;
        self.link.send(out.freeze()).await?;
        let password = || {
            let missing =
                || ServiceError::Settings("the server asks for a password; the profile has none".to_owned());
            profile.password.as_deref().map(str::as_bytes).ok_or_else(missing)
        };
        let mut scram: Option<ScramSha256> = None;
        loop {
            let mut out = BytesMut::new();
            match self.message().await? {
                Message::AuthenticationOk => {}
                Message::AuthenticationCleartextPassword => {
                    frontend::password_message(password()?, &mut out).map_err(unsendable)?;
                }
                Message::AuthenticationMd5Password(body) => {
                    let hash = md5_hash(profile.username.as_bytes(), password()?, body.salt());
                    frontend::password_message(hash.as_bytes(), &mut out).map_err(unsendable)?;
                }
                Message::AuthenticationSasl(body) => {
                    use fallible_iterator::FallibleIterator as _;
                    let known = body.mechanisms().any(|name| Ok(name == SCRAM_SHA_256)).map_err(bad)?;
                    if !known {
                        return Err(ServiceError::protocol("it asks for a login that is not SCRAM-SHA-256"));
                    }
                    let first = ScramSha256::new(password()?, ChannelBinding::unsupported());
                    frontend::sasl_initial_response(SCRAM_SHA_256, first.message(), &mut out)
                        .map_err(unsendable)?;
                    scram = Some(first);
                }
                Message::AuthenticationSaslContinue(body) => {
                    let machine = scram.as_mut().ok_or_else(unexpected)?;
                    check_rounds(body.data())?;
                    machine.update(body.data()).map_err(bad)?;
                    frontend::sasl_response(machine.message(), &mut out).map_err(unsendable)?;
                }
                Message::AuthenticationSaslFinal(body) => {
                    scram.as_mut().ok_or_else(unexpected)?.finish(body.data()).map_err(bad)?;
                }
                Message::ReadyForQuery(body) => {
                    self.status = body.status();
                    return Ok(());
                }
                Message::ErrorResponse(body) => return Err(refused(body.fields())),
                Message::ParameterStatus(_) | Message::BackendKeyData(_) | Message::NoticeResponse(_) => {}
                _ => return Err(unexpected()),
            }
            if !out.is_empty() {
                self.link.send(out.freeze()).await?;
            }
        }
    }

    /// Runs a statement.
    pub(super) async fn query(&mut self, statement: &str, params: &[Param]) -> Result<Rows, ServiceError> {
        self.link.send(encode(statement, params)?).await?;
        let mut rows = Rows::default();
        let mut failed = None;
        let (mut bytes, mut items) = (0, 0);
        let mut first = true;
        loop {
            let message = self.message().await?;
            if let Message::ErrorResponse(body) = &message
                && std::mem::take(&mut first)
                && let Some(why) = goodbye(body.fields())
            {
                return Err(ServiceError::Broken { why, before_answer: true });
            }
            first = false;
            match message {
                Message::RowDescription(body) => rows.columns = columns(body.fields())?,
                Message::DataRow(body) => {
                    let row = row(&body, rows.columns.len())?;
                    bytes += body.buffer().len();
                    items += row.len() + 1;
                    if bytes > SERVICE_ANSWER_BYTES_MAX || items > SERVICE_ITEMS_MAX {
                        return Err(ServiceError::protocol("it gives more rows than are taken; use LIMIT"));
                    }
                    rows.rows.push(row);
                }
                Message::ErrorResponse(body) => failed = Some(refused(body.fields())),
                Message::CopyInResponse(_) => {
                    let mut out = BytesMut::new();
                    frontend::copy_fail("COPY is not possible here", &mut out).map_err(unsendable)?;
                    frontend::sync(&mut out);
                    self.link.send(out.freeze()).await?;
                }
                Message::ReadyForQuery(body) => {
                    self.status = body.status();
                    return failed.map_or(Ok(rows), Err);
                }
                Message::ParseComplete
                | Message::BindComplete
                | Message::NoData
                | Message::CommandComplete(_)
                | Message::EmptyQueryResponse
                | Message::PortalSuspended
                | Message::NoticeResponse(_)
                | Message::NotificationResponse(_)
                | Message::ParameterStatus(_)
                | Message::CopyOutResponse(_)
                | Message::CopyData(_)
                | Message::CopyDone => {}
                _ => return Err(unexpected()),
            }
        }
    }

    /// The next message.
    async fn message(&mut self) -> Result<Message, ServiceError> {
        loop {
            // The parser makes room for what a message says that it has.
            if let Some(header) = Header::parse(&self.link.input).map_err(bad)?
                && header.len() as usize > SERVICE_INPUT_BYTES_MAX
            {
                return Err(ServiceError::protocol("a message is too long"));
            }
            match Message::parse(&mut self.link.input).map_err(bad)? {
                Some(message) => return Ok(message),
                None => self.link.fill().await?,
            }
        }
    }
}

/// Asks for TLS, which the server may not have.
async fn ask_for_tls(
    environment: &Environment,
    link: &mut Link,
    profile: &PostgresqlProfile,
) -> Result<(), ServiceError> {
    let mut out = BytesMut::new();
    frontend::ssl_request(&mut out);
    link.send(out.freeze()).await?;
    let demanded = profile.tls.enabled == Some(true);
    match link.take(1).await?[0] {
        b'S' => {
            let verify = |wanted: bool| wanted && demanded;
            let tls = ServiceTls {
                enabled: Some(true),
                verify_peer: verify(profile.tls.verify_peer),
                verify_host: verify(profile.tls.verify_host),
            };
            link.encrypt(environment, &profile.host, tls).await
        }
        b'N' if !demanded => Ok(()),
        b'N' => Err(ServiceError::Tls("the server has none".to_owned())),
        _ => Err(unexpected()),
    }
}

/// Parse, Bind, Describe, Execute, Sync: all values as text.
fn encode(statement: &str, params: &[Param]) -> Result<Bytes, ServiceError> {
    let mut out = BytesMut::new();
    let build = |out: &mut BytesMut| -> std::io::Result<()> {
        frontend::parse("", statement, [], out)?;
        let write = |param: &Param, out: &mut BytesMut| {
            match param.text() {
                Some(text) => out.extend_from_slice(&text),
                None => return Ok(IsNull::Yes),
            }
            Ok(IsNull::No)
        };
        let bound = frontend::bind("", "", [], params, write, [], out);
        bound.map_err(|_| std::io::Error::other("there are too many parameters, or they are too long"))?;
        frontend::describe(b'P', "", out)?;
        frontend::execute("", 0, out)?;
        frontend::sync(out);
        Ok(())
    };
    build(&mut out).map_err(unsendable)?;
    Ok(out.freeze())
}

fn columns(mut fields: postgres_protocol::message::backend::Fields<'_>) -> Result<Vec<Column>, ServiceError> {
    use fallible_iterator::FallibleIterator as _;
    let mut columns = Vec::new();
    while let Some(field) = fields.next().map_err(bad)? {
        if columns.len() >= SQL_COLUMNS_MAX {
            return Err(ServiceError::protocol("a row has too many columns"));
        }
        columns.push(Column { name: field.name().to_owned(), type_oid: field.type_oid() });
    }
    Ok(columns)
}

fn row(
    body: &postgres_protocol::message::backend::DataRowBody,
    columns: usize,
) -> Result<Vec<Option<Bytes>>, ServiceError> {
    use fallible_iterator::FallibleIterator as _;
    let mut row = Vec::new();
    let mut ranges = body.ranges();
    while let Some(range) = ranges.next().map_err(bad)? {
        let value = match range {
            Some(range) if range.end > body.buffer().len() => return Err(unexpected()),
            Some(range) => Some(body.buffer_bytes().slice(range)),
            None => None,
        };
        row.push(value);
        if row.len() > columns {
            return Err(ServiceError::protocol("a row has more values than columns"));
        }
    }
    Ok(row)
}

/// Rounds of hashing are bounded: they are done here and now.
fn check_rounds(challenge: &[u8]) -> Result<(), ServiceError> {
    const ROUNDS_MAX: u32 = 100_000;
    let text = String::from_utf8_lossy(challenge);
    let rounds = text.split(',').find_map(|field| field.strip_prefix("i=")?.parse::<u32>().ok());
    match rounds {
        Some(1..=ROUNDS_MAX) => Ok(()),
        _ => Err(ServiceError::protocol("it asks for more rounds of hashing than are done here")),
    }
}

/// What a server says that ends, or that ends the session, before it has looked at the question.
fn goodbye(fields: ErrorFields<'_>) -> Option<String> {
    const CODES: [&str; 4] = ["(57P01)", "(57P02)", "(57P03)", "(57P05)"];
    let said = refused(fields).to_string();
    CODES.iter().any(|code| said.ends_with(code)).then_some(said)
}

/// What the server says, and the code of it (SQLSTATE).
fn refused(mut fields: ErrorFields<'_>) -> ServiceError {
    use fallible_iterator::FallibleIterator as _;
    let (mut severity, mut code, mut text) = (String::new(), String::new(), String::new());
    while let Ok(Some(field)) = fields.next() {
        let value = || String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'S' => severity = value(),
            b'C' => code = value(),
            b'M' => text = value(),
            _ => {}
        }
    }
    ServiceError::Refused(format!("{severity}:  {text} ({code})"))
}

fn bad(error: std::io::Error) -> ServiceError {
    ServiceError::protocol(error)
}

fn unexpected() -> ServiceError {
    ServiceError::protocol("it says something that does not belong there")
}

/// What we were asked to send has no form in the protocol.
fn unsendable(error: std::io::Error) -> ServiceError {
    ServiceError::Settings(error.to_string())
}

/// Whatever a server may say: a row has no more values than columns, and no more bytes than were sent.
pub(in crate::services) fn check(bytes: &[u8]) {
    let mut input = BytesMut::from(bytes);
    let fits = |input: &[u8]| {
        let header = Header::parse(input).ok().flatten();
        header.is_some_and(|header| header.len() as usize <= bytes.len())
    };
    while fits(&input)
        && let Ok(Some(message)) = Message::parse(&mut input)
    {
        match message {
            Message::RowDescription(body) => {
                let _ = columns(body.fields()).map(|columns| assert!(columns.len() <= SQL_COLUMNS_MAX));
            }
            Message::DataRow(body) => {
                if let Ok(values) = row(&body, 2) {
                    assert!(
                        values.len() <= 2 && values.iter().flatten().all(|value| value.len() <= bytes.len())
                    );
                }
            }
            Message::ErrorResponse(body) => {
                let _ = (goodbye(body.fields()), refused(body.fields()));
            }
            Message::AuthenticationSaslContinue(body) => drop(check_rounds(body.data())),
            Message::AuthenticationSasl(body) => {
                use fallible_iterator::FallibleIterator as _;
                let _ = body.mechanisms().count();
            }
            _ => {}
        }
    }
}

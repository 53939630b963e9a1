//! The running server, for `queue()`: the spool is its own, so messages go to it over the control socket (reference:
//! hsl-stdlib 13, cli-and-operations 6.2).

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;
use config::{ControlListener, Startup, UuidVersion};
use control::framing::{self, ResponseDecoder, Status};
use control::smtpd::QueueImportRequest;
use control::smtpd::queue_import_request::Source;
use control::{Command, Message};
use engine::net::{Conn, Connect};
use engine::time::{Elapsed, timeout, wall_ms};
use hostcalls::daemon::{Answer, Post};
use hostcalls::ids;
use hostcalls::mail::Posted;
use spool::{Envelope, RecoveredItem, hqf};
use tls::{ClientOptions, ClientSide, Protocols, Sni, Stream, VerifyName};

use crate::limits::{SERVER_ANSWER, SERVER_CONNECT};

/// Where the server is, and how it names transactions.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    control: ControlListener,
    ids: ids::UuidVersion,
}

impl Place {
    /// By the startup configuration, which is the server's.
    pub(crate) fn of(startup: &Startup) -> Place {
        let ids = match startup.environment.uuid {
            UuidVersion::Time => ids::UuidVersion::V1,
            UuidVersion::Random => ids::UuidVersion::V4,
        };
        Place { control: startup.environment.control.clone(), ids }
    }
}

/// The server, connected to when the first message is queued.
pub(crate) struct Server(Rc<Inner>);

struct Inner {
    place: Place,
    /// The connection of the last message.
    idle: RefCell<Option<Connection>>,
}

impl Server {
    pub(crate) fn new(place: Place) -> Server {
        Server(Rc::new(Inner { place, idle: RefCell::default() }))
    }
}

impl Post for Server {
    fn queue(&self, posted: Posted) -> Answer<Result<String, String>> {
        let inner = Rc::clone(&self.0);
        Box::pin(async move { inner.queue(&posted).await })
    }
}

impl Inner {
    async fn queue(&self, posted: &Posted) -> Result<String, String> {
        let id = ids::transaction_id(self.place.ids);
        let envelope = posted.envelope(*id.as_bytes(), wall_ms());
        let source = Some(Source::Data(unloaded(&envelope, &posted.message)));
        let request = QueueImportRequest { source, ..QueueImportRequest::default() };
        let mut connection = self.connection().await?;
        let answer = connection.ask(Command::QueueImport, &request.encode_to_vec()).await;
        match answer {
            Ok(()) => {}
            Err(Failure::Refused(why)) => {
                self.idle.replace(Some(connection));
                return Err(why);
            }
            Err(Failure::Broken(why)) => {
                return Err(format!(
                    "the connection to the server: {why}: whether {id} is queued is not known"
                ));
            }
        }
        self.idle.replace(Some(connection));
        Ok(id.to_string())
    }

    /// The connection of the last message if the server is still there, as it knows from it what it has; else a new one.
    async fn connection(&self) -> Result<Connection, String> {
        let idle = self.idle.take();
        if let Some(mut idle) = idle
            && idle.ask(Command::StageStatus, &[]).await.is_ok()
        {
            return Ok(idle);
        }
        Connection::open(&self.place.control).await
    }
}

/// A message that has just come, as the server unloads and loads them.
fn unloaded(envelope: &Envelope, message: &[u8]) -> Vec<u8> {
    let items = [RecoveredItem { recipient: 0, state: Default::default(), attempts: 0, properties: None }];
    let size_bytes = message.len() as u64;
    let mut file = hqf::head(envelope, size_bytes, &items);
    hqf::put_piece(&mut file, message);
    hqf::put_end(&mut file, size_bytes, 1);
    file
}

/// A connection to the control socket.
struct Connection {
    stream: Stream,
    decoder: ResponseDecoder,
    greeted: bool,
}

/// Why there is no answer.
enum Failure {
    /// What the server says.
    Refused(String),
    /// What is wrong with the connection.
    Broken(String),
}

impl Connection {
    /// Connects. The error is a sentence.
    async fn open(to: &ControlListener) -> Result<Connection, String> {
        let (name, opened) = match to {
            ControlListener::Unix(control) => {
                (control.path.display().to_string(), timeout(SERVER_CONNECT, unix(&control.path)).await)
            }
            ControlListener::Tcp { address, port, tls } => {
                let remote = SocketAddr::new(reachable(*address), *port);
                if tls.as_ref().is_some_and(|tls| !tls.clients.is_empty()) {
                    return Err(format!(
                        "the control socket at {remote} asks clients for a certificate, and hsh has none"
                    ));
                }
                (remote.to_string(), timeout(SERVER_CONNECT, tcp(remote, tls.is_some())).await)
            }
        };
        let opened = opened.unwrap_or_else(|Elapsed| Err("the server takes no connections".to_owned()));
        let stream = opened.map_err(|why| format!("no connection to the mail server at {name}: {why}"))?;
        Ok(Connection { stream, decoder: ResponseDecoder::new(), greeted: false })
    }

    /// Sends a request and waits for its answer.
    async fn ask(&mut self, command: Command, body: &[u8]) -> Result<(), Failure> {
        let mut wire = Vec::with_capacity(body.len() + 16);
        if !std::mem::replace(&mut self.greeted, true) {
            framing::write_version(&mut wire);
        }
        framing::write_request(&mut wire, command, body);
        let answer = timeout(SERVER_ANSWER, async {
            // A server that refuses may close before it has read all; what it says comes first.
            let sent = self.stream.send(Bytes::from(wire)).await;
            self.answer(sent.err()).await
        });
        answer.await.unwrap_or_else(|Elapsed| {
            Err(Failure::Broken(format!("it has said nothing for {} s", SERVER_ANSWER.as_secs())))
        })
    }

    async fn answer(&mut self, unsent: Option<io::Error>) -> Result<(), Failure> {
        loop {
            let received = self.stream.recv().await.map_err(|error| Failure::Broken(plain(&error)))?;
            if received.is_empty() {
                let why = unsent.map_or_else(|| "it was closed".to_owned(), |error| plain(&error));
                return Err(Failure::Broken(why));
            }
            let mut rest = &received[..];
            let broken = |error: framing::ResponseError| Failure::Broken(error.to_string());
            while let Some(response) = self.decoder.next(&mut rest).map_err(broken)? {
                match response.status {
                    Status::Success => return Ok(()),
                    Status::Error => {
                        return Err(Failure::Refused(
                            String::from_utf8_lossy(&response.payload).into_owned(),
                        ));
                    }
                    Status::Asynchronous => {}
                }
            }
        }
    }
}

async fn unix(path: &Path) -> Result<Stream, String> {
    let connected = Conn::connect_unix(path).await;
    connected.map(Stream::plain).map_err(|error| refused(&error))
}

async fn tcp(remote: SocketAddr, encrypted: bool) -> Result<Stream, String> {
    let connected = Conn::connect(Connect { remote, local: None }).await;
    let stream = Stream::plain(connected.map_err(|error| refused(&error))?);
    if encrypted {
        // It is this host's own address: there is nobody to be mistaken for.
        let side = ClientSide::new(ClientOptions {
            protocols: Protocols::default(),
            issuers: None,
            names: VerifyName::Any,
            sni: Sni::Off,
            identity: None,
        })?;
        let agreed = stream.connect_tls(&side, &remote.ip().to_string()).await;
        agreed.map_err(|error| error.to_string())?;
    }
    Ok(stream)
}

/// An address to connect to, of a socket that listens on all.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

fn refused(error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => "; is smtpd running?",
        io::ErrorKind::PermissionDenied => "; the owner and group of the socket may use it",
        _ => "",
    };
    format!("{}{hint}", plain(error))
}

/// Without the number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

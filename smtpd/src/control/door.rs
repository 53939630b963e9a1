//! Where clients of the control socket come in.

use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use config::{ControlListener, ControlPath, ControlServerTls, Pem};
use engine::net::{Conn, Listener, UnixListener, UnixOptions};
use engine::sync::Semaphore;
use engine::task::{Class, spawn};
use tls::{ClientCertificates, Identity, Protocols, Roots, ServerOptions, ServerResumption, ServerSide};

use super::client;
use crate::limits;
use crate::log::Priority;
use crate::process;
use crate::program::Control;

/// A bound control socket.
#[derive(Debug)]
pub enum Door {
    /// In the file system.
    Unix(UnixListener),
    /// A TCP port, with or without TLS.
    Tcp(Listener, Option<ServerSide>),
}

impl Door {
    /// Binds. To be called with the privileges of the start: it may give the socket to others, and reads keys.
    ///
    /// # Errors
    /// A sentence that names the key and what failed.
    pub fn bind(socket: &ControlListener) -> Result<Door, String> {
        match socket {
            ControlListener::Unix(at) => bind_path(at).map(Door::Unix),
            ControlListener::Tcp { address, port, tls } => {
                let at = SocketAddr::new(*address, *port);
                let failed = |error| format!("environment.controlsocket: bind {at}: {error}");
                engine::net::probe_bind(at).map_err(failed)?;
                let side = tls.as_ref().map(server_side).transpose();
                let side = side.map_err(|why| format!("environment.controlsocket.tls.server: {why}"))?;
                Ok(Door::Tcp(Listener::bind(at, 0).map_err(failed)?, side))
            }
        }
    }

    /// The next client.
    async fn accept(&self) -> std::io::Result<Conn> {
        match self {
            Door::Unix(listener) => listener.accept().await,
            Door::Tcp(listener, _) => listener.accept().await,
        }
    }
}

impl std::fmt::Display for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Door::Unix(listener) => write!(f, "{}", listener.path().display()),
            Door::Tcp(listener, None) => write!(f, "{} without TLS", listener.local_addr()),
            Door::Tcp(listener, Some(_)) => write!(f, "{} with TLS", listener.local_addr()),
        }
    }
}

fn bind_path(at: &ControlPath) -> Result<UnixListener, String> {
    let path = at.path.display();
    let (uid, gid) = process::find_owner(at.owner.as_deref(), at.group.as_deref())
        .map_err(|why| format!("environment.controlsocket.{why}"))?;
    let options = UnixOptions { mode: at.mode, uid, gid, backlog: limits::CONTROL_BACKLOG };
    UnixListener::bind(&at.path, &options)
        .map_err(|error| format!("environment.controlsocket.path: bind {path}: {error}"))
}

fn server_side(tls: &ControlServerTls) -> Result<ServerSide, String> {
    let (chain, key) = (read(&tls.certificate)?, read(&tls.key)?);
    let identity = Identity::from_pem(&chain, &key).map_err(|error| error.to_string())?;
    let mut accepted = Vec::new();
    for pem in &tls.clients {
        accepted.extend(tls::certificates(&read(pem)?)?);
    }
    ServerSide::new(ServerOptions {
        identity,
        by_name: Vec::new(),
        protocols: Protocols { tls12: false, tls13: true, ..Protocols::default() },
        clients: match tls.clients.is_empty() {
            true => ClientCertificates::Ignored,
            false => ClientCertificates::Required(Roots::load(false, &accepted)),
        },
        resumption: ServerResumption::new()?,
    })
}

#[expect(clippy::disallowed_methods, reason = "at the start, before anybody waits for this thread")]
fn read(pem: &Pem) -> Result<Vec<u8>, String> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    match pem {
        Pem::Path(path) => read(path),
        Pem::Data(text) => Ok(text.clone().into_bytes()),
    }
}

/// Serves clients, so many at once, until it is dropped; the others wait to be accepted.
pub async fn serve(control: Rc<Control>, door: Door) {
    let places = Semaphore::new(limits::CONTROL_CLIENTS);
    loop {
        let place = places.acquire().await;
        match door.accept().await {
            Ok(conn) => {
                let side = match &door {
                    Door::Tcp(_, side) => side.clone(),
                    Door::Unix(_) => None,
                };
                let control = Rc::clone(&control);
                spawn(Class::Interactive, async move {
                    client::run(control, conn, side).await;
                    drop(place);
                });
            }
            Err(error) => {
                control.log.line(Priority::Error, format_args!("control: accept: {error}"));
                engine::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

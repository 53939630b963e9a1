//! Where clients of the control socket come in.

use std::net::SocketAddr;
use std::rc::Rc;

use config::{ControlListener, ControlPath};
use engine::net::{Conn, Listener, UnixListener, UnixOptions};
use engine::sync::Semaphore;
use engine::task::{Class, spawn};

use super::client;
use crate::limits;
use crate::log::Priority;
use crate::process;
use crate::program::Control;
use crate::sockets::once_free;

/// A bound control socket.
#[derive(Debug)]
pub enum Door {
    /// In the file system.
    Unix(UnixListener),
    /// A TCP port.
    Tcp {
        /// The socket.
        listener: Listener,
        /// It speaks TLS, as [`Control::control_side`] says at the time.
        tls: bool,
    },
}

impl Door {
    /// Binds. To be called with the privileges of the start: it may give the socket to others.
    ///
    /// # Errors
    /// A sentence that names the key and what failed.
    pub async fn bind(socket: &ControlListener) -> Result<Door, String> {
        match socket {
            ControlListener::Unix(at) => bind_path(at).await.map(Door::Unix),
            ControlListener::Tcp { address, port, tls } => {
                let at = SocketAddr::new(*address, *port);
                let failed = |error| format!("environment.controlsocket: bind {at}: {error}");
                once_free(|| engine::net::probe_bind(at)).await.map_err(failed)?;
                let listener = Listener::bind(at, 0).map_err(failed)?;
                Ok(Door::Tcp { listener, tls: tls.is_some() })
            }
        }
    }

    /// The next client.
    async fn accept(&self) -> std::io::Result<Conn> {
        match self {
            Door::Unix(listener) => listener.accept().await,
            Door::Tcp { listener, .. } => listener.accept().await,
        }
    }
}

impl std::fmt::Display for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Door::Unix(listener) => write!(f, "{}", listener.path().display()),
            Door::Tcp { listener, tls } => {
                write!(f, "{} {} TLS", listener.local_addr(), if *tls { "with" } else { "without" })
            }
        }
    }
}

async fn bind_path(at: &ControlPath) -> Result<UnixListener, String> {
    let path = at.path.display();
    let (uid, gid) = process::find_owner(at.owner.as_deref(), at.group.as_deref())
        .map_err(|why| format!("environment.controlsocket.{why}"))?;
    let options = UnixOptions { mode: at.mode, uid, gid, backlog: limits::CONTROL_BACKLOG };
    once_free(|| engine::net::probe_bind_unix(&at.path))
        .await
        .and_then(|()| UnixListener::bind(&at.path, &options))
        .map_err(|error| format!("environment.controlsocket.path: bind {path}: {error}"))
}

/// Serves clients, so many at once, until it is dropped; the others wait to be accepted.
pub async fn serve(control: Rc<Control>, door: Door) {
    let places = Semaphore::new(limits::CONTROL_CLIENTS);
    loop {
        let place = places.acquire().await;
        match door.accept().await {
            Ok(conn) => {
                let side = match &door {
                    Door::Tcp { tls: true, .. } => match control.control_side() {
                        Some(side) => Some(side),
                        // Nobody comes in without.
                        None => continue,
                    },
                    Door::Tcp { .. } | Door::Unix(_) => None,
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

//! `Socket`.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use engine::net::{Bind, Bound, Conn, Connect, Udp};
use script::fault::Fault;
use script::host::HostCall;
use script::native::{Call, HostObject, Native, NativeClass, NativeRun};
use script::value::{Object, Value};
use tls::Stream;

use super::{EADDRINUSE, EAFNOSUPPORT, EAGAIN, EBADF, EINVAL, EMFILE, ENOTCONN, Flags, Inbox, errno, within};
use crate::arguments::Arguments;
use crate::execution::Slot;
use crate::library::{HostFunction, HostFuture, TO_FFI_VALUE};
use crate::{Execution, limits, numbers};

const CONNECT: u16 = numbers::SOCKET;
const SEND: u16 = numbers::SOCKET + 1;
const RECV: u16 = numbers::SOCKET + 2;
const SHUTDOWN: u16 = numbers::SOCKET + 3;
const BIND: u16 = numbers::SOCKET + 8;

pub(super) const HOST: [HostFunction; 5] = [
    HostFunction { number: BIND, run: bind },
    HostFunction { number: CONNECT, run: connect },
    HostFunction { number: SEND, run: send },
    HostFunction { number: RECV, run: recv },
    HostFunction { number: SHUTDOWN, run: shutdown },
];

const fn host(
    name: &'static str,
    params: &'static str,
    args: (u8, u8),
    doc: &'static str,
    number: u16,
) -> Native {
    Native { name, params, doc, min_args: args.0, max_args: Some(args.1), run: NativeRun::Host(number) }
}

pub(super) static CLASS: NativeClass = NativeClass {
    name: "Socket",
    doc: "A socket of one's own: TCP, UDP, or one that connects to a socket in the file system.",
    extends: None,
    constructor: Some(Native::inline(
        "Socket",
        "string family, string type",
        (2, Some(2)),
        "A socket of AF_INET, AF_INET6 or AF_UNIX; SOCK_STREAM or SOCK_DGRAM.",
        construct,
    )),
    methods: &[
        host(
            "bind",
            "string address [, number port [, array options]]",
            (1, 3),
            "Takes a local address, from which connections come; a datagram socket receives there from everybody, until it is \
             connected. Option: nonlocal. None on errors. Not for AF_UNIX.",
            BIND,
        ),
        host("connect", "string address [, number port]", (1, 2), "Connects. None on errors.", CONNECT),
        host("send", "string data", (1, 1), "Sends all of it. Its length, or none on errors.", SEND),
        host(
            "recv",
            "number length [, array flags]",
            (1, 2),
            "Up to length bytes; empty at the end, none on errors. Flags: MSG_PEEK, MSG_WAITALL, MSG_DONTWAIT.",
            RECV,
        ),
        Native::inline(
            "settimeout",
            "number seconds",
            (1, Some(1)),
            "How long the calls that follow may take.",
            set_timeout,
        ),
        host("shutdown", "string how", (1, 1), "SHUT_RD, SHUT_WR or SHUT_RDWR. None on errors.", SHUTDOWN),
        Native::inline("close", "", (0, Some(0)), "Closes it. None when it is closed already.", close),
        Native::inline("errno", "", (0, Some(0)), "The number of the last error.", last_errno),
        TO_FFI_VALUE,
    ],
    statics: &[
        Native::inline(
            "AF",
            "string address",
            (1, Some(1)),
            "The family of an address: AF_INET, AF_INET6, or none.",
            family_of,
        ),
        Native::inline(
            "Resource",
            "SocketResource resource",
            (1, Some(1)),
            "A socket of the host. Not available: nothing here gives a script such a resource.",
            |call| Err(call.wrong(0, "a SocketResource")),
        ),
    ],
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Inet,
    Inet6,
    Unix,
}

/// An object of the class.
pub(super) struct Socket {
    family: Family,
    datagrams: bool,
    state: RefCell<State>,
    pub(super) timeout: Cell<Option<Duration>>,
    pub(super) errno: Cell<i32>,
    inbox: Inbox,
    /// `SHUT_RD` was asked for.
    deaf: Cell<bool>,
}

enum State {
    New,
    /// A stream socket with an address and no peer.
    Bound(Bound, #[allow(dead_code, reason = "given back when dropped")] Slot),
    Stream(Rc<Stream>, #[allow(dead_code, reason = "given back when dropped")] Slot),
    Datagrams(Rc<Udp>, #[allow(dead_code, reason = "given back when dropped")] Slot),
    Closed,
}

/// What receives.
enum Open {
    Stream(Rc<Stream>),
    Datagrams(Rc<Udp>),
}

impl Socket {
    fn open(&self) -> Result<Open, i32> {
        match &*self.state.borrow() {
            State::Stream(conn, _) => Ok(Open::Stream(conn.clone())),
            State::Datagrams(udp, _) => Ok(Open::Datagrams(udp.clone())),
            State::New | State::Bound(..) => Err(ENOTCONN),
            State::Closed => Err(EBADF),
        }
    }

    /// The connection, of a stream.
    pub(super) fn stream(&self) -> Option<Rc<Stream>> {
        match self.open() {
            Ok(Open::Stream(conn)) => Some(conn),
            _ => None,
        }
    }

    /// The result of an operation, or none with the error noted.
    fn note(&self, result: Result<Value, i32>) -> Value {
        match result {
            Ok(value) => value,
            Err(errno) => {
                self.errno.set(errno);
                Value::None
            }
        }
    }

    async fn bind(&self, execution: &Execution, from: Option<Bind>) -> Result<(), i32> {
        let of_family = |from: &Bind| match self.family {
            Family::Inet => from.addr.is_ipv4(),
            Family::Inet6 => from.addr.is_ipv6(),
            Family::Unix => false,
        };
        let from = from.filter(of_family).ok_or(EINVAL)?;
        match &*self.state.borrow() {
            State::New => {}
            State::Closed => return Err(EBADF),
            _ => return Err(EINVAL),
        }
        let mut bound = self.bound(execution, from);
        if bound.as_ref().is_err_and(|errno| *errno == EADDRINUSE) {
            // What a script has closed just now is closed when the shard has gone through its tasks.
            engine::time::sleep(limits::SOCKET_CLOSED).await;
            bound = self.bound(execution, from);
        }
        self.state.replace(bound?);
        Ok(())
    }

    fn bound(&self, execution: &Execution, from: Bind) -> Result<State, i32> {
        let slot = execution.open_slot().ok_or(EMFILE)?;
        let bound = match self.datagrams {
            true => Udp::bind(from).map(|udp| State::Datagrams(Rc::new(udp), slot)),
            false => Bound::bind(from).map(|bound| State::Bound(bound, slot)),
        };
        bound.map_err(|error| errno(&error))
    }

    async fn connect(&self, execution: &Execution, call: &HostCall) -> Result<(), i32> {
        let text = call.str(0).map_err(|_| EINVAL)?.to_string_lossy().into_owned();
        let port = call.opt_number(1).map_err(|_| EINVAL)?;
        if self.family == Family::Unix {
            return self.connect_unix(execution, Path::new(&text)).await;
        }
        let address: IpAddr = text.parse().map_err(|_| EINVAL)?;
        if address.is_ipv4() != (self.family == Family::Inet) {
            return Err(EAFNOSUPPORT);
        }
        self.connect_inet(execution, SocketAddr::new(address, port_of(port).ok_or(EINVAL)?)).await
    }

    async fn connect_unix(&self, execution: &Execution, path: &Path) -> Result<(), i32> {
        let slot = self.slot_of_new(execution)?;
        let timeout = self.timeout.get();
        self.state.replace(match self.datagrams {
            true => State::Datagrams(Rc::new(within(timeout, Udp::connect_unix(path)).await?), slot),
            false => State::Stream(plain(within(timeout, Conn::connect_unix(path)).await?), slot),
        });
        Ok(())
    }

    async fn connect_inet(&self, execution: &Execution, remote: SocketAddr) -> Result<(), i32> {
        let timeout = self.timeout.get();
        if let State::Datagrams(udp, _) = &*self.state.borrow() {
            return udp.set_peer(remote).map_err(|error| errno(&error));
        }
        if let Some((bound, slot)) = self.take_bound() {
            let connection = plain(within(timeout, bound.connect(remote)).await?);
            self.state.replace(State::Stream(connection, slot));
            return Ok(());
        }
        let slot = self.slot_of_new(execution)?;
        self.state.replace(match self.datagrams {
            true => State::Datagrams(Rc::new(within(timeout, Udp::connect(remote)).await?), slot),
            false => {
                let to = Connect { remote, local: None };
                State::Stream(plain(within(timeout, Conn::connect(to)).await?), slot)
            }
        });
        Ok(())
    }

    /// A bound stream socket, which is new again until it is connected.
    fn take_bound(&self) -> Option<(Bound, Slot)> {
        let mut state = self.state.borrow_mut();
        match std::mem::replace(&mut *state, State::New) {
            State::Bound(bound, slot) => Some((bound, slot)),
            other => {
                *state = other;
                None
            }
        }
    }

    /// The place of a socket that is to be opened.
    fn slot_of_new(&self, execution: &Execution) -> Result<Slot, i32> {
        match &*self.state.borrow() {
            State::New => execution.open_slot().ok_or(EMFILE),
            _ => Err(EINVAL),
        }
    }

    async fn send(&self, data: Bytes) -> Result<Value, i32> {
        let length = data.len();
        match self.open()? {
            Open::Stream(conn) => within(self.timeout.get(), conn.send(data)).await?,
            Open::Datagrams(udp) => within(self.timeout.get(), udp.send(data)).await?,
        }
        Ok(length.into())
    }

    async fn recv(&self, length: usize, flags: Flags) -> Result<Value, i32> {
        let open = self.open()?;
        if self.deaf.get() {
            return Ok("".into());
        }
        // Somebody who does not want to wait waits for what the kernel has.
        let timeout = if flags.dont_wait { Some(limits::SOCKET_DONT_WAIT) } else { self.timeout.get() };
        match open {
            Open::Datagrams(udp) => {
                if self.inbox.is_empty() {
                    let datagram = within(timeout, udp.recv()).await?;
                    self.inbox.push(&datagram);
                }
                let taken = self.inbox.take(length, flags.peek);
                if !flags.peek {
                    // The rest of a datagram goes with it.
                    self.inbox.clear();
                }
                Ok(taken[..].into())
            }
            Open::Stream(conn) => {
                let enough = if flags.wait_all { length } else { length.min(1) };
                let deadline = timeout.map(|timeout| engine::time::now() + timeout);
                while self.inbox.len() < enough {
                    let left = deadline.map(|deadline| deadline - engine::time::now());
                    match within(left, conn.recv()).await {
                        Ok(bytes) if bytes.is_empty() => break,
                        Ok(bytes) => self.inbox.push(&bytes),
                        // What has come is not lost.
                        Err(EAGAIN) if !self.inbox.is_empty() => break,
                        Err(errno) => return Err(errno),
                    }
                }
                Ok(self.inbox.take(length, flags.peek)[..].into())
            }
        }
    }
}

impl HostObject for Socket {
    fn class(&self) -> &'static NativeClass {
        &CLASS
    }

    fn size_bytes(&self) -> usize {
        size_of::<Socket>() + self.inbox.len()
    }
}

fn plain(conn: Conn) -> Rc<Stream> {
    Rc::new(Stream::plain(conn))
}

/// A port; none counts as 0.
fn port_of(port: Option<f64>) -> Option<u16> {
    let port = port.unwrap_or(0.0);
    (0.0..65536.0).contains(&port).then_some(port as u16)
}

fn construct(call: &mut Call<'_>) -> Result<Value, Fault> {
    let family = match call.bytes(0)? {
        b"AF_INET" => Family::Inet,
        b"AF_INET6" => Family::Inet6,
        b"AF_UNIX" => Family::Unix,
        _ => return Err(call.wrong(0, "AF_INET, AF_INET6 or AF_UNIX")),
    };
    let datagrams = match call.bytes(1)? {
        b"SOCK_STREAM" => false,
        b"SOCK_DGRAM" => true,
        _ => return Err(call.wrong(1, "SOCK_STREAM or SOCK_DGRAM")),
    };
    Ok(Object::host(Socket {
        family,
        datagrams,
        state: RefCell::new(State::New),
        timeout: Cell::new(None),
        errno: Cell::new(0),
        inbox: Inbox::default(),
        deaf: Cell::new(false),
    })
    .into())
}

fn set_timeout(call: &mut Call<'_>) -> Result<Value, Fault> {
    let seconds = call.number(0)?;
    let timeout = (seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(86_400.0)));
    call.this::<Socket>()?.timeout.set(timeout);
    Ok(call.this_object()?.clone().into())
}

fn close(call: &mut Call<'_>) -> Result<Value, Fault> {
    let socket = call.this::<Socket>()?;
    if matches!(socket.state.replace(State::Closed), State::Closed) {
        socket.errno.set(EBADF);
        return Ok(Value::None);
    }
    socket.inbox.clear();
    Ok(call.this_object()?.clone().into())
}

fn last_errno(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(call.this::<Socket>()?.errno.get().into())
}

fn family_of(call: &mut Call<'_>) -> Result<Value, Fault> {
    let address = call.str(0)?.to_string_lossy().parse::<IpAddr>();
    Ok(match address {
        Ok(IpAddr::V4(_)) => "AF_INET".into(),
        Ok(IpAddr::V6(_)) => "AF_INET6".into(),
        Err(_) => Value::None,
    })
}

// ---- the host functions

fn bind(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let socket = call.this::<Socket>()?;
        let nonlocal = call.options(2)?.boolean("nonlocal", false)?;
        let address = call.str(0)?.to_string_lossy().parse::<IpAddr>().ok();
        let place = address.zip(port_of(call.opt_number(1)?));
        let from = place.map(|(address, port)| Bind { addr: SocketAddr::new(address, port), nonlocal });
        let this = Value::Object(call.this_object()?.clone());
        Ok(socket.note(socket.bind(&execution, from).await.map(|()| this)))
    })
}

fn connect(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let socket = call.this::<Socket>()?;
        call.str(0)?;
        call.opt_number(1)?;
        let connected = socket.connect(&execution, &call).await;
        let this = Value::Object(call.this_object()?.clone());
        Ok(socket.note(connected.map(|()| this)))
    })
}

fn send(_: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let socket = call.this::<Socket>()?;
        let data = Bytes::from_owner(call.str(0)?.freeze());
        Ok(socket.note(socket.send(data).await))
    })
}

fn recv(_: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let socket = call.this::<Socket>()?;
        let (length, flags) = (length_of(&call)?, flags_of(&call)?);
        Ok(socket.note(socket.recv(length, flags).await))
    })
}

pub(super) fn length_of(call: &HostCall) -> Result<usize, Fault> {
    let length = call.number(0)?;
    match (0.0..=limits::SOCKET_RECV_BYTES_MAX as f64).contains(&length) {
        true => Ok(length as usize),
        false => Err(call.error(format!("the length must be from 0 to {}", limits::SOCKET_RECV_BYTES_MAX))),
    }
}

/// A list of names; a single one may stand for itself.
fn flags_of(call: &HostCall) -> Result<Flags, Fault> {
    let names = match call.arg(1) {
        name @ Value::Str(_) => vec![name.clone()],
        _ => call.opt_array(1)?.unwrap_or_default().values().collect(),
    };
    let mut flags = Flags::default();
    for name in names {
        match name.as_bytes() {
            Some(b"MSG_PEEK") => flags.peek = true,
            Some(b"MSG_WAITALL") => flags.wait_all = true,
            Some(b"MSG_DONTWAIT") => flags.dont_wait = true,
            _ => return Err(call.error("flags are MSG_PEEK, MSG_WAITALL and MSG_DONTWAIT")),
        }
    }
    Ok(flags)
}

fn shutdown(_: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let socket = call.this::<Socket>()?;
        let (read, write) = match call.str(0)?.as_bytes() {
            b"SHUT_RD" => (true, false),
            b"SHUT_WR" => (false, true),
            b"SHUT_RDWR" => (true, true),
            _ => return Err(call.wrong(0, "SHUT_RD, SHUT_WR or SHUT_RDWR")),
        };
        let done = async {
            match socket.open()? {
                Open::Stream(conn) if write => within(None, conn.shutdown()).await?,
                _ => {}
            }
            if read {
                socket.deaf.set(true);
            }
            Ok(())
        };
        let done: Result<(), i32> = done.await;
        let this = Value::Object(call.this_object()?.clone());
        Ok(socket.note(done.map(|()| this)))
    })
}

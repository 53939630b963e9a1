//! A simulated network: TCP-like streams and datagrams between hosts, with latency, bounded buffers, segments cut
//! at random places, refused and unanswered connects, and resets when a process or its host goes.
//!
//! It behaves like a set of non-blocking sockets: a call answers at once or says *not yet*; what makes a call worth
//! repeating is reported by [`Network::take_ready`]. What takes time is handed to the world by
//! [`Network::take_scheduled`] and comes back through [`Network::arrive`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Crash;
use super::random::Random;

mod wire;

/// Bytes that one direction of a stream holds: on the wire and unread.
const WINDOW_BYTES: usize = 64 * 1024;
/// Longest segment; it is cut shorter at random.
const SEGMENT_BYTES: usize = 16 * 1024;
/// Datagrams that wait in one socket; more are dropped.
const DATAGRAMS: usize = 64;
/// How long Linux tries to connect to an address that does not answer.
const CONNECT_TIMEOUT_NS: u64 = 127_000_000_000;
const MILLISECOND_NS: u64 = 1_000_000;

/// A socket of some process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Socket(pub(super) u64);

/// Something on its way.
#[derive(Debug)]
pub(super) enum Packet {
    Connect { from: Socket, to: SocketAddr },
    Connected { to: Socket },
    ConnectFailed { to: Socket, errno: i32 },
    Segment { from: Socket, to: Socket, bytes: Vec<u8>, fin: bool },
    Reset { to: Socket },
    Acknowledge { to: Socket, bytes: usize },
    Datagram { from: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
}

/// A peer that is no process: answers datagrams with datagrams.
pub(super) type Responder = Box<dyn FnMut(&[u8]) -> Vec<Vec<u8>>>;

#[derive(Debug)]
enum State {
    Listener(Listener),
    Stream(Stream),
    Datagrams(Datagrams),
}

#[derive(Debug)]
struct Listener {
    backlog: usize,
    waiting: VecDeque<Socket>,
}

#[derive(Debug)]
struct Stream {
    peer_addr: SocketAddr,
    /// The other end, once there is one.
    peer: Option<Socket>,
    connected: bool,
    failed: Option<i32>,
    unread: VecDeque<u8>,
    fin_received: bool,
    fin_sent: bool,
    unacknowledged: usize,
    /// What is sent later arrives later.
    last_arrival_ns: u64,
}

#[derive(Debug)]
struct Datagrams {
    peer_addr: SocketAddr,
    unread: VecDeque<Vec<u8>>,
}

#[derive(Debug)]
struct Entry {
    process: u64,
    local: SocketAddr,
    state: State,
}

#[derive(Debug)]
struct HostState {
    up: bool,
    next_port: u16,
}

/// All hosts' sockets and what is between them.
pub(super) struct Network {
    random: Random,
    now_ns: u64,
    /// Chance that a datagram is lost, and that it is delivered twice.
    pub(super) datagram_loss: f64,
    pub(super) datagram_duplicate: f64,
    hosts: BTreeMap<IpAddr, HostState>,
    sockets: BTreeMap<Socket, Entry>,
    responders: BTreeMap<SocketAddr, Responder>,
    scheduled: Vec<(u64, Packet)>,
    ready: BTreeSet<Socket>,
    next: u64,
}

impl Network {
    pub(super) fn new(random: Random) -> Network {
        Network {
            random,
            now_ns: 0,
            datagram_loss: 0.0,
            datagram_duplicate: 0.0,
            hosts: BTreeMap::new(),
            sockets: BTreeMap::new(),
            responders: BTreeMap::new(),
            scheduled: Vec::new(),
            ready: BTreeSet::new(),
            next: 0,
        }
    }

    pub(super) fn add_host(&mut self, addr: IpAddr) {
        let next_port = 32_768 + self.random.below(20_000) as u16;
        self.hosts.insert(addr, HostState { up: true, next_port });
    }

    /// The host has power again.
    pub(super) fn host_up(&mut self, addr: IpAddr) {
        self.hosts.get_mut(&addr).expect("a host of this world").up = true;
    }

    pub(super) fn add_responder(&mut self, addr: SocketAddr, responder: Responder) {
        self.responders.insert(addr, responder);
    }

    pub(super) fn set_now(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }

    /// What is on its way since the last call: when it arrives, and what.
    pub(super) fn take_scheduled(&mut self) -> Vec<(u64, Packet)> {
        std::mem::take(&mut self.scheduled)
    }

    /// Sockets whose calls may answer differently now.
    pub(super) fn take_ready(&mut self) -> BTreeSet<Socket> {
        std::mem::take(&mut self.ready)
    }

    // Calls of a process.

    /// EADDRINUSE when anybody on the host listens there.
    pub(super) fn probe_bind(&self, host: IpAddr, addr: SocketAddr) -> io::Result<()> {
        self.check_local(host, addr.ip())?;
        match self.listeners(host, addr).next() {
            Some(_) if addr.port() != 0 => Err(errno(libc::EADDRINUSE)),
            _ => Ok(()),
        }
    }

    /// Listens; several sockets may share the address, and each connect goes to one of them.
    pub(super) fn listen(
        &mut self,
        process: u64,
        host: IpAddr,
        addr: SocketAddr,
        backlog: usize,
    ) -> io::Result<Socket> {
        self.check_local(host, addr.ip())?;
        let port = match addr.port() {
            0 => self.free_port(host),
            port => port,
        };
        let state = State::Listener(Listener { backlog, waiting: VecDeque::new() });
        // A wildcard listener keeps the wildcard, and the host with it.
        let ip = if addr.ip().is_unspecified() || addr.ip().is_loopback() { host } else { addr.ip() };
        Ok(self.insert(process, SocketAddr::new(ip, port), state))
    }

    /// The next connection and its peer; none yet.
    pub(super) fn accept(&mut self, socket: Socket) -> io::Result<Option<Socket>> {
        match &mut self.entry(socket)?.state {
            State::Listener(listener) => Ok(listener.waiting.pop_front()),
            _ => Err(errno(libc::EINVAL)),
        }
    }

    /// Begins to connect; [`Network::connected`] tells how it went.
    pub(super) fn connect(
        &mut self,
        process: u64,
        host: IpAddr,
        remote: SocketAddr,
        local: Option<IpAddr>,
    ) -> io::Result<Socket> {
        if let Some(local) = local {
            self.check_local(host, local)?;
        }
        let remote = self.resolve_loopback(host, remote);
        let port = self.free_port(host);
        let state = State::Stream(Stream::new(remote));
        let from = self.insert(process, SocketAddr::new(host, port), state);
        match self.hosts.get(&remote.ip()) {
            Some(target) if target.up => {
                let at = self.arrival(host, remote.ip());
                self.scheduled.push((at, Packet::Connect { from, to: remote }));
            }
            _ => {
                let at = self.now_ns + CONNECT_TIMEOUT_NS;
                self.scheduled.push((at, Packet::ConnectFailed { to: from, errno: libc::ETIMEDOUT }));
            }
        }
        Ok(from)
    }

    /// Whether the connect is through; an error when it failed.
    pub(super) fn connected(&mut self, socket: Socket) -> io::Result<bool> {
        let stream = self.stream(socket)?;
        match stream.failed {
            Some(code) => Err(errno(code)),
            None => Ok(stream.connected),
        }
    }

    /// Up to `limit` bytes; empty at the end of the stream; none yet.
    pub(super) fn recv(&mut self, socket: Socket, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let mut limit = limit;
        if self.random.below(8) == 0 {
            limit = 1 + self.random.index(limit);
        }
        let stream = self.stream(socket)?;
        if let Some(code) = stream.failed {
            return Err(errno(code));
        }
        if stream.unread.is_empty() {
            return Ok(stream.fin_received.then(Vec::new));
        }
        let taken: Vec<u8> = stream.unread.drain(..limit.min(stream.unread.len())).collect();
        let (peer, peer_addr) = (stream.peer, stream.peer_addr);
        if let Some(peer) = peer {
            let local = self.entry(socket)?.local;
            let at = self.arrival(local.ip(), peer_addr.ip());
            self.scheduled.push((at, Packet::Acknowledge { to: peer, bytes: taken.len() }));
        }
        Ok(Some(taken))
    }

    /// Takes as many bytes as there is room for, or none yet.
    pub(super) fn send(&mut self, socket: Socket, bytes: &[u8]) -> io::Result<Option<usize>> {
        let short = self.random.below(8) == 0;
        let stream = self.stream(socket)?;
        if let Some(code) = stream.failed {
            return Err(errno(code));
        }
        if stream.fin_sent || !stream.connected {
            return Err(errno(libc::EPIPE));
        }
        let mut room = WINDOW_BYTES.saturating_sub(stream.unacknowledged).min(bytes.len());
        if room == 0 && !bytes.is_empty() {
            return Ok(None);
        }
        if short && room > 1 {
            room = 1 + self.random.index(room);
        }
        self.stream(socket)?.unacknowledged += room;
        let mut rest = &bytes[..room];
        while !rest.is_empty() {
            let most = rest.len().min(SEGMENT_BYTES);
            let cut = if self.random.below(3) == 0 { 1 + self.random.index(most) } else { most };
            self.send_segment(socket, rest[..cut].to_vec(), false);
            rest = &rest[cut..];
        }
        Ok(Some(room))
    }

    /// Ends our side of the stream, after what was sent.
    pub(super) fn shutdown(&mut self, socket: Socket) -> io::Result<()> {
        let stream = self.stream(socket)?;
        if let Some(code) = stream.failed {
            return Err(errno(code));
        }
        if !stream.fin_sent {
            stream.fin_sent = true;
            self.send_segment(socket, Vec::new(), true);
        }
        Ok(())
    }

    /// A datagram socket with one peer.
    pub(super) fn datagrams(&mut self, process: u64, host: IpAddr, remote: SocketAddr) -> io::Result<Socket> {
        let remote = self.resolve_loopback(host, remote);
        let port = self.free_port(host);
        let state = State::Datagrams(Datagrams { peer_addr: remote, unread: VecDeque::new() });
        Ok(self.insert(process, SocketAddr::new(host, port), state))
    }

    pub(super) fn send_datagram(&mut self, socket: Socket, bytes: &[u8]) -> io::Result<()> {
        let entry = self.entry(socket)?;
        let (from, State::Datagrams(datagrams)) = (entry.local, &entry.state) else {
            return Err(errno(libc::EINVAL));
        };
        let to = datagrams.peer_addr;
        self.post_datagram(from, to, bytes.to_vec());
        Ok(())
    }

    pub(super) fn recv_datagram(&mut self, socket: Socket) -> io::Result<Option<Vec<u8>>> {
        match &mut self.entry(socket)?.state {
            State::Datagrams(datagrams) => Ok(datagrams.unread.pop_front()),
            _ => Err(errno(libc::EINVAL)),
        }
    }

    pub(super) fn local_addr(&self, socket: Socket) -> io::Result<SocketAddr> {
        Ok(self.sockets.get(&socket).ok_or_else(|| errno(libc::EBADF))?.local)
    }

    pub(super) fn peer_addr(&mut self, socket: Socket) -> io::Result<SocketAddr> {
        match &self.entry(socket)?.state {
            State::Stream(stream) => Ok(stream.peer_addr),
            State::Datagrams(datagrams) => Ok(datagrams.peer_addr),
            State::Listener(_) => Err(errno(libc::ENOTCONN)),
        }
    }

    /// Closes it: the peer gets the end of the stream, or a reset when bytes were left unread.
    pub(super) fn close(&mut self, socket: Socket) {
        let Some(entry) = self.sockets.get_mut(&socket) else { return };
        match &mut entry.state {
            State::Listener(listener) => {
                let waiting: Vec<Socket> = listener.waiting.drain(..).collect();
                for stream in waiting {
                    self.reset_peer_of(stream);
                    self.sockets.remove(&stream);
                }
            }
            State::Stream(stream) => {
                if !stream.unread.is_empty() {
                    self.reset_peer_of(socket);
                } else if !stream.fin_sent && stream.failed.is_none() {
                    stream.fin_sent = true;
                    self.send_segment(socket, Vec::new(), true);
                }
            }
            State::Datagrams(_) => {}
        }
        self.sockets.remove(&socket);
        self.ready.remove(&socket);
    }

    // The world outside the process.

    /// The process is gone. After a kill its kernel closes its sockets; without power nobody says a word, and the
    /// peers find out later.
    pub(super) fn end_process(&mut self, process: u64, host: IpAddr, crash: Crash) {
        let owned: Vec<Socket> = self
            .sockets
            .iter()
            .filter(|(_, entry)| entry.process == process)
            .map(|(&socket, _)| socket)
            .collect();
        for socket in owned {
            match crash {
                Crash::Process => self.close(socket),
                Crash::Power => {
                    self.forget(socket);
                }
            }
        }
        if crash == Crash::Power {
            self.hosts.get_mut(&host).expect("a host of this world").up = false;
        }
    }

    fn listeners(&self, host: IpAddr, addr: SocketAddr) -> impl Iterator<Item = Socket> {
        let port = addr.port();
        self.sockets
            .iter()
            .filter(move |(_, entry)| {
                matches!(entry.state, State::Listener(_))
                    && entry.local.ip() == host
                    && entry.local.port() == port
            })
            .map(|(&socket, _)| socket)
    }

    fn check_local(&self, host: IpAddr, addr: IpAddr) -> io::Result<()> {
        match addr == host || addr.is_unspecified() || is_localhost(addr) {
            true => Ok(()),
            false => Err(errno(libc::EADDRNOTAVAIL)),
        }
    }

    /// Every host is its own localhost.
    fn resolve_loopback(&self, host: IpAddr, remote: SocketAddr) -> SocketAddr {
        match is_localhost(remote.ip()) {
            true => SocketAddr::new(host, remote.port()),
            false => remote,
        }
    }

    fn free_port(&mut self, host: IpAddr) -> u16 {
        loop {
            let state = self.hosts.get_mut(&host).expect("a host of this world");
            let port = state.next_port;
            state.next_port = if port >= 60_999 { 32_768 } else { port + 1 };
            let addr = SocketAddr::new(host, port);
            if !self.sockets.values().any(|entry| entry.local == addr) {
                return port;
            }
        }
    }

    fn insert(&mut self, process: u64, local: SocketAddr, state: State) -> Socket {
        self.next += 1;
        let socket = Socket(self.next);
        self.sockets.insert(socket, Entry { process, local, state });
        socket
    }

    fn entry(&mut self, socket: Socket) -> io::Result<&mut Entry> {
        self.sockets.get_mut(&socket).ok_or_else(|| errno(libc::EBADF))
    }

    fn stream(&mut self, socket: Socket) -> io::Result<&mut Stream> {
        match &mut self.entry(socket)?.state {
            State::Stream(stream) => Ok(stream),
            _ => Err(errno(libc::ENOTCONN)),
        }
    }
}

impl Stream {
    fn new(peer_addr: SocketAddr) -> Stream {
        Stream {
            peer_addr,
            peer: None,
            connected: false,
            failed: None,
            unread: VecDeque::new(),
            fin_received: false,
            fin_sent: false,
            unacknowledged: 0,
            last_arrival_ns: 0,
        }
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("sockets", &self.sockets).finish_non_exhaustive()
    }
}

fn is_localhost(addr: IpAddr) -> bool {
    addr == IpAddr::V4(Ipv4Addr::LOCALHOST) || addr == IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

#[cfg(test)]
mod tests;

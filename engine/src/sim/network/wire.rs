//! What happens between the sockets: packets leave, travel and arrive.

use std::net::{IpAddr, SocketAddr};

use super::{CONNECT_TIMEOUT_NS, DATAGRAMS, Entry, MILLISECOND_NS, Network, Packet, Socket, State, Stream};

const MICROSECOND_NS: u64 = 1000;

impl Network {
    /// A packet has reached its end.
    pub(in crate::sim) fn arrive(&mut self, packet: Packet) {
        match packet {
            Packet::Connect { from, to } => self.on_connect(from, to),
            Packet::Connected { to } => {
                if let Ok(stream) = self.stream(to) {
                    stream.connected = true;
                    self.ready.insert(to);
                }
            }
            Packet::ConnectFailed { to, errno } => self.fail(to, errno),
            Packet::Segment { from, to, bytes, fin } => self.on_segment(from, to, bytes, fin),
            Packet::Reset { to } => self.fail(to, libc::ECONNRESET),
            Packet::Acknowledge { to, bytes } => {
                if let Ok(stream) = self.stream(to) {
                    stream.unacknowledged -= bytes;
                    self.ready.insert(to);
                }
            }
            Packet::Datagram { from, to, bytes } => self.on_datagram(from, to, bytes),
        }
    }

    fn on_connect(&mut self, from: Socket, to: SocketAddr) {
        let Some(client) = self.sockets.get(&from).map(|entry| entry.local) else { return };
        let back = self.arrival(to.ip(), client.ip());
        if !self.hosts.get(&to.ip()).is_some_and(|host| host.up) {
            let at = self.now_ns + CONNECT_TIMEOUT_NS;
            self.scheduled.push((at, Packet::ConnectFailed { to: from, errno: libc::ETIMEDOUT }));
            return;
        }
        let listeners: Vec<Socket> = self.listeners(to.ip(), to).collect();
        if listeners.is_empty() {
            self.scheduled.push((back, Packet::ConnectFailed { to: from, errno: libc::ECONNREFUSED }));
            return;
        }
        let chosen = listeners[self.random.index(listeners.len())];
        let entry = &self.sockets[&chosen];
        let process = entry.process;
        let State::Listener(listener) = &entry.state else { unreachable!("listeners() yields listeners") };
        if listener.waiting.len() >= listener.backlog {
            // Linux drops the SYN, and the client tries again after a second.
            self.scheduled.push((self.now_ns + 1000 * MILLISECOND_NS, Packet::Connect { from, to }));
            return;
        }
        let mut stream = Stream::new(client);
        stream.peer = Some(from);
        stream.connected = true;
        stream.last_arrival_ns = back;
        let server = self.insert(process, to, State::Stream(stream));
        self.stream(from).expect("the client was found").peer = Some(server);
        self.scheduled.push((back, Packet::Connected { to: from }));
        if let Some(Entry { state: State::Listener(listener), .. }) = self.sockets.get_mut(&chosen) {
            listener.waiting.push_back(server);
        }
        self.ready.insert(chosen);
    }

    fn on_segment(&mut self, from: Socket, to: Socket, bytes: Vec<u8>, fin: bool) {
        if let Ok(stream) = self.stream(to) {
            if stream.failed.is_none() {
                stream.unread.extend(bytes);
                stream.fin_received |= fin;
                self.ready.insert(to);
            }
        } else if !bytes.is_empty()
            && let Some(local) = self.sockets.get(&from).map(|entry| entry.local)
        {
            // Nobody there any more: a reset comes back.
            let at = self.arrival(local.ip(), local.ip());
            self.scheduled.push((at, Packet::Reset { to: from }));
        }
    }

    fn on_datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        if let Some(responder) = self.responders.get_mut(&to) {
            for answer in responder(&bytes) {
                self.post_datagram(to, from, answer);
            }
            return;
        }
        let found = self.sockets.iter_mut().find_map(|(&socket, entry)| match &mut entry.state {
            State::Datagrams(datagrams) if entry.local == to && datagrams.peer_addr == from => {
                Some((socket, datagrams))
            }
            _ => None,
        });
        if let Some((socket, datagrams)) = found
            && datagrams.unread.len() < DATAGRAMS
        {
            datagrams.unread.push_back(bytes);
            self.ready.insert(socket);
        }
    }

    pub(super) fn post_datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let copies = match () {
            () if self.random.chance(self.datagram_loss) => 0,
            () if self.random.chance(self.datagram_duplicate) => 2,
            () => 1,
        };
        for _ in 0..copies {
            let at = self.arrival(from.ip(), to.ip());
            self.scheduled.push((at, Packet::Datagram { from, to, bytes: bytes.clone() }));
        }
    }

    fn fail(&mut self, socket: Socket, errno: i32) {
        if let Ok(stream) = self.stream(socket)
            && stream.failed.is_none()
        {
            stream.failed = Some(errno);
            stream.unread.clear();
            self.ready.insert(socket);
        }
    }

    /// Power loss of its host: the peer learns of it after a while.
    pub(super) fn forget(&mut self, socket: Socket) {
        let Some(entry) = self.sockets.remove(&socket) else { return };
        self.ready.remove(&socket);
        match entry.state {
            State::Stream(Stream { peer: Some(peer), .. }) => {
                let at = self.now_ns + self.random.between(MILLISECOND_NS, 5000 * MILLISECOND_NS);
                self.scheduled.push((at, Packet::Reset { to: peer }));
            }
            State::Listener(listener) => {
                for stream in listener.waiting {
                    self.forget(stream);
                }
            }
            _ => {}
        }
    }

    pub(super) fn reset_peer_of(&mut self, socket: Socket) {
        let Some(entry) = self.sockets.get(&socket) else { return };
        let local = entry.local;
        let State::Stream(stream) = &entry.state else { return };
        let (peer_addr, last, peer) = (stream.peer_addr, stream.last_arrival_ns, stream.peer);
        if let Some(peer) = peer {
            let at = self.arrival(local.ip(), peer_addr.ip()).max(last);
            self.scheduled.push((at, Packet::Reset { to: peer }));
        }
    }

    pub(super) fn send_segment(&mut self, socket: Socket, bytes: Vec<u8>, fin: bool) {
        let Some(entry) = self.sockets.get(&socket) else { return };
        let local = entry.local;
        let State::Stream(stream) = &entry.state else { return };
        let Some(to) = stream.peer else { return };
        let (peer_addr, last) = (stream.peer_addr, stream.last_arrival_ns);
        let at = self.arrival(local.ip(), peer_addr.ip()).max(last + 1);
        self.stream(socket).expect("a stream, as seen above").last_arrival_ns = at;
        self.scheduled.push((at, Packet::Segment { from: socket, to, bytes, fin }));
    }

    /// When something that leaves now is there. Rarely, a packet is lost and sent again.
    pub(super) fn arrival(&mut self, from: IpAddr, to: IpAddr) -> u64 {
        let (low, high) = match from == to {
            true => (5 * MICROSECOND_NS, 60 * MICROSECOND_NS),
            false => (50 * MICROSECOND_NS, 1500 * MICROSECOND_NS),
        };
        let late = if from != to && self.random.below(400) == 0 { 200 * MILLISECOND_NS } else { 0 };
        self.now_ns + self.random.between(low, high) + late
    }
}

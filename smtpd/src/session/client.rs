//! For whom a session speaks: the peer of the connection, or the client that a proxy names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use engine::time;
use ipnet::IpNet;
use net::proxy::{self, Parsed, Proxied};
use net::smtp::error::LocalLimit;
use net::smtp::server::{Attribute, Hello, Session, Verb, XClient};

use super::by_address::TooMany;
use super::driver::{Driver, Input};
use super::reverse::Name;
use crate::limits;

/// The client of a session.
#[derive(Debug)]
pub(super) struct Client {
    /// Its address.
    pub(super) remote: SocketAddr,
    /// What it connected to, where a proxy says so.
    pub(super) destination: Option<Box<SocketAddr>>,
    /// The proxy that the connection came from, if it came from one.
    pub(super) proxy: Option<Box<IpAddr>>,
    /// The extra fields of its header.
    pub(super) proxy_tlvs: Option<Box<[u8]>>,
    /// Its name.
    pub(super) name: Name,
    /// As whom it has authenticated.
    pub(super) user: Option<Box<[u8]>>,
}

/// Why a client is not greeted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refused {
    /// It is no client, or one that would not understand an answer.
    Silently,
    /// It has as many connections as it may.
    TooMany,
}

impl Client {
    /// The peer itself, and our side of its connection.
    pub(super) fn new(remote: SocketAddr, local: SocketAddr) -> Client {
        Client {
            remote: remote_of(remote),
            destination: local.ip().is_unspecified().then(|| Box::new(remote_of(local))),
            proxy: None,
            proxy_tlvs: None,
            name: Name::Known(None),
            user: None,
        }
    }
}

impl Driver {
    /// Before the first step: who is it, and may there be one more of it?
    pub(super) async fn meet(&mut self) -> Result<(), Refused> {
        if is_in(&self.server.proxies, self.client.remote.ip()) {
            self.receive_proxy_header().await?;
        }
        self.choose_stage();
        if is_in(&self.server.xclient, self.client.remote.ip()) {
            self.machine.offer_xclient();
        }
        self.enter_crowd()?;
        if self.server.remote_ptr {
            self.client.name = Name::ask(&self.shard, self.client.remote.ip());
        }
        Ok(())
    }

    /// The live stage, if there is one and this connection gets it: it stays on it to its end.
    fn choose_stage(&mut self) {
        let Some(stage) = self.shard.stage.admit(self.number, self.client.remote.ip()) else { return };
        self.server = stage.server(self.number);
        self.machine = Session::new(Arc::clone(&self.server.session));
        self.stage = Some(stage);
    }

    /// A listed proxy that sends no header in time gets no answer: it would pass it on to somebody.
    async fn receive_proxy_header(&mut self) -> Result<(), Refused> {
        let deadline = time::now() + limits::PROXY_HEADER_TIMEOUT;
        let mut header = Vec::new();
        loop {
            let received = time::timeout(deadline - time::now(), self.peer.stream.recv()).await;
            let Ok(Ok(bytes)) = received else { return self.no_proxy_header("no PROXY header in time") };
            if bytes.is_empty() {
                // Health checks connect and go.
                return Err(Refused::Silently);
            }
            header.extend_from_slice(&bytes);
            drop(bytes);
            match proxy::parse(&header) {
                Ok(Parsed::Partial) => {}
                Ok(Parsed::Complete(parsed, used)) => {
                    self.client.proxy = Some(Box::new(self.client.remote.ip()));
                    if !parsed.tlv_bytes().is_empty() {
                        self.client.proxy_tlvs = Some(parsed.tlv_bytes().into());
                    }
                    if let Some(Proxied { source, destination }) = parsed.proxied {
                        self.client.remote = SocketAddr::new(source.ip().to_canonical(), source.port());
                        self.client.destination = Some(Box::new(destination));
                    }
                    if used < header.len() {
                        self.input = Some(Input::Copy(header, used));
                    }
                    return Ok(());
                }
                Err(proxy::NoHeader) => return self.no_proxy_header("what it sent first is no PROXY header"),
            }
        }
    }

    fn no_proxy_header(&self, why: &str) -> Result<(), Refused> {
        let (server, remote) = (&self.server.id, self.client.remote);
        let line =
            format_args!("[-] closed server={server} remote={remote}: {why}, and it is in proxyprotocol");
        self.shard.log.line(crate::log::Priority::Warning, line);
        Err(Refused::Silently)
    }

    /// Counts the connection for its address.
    fn enter_crowd(&mut self) -> Result<(), Refused> {
        self.peer.client.set(self.client.remote.ip());
        let max = self.server.max_connections_per_address;
        self.counted = None;
        if max == 0 {
            return Ok(());
        }
        let crowd = &self.shard.program.crowd;
        match crowd.enter(self.number, self.client.remote.ip(), max) {
            Ok(counted) => {
                self.counted = counted;
                Ok(())
            }
            Err(TooMany) => Err(Refused::TooMany),
        }
    }

    /// The client has this address, says a script. False: too many others have it, too.
    pub(super) fn is_client(&mut self, ip: IpAddr) -> bool {
        if ip == self.client.remote.ip().to_canonical() {
            return true;
        }
        self.client.remote.set_ip(ip);
        self.enter_crowd().is_ok()
    }

    /// XCLIENT from a peer that may say it.
    pub(super) fn xclient(&mut self, xclient: XClient) {
        let XClient { name, address, port, protocol, helo, login, destination_address, destination_port } =
            xclient;
        self.transaction = None;
        self.hello = match helo {
            Attribute::Value(host) => Some(Hello { verb: protocol.unwrap_or(Verb::Helo), host }),
            Attribute::Absent | Attribute::Unavailable => None,
        };
        let client = &mut self.client;
        let logged_in = !matches!(login, Attribute::Absent);
        login.apply_option(&mut client.user);
        if let Attribute::Value(address) = address {
            client.name = Name::Known(None);
            client.proxy.get_or_insert(Box::new(client.remote.ip()));
            client.remote.set_ip(address.to_canonical());
        }
        match name {
            Attribute::Absent => {}
            Attribute::Unavailable => client.name = Name::Known(None),
            Attribute::Value(name) => client.name = Name::Known(Some(name)),
        }
        if let Attribute::Value(port) = port {
            client.remote.set_port(port);
        }
        let mut destination = client.destination.as_deref().copied().unwrap_or(self.peer.stream.local_addr());
        if let Attribute::Value(address) = destination_address {
            destination.set_ip(address);
        }
        if let Attribute::Value(port) = destination_port {
            destination.set_port(port);
        }
        client.destination = Some(Box::new(destination));
        self.tell_of_client(logged_in);
        match self.enter_crowd() {
            Ok(()) => self.machine.accept(),
            Err(_) => self.refuse_connection(LocalLimit::TooManyConnections),
        }
    }
}

/// What a client's address counts as. A socket in the file system gives none: whoever connects there is on this host, as
/// who comes from 127.0.0.1.
pub(super) fn remote_of(peer: SocketAddr) -> SocketAddr {
    match peer.ip().to_canonical() {
        ip if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        ip => SocketAddr::new(ip, peer.port()),
    }
}

fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

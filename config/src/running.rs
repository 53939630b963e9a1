//! `smtpd-app.yaml`: what a reload can change.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::{Error, Lists, Loaded, Options, Pattern, ServerKind, Source, Startup, Transport, Version};

/// The running file.
#[derive(Clone, Debug)]
pub struct Running {
    /// Version of the file, which selects behaviour.
    pub version: Version,
    /// Behaviour of the servers, in file order. Ids are unique.
    pub servers: Vec<Server>,
    /// All transports of all groups, with what they inherit. Ids are unique.
    pub transports: Vec<Transport>,
    /// Named source addresses. Ids are unique.
    pub addresses: Vec<Address>,
    /// Outgoing limits and grouping.
    pub queues: Queues,
    /// Named match lists, used by the suspend file as `@name`.
    pub lists: Lists,
    /// The DNS client.
    pub resolver: Resolver,
}

/// `servers[]`: how one server behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Pairs with the entry of the startup file.
    pub id: String,
    /// Equal to that of the startup file.
    pub kind: ServerKind,
    /// Transport given to recipients; it exists in [`Running::transports`].
    pub transport: String,
    /// The operator wants a server that relays for everyone who can connect.
    pub open_relay: bool,
    /// Name in banner, EHLO reply and Received header; `None`: the system host name.
    pub hostname: Option<String>,
    /// Most open connections over all shards; over it, new ones get `421`.
    pub max_connections: u32,
    /// Most connections from one address; over it, `421`. `None`: no limit.
    pub max_connections_per_ip: Option<u32>,
    /// Time without input before `421` and close.
    pub idle_timeout: Duration,
    /// `MAIL` needs a `HELO` or `EHLO` before it.
    pub helo_required: bool,
    /// Most transactions on one connection; `None`: no limit.
    pub max_messages: Option<u32>,
    /// Most recipients in one transaction, then `452`.
    pub max_recipients: u32,
    /// Largest message, announced with SIZE and enforced with `552`; `None`: no limit.
    pub max_size_bytes: Option<u64>,
    /// Most Received headers before a message counts as looping.
    pub max_hops: u32,
    /// What to do with a bare CR or LF in a message.
    pub bare_eol: BareEol,
    /// What `EHLO` announces.
    pub extensions: Extensions,
}

/// `servers[].phases.data.bareeol`. In both cases only CRLF.CRLF ends the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BareEol {
    /// Refuse the message.
    Reject,
    /// Make it CRLF.
    Convert,
}

/// `servers[].extensions`: what `EHLO` announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the extensions")]
pub struct Extensions {
    pub pipelining: bool,
    pub size: bool,
    pub eightbitmime: bool,
    pub enhancedstatuscodes: bool,
}

/// `addresses[]`: a name for a local address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The name.
    pub id: String,
    /// The address.
    pub address: IpAddr,
    /// HELO name used with it.
    pub hostname: Option<String>,
}

/// `queues`.
#[derive(Clone, Debug)]
pub struct Queues {
    /// Most outgoing connections over all shards.
    pub max_connections: u32,
    /// Idle outgoing connections kept for reuse over all shards; 0: none.
    pub pool_size: u32,
    /// Every permanent failure becomes a temporary one.
    pub soft_bounce: bool,
    /// Group of a recipient that no grouping matches.
    pub default_group: DefaultGroup,
    /// First match in file order wins. Ids are unique.
    pub groupings: Vec<Grouping>,
}

/// `queues.grouping.default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultGroup {
    /// The empty group.
    None,
    /// The name of the chosen MX.
    RemoteMx,
    /// The recipient's domain.
    RecipientDomain,
}

/// `queues.grouping.groupings[]`: matches when any of its patterns does.
#[derive(Clone, Debug)]
pub struct Grouping {
    /// Seen in the queue as `&id`.
    pub id: String,
    /// On the name of the chosen MX.
    pub remote_mx: Vec<Pattern>,
    /// On the recipient's domain.
    pub recipient_domain: Vec<Pattern>,
    /// On the remote address.
    pub remote_ip: Vec<IpNet>,
}

/// `resolver`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolver {
    /// Name servers; empty: those of the system's resolver file.
    pub servers: Vec<SocketAddr>,
    /// Per query.
    pub timeout: Duration,
    /// Entries in the cache over all shards; 0: off.
    pub cache_size: u32,
    /// Shortest life of a cache entry.
    pub cache_ttl_min: Duration,
    /// Longest life of a cache entry; `None`: what the answer says.
    pub cache_ttl_max: Option<Duration>,
    /// Most running queries over all shards.
    pub concurrency: u32,
}

impl Running {
    /// The transport with this id.
    pub fn transport(&self, id: &str) -> Option<&Transport> {
        self.transports.iter().find(|transport| transport.id == id)
    }

    /// The server with this id.
    pub fn server(&self, id: &str) -> Option<&Server> {
        self.servers.iter().find(|server| server.id == id)
    }
}

/// Reads the running file and checks it against the startup file, whose servers it must pair with.
///
/// # Errors
/// Every problem of the file, in file order.
pub fn load_running(
    source: &Source<'_>,
    startup: &Startup,
    options: &Options<'_>,
) -> Result<Loaded<Running>, Vec<Error>> {
    todo!()
}

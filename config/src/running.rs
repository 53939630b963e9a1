//! `smtpd-app.yaml`: what a reload can change.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::report::Report;
use crate::schema::File;
use crate::tree::{Checked, Match, Tree};
use crate::{
    Error, Field, Lists, Loaded, Monitor, Options, Pattern, Pki, Plugins, Scope, Scripting, ServerKind,
    ServerTls, Source, Startup, Transport, Version, check, cross_check, monitor, pki, plugins, scripting,
    submission, tls, transport,
};

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
    /// Scripts and their files.
    pub scripting: Scripting,
    /// The endpoint for probes and metrics.
    pub monitor: Monitor,
    /// Settings of plugins.
    pub plugins: Plugins,
    /// Keys and certificates; to be [joined](Pki::joined) with those of the startup file.
    pub pki: Pki,
}

/// `servers[]`: how one server behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Pairs with the entry of the startup file.
    pub id: String,
    /// Equal to that of the startup file.
    pub kind: ServerKind,
    /// Transport given to recipients; it exists in [`Running::transports`]. `None`: the script of eod names one for each.
    pub transport: Option<String>,
    /// The operator wants a server that relays for everyone who can connect.
    pub open_relay: bool,
    /// Name in banner, EHLO reply and Received header; `None`: the system host name.
    pub hostname: Option<String>,
    /// Most open connections over all shards; over it, new ones get `421`.
    pub max_connections: u32,
    /// Most open connections of one address over all shards; `None`: no limit.
    pub max_connections_per_address: Option<u32>,
    /// Forward-confirmed reverse look-up of the peer.
    pub remote_ptr: bool,
    /// The dialogue goes to the log.
    pub verbose: bool,
    /// Values of `X-API-Key` that may submit, of types `http` and `https`; empty: everyone may who can connect.
    pub api_keys: Vec<String>,
    /// Who may use XCLIENT.
    pub xclient: Vec<IpNet>,
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
    /// TLS for clients; `None`: it is not offered.
    pub tls: Option<ServerTls>,
    /// What `EHLO` announces.
    pub extensions: Extensions,
    /// The scripts of its phases.
    pub hooks: Hooks,
    /// Mechanisms of AUTH, in capitals; it is offered where its phase has a script.
    pub auth_mechanisms: Vec<String>,
    /// AUTH is offered only under TLS.
    pub auth_needs_tls: bool,
}

/// `servers[].phases.*.hook`: ids of scripts, each of which exists in [`Running::scripting`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the phases")]
pub struct Hooks {
    pub connect: Option<String>,
    pub proxy: Option<String>,
    pub helo: Option<String>,
    pub auth: Option<String>,
    pub mailfrom: Option<String>,
    pub rcptto: RcptHook,
    pub eod: Option<String>,
    pub disconnect: Option<String>,
}

/// `servers[].phases.rcptto.hook`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RcptHook {
    /// For domains that are not in the map.
    pub id: Option<String>,
    /// By domain in lower case: `domain`, `*.domain` or `*`.
    pub domains: Vec<(String, String)>,
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
    pub chunking: bool,
    pub smtputf8: bool,
    pub dsn: bool,
    pub limits: bool,
    pub requiretls: bool,
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
    /// The host need not have it.
    pub nonlocal: bool,
    /// A proxy that has it, and connects from there.
    pub proxy: Option<SocketAddr>,
}

/// `queues`.
#[derive(Clone, Debug)]
pub struct Queues {
    /// Most outgoing connections over all shards.
    pub max_connections: u32,
    /// Idle outgoing connections kept for reuse over all shards; 0: none.
    pub pool_size: u32,
    /// What messages must share to use the same connection.
    pub pool_policy: PoolPolicy,
    /// Every permanent failure becomes a temporary one.
    pub soft_bounce: bool,
    /// Group of a recipient that no grouping matches.
    pub default_group: DefaultGroup,
    /// First match in file order wins. Ids are unique.
    pub groupings: Vec<Grouping>,
}

/// `queues.pooling.policy`: what two messages must share, beside remote and local address and transport, to use the
/// same connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolPolicy {
    /// Nothing more.
    #[default]
    RemoteIp,
    /// The name of the MX.
    RemoteMx,
    /// The group.
    Grouping,
    /// The recipient's domain.
    RecipientDomain,
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
    /// Per query; `None`: what the system's resolver file says, or 5 seconds.
    pub timeout: Option<Duration>,
    /// The name servers are trusted to say which answers are authentic; `None`: what the system's resolver file says.
    pub trust_ad: Option<bool>,
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
    let mut report = Report::new(source.name);
    let read = check::read(File::Running, source, options, &mut report);
    let value = read.and_then(|(mut tree, version)| {
        cross_check::running(&tree, startup, &mut report);
        transport::inherit(&mut tree);
        submission::cross_check(&tree, startup, &mut report);
        tls::check_servers(&tree, startup, &mut report);
        transport::cross_check(&tree, &mut report);
        tls::check_transports(&tree, startup, &mut report);
        tls::check_monitor(&tree, startup, &mut report);
        monitor::cross_check(&tree, startup, &mut report);
        scripting::cross_check(&tree, &mut report);
        plugins::cross_check(&tree, File::Running, &mut report);
        plugins::check_pair(&tree, &startup.plugins, &mut report);
        pki::cross_check(&tree, &mut report);
        check::fill(&mut tree, File::Running.keys(Scope::Server));
        (!report.has_errors()).then(|| running(&tree, version))
    });
    report.loaded(value)
}

/// The typed value of a tree without errors and with all defaults.
fn running(tree: &Tree, version: Version) -> Running {
    Running {
        version,
        servers: tree.items("servers").iter().map(server).collect(),
        transports: tree.items("transportgroups").iter().flat_map(transport::of_group).collect(),
        addresses: tree.items("addresses").iter().map(address).collect(),
        queues: queues(tree.get("queues").expect("has a default")),
        lists: lists(tree.get("lists").expect("has a default")),
        resolver: resolver(tree.get("resolver").expect("has a default")),
        monitor: monitor::monitor(tree),
        scripting: scripting::scripting(tree),
        plugins: plugins::plugins(tree),
        pki: pki::pki(tree),
    }
}

fn server(tree: &Tree) -> Server {
    Server {
        id: tree.text("id").expect("required").to_owned(),
        kind: ServerKind::of(tree),
        transport: tree.text("transport").map(str::to_owned),
        open_relay: tree.bool("openrelay").expect("has a default"),
        hostname: tree.text("hostname").map(str::to_owned),
        max_connections: tree.count("concurrency.total").expect("has a default"),
        max_connections_per_address: tree.count("concurrency.remoteip").filter(|limit| *limit > 0),
        remote_ptr: tree.bool("phases.connect.remoteptr").expect("has a default"),
        verbose: tree.bool("logging.verbose").expect("has a default"),
        api_keys: submission::api_keys(tree),
        xclient: tree.networks("xclient"),
        idle_timeout: tree.time("timeout.idle").expect("has a default"),
        helo_required: tree.bool("phases.helo.required").expect("has a default"),
        max_messages: tree.count("phases.mailfrom.maxmessages").filter(|limit| *limit > 0),
        max_recipients: tree.count("phases.rcptto.maxrecipients").expect("has a default"),
        max_size_bytes: tree.integer("phases.data.maxsize").filter(|limit| *limit > 0),
        max_hops: tree.count("phases.data.maxhops").expect("has a default"),
        bare_eol: match tree.text("phases.data.bareeol") {
            Some("convert") => BareEol::Convert,
            _ => BareEol::Reject,
        },
        tls: tree.get("tls").and_then(tls::server),
        extensions: Extensions {
            pipelining: tree.bool("extensions.pipelining").expect("has a default"),
            size: tree.bool("extensions.size").expect("has a default"),
            eightbitmime: tree.bool("extensions.8bitmime").expect("has a default"),
            enhancedstatuscodes: tree.bool("extensions.enhancedstatuscodes").expect("has a default"),
            chunking: tree.bool("extensions.chunking").expect("has a default"),
            smtputf8: tree.bool("extensions.smtputf8").expect("has a default"),
            dsn: tree.bool("extensions.dsn").expect("has a default"),
            limits: tree.bool("extensions.limits").expect("has a default"),
            requiretls: tree.bool("extensions.requiretls").expect("has a default"),
        },
        hooks: hooks(tree),
        auth_mechanisms: texts(tree.items("phases.auth.mechanisms")),
        auth_needs_tls: tree.bool("phases.auth.tls").expect("has a default"),
    }
}

/// Words in capitals.
fn texts(items: &[Tree]) -> Vec<String> {
    let text = |tree: &Tree| match &tree.value {
        Checked::Text(text) => Some(text.to_ascii_uppercase()),
        _ => None,
    };
    items.iter().filter_map(text).collect()
}

fn hooks(tree: &Tree) -> Hooks {
    let of = |phase: &str| tree.text(&format!("phases.{phase}.hook")).map(str::to_owned);
    let domains = tree.entries("phases.rcptto.hook.recipientdomains").iter();
    let domains = domains.filter_map(|(domain, id)| match &id.value {
        Checked::Text(id) => Some((domain.to_ascii_lowercase(), id.clone())),
        _ => None,
    });
    Hooks {
        connect: of("connect"),
        proxy: of("proxy"),
        helo: of("helo"),
        auth: of("auth"),
        mailfrom: of("mailfrom"),
        rcptto: RcptHook {
            id: of("rcptto").or_else(|| tree.text("phases.rcptto.hook.id").map(str::to_owned)),
            domains: domains.collect(),
        },
        eod: of("eod"),
        disconnect: of("disconnect"),
    }
}

fn address(tree: &Tree) -> Address {
    Address {
        id: tree.text("id").expect("required").to_owned(),
        address: tree.ip("address").expect("required"),
        hostname: tree.text("hostname").map(str::to_owned),
        nonlocal: tree.bool("nonlocal").expect("has a default"),
        proxy: crate::connection::proxy(tree, "proxyprotocol"),
    }
}

fn queues(tree: &Tree) -> Queues {
    Queues {
        max_connections: tree.count("concurrency.total").expect("has a default"),
        pool_size: tree.count("pooling.size").expect("has a default"),
        pool_policy: match tree.text("pooling.policy") {
            Some("remotemx") => PoolPolicy::RemoteMx,
            Some("grouping") => PoolPolicy::Grouping,
            Some("recipientdomain") => PoolPolicy::RecipientDomain,
            _ => PoolPolicy::RemoteIp,
        },
        soft_bounce: tree.bool("softbounce").expect("has a default"),
        default_group: match tree.text("grouping.default") {
            Some("remotemx") => DefaultGroup::RemoteMx,
            Some("recipientdomain") => DefaultGroup::RecipientDomain,
            _ => DefaultGroup::None,
        },
        groupings: tree.items("grouping.groupings").iter().map(grouping).collect(),
    }
}

fn grouping(tree: &Tree) -> Grouping {
    let networks = patterns(tree.items("remoteip")).into_iter().filter_map(|pattern| match pattern {
        Pattern::Network(network) => Some(network),
        _ => None,
    });
    Grouping {
        id: tree.text("id").expect("required").to_owned(),
        remote_mx: patterns(tree.items("remotemx")),
        recipient_domain: patterns(tree.items("recipientdomain")),
        remote_ip: networks.collect(),
    }
}

fn lists(tree: &Tree) -> Lists {
    let of_field = |field: Field| {
        let entries = tree.entries(field.name()).iter();
        entries.map(move |(name, items)| match &items.value {
            Checked::List(items) => ((field, name.clone()), patterns(items)),
            _ => ((field, name.clone()), Vec::new()),
        })
    };
    Field::ALL.into_iter().flat_map(of_field).collect()
}

fn patterns(items: &[Tree]) -> Vec<Pattern> {
    let pattern = |tree: &Tree| match &tree.value {
        Checked::Match(Match::Pattern(pattern)) => Some(pattern.clone()),
        _ => None,
    };
    items.iter().filter_map(pattern).collect()
}

fn resolver(tree: &Tree) -> Resolver {
    let server = |tree: &Tree| match tree.value {
        Checked::Server(server) => Some(server),
        _ => None,
    };
    Resolver {
        servers: tree.items("servers").iter().filter_map(server).collect(),
        timeout: tree.time("timeout"),
        trust_ad: tree.bool("trustad"),
        cache_size: tree.count("cache.size").expect("has a default"),
        cache_ttl_min: tree.time("cache.ttl.min").expect("has a default"),
        cache_ttl_max: tree.time("cache.ttl.max"),
        concurrency: tree.count("concurrency").expect("has a default"),
    }
}

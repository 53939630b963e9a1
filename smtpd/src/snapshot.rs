//! Everything a reload can change, compiled and ready: built aside, then swapped in by every shard.

mod route;

use std::sync::Arc;

use bytes::Bytes;
use config::{Reloadable, Startup};
use hooks::TransportNames;
use ipnet::IpNet;
use net::smtp::address::Hostname;
use net::smtp::server;
use rustc_hash::FxHashMap;
use script::compile::BreakPoints;
use tls::ServerSide;

use crate::delivery::conditions::{self, Conditions};
use crate::delivery::{Groups, Ourselves};
use crate::monitor;
use crate::pki::{self, CertificateStatus, Keyring};
use crate::scripts::{Prepared, ServerHooks};
use crate::stats::custom;
use route::{mailer_daemon, queue_transport};

pub use route::{Dsn, Route, RouteParts, RoutePooling, RouteTls};

/// A configuration in force. Immutable; sessions and attempts keep the one they started with.
#[derive(Debug)]
pub struct Snapshot {
    /// In the order of the startup file's servers.
    pub servers: Vec<Arc<Server>>,
    /// Transports by id.
    pub routes: FxHashMap<String, Arc<Route>>,
    /// What routes with other settings are made of.
    pub route_parts: RouteParts,
    /// The transports as the queue wants them.
    pub queue_transports: Vec<queue::Transport>,
    /// Bounds of each shard's queue.
    pub queue_options: queue::Options,
    /// What the delivery file sets, beside its default, which is in the routes.
    pub conditions: Conditions,
    /// Groups of destinations.
    pub groups: Groups,
    /// How connections are used again.
    pub pooling: Pooling,
    /// Name of this host, as the system has it.
    pub hostname: String,
    /// What this host is known by, among the hosts of a domain.
    pub ourselves: Ourselves,
    /// The DNS client's settings.
    pub resolver: config::Resolver,
    /// The certificates in force, by id: until when they are valid.
    pub certificates: Vec<CertificateStatus>,
    /// What the monitor answers.
    pub monitor: Arc<monitor::Settings>,
    /// The scripts.
    pub scripts: Prepared,
}

/// How outgoing connections are used again.
#[derive(Clone, Copy, Debug)]
pub struct Pooling {
    /// Idle connections that each shard keeps.
    pub size: usize,
    /// What messages must share, beside the hosts' addresses and the transport.
    pub policy: config::PoolPolicy,
}

/// One server: how its sessions behave.
#[derive(Debug)]
pub struct Server {
    /// Its id.
    pub id: Arc<str>,
    /// Its id, and the transport of its recipients, as the spool stores them.
    pub id_bytes: Bytes,
    /// See `id_bytes`. Empty where `transport` is none: then a script names another one for each recipient.
    pub transport_bytes: Bytes,
    /// Transport of its recipients, if scripts choose no other.
    pub transport: Option<String>,
    /// Name of this host in its Received headers.
    pub hostname: Hostname,
    /// Messages come to it by HTTP; `None`: by SMTP.
    pub http: Option<HttpServer>,
    /// Settings of its sessions.
    pub session: Arc<server::Config>,
    /// Most connections over all shards.
    pub max_connections: u32,
    /// Most connections of one address over all shards; 0: no limit.
    pub max_connections_per_address: u32,
    /// Look up the names of clients.
    pub remote_ptr: bool,
    /// The dialogue goes to the log.
    pub verbose: bool,
    /// Peers that send a PROXY header first.
    pub proxies: Vec<IpNet>,
    /// Who may use XCLIENT.
    pub xclient: Vec<IpNet>,
    /// TLS for its clients; `None`: it is not offered.
    pub tls: Option<ServerTls>,
    /// Its scripts.
    pub hooks: ServerHooks,
    /// All transports, for the scripts.
    pub transports: TransportNames,
}

/// What a server has that speaks HTTP.
#[derive(Debug)]
pub struct HttpServer {
    /// Values of `X-API-Key` that may submit; empty: everyone may.
    pub api_keys: Vec<String>,
}

/// TLS of a server.
#[derive(Debug)]
pub struct ServerTls {
    /// How it is spoken.
    pub side: ServerSide,
    /// Whether a listener begins in TLS, in the order of the startup file's listeners.
    pub implicit: Vec<bool>,
}

impl Snapshot {
    /// How senders of a transport's mail are told; for one that is gone from the configuration, as without a word
    /// about it there.
    pub fn dsn(&self, transport: &str) -> Arc<Dsn> {
        match self.routes.get(transport) {
            Some(route) => Arc::clone(&route.dsn),
            None => Arc::new(Dsn {
                transport: Some(transport.into()),
                host: self.hostname.clone(),
                from: mailer_daemon(&self.hostname),
                from_name: "Mail Delivery System".to_owned(),
                full: false,
            }),
        }
    }

    /// Compiles what the files say, scripts too. `hostname` is the system's, for where the files name none; `warn` hears of
    /// what is odd but can be used, in lines of which the first has the word warning. Reads further files, which blocks.
    ///
    /// # Errors
    /// A sentence that names the value which cannot be used, or the errors of the scripts.
    pub fn build(
        startup: &Startup,
        files: &Reloadable,
        hostname: &str,
        shards: u16,
        keyring: &Arc<Keyring>,
        break_points: BreakPoints,
        warn: &mut dyn FnMut(String),
    ) -> Result<Snapshot, String> {
        let running = &files.running;
        let scripts = Prepared::compile(startup, running, break_points, warn)?;
        let mut servers = Vec::with_capacity(startup.servers.len());
        for listen in &startup.servers {
            let server = running
                .server(&listen.id)
                .ok_or_else(|| format!("servers: no entry for server \"{}\"", listen.id))?;
            servers.push(Arc::new(build_server(listen, server, hostname, keyring, &scripts)?));
        }
        let route_parts = RouteParts {
            addresses: running.addresses.clone(),
            hostname: hostname.to_owned(),
            keyring: Arc::clone(keyring),
        };
        let delivery_default = conditions::settings(&files.delivery.default);
        let conditions = Conditions::build(&files.delivery)?;
        let (mut routes, mut queue_transports) = (FxHashMap::default(), Vec::new());
        for transport in &running.transports {
            let route = route_parts.make(transport.clone(), delivery_default.clone())?;
            queue_transports.push(queue_transport(&route));
            routes.insert(transport.id.clone(), Arc::new(route));
        }
        let shards = u32::from(shards.max(1));
        let mut queue_options = queue::Options {
            total_concurrency: (running.queues.max_connections / shards).max(1),
            grouping: grouping_at_pickup(&running.queues),
            soft_bounce: running.queues.soft_bounce,
            one_domain: conditions.look_at_domain(),
            ..queue::Options::default()
        };
        if let Some(max) = startup.queue_max_messages {
            let share = usize::try_from(max).unwrap_or(usize::MAX) / shards as usize;
            queue_options.max_items = queue_options.max_items.min(share.max(1));
        }
        Ok(Snapshot {
            servers,
            routes,
            route_parts,
            queue_transports,
            queue_options,
            conditions,
            groups: Groups::build(&running.queues.groupings, running.queues.default_group)?,
            pooling: Pooling {
                size: running.queues.pool_size.div_ceil(shards) as usize,
                policy: running.queues.pool_policy,
            },
            hostname: hostname.to_owned(),
            ourselves: Ourselves::of(startup, files, hostname),
            resolver: running.resolver.clone(),
            certificates: keyring.status(),
            monitor: Arc::new(build_monitor(&running.monitor, keyring)?),
            scripts,
        })
    }
}

impl Snapshot {
    /// The longest wait between two attempts of any transport, in milliseconds.
    pub fn longest_retry_ms(&self) -> u64 {
        let schedules = self.queue_transports.iter().map(|transport| transport.retry.clone());
        let steps = schedules.chain([queue::RetryPolicy::default()]).flat_map(|policy| policy.steps);
        steps.map(|step| step.interval_ms).max().unwrap_or_default()
    }
}

fn parse_hostname(name: &str, key: &str) -> Result<Hostname, String> {
    Hostname::parse(name.as_bytes()).map_err(|_| format!("{key}: \"{name}\" is not a host name"))
}

fn build_monitor(monitor: &config::Monitor, keyring: &Keyring) -> Result<monitor::Settings, String> {
    let side = |id: &String| pki::monitor_side(id, keyring);
    if let Some(taken) = monitor.metrics.iter().find(|metric| custom::is_taken(&metric.name)) {
        return Err(format!("monitor.metrics: \"{}\" is the name of a metric of the server", taken.name));
    }
    Ok(monitor::Settings {
        api_keys: monitor.api_keys.clone(),
        tls: monitor.certificate.as_ref().map(side).transpose()?,
        max_messages: monitor.max_messages,
        metrics: monitor.metrics.clone(),
    })
}

fn build_server(
    listen: &config::ListenServer,
    server: &config::Server,
    system_hostname: &str,
    keyring: &Keyring,
    scripts: &Prepared,
) -> Result<Server, String> {
    let name = server.hostname.as_deref().unwrap_or(system_hostname);
    let hostname = parse_hostname(name, &format!("servers \"{}\": hostname", server.id))?;
    let mut session = server::Config::new(hostname.clone());
    session.extensions.pipelining = server.extensions.pipelining;
    session.extensions.size = server.extensions.size;
    session.extensions.eight_bit_mime = server.extensions.eightbitmime;
    session.extensions.enhanced_status_codes = server.extensions.enhancedstatuscodes;
    session.extensions.chunking = server.extensions.chunking;
    session.extensions.smtputf8 = server.extensions.smtputf8;
    session.extensions.dsn = server.extensions.dsn;
    session.extensions.limits = server.extensions.limits;
    session.extensions.require_tls = server.extensions.requiretls;
    session.size_bytes_max = server.max_size_bytes.unwrap_or(0);
    session.recipients_max = server.max_recipients;
    session.messages_max = server.max_messages.unwrap_or(0);
    session.hops_max = server.max_hops;
    session.hello_required = server.helo_required;
    session.bare_eol = match server.bare_eol {
        config::BareEol::Reject => server::BareEol::Reject,
        config::BareEol::Convert => server::BareEol::Convert,
    };
    if server.hooks.auth.is_some() {
        session.extensions.auth = true;
        session.auth = server::Auth {
            mechanisms: server.auth_mechanisms.iter().map(|name| name.as_str().into()).collect(),
            tls_required: server.auth_needs_tls,
        };
    }
    session.timeouts.idle = server.idle_timeout;
    session.timeouts.data = server.idle_timeout;
    let tls = build_server_tls(listen, server, keyring)?;
    session.extensions.starttls = tls.is_some();
    session.tls_required = server.tls.as_ref().is_some_and(|tls| tls.required);
    Ok(Server {
        id: server.id.as_str().into(),
        id_bytes: Bytes::copy_from_slice(server.id.as_bytes()),
        transport: server.transport.clone(),
        transport_bytes: server.transport.clone().unwrap_or_default().into(),
        hostname,
        http: server.kind.is_http().then(|| HttpServer { api_keys: server.api_keys.clone() }),
        session: Arc::new(session),
        max_connections: server.max_connections,
        tls,
        max_connections_per_address: server.max_connections_per_address.unwrap_or(0),
        remote_ptr: server.remote_ptr,
        verbose: server.verbose,
        proxies: listen.proxies.clone(),
        xclient: server.xclient.clone(),
        hooks: scripts.of_server(&server.hooks),
        transports: scripts.transports.clone(),
    })
}

fn build_server_tls(
    listen: &config::ListenServer,
    server: &config::Server,
    keyring: &Keyring,
) -> Result<Option<ServerTls>, String> {
    let Some(tls) = &server.tls else { return Ok(None) };
    let implicit = |listener: &config::Listener| match &tls.implicit {
        _ if server.kind == config::ServerKind::Https => true,
        config::Implicit::None => false,
        config::Implicit::All => true,
        config::Implicit::Listeners(ids) => listener.id.as_ref().is_some_and(|id| ids.contains(id)),
    };
    let side =
        pki::server_side(tls, keyring).map_err(|why| format!("servers \"{}\": tls: {why}", server.id))?;
    Ok(Some(ServerTls { side, implicit: listen.listeners.iter().map(implicit).collect() }))
}

/// The group is known before DNS only when it is always the recipient domain.
fn grouping_at_pickup(queues: &config::Queues) -> queue::GroupingAtPickup {
    if queues.groupings.is_empty() && queues.default_group == config::DefaultGroup::RecipientDomain {
        queue::GroupingAtPickup::RecipientDomain
    } else {
        queue::GroupingAtPickup::Unknown
    }
}

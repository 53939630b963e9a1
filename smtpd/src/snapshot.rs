//! Everything a reload can change, compiled and ready: built aside, then swapped in by every shard.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::{Field, Pattern, Reloadable, Startup};
use hooks::TransportNames;
use ipnet::IpNet;
use net::smtp::address::Hostname;
use net::smtp::sasl::Credentials;
use net::smtp::{client, server};
use rustc_hash::FxHashMap;
use tls::{ClientSide, ServerSide};

use crate::delivery::{Family, Groups, Source, Sources};
use crate::pki::{self, CertificateStatus, Keyring};

use crate::scripts::{Prepared, ServerHooks};

/// A configuration in force. Immutable; sessions and attempts keep the one they started with.
#[derive(Debug)]
pub struct Snapshot {
    /// In the order of the startup file's servers.
    pub servers: Vec<Arc<Server>>,
    /// Transports by id.
    pub routes: FxHashMap<String, Arc<Route>>,
    /// The transports as the queue wants them.
    pub queue_transports: Vec<queue::Transport>,
    /// Bounds of each shard's queue.
    pub queue_options: queue::Options,
    /// What is not picked up.
    pub suspends: Arc<queue::Suspends>,
    /// Groups of destinations.
    pub groups: Groups,
    /// How connections are used again.
    pub pooling: Pooling,
    /// Name of this host, as the system has it.
    pub hostname: String,
    /// The DNS client's settings.
    pub resolver: config::Resolver,
    /// The certificates in force, by id: until when they are valid.
    pub certificates: Vec<CertificateStatus>,
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
    /// See `id_bytes`.
    pub transport_bytes: Bytes,
    /// Transport of its recipients.
    pub transport: String,
    /// Name of this host in its Received headers.
    pub hostname: Hostname,
    /// Settings of its sessions.
    pub session: Arc<server::Config>,
    /// Most connections over all shards.
    pub max_connections: u32,
    /// Most connections of one address over all shards; 0: no limit.
    pub max_connections_per_address: u32,
    /// Look up the names of clients.
    pub remote_ptr: bool,
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

/// TLS of a server.
#[derive(Debug)]
pub struct ServerTls {
    /// How it is spoken.
    pub side: ServerSide,
    /// Whether a listener begins in TLS, in the order of the startup file's listeners.
    pub implicit: Vec<bool>,
}

/// One transport: how its mail goes out.
#[derive(Debug)]
pub struct Route {
    /// Its id.
    pub id: Arc<str>,
    /// Where its mail goes.
    pub next_hop: config::NextHop,
    /// TCP port.
    pub port: u16,
    /// Which of a domain's hosts may be used.
    pub mx: config::MxFilter,
    /// Where its connections come from.
    pub sources: Sources,
    /// How long a connect may take.
    pub connect_timeout: Duration,
    /// Settings of its sessions.
    pub session: Arc<client::Config>,
    /// How senders of its mail are told what became of it.
    pub dsn: Arc<Dsn>,
    /// TLS on its connections; `None`: never.
    pub tls: Option<RouteTls>,
}

/// TLS of a transport. Whether it is required, and asked for with STARTTLS, is in the settings of the sessions.
#[derive(Debug)]
pub struct RouteTls {
    /// How it is spoken.
    pub side: ClientSide,
    /// From the first byte.
    pub implicit: bool,
    /// Where it fails, the message goes in clear.
    pub optional: bool,
}

impl Route {
    /// Connections are good only for the host name that they were opened for: its certificate was checked for it.
    pub fn is_bound_to_name(&self) -> bool {
        self.tls.is_some()
    }
}

/// Reports on the mail of a transport, ready for use.
#[derive(Debug)]
pub struct Dsn {
    /// The transport that carries them; `None`: there are none.
    pub transport: Option<Arc<str>>,
    /// Name of this host.
    pub host: String,
    /// Address of their From field.
    pub from: String,
    /// Name of their From field.
    pub from_name: String,
    /// Whether they give back the whole message when its sender did not say.
    pub full: bool,
    /// How long mail is kept at most, in milliseconds.
    pub longest_wait_ms: u64,
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
                longest_wait_ms: queue::RetryPolicy::default().longest_wait_ms(),
            }),
        }
    }

    /// Compiles what the files say, scripts too. `hostname` is the system's, for where the files name none; `warn` hears of
    /// what is odd but can be used. Reads further files, which blocks.
    ///
    /// # Errors
    /// A sentence that names the value which cannot be used, or the errors of the scripts.
    pub fn build(
        startup: &Startup,
        files: &Reloadable,
        hostname: &str,
        shards: u16,
        keyring: &Keyring,
        warn: &mut dyn FnMut(String),
    ) -> Result<Snapshot, String> {
        let running = &files.running;
        let scripts = Prepared::compile(startup, running, warn)?;
        let mut servers = Vec::with_capacity(startup.servers.len());
        for listen in &startup.servers {
            let server = running
                .server(&listen.id)
                .ok_or_else(|| format!("servers: no entry for server \"{}\"", listen.id))?;
            servers.push(Arc::new(build_server(listen, server, hostname, keyring, &scripts)?));
        }
        let mut routes = FxHashMap::default();
        for transport in &running.transports {
            let route = build_route(transport, &running.addresses, hostname, keyring)?;
            routes.insert(transport.id.clone(), Arc::new(route));
        }
        let shards = u32::from(shards.max(1));
        let mut queue_options = queue::Options {
            total_concurrency: (running.queues.max_connections / shards).max(1),
            grouping: grouping_at_pickup(&running.queues),
            soft_bounce: running.queues.soft_bounce,
            ..queue::Options::default()
        };
        if let Some(max) = startup.queue_max_messages {
            let share = usize::try_from(max).unwrap_or(usize::MAX) / shards as usize;
            queue_options.max_items = queue_options.max_items.min(share.max(1));
        }
        Ok(Snapshot {
            servers,
            routes,
            queue_transports: running.transports.iter().map(queue_transport).collect(),
            queue_options,
            suspends: Arc::new(compile_suspends(&files.suspends)?),
            groups: Groups::build(&running.queues.groupings, running.queues.default_group)?,
            pooling: Pooling {
                size: running.queues.pool_size.div_ceil(shards) as usize,
                policy: running.queues.pool_policy,
            },
            hostname: hostname.to_owned(),
            resolver: running.resolver.clone(),
            certificates: keyring.status(),
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
        transport_bytes: Bytes::copy_from_slice(server.transport.as_bytes()),
        hostname,
        session: Arc::new(session),
        max_connections: server.max_connections,
        tls,
        max_connections_per_address: server.max_connections_per_address.unwrap_or(0),
        remote_ptr: server.remote_ptr,
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
        config::Implicit::None => false,
        config::Implicit::All => true,
        config::Implicit::Listeners(ids) => listener.id.as_ref().is_some_and(|id| ids.contains(id)),
    };
    let side =
        pki::server_side(tls, keyring).map_err(|why| format!("servers \"{}\": tls: {why}", server.id))?;
    Ok(Some(ServerTls { side, implicit: listen.listeners.iter().map(implicit).collect() }))
}

fn build_route(
    transport: &config::Transport,
    addresses: &[config::Address],
    system_hostname: &str,
    keyring: &Keyring,
) -> Result<Route, String> {
    let name = transport.helo.as_deref().unwrap_or(system_hostname);
    let hostname = parse_hostname(name, &format!("transport \"{}\": session.helo", transport.id))?;
    let mut session = client::Config::new(hostname);
    let timeouts = &transport.timeouts;
    session.timeouts = client::Timeouts {
        banner: timeouts.banner,
        ehlo: timeouts.ehlo,
        helo: timeouts.helo,
        lhlo: timeouts.lhlo,
        starttls: timeouts.starttls,
        xclient: timeouts.xclient,
        auth_cram_md5: timeouts.auth_cram_md5,
        auth_plain: timeouts.auth_plain,
        auth_login: timeouts.auth_login,
        auth_login_user: timeouts.auth_login_user,
        auth: timeouts.auth,
        mail: timeouts.mail,
        rcpt: timeouts.rcpt,
        data: timeouts.data,
        eod: timeouts.eod,
        rset: timeouts.rset,
        quit: timeouts.quit,
        ..client::Timeouts::default()
    };
    what_is_said(&transport.session, &mut session);
    session.starttls = match &transport.tls {
        None => client::StartTls::Never,
        Some(tls) if tls.implicit => client::StartTls::Never,
        Some(tls) if tls.optional => client::StartTls::IfOffered,
        Some(_) => client::StartTls::Required,
    };
    let tls = match &transport.tls {
        None => None,
        Some(tls) => {
            let side = pki::client_side(tls, keyring)
                .map_err(|why| format!("transport \"{}\": session.tls: {why}", transport.id))?;
            Some(RouteTls { side, implicit: tls.implicit, optional: tls.optional })
        }
    };
    Ok(Route {
        id: transport.id.as_str().into(),
        next_hop: transport.next_hop.clone(),
        port: transport.port,
        mx: transport.mx.clone(),
        sources: Sources {
            families: [
                family(&transport.source_ipv4, addresses, &session)?,
                family(&transport.source_ipv6, addresses, &session)?,
            ],
            spread: transport.source_random,
        },
        connect_timeout: timeouts.connect,
        dsn: Arc::new(dsn(transport, name)),
        session: Arc::new(session),
        tls,
    })
}

/// Protocol, login and options of a transport's sessions.
fn what_is_said(said: &config::TransportSession, session: &mut client::Config) {
    session.protocol = if said.lmtp { client::Protocol::Lmtp } else { client::Protocol::Smtp };
    session.chunking = said.chunking;
    session.eight_bit_as_is = said.eight_bit_as_is;
    session.login = said.login.as_ref().map(|login| client::Login {
        credentials: Credentials {
            username: login.username.as_str().into(),
            password: login.password.as_str().into(),
        },
        in_clear: login.in_clear,
    });
    // The names have been checked.
    let attribute = |(name, value): &(String, String)| {
        let attribute = client::XclientAttribute::parse(name.as_bytes())?;
        Some((attribute, value.as_bytes().into()))
    };
    session.xclient = said.xclient.iter().filter_map(attribute).collect();
}

/// Where the connections of one family come from; sessions say what `session` says, under the address's own name.
fn family(
    source: &config::SourceIp,
    addresses: &[config::Address],
    session: &client::Config,
) -> Result<Family, String> {
    let ids = match source {
        config::SourceIp::Off => return Ok(Family::Off),
        config::SourceIp::System => return Ok(Family::System),
        config::SourceIp::Addresses(ids) => ids,
    };
    let mut pool = Vec::with_capacity(ids.len());
    // A name that this host does not define was warned of.
    for address in ids.iter().filter_map(|id| addresses.iter().find(|address| address.id == *id)) {
        let mut session = session.clone();
        if let Some(name) = &address.hostname {
            session.hostname = parse_hostname(name, &format!("addresses \"{}\": hostname", address.id))?;
        }
        pool.push(Arc::new(Source {
            id: address.id.as_str().into(),
            address: address.address,
            nonlocal: address.nonlocal,
            session: Arc::new(session),
        }));
    }
    Ok(Family::Pool(pool))
}

fn dsn(transport: &config::Transport, host: &str) -> Dsn {
    let settings = &transport.dsn;
    Dsn {
        transport: match &settings.transport {
            config::DsnTransport::OfTheMessage => Some(transport.id.as_str().into()),
            config::DsnTransport::Named(id) => Some(id.as_str().into()),
            config::DsnTransport::Off => None,
        },
        host: host.to_owned(),
        from: settings.from.clone().unwrap_or_else(|| mailer_daemon(host)),
        from_name: settings.from_name.clone(),
        full: settings.returns == config::DsnReturns::Full,
        longest_wait_ms: queue_transport(transport).retry.longest_wait_ms(),
    }
}

fn mailer_daemon(host: &str) -> String {
    format!("MAILER-DAEMON@{host}")
}

fn queue_transport(transport: &config::Transport) -> queue::Transport {
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    queue::Transport {
        name: transport.id.clone(),
        lines: match transport.next_hop {
            config::NextHop::Mx => queue::Lines::PerDomain,
            config::NextHop::Host(_) | config::NextHop::Address(_) => queue::Lines::Single,
        },
        retry: transport.retry.as_ref().map_or_else(queue::RetryPolicy::default, |retry| {
            let step = |step: &config::RetryInterval| queue::RetryStep {
                interval_ms: milliseconds(step.interval),
                notify: step.notify,
            };
            queue::RetryPolicy {
                count: Some(retry.count),
                steps: retry.intervals.iter().map(step).collect(),
                during_ms: retry.during.map(milliseconds),
            }
        }),
        ..queue::Transport::default()
    }
}

/// The group is known before DNS only when it is always the recipient domain.
fn grouping_at_pickup(queues: &config::Queues) -> queue::GroupingAtPickup {
    if queues.groupings.is_empty() && queues.default_group == config::DefaultGroup::RecipientDomain {
        queue::GroupingAtPickup::RecipientDomain
    } else {
        queue::GroupingAtPickup::Unknown
    }
}

fn compile_suspends(suspends: &config::Suspends) -> Result<queue::Suspends, String> {
    let rules: Vec<queue::Rule> = suspends.suspends.iter().map(suspend_rule).collect();
    queue::Suspends::compile(&rules, &[]).map_err(|error| {
        format!("smtpd_suspend: suspends[{}]: \"{}\": {}", error.rule, error.value, error.problem)
    })
}

fn suspend_rule(suspend: &config::Suspend) -> queue::Rule {
    let fields = suspend
        .fields
        .iter()
        .map(|(field, patterns)| (queue_field(*field), patterns.iter().map(pattern_text).collect()));
    queue::Rule { fields: fields.collect(), tag: suspend.tag.clone() }
}

fn queue_field(field: Field) -> queue::Field {
    match field {
        Field::TenantId => queue::Field::TenantId,
        Field::JobId => queue::Field::JobId,
        Field::TransportId => queue::Field::TransportId,
        Field::LocalIp => queue::Field::LocalIp,
        Field::Grouping => queue::Field::Grouping,
        Field::RemoteIp => queue::Field::RemoteIp,
        Field::RemoteMx => queue::Field::RemoteMx,
        Field::RecipientDomain => queue::Field::RecipientDomain,
    }
}

/// The pattern as it stands in a file, which is what the queue compiles.
pub(crate) fn pattern_text(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exact(text) => text.clone(),
        Pattern::Subdomains(suffix) => format!("*{suffix}"),
        Pattern::Regex(regex) => format!("/{}/", regex.as_str()),
        Pattern::Network(network) => network.to_string(),
        Pattern::Group(id) => format!("&{id}"),
    }
}

//! Routes: transports, compiled. Also with what one attempt uses instead.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use config::Address;
use net::smtp::client;
use net::smtp::sasl::Credentials;
use tls::{ClientSide, DanePolicy};

use super::parse_hostname;
use crate::delivery::settings::{AttemptSettings, SourceAddress};
use crate::delivery::{Family, Source, Sources};
use crate::limits;
use crate::pki::{self, Keyring};

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
    /// Who connects on our behalf where the system chooses the source address; `None`: we do.
    pub proxy: Option<SocketAddr>,
    /// How long a connect may take.
    pub connect_timeout: Duration,
    /// Settings of its sessions.
    pub session: Arc<client::Config>,
    /// How senders of its mail are told what became of it.
    pub dsn: Arc<Dsn>,
    /// TLS on its connections; `None`: never.
    pub tls: Option<RouteTls>,
    /// How its connections are used again.
    pub pooling: RoutePooling,
    /// When its mail is tried again.
    pub retry: Arc<queue::RetryPolicy>,
    /// The mode of its TLS, as files name it.
    pub tls_mode: config::TlsMode,
    /// What it was made of.
    made_of: (config::Transport, AttemptSettings),
}

/// How connections of a route are used again.
#[derive(Clone, Copy, Debug)]
pub struct RoutePooling {
    /// They are, once idle.
    pub enabled: bool,
    /// How long they stay idle.
    pub timeout: Duration,
    /// Transactions before one is closed.
    pub transactions: u32,
    /// It may go when the pool is full.
    pub evictable: bool,
}

/// TLS of a transport. Whether it is required, and asked for with STARTTLS, is in the settings of the sessions.
#[derive(Debug)]
pub struct RouteTls {
    /// How it is spoken.
    pub side: ClientSide,
    /// From the first byte.
    pub implicit: bool,
    /// Where it fails, the message goes in clear; under DANE, with hosts without TLSA records.
    pub optional: bool,
    /// Hosts are asked for TLSA records, which go before all this.
    pub dane: Option<RouteDane>,
}

/// DANE of a transport (RFC 7672).
#[derive(Debug)]
pub struct RouteDane {
    /// How TLS is spoken with hosts that have usable records.
    pub side: ClientSide,
    /// What follows from them.
    pub policy: DanePolicy,
}

impl Route {
    /// Connections are good only for the host name that they were opened for: its certificate was checked for it.
    pub fn is_bound_to_name(&self) -> bool {
        self.tls.is_some()
    }
}

/// Reports on the mail of a transport, ready for use.
#[derive(Clone, Debug)]
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
}

/// What routes are made of, beside transports.
#[derive(Clone, Debug)]
pub struct RouteParts {
    /// `addresses`.
    pub(super) addresses: Vec<Address>,
    /// Name of this host, as the system has it.
    pub(super) hostname: String,
    /// Certificates.
    pub(super) keyring: Arc<Keyring>,
}

impl RouteParts {
    /// A route as it is with `settings` before its own.
    ///
    /// # Errors
    /// A sentence that names the value which cannot be used.
    pub fn remake(&self, route: &Route, settings: &AttemptSettings) -> Result<Route, String> {
        let (transport, below) = route.made_of.clone();
        self.make(transport, settings.clone().over(&below))
    }

    /// The route of a transport, with `settings` laid over it.
    ///
    /// # Errors
    /// A sentence that names the value which cannot be used.
    pub(super) fn make(
        &self,
        transport: config::Transport,
        settings: AttemptSettings,
    ) -> Result<Route, String> {
        let mut laid = transport.clone();
        settings.lay_over(&mut laid);
        let name = laid.helo.as_deref().unwrap_or(&self.hostname);
        let hostname = parse_hostname(name, &format!("transport \"{}\": session.helo", laid.id))?;
        let mut session = client::Config::new(hostname);
        session.timeouts = timeouts(&laid.timeouts);
        what_is_said(&laid, &mut session);
        let mut retry = retry_policy(&laid);
        retry.count = settings.retry_count.or(retry.count);
        if let Some(intervals) = &settings.retry_intervals {
            retry.steps = intervals.iter().map(retry_step).collect();
        }
        Ok(Route {
            id: laid.id.as_str().into(),
            next_hop: laid.next_hop.clone(),
            port: laid.port,
            mx: laid.mx.clone(),
            sources: self.sources(&laid, &settings, &session)?,
            proxy: laid.proxy,
            connect_timeout: laid.timeouts.connect,
            dsn: Arc::new(dsn(&laid, name)),
            session: Arc::new(session),
            tls: self.tls(&laid)?,
            tls_mode: laid.tls.mode.unwrap_or(config::TlsMode::Disabled),
            pooling: RoutePooling {
                enabled: settings.pooling.enabled.unwrap_or(true),
                timeout: settings.pooling.timeout.unwrap_or(limits::CONNECTION_IDLE),
                transactions: settings.pooling.transactions.unwrap_or(limits::CONNECTION_TRANSACTIONS),
                evictable: settings.pooling.evictable.unwrap_or(true),
            },
            retry: Arc::new(retry),
            made_of: (transport, settings),
        })
    }

    fn tls(&self, transport: &config::Transport) -> Result<Option<RouteTls>, String> {
        let tls = &transport.tls;
        if !tls.is_on() {
            return Ok(None);
        }
        let (side, dane) = pki::client_sides(tls, &self.keyring)
            .map_err(|why| format!("transport \"{}\": session.tls: {why}", transport.id))?;
        let policy = DanePolicy {
            required: tls.mode == Some(config::TlsMode::DaneRequire),
            optional: tls.is_optional(),
        };
        let dane = dane.map(|side| RouteDane { side, policy });
        Ok(Some(RouteTls { side, implicit: tls.implicit, optional: tls.is_optional(), dane }))
    }

    /// Where connections come from; sessions say what `session` says, under the address's own name.
    fn sources(
        &self,
        transport: &config::Transport,
        settings: &AttemptSettings,
        session: &client::Config,
    ) -> Result<Sources, String> {
        let families = match &settings.sources {
            None => [
                self.family(&transport.source_ipv4, transport.proxy, settings, session)?,
                self.family(&transport.source_ipv6, transport.proxy, settings, session)?,
            ],
            Some(chosen) => self.chosen(chosen, transport.proxy, settings, session)?,
        };
        Ok(Sources { families, spread: transport.source_random })
    }

    fn family(
        &self,
        source: &config::SourceIp,
        proxy: Option<SocketAddr>,
        settings: &AttemptSettings,
        session: &client::Config,
    ) -> Result<Family, String> {
        let ids = match source {
            config::SourceIp::Off => return Ok(Family::Off),
            config::SourceIp::System => return Ok(Family::System),
            config::SourceIp::Addresses(ids) => ids,
        };
        // A name that this host does not define was warned of.
        let known = ids.iter().filter_map(|id| self.address(id));
        let pool = known.map(|address| self.source(address, proxy, None, settings, session));
        Ok(Family::Pool(pool.collect::<Result<_, _>>()?))
    }

    /// A family of which there is no address is not used. An id that this host does not define is one of another host of those
    /// that share the script.
    ///
    /// # Errors
    /// None is defined here.
    fn chosen(
        &self,
        chosen: &[SourceAddress],
        proxy: Option<SocketAddr>,
        settings: &AttemptSettings,
        session: &client::Config,
    ) -> Result<[Family; 2], String> {
        let mut pools = [Vec::new(), Vec::new()];
        for source in chosen {
            let source = match source {
                SourceAddress::Id(id, helo) => match self.address(id) {
                    Some(address) => self.source(address, proxy, helo.as_deref(), settings, session)?,
                    None => continue,
                },
                SourceAddress::Address(address, helo) => {
                    let address = self.unnamed(*address);
                    self.source(&address, proxy, helo.as_deref(), settings, session)?
                }
            };
            pools[usize::from(source.address.is_ipv6())].push(source);
        }
        if pools.iter().all(Vec::is_empty) {
            return Err(format!("option \"sourceip\": this host defines no address {}", ids(chosen)));
        }
        Ok(pools.map(|pool| if pool.is_empty() { Family::Off } else { Family::Pool(pool) }))
    }

    /// The source address of this id.
    pub(crate) fn address(&self, id: &str) -> Option<&Address> {
        self.addresses.iter().find(|address| address.id == id)
    }

    /// An address by itself: the one that is defined here, or one without an id.
    fn unnamed(&self, address: IpAddr) -> Address {
        let defined = self.addresses.iter().find(|defined| defined.address == address);
        defined.cloned().unwrap_or_else(|| Address {
            id: String::new(),
            address,
            hostname: None,
            nonlocal: false,
            proxy: None,
        })
    }

    /// Its HELO name, from the most special to the most general: `helo`, that of the attempt, that of the address, that
    /// of the transport.
    fn source(
        &self,
        address: &Address,
        proxy: Option<SocketAddr>,
        helo: Option<&str>,
        settings: &AttemptSettings,
        session: &client::Config,
    ) -> Result<Arc<Source>, String> {
        let mut session = session.clone();
        let of_attempt = helo.or(settings.helo.as_deref());
        if let Some(name) = of_attempt.or(address.hostname.as_deref()) {
            session.hostname = parse_hostname(name, &format!("addresses \"{}\": hostname", address.id))?;
        }
        Ok(Arc::new(Source {
            id: Some(address.id.as_str()).filter(|id| !id.is_empty()).map(Arc::from),
            address: address.address,
            nonlocal: settings.nonlocal.unwrap_or(address.nonlocal),
            proxy: settings.proxy.or(address.proxy).or(proxy),
            session: Arc::new(session),
        }))
    }
}

/// The ids among these, for people.
fn ids(chosen: &[SourceAddress]) -> String {
    let ids = chosen.iter().filter_map(|source| match source {
        SourceAddress::Id(id, _) => Some(format!("\"{id}\"")),
        SourceAddress::Address(..) => None,
    });
    ids.collect::<Vec<_>>().join(", ")
}

fn timeouts(timeouts: &config::DeliveryTimeouts) -> client::Timeouts {
    client::Timeouts {
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
    }
}

/// Protocol, login and options of a transport's sessions.
fn what_is_said(transport: &config::Transport, session: &mut client::Config) {
    let (said, tls) = (&transport.session, &transport.tls);
    session.starttls = match () {
        () if !tls.is_on() || tls.implicit => client::StartTls::Never,
        () if tls.is_optional() => client::StartTls::IfOffered,
        () => client::StartTls::Required,
    };
    session.protocol = if said.lmtp { client::Protocol::Lmtp } else { client::Protocol::Smtp };
    session.chunking = said.chunking;
    session.eight_bit_as_is = said.eight_bit_as_is;
    session.login = said.login.as_ref().map(|login| client::Login {
        credentials: Credentials {
            username: login.username.as_str().into(),
            password: login.password.as_str().into(),
        },
        in_clear: transport.shows_password(),
    });
    // The names have been checked.
    let attribute = |(name, value): &(String, String)| {
        let attribute = client::XclientAttribute::parse(name.as_bytes())?;
        Some((attribute, value.as_bytes().into()))
    };
    session.xclient = said.xclient.iter().filter_map(attribute).collect();
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
    }
}

pub(super) fn mailer_daemon(host: &str) -> String {
    format!("MAILER-DAEMON@{host}")
}

/// A route as the queue wants it.
pub(super) fn queue_transport(route: &Route) -> queue::Transport {
    queue::Transport {
        name: route.id.to_string(),
        lines: match route.next_hop {
            config::NextHop::Mx => queue::Lines::PerDomain,
            config::NextHop::Host(_) | config::NextHop::Address(_) => queue::Lines::Single,
        },
        retry: (*route.retry).clone(),
        ..queue::Transport::default()
    }
}

fn retry_policy(transport: &config::Transport) -> queue::RetryPolicy {
    transport.retry.as_ref().map_or_else(queue::RetryPolicy::default, |retry| queue::RetryPolicy {
        count: Some(retry.count),
        steps: retry.intervals.iter().map(retry_step).collect(),
        during_ms: retry.during.map(milliseconds),
    })
}

fn retry_step(step: &config::RetryInterval) -> queue::RetryStep {
    queue::RetryStep { interval_ms: milliseconds(step.interval), notify: step.notify }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

//! The server of a call: a transport of the mail server, or an array (reference: hsl-stdlib 21.3).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use config::{MxFilter, MxPattern, NextHop, TlsMode};
use net::smtp::address::Hostname;
use net::smtp::client::{Config, Login, Phase, Protocol, StartTls, XclientAttribute};
use net::smtp::sasl::Credentials;
use script::fault::Fault;
use script::host::HostCall;
use script::native::Options;
use script::value::{Array, Value};
use tls::{ClientOptions, ClientSide, DanePolicy, Identity, Sni, VerifyName};

use crate::arguments::Arguments as _;
use crate::secure::protocols;
use crate::{Environment, limits};

/// Where a call connects to, and how.
#[derive(Clone, Debug)]
pub struct Server {
    /// Which hosts.
    pub next_hop: NextHop,
    /// TCP port.
    pub port: u16,
    /// Which of a domain's hosts may be used.
    pub mx: MxFilter,
    /// Where connections come from: IPv4, IPv6.
    pub sources: [Source; 2],
    /// How long a connect may take.
    pub connect_timeout: Duration,
    /// What is said.
    pub session: Arc<Config>,
    /// TLS on its connections; `None`: never.
    pub tls: Option<ServerTls>,
}

/// Where connections of one family come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// It is not used.
    Off,
    /// The system chooses.
    System,
    /// From this address.
    From {
        /// The address.
        address: IpAddr,
        /// Its id; empty where it has none.
        id: String,
        /// Bind it though the host need not have it.
        nonlocal: bool,
    },
}

/// TLS with a server. Whether it is required, and asked for with STARTTLS, is in the settings of the sessions.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// How it is spoken.
    pub side: ClientSide,
    /// From the first byte.
    pub implicit: bool,
    /// Where it fails, the session goes on in clear; under DANE, with hosts without TLSA records.
    pub optional: bool,
    /// Hosts are asked for TLSA records, which go before all this.
    pub dane: Option<ServerDane>,
}

/// DANE with a server (RFC 7672).
#[derive(Clone, Debug)]
pub struct ServerDane {
    /// How TLS is spoken with hosts that have usable records: it checks nothing, and asks for a host by its name.
    pub side: ClientSide,
    /// What follows from them.
    pub policy: DanePolicy,
}

impl Server {
    /// The server that the argument `index` of a call names or describes.
    pub(super) async fn of(
        environment: &Environment,
        call: &HostCall,
        index: usize,
    ) -> Result<Server, Fault> {
        match call.arg(index) {
            Value::Str(id) => {
                let id = id.to_string_lossy();
                let daemon = environment.daemon().ok_or_else(|| {
                    call.error("transports are known only inside the mail server: name a host")
                })?;
                daemon.transport(&id).map_err(|why| call.error(format_args!("transport \"{id}\": {why}")))
            }
            Value::Array(array) => Reader::new(environment, call, array).server().await,
            _ => Err(call.wrong(index, "a string or an array")),
        }
    }
}

/// Reads the array.
struct Reader<'c> {
    environment: &'c Environment,
    call: &'c HostCall,
    options: Options,
}

impl<'c> Reader<'c> {
    fn new(environment: &'c Environment, call: &'c HostCall, array: &Array) -> Reader<'c> {
        Reader { environment, call, options: Options::new(call.name, Some(array.clone())) }
    }

    async fn server(&self) -> Result<Server, Fault> {
        let mode = self.tls_mode()?;
        let port = match self.options.number("port")? {
            None => 25,
            Some(port) if port.fract() == 0.0 && (1.0..65536.0).contains(&port) => port as u16,
            Some(_) => return Err(self.wrong("port", "from 1 to 65535")),
        };
        let next_hop = match self.text("host")?.as_deref() {
            None | Some("lookup-mx") => NextHop::Mx,
            Some(host) => NextHop::of_server(host.trim_start_matches('[').trim_end_matches(']')),
        };
        Ok(Server {
            next_hop,
            port,
            mx: MxFilter { include: self.patterns("mx_include")?, exclude: self.patterns("mx_exclude")? },
            sources: self.sources()?,
            connect_timeout: self.seconds("connect_timeout")?.unwrap_or(limits::SMTP_CONNECT),
            session: Arc::new(self.session(mode)?),
            tls: self.tls(mode).await?,
        })
    }

    fn session(&self, mode: TlsMode) -> Result<Config, Fault> {
        let name = match self.text("helo")? {
            Some(name) => name,
            None => self.environment.hostname(),
        };
        let name = Hostname::parse(name.as_bytes()).map_err(|_| self.wrong("helo", "a host name"))?;
        let mut config = Config::new(name);
        config.protocol = match self.text("protocol")?.as_deref() {
            None | Some("smtp") => Protocol::Smtp,
            Some("lmtp") => Protocol::Lmtp,
            Some(_) => return Err(self.wrong("protocol", "smtp or lmtp")),
        };
        config.starttls = match mode {
            TlsMode::Disabled => StartTls::Never,
            mode if mode.is_optional() => StartTls::IfOffered,
            _ => StartTls::Required,
        };
        if let Some(username) = self.text("saslusername")? {
            let password = self.text("saslpassword")?.unwrap_or_default();
            config.login = Some(login(&username, &password, mode));
        }
        for (name, value) in self.options.array("xclient")?.unwrap_or_default().iter() {
            let name = name.into_value().to_text()?.to_string_lossy().into_owned();
            let attribute = XclientAttribute::parse(name.as_bytes())
                .ok_or_else(|| self.wrong("xclient", "an array of attributes of XCLIENT"))?;
            config.xclient.push((attribute, value.to_text()?.as_bytes().into()));
        }
        for (state, seconds) in self.options.array("timeout")?.unwrap_or_default().iter() {
            let state = state.into_value().to_text()?.to_string_lossy().into_owned();
            let phase = phase(&state).ok_or_else(|| {
                self.call.error(format_args!("option \"timeout\": there is no state \"{state}\""))
            })?;
            let wait = seconds.as_number().and_then(duration);
            config.timeouts.set(phase, wait.ok_or_else(|| self.wrong("timeout", "an array of seconds"))?);
        }
        Ok(config)
    }

    fn sources(&self) -> Result<[Source; 2], Fault> {
        let (text, id) = (self.text("sourceip")?, self.text("sourceipid")?);
        let may_lack = self.options.boolean("nonlocal_source", false)?;
        let (address, id, nonlocal) = match (text, id) {
            (None, None) => return Ok([Source::System, Source::System]),
            (Some(text), id) => {
                let address: IpAddr = text.parse().map_err(|_| self.wrong("sourceip", "an IP address"))?;
                (address, id.unwrap_or_default(), may_lack)
            }
            (None, Some(id)) => {
                let named = source_by_id(self.environment, &id);
                let (address, nonlocal) = named.map_err(|why| self.option_error("sourceipid", &why))?;
                (address, id, nonlocal || may_lack)
            }
        };
        let source = Source::From { address, id, nonlocal };
        Ok(if address.is_ipv4() { [source, Source::Off] } else { [Source::Off, source] })
    }

    fn tls_mode(&self) -> Result<TlsMode, Fault> {
        let Some(name) = self.text("tls")? else { return Ok(TlsMode::Disabled) };
        TlsMode::parse(&name)
            .ok_or_else(|| self.call.error(format_args!("option \"tls\": there is no mode \"{name}\"")))
    }

    async fn tls(&self, mode: TlsMode) -> Result<Option<ServerTls>, Fault> {
        if mode == TlsMode::Disabled {
            return Ok(None);
        }
        let (versions, ciphers) = (self.text("tls_protocols")?, self.text("tls_ciphers")?);
        let protocols =
            protocols(versions.as_deref(), ciphers.as_deref()).map_err(|why| self.call.error(why))?;
        let names: Vec<String> = self.strings("tls_verify_name")?;
        let options = ClientOptions {
            protocols,
            issuers: match mode.verifies() {
                true => {
                    let system = self.options.boolean("tls_default_ca", false)?;
                    Some(self.environment.roots(system).await)
                }
                false => None,
            },
            names: match () {
                () if !mode.verifies() => VerifyName::Any,
                () if !names.is_empty() => VerifyName::OneOf(names),
                () if self.options.boolean("tls_verify_host", false)? => VerifyName::Host,
                () => VerifyName::Any,
            },
            sni: match self.options.get("tls_sni") {
                None | Some(Value::Bool(false)) => Sni::Off,
                Some(Value::Bool(true)) => Sni::Host,
                Some(Value::Str(name)) => Sni::Name(name.to_string_lossy().into_owned()),
                Some(_) => return Err(self.wrong("tls_sni", "a string or a boolean")),
            },
            identity: self.identity()?,
        };
        let side = |options| ClientSide::new(options).map_err(|why| self.option_error("tls", &why));
        let dane = match mode.is_dane() {
            true => Some(ServerDane {
                side: side(options.clone().for_dane())?,
                policy: DanePolicy { required: mode == TlsMode::DaneRequire, optional: mode.is_optional() },
            }),
            false => None,
        };
        Ok(Some(ServerTls { side: side(options)?, implicit: false, optional: mode.is_optional(), dane }))
    }

    fn identity(&self) -> Result<Option<Identity>, Fault> {
        let Some(named) = self.options.str("tls_client_cert")? else { return Ok(None) };
        let pem = self.environment.settings.pki.identity(&named).unwrap_or(&named);
        let identity = Identity::from_pem(pem, pem);
        identity.map(Some).map_err(|why| self.option_error("tls_client_cert", &why.to_string()))
    }

    fn patterns(&self, key: &str) -> Result<Vec<MxPattern>, Fault> {
        let patterns = self.strings(key)?.into_iter();
        patterns
            .map(|text| MxPattern::parse(&text).ok_or_else(|| self.wrong(key, "a list of host names")))
            .collect()
    }

    fn text(&self, key: &str) -> Result<Option<String>, Fault> {
        Ok(self.options.str(key)?.map(|text| text.to_string_lossy().into_owned()))
    }

    fn strings(&self, key: &str) -> Result<Vec<String>, Fault> {
        let list = self.options.array(key)?.unwrap_or_default();
        let texts = list.values().map(|item| match item {
            Value::Str(text) => Ok(text.to_string_lossy().into_owned()),
            _ => Err(self.wrong(key, "a list of strings")),
        });
        texts.collect()
    }

    fn seconds(&self, key: &str) -> Result<Option<Duration>, Fault> {
        let Some(seconds) = self.options.number(key)? else { return Ok(None) };
        duration(seconds).map(Some).ok_or_else(|| self.wrong(key, "a number of seconds above 0"))
    }

    fn wrong(&self, key: &str, expected: &str) -> Fault {
        self.call.error(format_args!("option \"{key}\" must be {expected}"))
    }

    fn option_error(&self, key: &str, why: &str) -> Fault {
        self.call.error(format_args!("option \"{key}\": {why}"))
    }
}

/// The source address that an option `sourceipid` names, and whether the host need not have it. The error is a sentence.
pub(crate) fn source_by_id(environment: &Environment, id: &str) -> Result<(IpAddr, bool), String> {
    let daemon = environment.daemon().ok_or("addresses have ids only inside the mail server")?;
    match daemon.source(id)? {
        Source::From { address, nonlocal, .. } => Ok((address, nonlocal)),
        Source::Off | Source::System => Err(format!("\"{id}\" has no address")),
    }
}

/// Passwords are shown in clear only to a server that is never spoken to in TLS.
pub(super) fn login(username: &str, password: &str, mode: TlsMode) -> Login {
    let credentials = Credentials { username: username.into(), password: password.into() };
    Login { credentials, in_clear: mode == TlsMode::Disabled }
}

fn duration(seconds: f64) -> Option<Duration> {
    (seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(limits::SMTP_WAIT_MAX.as_secs_f64())))
}

fn phase(state: &str) -> Option<Phase> {
    Phase::ALL.into_iter().find(|phase| phase.name().eq_ignore_ascii_case(state))
}

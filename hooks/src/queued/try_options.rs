//! The options of `Try`: what is different in one attempt (reference: hooks 4.1.1).

use std::net::IpAddr;

use hostcalls::mail::GivenParameters;
use net::smtp::address::Address;
use net::smtp::client::XclientAttribute;
use script::value::{Array, Key, Value};

use crate::decision::{Failure, Options, wrong};
use crate::limits;

/// What a script wants different in this attempt; what it did not say is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Try {
    /// Where to.
    pub host: Option<NextHop>,
    /// TCP port there.
    pub port: Option<u16>,
    /// Another envelope sender.
    pub sender: Option<EnvelopeSender>,
    /// Another envelope recipient, with its parameters if any were given.
    pub recipient: Option<(Address, GivenParameters)>,
    /// The name to greet with.
    pub helo: Option<String>,
    /// Where from.
    pub source_ips: Option<Vec<SourceIp>>,
    /// Spread over the addresses; false: the first that may be used.
    pub source_random: Option<bool>,
    /// Bind addresses that this host does not have.
    pub nonlocal_source: Option<bool>,
    /// A server to which a PROXY header is sent, and which connects for us.
    pub proxy: Option<(IpAddr, u16)>,
    /// Log in under this name.
    pub sasl_username: Option<String>,
    /// Log in with this password.
    pub sasl_password: Option<String>,
    /// Whether TLS is used.
    pub tls: Option<TlsMode>,
    /// The name that is asked for.
    pub tls_sni: Option<Sni>,
    /// Versions, as in the configuration.
    pub tls_protocols: Option<String>,
    /// Cipher suites, as in the configuration.
    pub tls_ciphers: Option<String>,
    /// The certificate must be for the host.
    pub tls_verify_host: Option<bool>,
    /// The certificate must be for one of these.
    pub tls_verify_names: Option<Vec<String>>,
    /// Issuers of the system count.
    pub tls_default_ca: Option<bool>,
    /// Our certificate, by its id.
    pub tls_client_cert: Option<String>,
    /// What is said with XCLIENT.
    pub xclient: Option<Vec<Xclient>>,
    /// LMTP rather than SMTP.
    pub lmtp: Option<bool>,
    /// Only those hosts of the domain.
    pub mx_include: Option<Vec<String>>,
    /// Not those.
    pub mx_exclude: Option<Vec<String>>,
    /// Another job id.
    pub job_id: Option<String>,
    /// Seconds by SMTP state.
    pub timeouts_s: Vec<(String, f64)>,
    /// Seconds for the connect.
    pub connect_timeout_s: Option<f64>,
    /// A success that the sender wants to hear of counts as delivered, not as passed on.
    pub success_is_delivered: bool,
    /// Other parameters of DSN than came with the message.
    pub dsn: GivenParameters,
}

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// To the hosts of the recipient's domain.
    Mx,
    /// To this host.
    Host(String),
    /// To this address.
    Address(IpAddr),
}

/// An envelope sender (`None`: the null sender) with the parameters that were given.
pub type EnvelopeSender = (Option<Address>, GivenParameters);

/// Attribute of XCLIENT and its value.
pub type Xclient = (XclientAttribute, String);

/// An address that connections come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceIp {
    /// One of the configuration's.
    Id(String),
    /// This one, with the name to greet with.
    Address(IpAddr, Option<String>),
}

/// The name that TLS asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sni {
    /// None.
    Off,
    /// That of the host.
    Host,
    /// This one.
    Name(String),
}

/// Whether TLS is used, and what becomes of a certificate that does not pass (reference: configuration 4.8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disabled,
    /// If it works.
    Optional,
    /// If it works; a certificate that does not pass means in clear.
    OptionalVerify,
    /// Or no delivery.
    Require,
    /// With a certificate that passes, or no delivery.
    RequireVerify,
    /// As TLSA records say; without them if it works.
    Dane,
    /// As TLSA records say, or no delivery.
    DaneRequire,
    /// As TLSA records say; without them as `Require`.
    DaneFallbackRequire,
    /// As TLSA records say; without them as `RequireVerify`.
    DaneFallbackRequireVerify,
}

impl Try {
    /// `None`: it asks for nothing.
    pub(super) fn read(options: &Options) -> Result<Option<Box<Try>>, Failure> {
        if options.is_empty() {
            return Ok(None);
        }
        if options.has("plugin") {
            return Err(Failure(
                "option \"plugin\": this server has no interface for native plugins yet; it delivers by SMTP and LMTP"
                    .to_owned(),
            ));
        }
        let boolean = |key: &str| options.optional_boolean(key);
        let names = |key: &str| options.strings(key, limits::MAX_NAMES);
        let mut wanted = Try {
            host: options.string("host")?.map(next_hop).transpose()?,
            port: options.number("port", 1.0, 65535.0)?.map(|port| port as u16),
            helo: options.string("helo")?,
            source_ips: options.array("sourceip")?.map(|list| source_ips(&list)).transpose()?,
            source_random: boolean("sourceip_random")?,
            nonlocal_source: boolean("nonlocal_source")?,
            proxy: options.nested("proxyprotocol")?.map(|proxy| proxy_server(&proxy)).transpose()?,
            sasl_username: options.string("saslusername")?,
            sasl_password: options.string("saslpassword")?,
            tls: options.string("tls")?.map(|mode| tls_mode(&mode)).transpose()?,
            tls_sni: options.value("tls_sni").map(|value| sni(&value)).transpose()?,
            tls_protocols: options.string("tls_protocols")?,
            tls_ciphers: options.string("tls_ciphers")?,
            tls_verify_host: boolean("tls_verify_host")?,
            tls_verify_names: names("tls_verify_name")?,
            tls_default_ca: boolean("tls_default_ca")?,
            tls_client_cert: options.string("tls_client_cert")?,
            xclient: options.array("xclient")?.map(|array| xclient(&array)).transpose()?,
            lmtp: options.string("protocol")?.map(|name| is_lmtp(&name)).transpose()?,
            mx_include: names("mx_include")?,
            mx_exclude: names("mx_exclude")?,
            job_id: options.string("jobid")?,
            timeouts_s: options.array("timeout")?.map_or(Ok(Vec::new()), |array| timeouts(&array))?,
            connect_timeout_s: options.number("connect_timeout", 0.0, limits::MAX_TIMEOUT_S)?,
            ..Try::default()
        };
        wanted.read_envelope(options)?;
        if let Some(dsn) = options.array("dsn")? {
            wanted.read_dsn(dsn).map_err(|Failure(why)| Failure(format!("option \"dsn\": {why}")))?;
        }
        Ok((wanted != Try::default()).then(|| Box::new(wanted)))
    }

    fn read_envelope(&mut self, options: &Options) -> Result<(), Failure> {
        if let Some(sender) = options.address("sender")? {
            self.sender = Some((sender, parameters(options, "sender")?));
        }
        match options.address("recipient")? {
            None => {}
            Some(None) => return Err(Failure("option \"recipient\": it is empty".to_owned())),
            Some(Some(recipient)) => {
                self.recipient = Some((recipient, parameters(options, "recipient")?));
            }
        }
        Ok(())
    }

    fn read_dsn(&mut self, dsn: Array) -> Result<(), Failure> {
        self.dsn = GivenParameters::of_dsn(&dsn).map_err(Failure)?;
        self.success_is_delivered = match Options::of(dsn).string("success")?.as_deref() {
            None | Some("relayed") => false,
            Some("delivered") => true,
            Some(other) => {
                return Err(Failure(format!("option \"success\": \"{other}\" is not delivered or relayed")));
            }
        };
        Ok(())
    }
}

fn next_hop(text: String) -> Result<NextHop, Failure> {
    if text.is_empty() {
        return Err(Failure("option \"host\": it is empty".to_owned()));
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&text);
    Ok(match bare.parse() {
        Ok(address) => NextHop::Address(address),
        Err(_) if text.eq_ignore_ascii_case("lookup-mx") => NextHop::Mx,
        Err(_) => NextHop::Host(text.to_ascii_lowercase()),
    })
}

/// The key `params` of an address object.
fn parameters(options: &Options, key: &str) -> Result<GivenParameters, Failure> {
    let address = options.value(key).unwrap_or(Value::None);
    GivenParameters::of_address(&address).map_err(|why| Failure(format!("option \"{key}\": {why}")))
}

/// Strings by string.
fn strings(array: &Array, key: &str) -> Result<Vec<(String, String)>, Failure> {
    if array.len() > limits::MAX_NAMES {
        return Err(Failure(format!(
            "option \"{key}\": {} items, of which {} are allowed",
            array.len(),
            limits::MAX_NAMES
        )));
    }
    let pairs = array.iter().map(|(name, value)| match value {
        Value::Str(text) => Ok((text_of(name), text.to_string_lossy().into_owned())),
        Value::Number(number) => Ok((text_of(name), number.to_string())),
        other => Err(wrong(key, "strings by string", &other)),
    });
    pairs.collect()
}

fn text_of(key: Key) -> String {
    key.into_value().to_text().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}

fn source_ips(list: &Array) -> Result<Vec<SourceIp>, Failure> {
    if list.is_empty() || list.len() > limits::MAX_NAMES {
        return Err(Failure(format!("option \"sourceip\": it has 1 to {} addresses", limits::MAX_NAMES)));
    }
    let source = |value: Value| match value {
        Value::Str(id) => Ok(SourceIp::Id(id.to_string_lossy().into_owned())),
        Value::Array(array) => {
            let options = Options::of(array);
            match (options.string("id")?, options.string("address")?) {
                (Some(id), _) => Ok(SourceIp::Id(id)),
                (None, Some(address)) => {
                    Ok(SourceIp::Address(ip(&address, "sourceip")?, options.string("helo")?))
                }
                (None, None) => {
                    Err(Failure("option \"sourceip\": an entry has \"id\" or \"address\"".to_owned()))
                }
            }
        }
        other => Err(wrong("sourceip", "ids and arrays", &other)),
    };
    list.values().map(source).collect()
}

fn proxy_server(options: &Options) -> Result<(IpAddr, u16), Failure> {
    let server = options.string("server")?;
    let port = options.number("port", 1.0, 65535.0)?;
    match (server, port) {
        (Some(server), Some(port)) => Ok((ip(&server, "proxyprotocol")?, port as u16)),
        _ => Err(Failure("option \"proxyprotocol\": it has \"server\" and \"port\"".to_owned())),
    }
}

fn ip(text: &str, key: &str) -> Result<IpAddr, Failure> {
    text.parse().map_err(|_| Failure(format!("option \"{key}\": \"{text}\" is not an address")))
}

fn tls_mode(name: &str) -> Result<TlsMode, Failure> {
    Ok(match name {
        "disabled" => TlsMode::Disabled,
        "optional" => TlsMode::Optional,
        "optional_verify" => TlsMode::OptionalVerify,
        "require" => TlsMode::Require,
        "require_verify" => TlsMode::RequireVerify,
        "dane" => TlsMode::Dane,
        "dane_require" => TlsMode::DaneRequire,
        "dane_fallback_require" => TlsMode::DaneFallbackRequire,
        "dane_fallback_require_verify" => TlsMode::DaneFallbackRequireVerify,
        name => {
            return Err(Failure(format!(
                "option \"tls\": \"{name}\" is none of disabled, optional, optional_verify, require, require_verify, dane, \
                 dane_require, dane_fallback_require, dane_fallback_require_verify"
            )));
        }
    })
}

fn sni(value: &Value) -> Result<Sni, Failure> {
    match value {
        Value::Bool(false) => Ok(Sni::Off),
        Value::Bool(true) => Ok(Sni::Host),
        Value::Str(name) => Ok(Sni::Name(name.to_string_lossy().into_owned())),
        other => Err(wrong("tls_sni", "a string or a boolean", other)),
    }
}

fn xclient(array: &Array) -> Result<Vec<Xclient>, Failure> {
    let pairs = strings(array, "xclient")?.into_iter().map(|(name, value)| {
        let attribute = XclientAttribute::parse(name.to_ascii_uppercase().as_bytes());
        let attribute = attribute
            .ok_or_else(|| Failure(format!("option \"xclient\": there is no attribute \"{name}\"")))?;
        Ok((attribute, value))
    });
    pairs.collect()
}

fn is_lmtp(name: &str) -> Result<bool, Failure> {
    match name {
        "smtp" => Ok(false),
        "lmtp" => Ok(true),
        other => Err(Failure(format!("option \"protocol\": \"{other}\" is not smtp or lmtp"))),
    }
}

fn timeouts(array: &Array) -> Result<Vec<(String, f64)>, Failure> {
    let options = Options::of(array.clone());
    let pairs = array.iter().map(|(state, _)| {
        let state = text_of(state);
        let seconds = options.number(&state, 0.0, limits::MAX_TIMEOUT_S)?;
        Ok((state.to_ascii_uppercase(), seconds.unwrap_or_default()))
    });
    pairs
        .collect::<Result<_, Failure>>()
        .map_err(|Failure(why)| Failure(format!("option \"timeout\": {why}")))
}

//! What a predelivery script wants different in an attempt, in the words of the delivery (reference: hooks 4.1.1).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use config::{CipherList, MxPattern, SendName, TlsMode, TlsVersions, TransportLogin};
use hooks::GivenParameters;
use hooks::queued::{self, Sni, Try};
use net::smtp::address::Address;

use super::settings::{AttemptSettings, SourceAddress, TlsSettings};
use net::smtp::domain::normalise;

/// What recipients must share to be in one attempt.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Wishes {
    /// Over those of the delivery file and the transport.
    pub(crate) settings: AttemptSettings,
    /// Another envelope sender, with the parameters that were given.
    pub(crate) sender: Option<queued::EnvelopeSender>,
    /// Another job id.
    pub(crate) job_id: Option<String>,
    /// The domain whose hosts are looked for, where that is not the line's.
    pub(crate) domain: Option<Arc<str>>,
    /// A success that the sender wants to hear of counts as delivered.
    pub(crate) success_is_delivered: bool,
    /// Parameters of DSN instead of those that came with the message.
    pub(crate) dsn: GivenParameters,
}

/// Another envelope recipient, with the parameters that were given.
pub(crate) type Readdressed = (Address, GivenParameters);

thread_local! {
    static NONE: Rc<Wishes> = Rc::default();
}

impl Wishes {
    /// Nothing is to be different: those of nearly all attempts, which share them.
    pub(crate) fn none() -> Rc<Wishes> {
        NONE.with(Rc::clone)
    }

    /// Nothing is to be different.
    pub(crate) fn is_empty(&self) -> bool {
        NONE.with(|none| std::ptr::eq(self, &**none) || *self == **none)
    }

    /// What the script wants. The other part is a recipient's alone.
    ///
    /// # Errors
    /// A sentence that names the option.
    pub(crate) fn read(wanted: Try) -> Result<(Wishes, Option<Readdressed>), String> {
        let settings = settings(&wanted)?;
        let domain = wanted.recipient.as_ref().and_then(|(recipient, _)| normalise(recipient.domain()));
        let wishes = Wishes {
            settings,
            sender: wanted.sender,
            job_id: wanted.job_id,
            domain: domain.map(Arc::from),
            success_is_delivered: wanted.success_is_delivered,
            dsn: wanted.dsn,
        };
        Ok((wishes, wanted.recipient))
    }

    /// What is said for a recipient instead of what came with the message.
    pub(crate) fn given(&self, readdressed: Option<&Readdressed>) -> GivenParameters {
        let of_recipient = readdressed.map(|(_, given)| given.clone()).unwrap_or_default();
        let of_sender = self.sender.as_ref().map(|(_, given)| given.clone()).unwrap_or_default();
        self.dsn.clone().or(of_recipient).or(of_sender)
    }
}

fn settings(wanted: &Try) -> Result<AttemptSettings, String> {
    Ok(AttemptSettings {
        next_hop: wanted.host.as_ref().map(|host| match host {
            queued::NextHop::Mx => config::NextHop::Mx,
            queued::NextHop::Host(name) => config::NextHop::Host(name.clone()),
            queued::NextHop::Address(address) => config::NextHop::Address(*address),
        }),
        port: wanted.port,
        mx_include: patterns("mx_include", wanted.mx_include.as_deref())?,
        mx_exclude: patterns("mx_exclude", wanted.mx_exclude.as_deref())?,
        sources: wanted.source_ips.as_ref().map(|all| all.iter().map(source).collect()),
        spread: wanted.source_random,
        nonlocal: wanted.nonlocal_source,
        proxy: wanted.proxy.map(SocketAddr::from),
        helo: wanted.helo.clone(),
        lmtp: wanted.lmtp,
        login: login(wanted)?,
        xclient: wanted.xclient.as_ref().map(|all| {
            all.iter().map(|(attribute, value)| (attribute.name().to_owned(), value.clone())).collect()
        }),
        tls: tls(wanted)?,
        connect_timeout: wanted.connect_timeout_s.map(Duration::from_secs_f64),
        timeouts: timeouts(&wanted.timeouts_s)?,
        ..AttemptSettings::default()
    })
}

fn patterns(option: &str, names: Option<&[String]>) -> Result<Option<Vec<MxPattern>>, String> {
    let Some(names) = names else { return Ok(None) };
    let pattern = |name: &String| {
        MxPattern::parse(name).ok_or_else(|| {
            format!("option \"{option}\": \"{name}\" is not a host name; * stands for one whole label")
        })
    };
    names.iter().map(pattern).collect::<Result<_, _>>().map(Some)
}

fn source(source: &queued::SourceIp) -> SourceAddress {
    match source {
        queued::SourceIp::Id(id) => SourceAddress::Id(id.clone(), None),
        queued::SourceIp::Address(address, helo) => SourceAddress::Address(*address, helo.clone()),
    }
}

fn login(wanted: &Try) -> Result<Option<TransportLogin>, String> {
    match (&wanted.sasl_username, &wanted.sasl_password) {
        (None, None) => Ok(None),
        (Some(username), Some(password)) => {
            Ok(Some(TransportLogin { username: username.clone(), password: password.clone() }))
        }
        _ => Err("options \"saslusername\" and \"saslpassword\" go together".to_owned()),
    }
}

fn tls(wanted: &Try) -> Result<TlsSettings, String> {
    let named = |option: &str, why: String| format!("option \"{option}\": {why}");
    let protocols = wanted.tls_protocols.as_deref().map(TlsVersions::parse).transpose();
    let ciphers = wanted.tls_ciphers.as_deref().map(CipherList::parse).transpose();
    Ok(TlsSettings {
        mode: wanted.tls.map(|mode| match mode {
            queued::TlsMode::Disabled => TlsMode::Disabled,
            queued::TlsMode::Optional => TlsMode::Optional,
            queued::TlsMode::OptionalVerify => TlsMode::OptionalVerify,
            queued::TlsMode::Require => TlsMode::Require,
            queued::TlsMode::RequireVerify => TlsMode::RequireVerify,
            queued::TlsMode::Dane => TlsMode::Dane,
            queued::TlsMode::DaneRequire => TlsMode::DaneRequire,
            queued::TlsMode::DaneFallbackRequire => TlsMode::DaneFallbackRequire,
            queued::TlsMode::DaneFallbackRequireVerify => TlsMode::DaneFallbackRequireVerify,
        }),
        versions: protocols.map_err(|why| named("tls_protocols", why))?,
        ciphers: ciphers.map_err(|why| named("tls_ciphers", why))?,
        sni: wanted.tls_sni.as_ref().map(|sni| match sni {
            Sni::Off => SendName::Off,
            Sni::Host => SendName::Host,
            Sni::Name(name) => SendName::Name(name.clone()),
        }),
        verify_host: wanted.tls_verify_host,
        verify_names: wanted.tls_verify_names.clone(),
        default_ca: wanted.tls_default_ca,
        client_certificate: wanted.tls_client_cert.clone(),
    })
}

/// What a time-out can be given for (reference: hooks 9.4).
const STATES: [&str; 18] = [
    "BANNER",
    "HELO",
    "EHLO",
    "LHLO",
    "STARTTLS",
    "AUTH-CRAM-MD5",
    "AUTH-PLAIN",
    "AUTH-LOGIN",
    "AUTH-LOGIN-USER",
    "AUTH",
    "XCLIENT",
    "MAIL",
    "RCPT",
    "DATA",
    "EOD",
    "RSET",
    "NOOP",
    "QUIT",
];

fn timeouts(given: &[(String, f64)]) -> Result<BTreeMap<String, Duration>, String> {
    let timeout = |(state, seconds): &(String, f64)| {
        if STATES.contains(&&**state) {
            Ok((state.clone(), Duration::from_secs_f64(*seconds)))
        } else {
            Err(format!("option \"timeout\": there is no state \"{state}\""))
        }
    };
    given.iter().map(timeout).collect()
}

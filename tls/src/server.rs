//! The side that is connected to.

use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, ProducesTickets, ResolvesServerCert, ServerSessionMemoryCache, StoresServerSessions,
    UnbufferedServerConnection, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{CommonState, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};

use crate::clock::{EngineClock, now};
use crate::error::{UNSPECIFIED, certificate_fault, fault_number};
use crate::limits::SERVER_SESSIONS;
use crate::signatures::{Signatures, Version};
use crate::{Identity, Protocols, Roots, TlsError, TlsInfo, Verified};

/// What a server needs.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Who we are when the client names nobody, or somebody unknown.
    pub identity: Identity,
    /// Who we are by the name that the client asks for: `mx.example.net`, or `*.example.net` for one label more.
    pub by_name: Vec<(String, Identity)>,
    /// What may be agreed on.
    pub protocols: Protocols,
    /// What is wanted of clients.
    pub clients: ClientCertificates,
    /// What earlier sessions are continued by.
    pub resumption: ServerResumption,
}

/// Whether clients show certificates.
#[derive(Clone, Debug)]
pub enum ClientCertificates {
    /// They are not asked.
    Ignored,
    /// They are asked, and any answer will do: whether it passes is in [`TlsInfo::verified`].
    Optional(Roots),
    /// They must show one that passes.
    Required(Roots),
}

/// Keys for tickets and a memory of sessions. Clones share both: one for a process, so that a client may come back to
/// any server on any shard, and after a reload.
#[derive(Clone, Debug)]
pub struct ServerResumption {
    /// Makes new keys every 6 hours and forgets the oldest.
    tickets: Arc<dyn ProducesTickets>,
    /// For clients of TLS 1.2 that know no tickets.
    sessions: Arc<dyn StoresServerSessions>,
}

impl ServerResumption {
    /// New keys, nothing remembered.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new() -> Result<ServerResumption, String> {
        let tickets = aws_lc_rs::Ticketer::new().map_err(|error| error.to_string())?;
        Ok(ServerResumption { tickets, sessions: ServerSessionMemoryCache::new(SERVER_SESSIONS) })
    }
}

/// How TLS is spoken with clients. Shared by all shards.
#[derive(Clone, Debug)]
pub struct ServerSide {
    config: Arc<ServerConfig>,
    names: Arc<Names>,
    /// Looks at what clients have shown.
    check: Option<Arc<dyn ClientCertVerifier>>,
    required: bool,
}

impl ServerSide {
    /// Prepares it.
    ///
    /// # Errors
    /// A sentence about the options that do not go together.
    pub fn new(options: ServerOptions) -> Result<ServerSide, String> {
        let provider = options.protocols.provider();
        let names = Arc::new(Names::of(&options));
        let required = matches!(options.clients, ClientCertificates::Required(_));
        let (verifier, check) = client_verifiers(options.clients, &provider)?;
        let mut config = ServerConfig::builder_with_details(provider, Arc::new(EngineClock))
            .with_protocol_versions(&options.protocols.versions())
            .map_err(|error| error.to_string())?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(Chosen { names: Arc::clone(&names), sni: SniSlot::default() }));
        config.ignore_client_order = true;
        config.ticketer = options.resumption.tickets;
        config.session_storage = options.resumption.sessions;
        if check.is_some() {
            // A session that was begun under other demands on clients is not continued.
            let own = ServerResumption::new()?;
            (config.ticketer, config.session_storage) = (own.tickets, own.sessions);
        }
        Ok(ServerSide { config: Arc::new(config), names, check, required })
    }

    /// A session; `sni` takes what the client asks for, which the library tells nobody else.
    pub(crate) fn session(&self, sni: &SniSlot) -> Result<UnbufferedServerConnection, Error> {
        let mut config = ServerConfig::clone(&self.config);
        config.cert_resolver = Arc::new(Chosen { names: Arc::clone(&self.names), sni: sni.clone() });
        UnbufferedServerConnection::new(Arc::new(config))
    }

    /// After the handshake: looks at what the client has shown. A session that is continued shows the certificate of its
    /// beginning, which may have expired since.
    pub(crate) fn info(&self, state: &CommonState, sni: &SniSlot) -> Result<TlsInfo, TlsError> {
        let (verified, fault) = match (&self.check, state.peer_certificates()) {
            (Some(check), Some([leaf, rest @ ..])) => match check.verify_client_cert(leaf, rest, now()) {
                Ok(_) => (Verified::Passed, 0),
                Err(error) if self.required => return Err(TlsError::of(error)),
                Err(Error::InvalidCertificate(cause)) => {
                    (Verified::Failed(certificate_fault(&cause).into()), fault_number(&cause))
                }
                Err(error) => (Verified::Failed(error.to_string().into()), UNSPECIFIED),
            },
            _ => (Verified::Unchecked, 0),
        };
        let mut info = TlsInfo::of(state, sni.0.get().cloned(), verified);
        if let Some(certificate) = &mut info.certificate {
            certificate.fault = fault;
        }
        Ok(info)
    }
}

/// Where a name is left that a client asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct SniSlot(Arc<OnceLock<Box<str>>>);

/// Certificates by name.
#[derive(Debug)]
struct Names {
    otherwise: Arc<CertifiedKey>,
    /// In lower case; wildcards without their `*`.
    exact: FxHashMap<Box<str>, Arc<CertifiedKey>>,
    wildcards: FxHashMap<Box<str>, Arc<CertifiedKey>>,
}

impl Names {
    fn of(options: &ServerOptions) -> Names {
        let mut names = Names {
            otherwise: Arc::clone(&options.identity.certified),
            exact: FxHashMap::default(),
            wildcards: FxHashMap::default(),
        };
        for (name, identity) in &options.by_name {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let (table, name) = match name.strip_prefix('*') {
                Some(suffix) => (&mut names.wildcards, suffix),
                None => (&mut names.exact, name.as_str()),
            };
            table.entry(name.into()).or_insert_with(|| Arc::clone(&identity.certified));
        }
        names
    }

    fn find(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let found = name.map(|name| name.trim_end_matches('.').to_ascii_lowercase()).and_then(|name| {
            let dot = name.find('.').unwrap_or(name.len());
            self.exact.get(name.as_str()).or_else(|| self.wildcards.get(&name[dot..])).cloned()
        });
        found.unwrap_or_else(|| Arc::clone(&self.otherwise))
    }
}

/// One session's choice.
#[derive(Debug)]
struct Chosen {
    names: Arc<Names>,
    sni: SniSlot,
}

impl ResolvesServerCert for Chosen {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        if let Some(name) = name {
            let _ = self.sni.0.set(name.into());
        }
        Some(self.names.find(name))
    }
}

type Verifiers = (Arc<dyn ClientCertVerifier>, Option<Arc<dyn ClientCertVerifier>>);

/// What the handshake demands, and what looks at the outcome afterwards.
fn client_verifiers(
    clients: ClientCertificates,
    provider: &Arc<CryptoProvider>,
) -> Result<Verifiers, String> {
    let strict = |roots: Roots| {
        WebPkiClientVerifier::builder_with_provider(roots.0, Arc::clone(provider))
            .build()
            .map_err(|_| "client certificates cannot be checked: nobody is trusted".to_owned())
    };
    let signatures = Signatures(Arc::clone(provider));
    Ok(match clients {
        ClientCertificates::Ignored => (WebPkiClientVerifier::no_client_auth(), None),
        ClientCertificates::Required(roots) => {
            let check = strict(roots)?;
            (Arc::clone(&check), Some(check))
        }
        ClientCertificates::Optional(roots) => {
            let check: Arc<dyn ClientCertVerifier> = match roots.count() {
                0 => Arc::new(AnyClient { signatures: signatures.clone(), passes: false }),
                _ => strict(roots)?,
            };
            (Arc::new(AnyClient { signatures, passes: true }), Some(check))
        }
    })
}

/// Takes any certificate whose key the client has, or none.
#[derive(Debug)]
struct AnyClient {
    signatures: Signatures,
    passes: bool,
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.passes {
            true => Ok(ClientCertVerified::assertion()),
            false => Err(Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.verify(Version::Tls12, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.verify(Version::Tls13, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.schemes()
    }
}

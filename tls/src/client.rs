//! The side that connects.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, UnbufferedClientConnection, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, ClientConfig, CommonState, DigitallySignedStruct, Error, SignatureScheme};

use crate::clock::{EngineClock, now};
use crate::error::is_of_authority;
use crate::limits::CLIENT_SESSIONS;
use crate::signatures::{Signatures, Version};
use crate::{Dane, Identity, Protocols, Roots, TlsError, TlsInfo, Verified};

/// What a client needs.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// What may be agreed on.
    pub protocols: Protocols,
    /// Who may have issued the server's certificate; None: it is not checked at all.
    pub issuers: Option<Roots>,
    /// Whom the server's certificate must be for.
    pub names: VerifyName,
    /// The name to ask for.
    pub sni: Sni,
    /// Who we are, if the server asks.
    pub identity: Option<Identity>,
}

impl ClientOptions {
    /// The same for servers that DNS vouches for: the check of their certificates comes after the handshake, and they are
    /// asked for by name (RFC 7672 section 8.1).
    pub fn for_dane(self) -> ClientOptions {
        ClientOptions { issuers: None, names: VerifyName::Any, sni: Sni::Host, ..self }
    }
}

/// Whom a server's certificate must be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyName {
    /// Anybody.
    Any,
    /// The host that was connected to, by name or by address.
    Host,
    /// One of these.
    OneOf(Vec<String>),
}

/// The name that a client asks for (RFC 6066 section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sni {
    /// None.
    Off,
    /// The host that was connected to, where it has a name.
    Host,
    /// This one.
    Name(String),
}

/// How TLS is spoken with servers under one policy. Shared by all shards, and with it the tickets of servers.
#[derive(Clone, Debug)]
pub struct ClientSide {
    config: Arc<ClientConfig>,
    verifier: Arc<Verifier>,
    /// The one name to ask for.
    fixed_sni: Option<ServerName<'static>>,
}

/// What is connected to.
pub(crate) struct Target {
    /// By name where it has one that TLS can speak of, else by address.
    name: ServerName<'static>,
}

impl Target {
    pub(crate) fn new(host: &str, address: IpAddr) -> Target {
        let name = ServerName::try_from(host.trim_end_matches('.').to_owned());
        Target { name: name.unwrap_or(ServerName::IpAddress(address.into())) }
    }
}

impl ClientSide {
    /// Prepares it.
    ///
    /// # Errors
    /// A sentence about the options that do not go together.
    pub fn new(options: ClientOptions) -> Result<ClientSide, String> {
        let provider = options.protocols.provider();
        let fixed_sni = match &options.sni {
            Sni::Name(name) => Some(
                ServerName::try_from(name.trim_end_matches('.').to_owned())
                    .map_err(|_| format!("\"{name}\" is not a name that can be asked for"))?,
            ),
            Sni::Off | Sni::Host => None,
        };
        let verifier = Arc::new(Verifier::new(
            options.issuers,
            options.names,
            fixed_sni.is_some(),
            Arc::clone(&provider),
        )?);
        let builder = ClientConfig::builder_with_details(provider, Arc::new(EngineClock))
            .with_protocol_versions(&options.protocols.versions())
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>);
        let mut config = match options.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified)))
            }
        };
        config.enable_sni = options.sni != Sni::Off;
        config.resumption = Resumption::in_memory_sessions(CLIENT_SESSIONS);
        Ok(ClientSide { config: Arc::new(config), verifier, fixed_sni })
    }

    pub(crate) fn session(&self, target: &Target) -> Result<UnbufferedClientConnection, Error> {
        let name = self.fixed_sni.as_ref().unwrap_or(&target.name).clone();
        UnbufferedClientConnection::new(Arc::clone(&self.config), name)
    }

    /// After the handshake, under DANE: continued sessions are held against the records, too.
    pub(crate) fn info_by_dane(&self, state: &CommonState, dane: &Dane) -> Result<TlsInfo, TlsError> {
        let chain = state.peer_certificates().unwrap_or_default();
        dane.check(chain, self.verifier.signatures.algorithms(), now())?;
        Ok(TlsInfo::of(state, None, Verified::Passed))
    }

    /// After the handshake: checks what it could not.
    pub(crate) fn info(&self, state: &CommonState, target: &Target) -> Result<TlsInfo, TlsError> {
        let mut info = TlsInfo::of(state, None, Verified::Unchecked);
        if !self.verifier.checks() {
            return Ok(info);
        }
        // A session that is continued shows the certificate of its beginning, which may have expired since.
        if info.resumed || self.fixed_sni.is_some() {
            let chain = state.peer_certificates().unwrap_or_default();
            let Some((leaf, rest)) = chain.split_first() else {
                return Err(TlsError::of(Error::NoCertificatesPresented));
            };
            self.verifier.check(leaf, rest, Some(&target.name), now()).map_err(TlsError::of)?;
        }
        info.verified = Verified::Passed;
        Ok(info)
    }
}

#[derive(Debug)]
struct Verifier {
    /// None: any issuer will do.
    issuers: Option<Issuers>,
    names: VerifyName,
    /// The name that the handshake is about is not the host's.
    name_is_fixed: bool,
    signatures: Signatures,
}

/// Who may have issued a certificate.
#[derive(Debug)]
struct Issuers {
    roots: Roots,
    verifier: Arc<WebPkiServerVerifier>,
}

impl Issuers {
    fn new(roots: Roots, provider: Arc<CryptoProvider>) -> Result<Issuers, String> {
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots.0), provider)
            .build()
            .map_err(|_| "no certificate can pass: nobody is trusted".to_owned())?;
        Ok(Issuers { roots, verifier })
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        match self.verifier.verify_server_cert(leaf, intermediates, name, &[], now) {
            Ok(_) => Ok(()),
            // Names are checked elsewhere; the library checks them after everything else.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(()),
            // Made by hand, as `openssl req -x509` does it: an authority that has issued itself alone. The library has
            // looked at its dates before; that its key is there the handshake shows.
            Err(Error::InvalidCertificate(cause)) if is_of_authority(&cause) && self.roots.hold(leaf) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

impl Verifier {
    fn new(
        issuers: Option<Roots>,
        names: VerifyName,
        name_is_fixed: bool,
        provider: Arc<CryptoProvider>,
    ) -> Result<Verifier, String> {
        let issuers = issuers.map(|roots| Issuers::new(roots, Arc::clone(&provider))).transpose()?;
        Ok(Verifier { issuers, names, name_is_fixed, signatures: Signatures(provider) })
    }

    /// Whether anything is demanded.
    fn checks(&self) -> bool {
        self.issuers.is_some() || self.names != VerifyName::Any
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: Option<&ServerName<'_>>,
        now: UnixTime,
    ) -> Result<(), Error> {
        if let Some(issuers) = &self.issuers {
            let any = ServerName::IpAddress(IpAddr::from([0, 0, 0, 0]).into());
            issuers.check(leaf, intermediates, host.unwrap_or(&any), now)?;
        }
        match (&self.names, host) {
            (VerifyName::Any, _) | (VerifyName::Host, None) => Ok(()),
            (VerifyName::Host, Some(host)) => verify_server_name(&ParsedCertificate::try_from(leaf)?, host),
            (VerifyName::OneOf(names), _) => {
                let leaf = ParsedCertificate::try_from(leaf)?;
                let is_for = |name: &String| {
                    ServerName::try_from(name.as_str())
                        .is_ok_and(|name| verify_server_name(&leaf, &name).is_ok())
                };
                match names.iter().any(is_for) {
                    true => Ok(()),
                    false => Err(Error::InvalidCertificate(CertificateError::NotValidForName)),
                }
            }
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let host = (!self.name_is_fixed).then_some(name);
        self.check(leaf, intermediates, host, now).map(|()| ServerCertVerified::assertion())
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

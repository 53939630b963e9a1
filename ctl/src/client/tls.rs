//! TLS to a control port.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use config::{ControlTls, Pem};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned,
};

use crate::{Failure, limits, settings};

pub(super) type Encrypted = StreamOwned<ClientConnection, TcpStream>;

/// Shakes hands with the server at `address`.
pub(super) fn encrypt(
    mut stream: TcpStream,
    address: SocketAddr,
    options: &ControlTls,
) -> Result<Encrypted, Failure> {
    let failed = |what: &str| Failure::Failed(format!("no TLS with {address}: {what}"));
    let name = match &options.verify_name {
        Some(name) => ServerName::try_from(name.clone())
            .map_err(|_| failed(&format!("verifyname {name} is not a host name")))?,
        None => ServerName::from(address.ip()),
    };
    let config = config(options).map_err(|text| failed(&text))?;
    let mut connection =
        ClientConnection::new(Arc::new(config), name).map_err(|error| failed(&error.to_string()))?;
    let bound = |wait| stream.set_read_timeout(wait).and_then(|()| stream.set_write_timeout(wait));
    bound(Some(limits::CONNECT)).map_err(|error| failed(&error.to_string()))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(|error| failed(&error.to_string()))?;
    }
    Ok(StreamOwned::new(connection, stream))
}

fn config(options: &ControlTls) -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if options.verify {
        builder.with_root_certificates(roots()?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked(provider)))
    };
    let Some((certificate, key)) = &options.identity else { return Ok(builder.with_no_client_auth()) };
    let chain = CertificateDer::pem_slice_iter(&pem(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("tls.client.certificate: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(&pem(key)?)
        .map_err(|error| format!("tls.client.privatekey: {error}"))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| format!("tls.client: {error}"))
}

/// What the system trusts.
fn roots() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("the system has no certificate authorities; install ca-certificates".to_owned());
    }
    Ok(roots)
}

fn pem(pem: &Pem) -> Result<Vec<u8>, String> {
    match pem {
        Pem::Data(text) => Ok(text.clone().into_bytes()),
        Pem::Path(path) => settings::read(path).map_err(|error| error.to_string()),
    }
}

/// `verify: false`: any certificate will do, as long as the server has its key.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

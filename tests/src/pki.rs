//! Certificates for the test: an authority, and what it issues.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::client::WantsClientCert;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig};

/// Issues certificates.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
#[derive(Debug)]
pub struct Issued {
    certificate_pem: String,
    key_pem: String,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Default for Authority {
    fn default() -> Self {
        Authority::new()
    }
}

impl Authority {
    /// A new one.
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are good names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        // A name of its own, or it would look like another one that signs wrongly.
        let name: String = key.public_key_raw()[1..9].iter().map(|byte| format!("{byte:02x}")).collect();
        params.distinguished_name.push(DnType::CommonName, name);
        Authority(CertifiedIssuer::self_signed(params, key).expect("the parameters are good"))
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Its own certificate, DER.
    pub fn der(&self) -> &[u8] {
        self.0.der()
    }

    /// A certificate, good for some decades, for a server or client of these names.
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_until(names, 2100)
    }

    /// A certificate that is good from 1990 until the first of January of this year.
    pub fn issue_until(&self, names: &[&str], year: i32) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("the test's own names");
        params.not_before = date_time_ymd(1990, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.0).expect("the parameters are good");
        Issued {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }

    /// A TLS client that trusts it, and nobody else.
    pub fn client(&self) -> ClientConfig {
        self.client_builder().with_no_client_auth()
    }

    /// The same, which shows a certificate.
    pub fn client_with(&self, issued: &Issued) -> ClientConfig {
        let key = PrivateKeyDer::try_from(issued.key.clone()).expect("a key that was just made");
        self.client_builder()
            .with_client_auth_cert(vec![issued.certificate.clone()], key)
            .expect("certificate and key fit")
    }

    fn client_builder(&self) -> ConfigBuilder<ClientConfig, WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("its own certificate");
        ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_root_certificates(roots)
    }

    /// Asks clients for certificates of this authority, and takes clients without.
    pub fn server_with_clients(&self, issued: &Issued) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("its own certificate");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .allow_unauthenticated()
            .build()
            .expect("there is a root");
        server_config(issued, |builder| builder.with_client_cert_verifier(verifier))
    }
}

impl Issued {
    /// The certificate, PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Its private key, PEM.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// Writes `NAME.crt` and `NAME.key` into a directory, and gives their paths.
    pub fn write(&self, dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
        std::fs::write(&certificate, &self.certificate_pem).expect("a temporary directory can be written");
        std::fs::write(&key, &self.key_pem).expect("a temporary directory can be written");
        (certificate, key)
    }

    /// The certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.certificate
    }

    /// A TLS server that shows it, to anybody.
    pub fn server(&self) -> Arc<ServerConfig> {
        server_config(self, |builder| builder.with_no_client_auth())
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

type WantsVerifier = ConfigBuilder<ServerConfig, rustls::WantsVerifier>;
type WantsCertificate = ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>;

fn server_config(
    issued: &Issued,
    clients: impl FnOnce(WantsVerifier) -> WantsCertificate,
) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider knows them");
    let key = PrivateKeyDer::try_from(issued.key.clone()).expect("a key that was just made");
    let chain = vec![issued.certificate.clone()];
    Arc::new(clients(builder).with_single_cert(chain, key).expect("certificate and key fit"))
}

//! Both sides of this crate against each other, on both drivers of the engine.

mod faults;
mod identities;
mod sessions;

use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use data_encoding::BASE64_MIME;
use engine::boot::{self, DriverChoice, Options};
use engine::net::{Conn, Connect, Listener};
use engine::task::{Class, spawn};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::pki_types::CertificateDer;

use crate::*;

/// Runs `f` on one unpinned shard, on io_uring and then on epoll.
fn on_a_shard<F, Fut>(f: F)
where
    F: Fn() -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    for driver in [DriverChoice::Uring, DriverChoice::Epoll] {
        let f = f.clone();
        let options = Options { shards: 1, pin: false, driver, signals: Vec::new() };
        boot::run(options, move |_| {
            let run = (!boot::is_control()).then(&f);
            async {
                if let Some(run) = run {
                    run.await;
                }
            }
        })
        .expect("both drivers work here");
    }
}

/// Both ends of a connection: of who connected, and of who accepted.
async fn pair() -> (Stream, Stream) {
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), 0).expect("binds");
    let to = Connect { remote: listener.local_addr(), local: None };
    let near = spawn(Class::Interactive, Conn::connect(to));
    let far = listener.accept().await.expect("accepts");
    let near = near.await.expect("runs").expect("connects");
    (Stream::plain(near), Stream::plain(far))
}

type Agreed = (Stream, Result<TlsInfo, TlsError>);

/// Both ends after a handshake with `host`: the client's, and the server's.
async fn shake(client: &ClientSide, server: &ServerSide, host: &'static str) -> (Agreed, Agreed) {
    let (near, far) = pair().await;
    let server = server.clone();
    let accepting = spawn(Class::Interactive, async move {
        let agreed = far.accept_tls(&server).await;
        (far, agreed)
    });
    let agreed = near.connect_tls(client, host).await;
    // In TLS 1.3 the client is done before it knows whether the server takes its certificate, and what it says next
    // shows that.
    if agreed.is_err() {
        drop(near.close().await);
    }
    ((near, agreed), accepting.await.expect("runs"))
}

async fn recv_exactly(stream: &Stream, len: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < len {
        let bytes = stream.recv().await.expect("receives");
        assert!(!bytes.is_empty(), "the stream ended after {} of {len} bytes", all.len());
        all.extend_from_slice(&bytes);
    }
    all
}

/// An authority of the tests.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}-----END {label}-----\n", BASE64_MIME.encode(der).replace('\r', ""))
}

/// When a certificate is valid.
#[derive(Clone, Copy)]
enum Valid {
    Now,
    LongAgo,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("generates");
        // Each has a name of its own, or one would look like another with a wrong signature.
        let name = format!("Authority {}", BASE64_MIME.encode(&key.public_key_raw()[1..9]));
        params.distinguished_name.push(DnType::CommonName, name.trim());
        let certificate = params.self_signed(&key).expect("signs").der().clone();
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    fn roots(&self) -> Roots {
        Roots::load(false, std::slice::from_ref(&self.certificate))
    }

    /// PEM texts of a certificate for `names` and of its key.
    fn issue(&self, names: &[&str], valid: Valid) -> (String, String) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names.clone()).expect("names");
        params.distinguished_name.push(DnType::CommonName, names[0].as_str());
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        if let Valid::LongAgo = valid {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        }
        let key = KeyPair::generate().expect("generates");
        let certificate = params.signed_by(&key, &self.issuer).expect("signs");
        (pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", &key.serialize_der()))
    }

    fn identity(&self, names: &[&str]) -> Identity {
        let (chain, key) = self.issue(names, Valid::Now);
        Identity::from_pem(chain.as_bytes(), key.as_bytes()).expect("fits")
    }
}

fn server_options(identity: Identity) -> ServerOptions {
    ServerOptions {
        identity,
        by_name: Vec::new(),
        protocols: Protocols::default(),
        clients: ClientCertificates::Ignored,
        resumption: ServerResumption::new().expect("there is randomness"),
    }
}

fn server(identity: Identity) -> ServerSide {
    ServerSide::new(server_options(identity)).expect("goes together")
}

/// A client that takes whatever it is shown.
fn client_options() -> ClientOptions {
    ClientOptions {
        protocols: Protocols::default(),
        issuers: None,
        names: VerifyName::Any,
        sni: Sni::Host,
        identity: None,
    }
}

fn client(options: ClientOptions) -> ClientSide {
    ClientSide::new(options).expect("goes together")
}

fn only(version: &str) -> Protocols {
    Protocols { tls12: version == "TLSv1.2", tls13: version == "TLSv1.3", suites: None }
}

/// Bytes that tell where they stand.
fn pattern(len: usize) -> Bytes {
    (0..len).map(|n| (n / 251 + n) as u8).collect()
}

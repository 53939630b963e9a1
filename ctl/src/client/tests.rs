//! Connections: TLS, silence, nonsense.
#![expect(clippy::disallowed_methods, reason = "the server is a thread of the test")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use config::{ControlSocket, ControlTls, Pem};
use control::Command;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use super::Client;
use crate::Failure;

/// A certificate that signs itself, for server and client alike.
struct Own(rcgen::CertifiedKey<rcgen::KeyPair>);

impl Own {
    fn new() -> Self {
        Self(rcgen::generate_simple_self_signed(["mx.example".to_owned()]).unwrap())
    }

    fn identity(&self) -> (Pem, Pem) {
        (Pem::Data(self.0.cert.pem()), Pem::Data(self.0.signing_key.serialize_pem()))
    }
}

/// A server that takes one connection and answers every byte with success; it wants the certificate of `client`.
fn server(client: Option<&Own>) -> SocketAddr {
    let own = Own::new();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let mut roots = RootCertStore::empty();
            roots.add(client.0.cert.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::try_from(own.0.signing_key.serialize_der()).unwrap();
    let config = Arc::new(builder.with_single_cert(vec![own.0.cert.der().clone()], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let Ok((socket, _)) = listener.accept() else { return };
        let mut stream = rustls::StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
        let mut request = [0; 64];
        while let Ok(1..) = stream.read(&mut request) {
            if stream.write_all(b"+\0\0\0\0\0\0\0\0").and_then(|()| stream.flush()).is_err() {
                return;
            }
        }
    });
    address
}

fn connect(address: SocketAddr, tls: ControlTls) -> Result<Vec<u8>, Failure> {
    let to = ControlSocket::Tcp { address, tls: Some(tls) };
    Client::connect(&to)?.call(Command::Users, &[], Duration::from_secs(5))
}

fn unchecked() -> ControlTls {
    ControlTls { identity: None, verify: false, verify_name: None }
}

#[test]
fn a_certificate_that_nobody_trusts_is_refused_unless_it_is_not_checked() {
    assert_eq!(connect(server(None), unchecked()), Ok(Vec::new()));
    let checked = ControlTls { verify: true, verify_name: Some("mx.example".to_owned()), ..unchecked() };
    let Err(Failure::Failed(text)) = connect(server(None), checked) else { panic!("it was taken") };
    assert!(text.starts_with("no TLS with 127.0.0.1:"), "{text}");
}

#[test]
fn the_certificate_of_the_client_is_shown() {
    let own = Own::new();
    assert!(connect(server(Some(&own)), unchecked()).is_err());
    let identity = Some(own.identity());
    assert_eq!(connect(server(Some(&own)), ControlTls { identity, ..unchecked() }), Ok(Vec::new()));
    let identity = Some(Own::new().identity());
    assert!(connect(server(Some(&own)), ControlTls { identity, ..unchecked() }).is_err());
}

/// What a client says of a server that has sent this, and then waits or closes.
fn said(sent: &'static [u8], stays: bool) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("smtpd.ctl");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(sent).unwrap();
        let mut request = [0; 3];
        stream.read_exact(&mut request).unwrap();
        while stays && matches!(stream.read(&mut request), Ok(1..)) {}
    });
    let mut client = Client::connect(&ControlSocket::Unix(path)).unwrap();
    client.call(Command::Users, &[], Duration::from_millis(200)).unwrap_err().to_string()
}

#[test]
fn a_server_that_says_nothing_or_nonsense_is_said_to() {
    assert_eq!(said(b"", true), "the server has said nothing for 0.2 s");
    assert_eq!(said(b"+\x05", false), "the server has closed the connection");
    assert!(said(b"220 mx.example ESMTP\r\n", true).contains("does not speak the control protocol"));
    assert_eq!(said(b"E\x00\0\0\0\0\0\0\0", true), "the server refused without saying why");
    assert_eq!(said(b"=\x01\0\0\0\0\0\0\0xE\x07\0\0\0\0\0\0\0Aborted", true), "Aborted");
}

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{Behaviour, Peer, Phase, Rule, Tls, TlsFault};
use crate::Client;
use crate::pki::Authority;

const TRANSACTION: [(&str, &str); 3] =
    [("MAIL FROM:<a@a.test> SIZE=3\r\n", "250"), ("RCPT TO:<b@b.test>\r\n", "250"), ("DATA\r\n", "354")];

fn send(client: &mut Client, code: &str) {
    for (command, code) in TRANSACTION {
        client.command(command, code);
    }
    client.command("..x\r\n.\r\n", code);
}

#[test]
fn a_message_is_recorded_with_its_connection_and_its_parameters() {
    let peer = Peer::start(Behaviour::new());
    let mut client = Client::connect(peer.port());
    send(&mut client, "250");
    let message = &peer.wait_for(1)[0];
    assert_eq!((message.from.as_str(), message.to.as_slice()), ("a@a.test", &["b@b.test".to_owned()][..]));
    assert_eq!((message.data.as_slice(), message.mail_parameters.as_str()), (&b".x\r\n"[..], "SIZE=3"));
    client.command("QUIT\r\n", "221");
    peer.wait_until(|connections| connections[0].closed);
    let connection = &peer.connections()[0];
    assert_eq!(connection.hello.as_deref(), Some("client.test.example"));
    assert_eq!((connection.commands.len(), connection.messages), (5, 1));
    assert_eq!((connection.command_count("mail"), peer.command_count("DATA")), (1, 1));
}

#[test]
fn rules_count_and_end_connections() {
    let rule = |phase| Rule::at(phase).on_each_connection();
    let peer = Peer::start(
        Behaviour::new()
            .rule(rule(Phase::Dot).nth(2).reply_then_close("250 2.0.0 taken"))
            .rule(Rule::at(Phase::Rcpt).containing("nobody@").reply("550 5.1.1 no"))
            .rule(Rule::at(Phase::Mail).after(4).reset()),
    );
    for _ in 0..2 {
        let mut client = Client::connect(peer.port());
        send(&mut client, "250");
        client.command("RSET\r\n", "250");
        client.command("RCPT TO:<nobody@b.test>\r\n", "550");
        send(&mut client, "250");
        assert_eq!(client.reply(), "");
    }
    let mut stream = TcpStream::connect(peer.address()).expect("it listens");
    stream.write_all(b"EHLO x\r\nMAIL FROM:<>\r\n").expect("it reads");
    let error = stream.read_to_end(&mut Vec::new()).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!((peer.message_count(), peer.connection_count()), (4, 3));
}

#[test]
fn idle_and_surplus_connections_are_told_to_go() {
    let behaviour = Behaviour::new().drop_idle(Duration::from_millis(50), Some("421 4.4.2 idle"));
    let peer = Peer::start(behaviour.connections_max(1));
    let mut first = Client::connect(peer.port());
    Client::open(peer.port()).expect("421 4.7.0");
    first.expect("421 4.4.2");
}

#[test]
fn greylisting_lets_the_second_try_pass_after_its_time() {
    let peer = Peer::start(Behaviour::new().greylist(Duration::from_millis(100)));
    let mut client = Client::connect(peer.port());
    client.command("MAIL FROM:<a@a.test>\r\n", "250");
    client.command("RCPT TO:<b@b.test>\r\n", "450");
    std::thread::sleep(Duration::from_millis(110));
    client.command("RCPT TO:<c@b.test>\r\n", "450");
    client.command("RCPT TO:<b@b.test>\r\n", "250");
}

#[test]
fn lmtp_answers_for_each_recipient_and_chunks_are_put_together() {
    let peer = Peer::start(
        Behaviour::new()
            .lmtp()
            .extension("CHUNKING")
            .rule(Rule::at(Phase::Dot).containing("c@").reply("452 full")),
    );
    let mut client = Client::open(peer.port());
    client.expect("220");
    client.command("EHLO x\r\n", "500");
    client.command("LHLO x\r\n", "250");
    client.command("MAIL FROM:<a@a.test>\r\n", "250");
    client.command("RCPT TO:<b@b.test>\r\n", "250");
    client.command("RCPT TO:<c@b.test>\r\n", "250");
    client.command("BDAT 3\r\n.\r\n", "250");
    client.command("BDAT 2 LAST\r\n\r\n", "250");
    client.expect("452");
    let message = &peer.wait_for(1)[0];
    assert_eq!((message.data.as_slice(), message.chunks, message.to.len()), (&b".\r\n\r\n"[..], 2, 1));
}

#[test]
fn authentication_is_recorded() {
    let peer = Peer::start(Behaviour::new().extension("AUTH PLAIN LOGIN"));
    Client::connect(peer.port()).command("AUTH PLAIN AHVzZXIAcGFzcw==\r\n", "235");
    let mut client = Client::connect(peer.port());
    client.command("AUTH LOGIN\r\n", "334");
    client.command("dXNlcg==\r\n", "334");
    client.command("cGFzcw==\r\n", "235");
    for connection in peer.connections() {
        assert_eq!(connection.auth.as_deref(), Some(&b"\0user\0pass"[..]));
    }
}

fn start_tls(
    peer: &Peer,
    authority: &Authority,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let stream = TcpStream::connect(peer.address())?;
    let mut lines = BufReader::new(&stream).lines();
    (&stream).write_all(b"EHLO x\r\n")?;
    let offered = lines.by_ref().map_while(Result::ok).any(|line| line == "250 STARTTLS");
    assert!(offered);
    (&stream).write_all(b"STARTTLS\r\n")?;
    assert_eq!(lines.next().expect("a reply")?, "220 2.0.0 go on");
    drop(lines);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let session = ClientConnection::new(Arc::new(config), "mx.test.example".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(session, stream);
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(stream)
}

#[test]
fn tls_works_and_fails_as_it_is_told() {
    let authority = Authority::new();
    let config = authority.issue(&["mx.test.example"]).server();
    let tls = |fault| Tls { config: Arc::clone(&config), implicit: false, fault };
    let peer = Peer::start(Behaviour::new().tls(tls(None)));
    let mut stream = start_tls(&peer, &authority).expect("a handshake");
    stream.write_all(b"QUIT\r\n").unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "221 2.0.0 bye\r\n");
    let seen = peer.connections()[0].tls.clone().expect("TLS was agreed on");
    assert_eq!((seen.version.as_str(), seen.sni.as_deref()), ("TLSv1_3", Some("mx.test.example")));
    for fault in [TlsFault::Garbage, TlsFault::Close, TlsFault::Reset] {
        peer.behave(Behaviour::new().tls(tls(Some(fault))));
        assert!(start_tls(&peer, &authority).is_err(), "{fault:?}");
    }
    let expired = authority.issue_until(&["mx.test.example"], 2020).server();
    peer.behave(Behaviour::new().tls(Tls { config: expired, implicit: false, fault: None }));
    assert!(start_tls(&peer, &authority).is_err());
    peer.wait_until(|connections| connections.last().is_some_and(|last| last.tls_error.is_some()));
}

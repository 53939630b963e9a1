//! What a client may do to the socket, and who may.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use control::Command;
use control::framing::Status;
use control::smtpd as proto;
use nix::sys::signal::Signal;
use tests::pki::{Authority, Issued};
use tests::{ControlClient, Smtpd, wait_until};

#[test]
fn commands_are_answered_in_order_and_wrong_ones_say_what_is_wrong() {
    let server = Smtpd::relay_to(1).start();
    let path = server.dir().join("smtpd.ctl");

    // OPS42: no such command.
    let mut client = ControlClient::connect_silently(&path);
    client.write(&[5, 7, b'?']);
    let response = client.read().expect("an answer");
    assert_eq!(response.status, Status::Error);
    assert!(String::from_utf8_lossy(&response.payload).contains('?'), "{response:?}");

    // OPS43: two commands on one connection, and versions at any boundary.
    let mut client = ControlClient::connect_silently(&path);
    client.write(&[5, 7, b'n', b'n', 6, 10, b'n']);
    for _ in 0..3 {
        assert_eq!(client.read().expect("an answer").status, Status::Success);
    }

    // What has a body is read to its end, byte by byte if need be.
    let quota = [b'I', 3, 0, 0, 0, 0, 0, 0, 0, 10, 1, b'q'];
    quota.iter().for_each(|byte| client.write(&[*byte]));
    assert_eq!(client.read().expect("an answer").status, Status::Success);
    // One that is no message is refused, and the connection goes on.
    client.write(&[b'I', 2, 0, 0, 0, 0, 0, 0, 0, 10, 200]);
    assert_eq!(client.read().expect("an answer").status, Status::Error);
    client.write(b"n");
    assert_eq!(client.read().expect("an answer").status, Status::Success);

    // What is too long is refused before it is read, and hurts nobody.
    client.write(&[b'I', 0, 0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(client.read().expect("an answer").status, Status::Error);
    assert_eq!(client.read(), None);
    assert_eq!(server.control().order(Command::Users), Ok(()));
}

#[test]
fn clients_are_served_side_by_side_and_one_that_takes_nothing_holds_up_nobody() {
    let server = Smtpd::relay_to(1).start();
    let mut idle: Vec<ControlClient> = (0..20).map(|_| server.control()).collect();
    // It asks much and reads nothing.
    let mut slow = server.control();
    slow.write(&b"n".repeat(20_000));
    let begun = Instant::now();
    assert_eq!(server.control().order(Command::Users), Ok(()));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    for client in &mut idle {
        assert_eq!(client.order(Command::Users), Ok(()));
    }
}

#[test]
fn the_socket_has_its_mode_and_goes_with_the_server() {
    let builder = Smtpd::relay_to(1);
    let path = builder.control_socket();
    // What another one has left behind, after a crash.
    let killed = builder.start().kill();
    assert!(path.exists());
    let server = killed.start();
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!(mode, 0o600);
    server.wait_for_log(&format!("control socket: {}", path.display()));
    assert_eq!(server.control().order(Command::Users), Ok(()));
    let (builder, status) = server.stop();
    assert!(status.success() && !path.exists());

    // Somebody listens there.
    let other = std::os::unix::net::UnixListener::bind(&path).expect("it is free");
    let mut refused = builder.launch();
    assert!(!refused.wait().success());
    refused.wait_for_log("environment.controlsocket.path: bind");
    refused.wait_for_log("Address already in use");
    drop(other);
}

#[test]
fn raw_bytes_are_answered_as_documented() {
    // OPS41
    let server = Smtpd::relay_to(1).start();
    let mut stream =
        std::os::unix::net::UnixStream::connect(server.dir().join("smtpd.ctl")).expect("it is there");
    stream.write_all(&[0x05, 0x07, 0x71]).expect("it reads");
    let mut head = [0; 9];
    stream.read_exact(&mut head).expect("it answers");
    assert_eq!(head[0], b'+');
    let length = u64::from_le_bytes(head[1..].try_into().expect("eight bytes"));
    let mut body = vec![0; usize::try_from(length).expect("it is short")];
    stream.read_exact(&mut body).expect("it answers");
    let stats = <proto::ProcessStatsResponse as control::Message>::decode(&body[..]).expect("a message");
    assert_eq!(stats.process.expect("it has a process").pid, u64::from(server.pid()));
    // Nothing follows.
    stream.set_nonblocking(true).expect("it can be set");
    assert_eq!(stream.read(&mut [0; 1]).map_err(|error| error.kind()), Err(std::io::ErrorKind::WouldBlock));
}

#[test]
fn what_is_not_built_says_so() {
    let server = Smtpd::relay_to(1).start();
    let mut control = server.control();
    let plugin = proto::PluginCommandRequest { id: "p".into(), argv: Vec::new() };
    let plugin: Result<(), _> = control.ask(Command::PluginCommand, &plugin);
    assert!(plugin.expect_err("there are none").contains("there is no plugin \"p\""));
}

/// A server that takes commands on a port, with `ctl.crt`, `ctl.key` and `operators.pem` of its directory.
fn with_port(authority: &Authority, issued: &Issued) -> (Smtpd, u16) {
    let (builder, port) = (Smtpd::relay_to(1), tests::free_port());
    issued.write(builder.dir(), "ctl");
    let path = |name: &str| format!("{{path: \"{}\"}}", builder.dir().join(name).display());
    let socket = format!(
        "{{port: {port}, tls: {{server: {{certificate: {}, privatekey: {}, clientcerts: [{}]}}}}}}",
        path("ctl.crt"),
        path("ctl.key"),
        path("operators.pem")
    );
    std::fs::write(builder.dir().join("operators.pem"), authority.pem()).expect("a temporary directory");
    let server = builder.replace_control_socket(&socket).start();
    server.wait_for_log(&format!("control socket: 127.0.0.1:{port} with TLS"));
    (server, port)
}

/// The status of the first answer, and the certificate that the server shows.
fn ask_port(port: u16, config: rustls::ClientConfig) -> std::io::Result<(u8, Vec<u8>)> {
    let tcp = std::net::TcpStream::connect(("127.0.0.1", port))?;
    tcp.set_read_timeout(Some(Duration::from_secs(20)))?;
    let name = rustls::pki_types::ServerName::try_from("ctl.example").expect("a name");
    let session = rustls::ClientConnection::new(Arc::new(config), name).expect("a good configuration");
    let mut stream = rustls::StreamOwned::new(session, tcp);
    stream.write_all(&[5, 7, b'n'])?;
    let mut status = [0];
    stream.read_exact(&mut status)?;
    let shown = stream.conn.peer_certificates().and_then(|chain| chain.first());
    Ok((status[0], shown.map(|leaf| leaf.to_vec()).unwrap_or_default()))
}

#[test]
fn a_port_serves_those_who_show_a_certificate_and_nobody_else() {
    let (authority, others) = (Authority::new(), Authority::new());
    let issued = authority.issue(&["ctl.example"]);
    let (server, port) = with_port(&authority, &issued);
    let operator = authority.issue(&["operator.example"]);
    let answer = ask_port(port, authority.client_with(&operator)).expect("it is served");
    assert_eq!(answer, (b'+', issued.der().to_vec()));
    ask_port(port, authority.client()).expect_err("it shows no certificate");
    let stranger = others.issue(&["operator.example"]);
    ask_port(port, authority.client_with(&stranger)).expect_err("somebody else has issued it");
    server.wait_for_log("control: 127.0.0.1:");
}

#[test]
fn what_a_port_shows_and_whom_it_takes_follows_a_reload() {
    let (authority, others) = (Authority::new(), Authority::new());
    let first = authority.issue(&["ctl.example"]);
    let (server, port) = with_port(&authority, &first);
    let reloads = Cell::new(0);
    let reload = || {
        server.signal(Signal::SIGHUP);
        reloads.set(reloads.get() + 1);
        let done = || server.log().iter().filter(|line| line.contains("Configuration reloaded")).count();
        assert!(wait_until(Duration::from_secs(20), || done() == reloads.get()), "{:#?}", server.log());
    };
    let old = authority.issue(&["operator.example"]);
    let shown = |by: &Issued| ask_port(port, authority.client_with(by)).map(|(_, shown)| shown);
    assert_eq!(shown(&old).expect("it is served"), first.der());
    let second = authority.issue(&["ctl.example"]);
    second.write(server.dir(), "ctl");
    std::fs::write(server.dir().join("operators.pem"), others.pem()).expect("a temporary directory");
    reload();
    shown(&old).expect_err("the list does not have its issuer any more");
    let new = others.issue(&["operator.example"]);
    assert_eq!(shown(&new).expect("it is served"), second.der());
    // Half of a pair.
    let third = authority.issue_until(&["ctl.example"], 2001);
    std::fs::write(server.dir().join("ctl.crt"), third.certificate_pem()).expect("a temporary directory");
    reload();
    server.wait_for_log("environment.controlsocket.tls.server: the private key in ");
    assert_eq!(shown(&new).expect("it is served"), second.der());
    third.write(server.dir(), "ctl");
    reload();
    server.wait_for_log("environment.controlsocket.tls.server: the certificate of ");
    server.wait_for_log("ctl.crt has expired");
    shown(&new).expect_err("it has expired");
}

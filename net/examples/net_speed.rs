//! Nanoseconds per message through the SMTP machines: `cargo run --release -p net --example net_speed`.
#![allow(clippy::print_stdout)] // a measurement

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use net::smtp::HeaderScan;
use net::smtp::address::{Address, Hostname};
use net::smtp::client::{self, DotStuffer, Envelope};
use net::smtp::parameters::MailParameters;
use net::smtp::server::{self, Event};

const ENVELOPE: &[u8] =
    b"MAIL FROM:<bounces@sender.example> SIZE=2048\r\nRCPT TO:<someone@receiver.example>\r\nDATA\r\n";

fn main() {
    println!("size_of server::Session: {} bytes", size_of::<server::Session>());
    println!("size_of client::Session: {} bytes", size_of::<client::Session>());
    for body_bytes in [2048, 102_400] {
        let body = message(body_bytes);
        let rounds = 100_000_000 / (body_bytes + 2000);
        report(&format!("server, {body_bytes} bytes, pipelined"), rounds, body.len(), || {
            serve(&body, rounds)
        });
        report(&format!("client, {body_bytes} bytes, pipelined"), rounds, body.len(), || send(&body, rounds));
    }
    let body = message(1 << 20);
    report("server body only, 1 MiB", 500, body.len(), || scan(&body, 500));
    report("dot stuffing only, 1 MiB", 500, body.len(), || stuff(&Bytes::from(body.clone()), 500));
    let header = message(1024);
    report("header scan only, 1 KiB of header", 100_000, 1024, || scan_header(&header[..1024], 100_000));
}

/// The best of five, in CPU time, as the machine is shared.
fn report(what: &str, rounds: usize, bytes: usize, mut run: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = cpu_seconds();
        run();
        best = best.min(cpu_seconds() - start);
    }
    let each = best / rounds as f64;
    println!("{what}: {:.0} ns, {:.2} GB/s", each * 1e9, bytes as f64 / each / 1e9);
}

/// CPU time of this thread so far.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let run_ns = text.split(' ').next().and_then(|word| word.parse::<f64>().ok());
    run_ns.expect("a number of nanoseconds comes first") / 1e9
}

/// A message with an ordinary header and lines of 76.
fn message(bytes: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(bytes + 100);
    for (name, value) in [
        ("Received", "from client.example.net ([192.0.2.1]) by mx.example.com with ESMTP id 1; Thu, 1 Jan"),
        ("From", "Sender <sender@sender.example>"),
        ("To", "someone@receiver.example"),
        ("Subject", "A subject of ordinary length, as subjects go"),
        ("Date", "Wed, 25 Nov 2026 23:00:00 +0000"),
        ("Message-ID", "<0123456789abcdef0123456789abcdef@sender.example>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
    ] {
        message.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    message.extend_from_slice(b"\r\n");
    while message.len() < bytes {
        message.extend_from_slice(&[b'a'; 74]);
        message.extend_from_slice(b"\r\n");
    }
    message
}

/// Whole transactions, the message as one piece of input.
fn serve(body: &[u8], rounds: usize) {
    let name = Hostname::parse(b"mx.example.com").expect("valid");
    let mut session = server::Session::new(Arc::new(server::Config::new(name)));
    let message = [body, b".\r\n"].concat();
    let mut seen = 0;
    drain(&mut session, b"", &mut seen);
    drain(&mut session, b"EHLO client.example.net\r\n", &mut seen);
    for _ in 0..rounds {
        drain(&mut session, ENVELOPE, &mut seen);
        drain(&mut session, &message, &mut seen);
    }
    assert_eq!(seen, rounds * body.len());
}

fn drain(session: &mut server::Session, mut input: &[u8], seen: &mut usize) {
    loop {
        match session.step(&mut input) {
            server::Step::NeedInput => break,
            server::Step::Body(bytes) => *seen += black_box(bytes).len(),
            server::Step::Event(Event::EndOfData(_)) => {
                session.accept_message("0192f5a0-0000-7000-8000-000000000000")
            }
            server::Step::Event(event) => {
                black_box(event);
                session.accept();
            }
            step => panic!("{step:?}"),
        }
    }
    black_box(session.take_output());
}

fn send(body: &[u8], rounds: usize) {
    let name = Hostname::parse(b"relay.example.com").expect("valid");
    let mut session = client::Session::new(Arc::new(client::Config::new(name)));
    let body = Bytes::copy_from_slice(body);
    let address = |text: &[u8]| Address::parse(text).expect("valid");
    let envelope = Envelope {
        sender: Some(address(b"bounces@sender.example")),
        recipients: vec![address(b"someone@receiver.example").into()],
        size_bytes: body.len() as u64,
        eight_bit: false,
        parameters: MailParameters::default(),
    };
    let mut input: &[u8] = b"220 x\r\n250-x\r\n250-PIPELINING\r\n250 SIZE\r\n";
    assert!(matches!(session.step(&mut input), client::Step::Ready));
    session.take_output();
    for _ in 0..rounds {
        session.begin(envelope.clone());
        black_box(session.take_output());
        let mut input: &[u8] = b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n";
        assert!(matches!(session.step(&mut input), client::Step::SendBody(_)));
        stuff(&body, 1);
        session.body_sent();
        let mut input: &[u8] = b"250 2.0.0 Ok: queued as 0192f5a0-0000-7000-8000-000000000000\r\n";
        assert!(matches!(session.step(&mut input), client::Step::Done(_)));
        assert!(matches!(session.step(&mut input), client::Step::Ready));
    }
}

fn scan(body: &[u8], rounds: usize) {
    let name = Hostname::parse(b"mx.example.com").expect("valid");
    let mut session = server::Session::new(Arc::new(server::Config::new(name)));
    let mut seen = 0;
    drain(&mut session, b"", &mut seen);
    drain(&mut session, ENVELOPE, &mut seen);
    // Received as a driver would get it.
    for _ in 0..rounds {
        for piece in body.chunks(16 * 1024) {
            drain(&mut session, piece, &mut seen);
        }
    }
    assert_eq!(seen, rounds * body.len());
}

fn stuff(body: &Bytes, rounds: usize) {
    for _ in 0..rounds {
        let mut out = Vec::with_capacity(4);
        let mut stuffer = DotStuffer::new();
        stuffer.push(body.clone(), &mut out).expect("clean");
        stuffer.finish(&mut out).expect("clean");
        black_box(&out);
    }
}

fn scan_header(header: &[u8], rounds: usize) {
    for _ in 0..rounds {
        let mut scan = HeaderScan::new(100);
        scan.feed(black_box(header)).expect("within limits");
        black_box(scan.received());
    }
}

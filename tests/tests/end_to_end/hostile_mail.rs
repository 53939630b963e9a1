//! Messages that are made to hurt, through a server whose script reads them, adds a field and delivers: everything but that
//! field goes out as it came in.

use std::fmt::Write as _;

use tests::{Client, Message, Sink, Smtpd};

const SCRIPT: &str = "$m = $arguments[\"mail\"];
    function count_parts($part) {
        $n = 1;
        foreach ($part->getParts() as $child) $n += count_parts($child);
        return $n;
    }
    $seen = [length($m->getParts()), length($m->findByType(\"text/\")), length($m->getHeaderNames()),
             length($m->getHeader(\"Subject\") ?? \"\"), length($m->getHeaders(\"X-A\"))];
    $m->getFileName(); $m->getTypeParameter(\"charset\"); length($m->getBody() ?? \"\"); $m->getErrors();
    $m->setHeader(\"X-Seen\", array_join($seen, \" \"));
    foreach ($transaction[\"recipients\"] as $r) $m->queue($transaction[\"senderaddress\"], $r[\"address\"], $r[\"transportid\"]);
    Accept();";

/// Multiparts within each other.
fn nested(depth: usize) -> Vec<u8> {
    let mut text = "Subject: nested\r\nMIME-Version: 1.0\r\n".to_owned();
    for level in 0..depth {
        write!(text, "Content-Type: multipart/mixed; boundary=\"b{level}\"\r\n\r\n--b{level}\r\n")
            .expect("grows");
    }
    text.push_str("\r\ninnermost\r\n");
    for level in (0..depth).rev() {
        write!(text, "--b{level}--\r\n").expect("grows");
    }
    text.into_bytes()
}

fn many_parts(count: usize) -> Vec<u8> {
    let mut text = "Subject: many\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n".to_owned();
    for number in 0..count {
        write!(text, "--b\r\nContent-Type: text/plain\r\n\r\n{number}\r\n").expect("grows");
    }
    text.push_str("--b--\r\n");
    text.into_bytes()
}

/// Boundaries that are all prefixes of each other, never closed.
fn prefixes(count: usize) -> Vec<u8> {
    let mut text = "Subject: prefixes\r\n".to_owned();
    for number in 0..count {
        let boundary = "-".repeat(number % 60 + 1);
        write!(text, "Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n")
            .expect("grows");
    }
    text.into_bytes()
}

/// With a header line of so many bytes.
fn long_field(bytes: usize) -> Vec<u8> {
    let mut text = b"Subject: ".to_vec();
    text.resize(bytes, b'x');
    [&text[..], b"\r\nX-A: 1\r\n\r\nbody\r\n"].concat()
}

fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let folded = "Subject: a\r\n".to_owned() + &" b\r\n".repeat(100_000) + "\r\nbody\r\n";
    let words = "Subject: ".to_owned() + &"=?utf-8?q?=C3=A4?= ".repeat(20_000) + "\r\n\r\nbody\r\n";
    let fields = "X-A: 1\r\n".repeat(20_000) + "\r\nbody\r\n";
    let parameters =
        "Content-Type: text/plain".to_owned() + &"; a*0*=%41".repeat(20_000) + "\r\n\r\nbody\r\n";
    vec![
        ("parts within parts, 1,000 deep", nested(1000)),
        ("10,000 parts", many_parts(10_000)),
        ("boundaries that begin alike", prefixes(5000)),
        ("a field of all but 64 bytes of 1 MiB, which is what a header may have", long_field((1 << 20) - 64)),
        ("a field folded 100,000 times", folded.into_bytes()),
        ("20,000 encoded words", words.into_bytes()),
        ("20,000 fields", fields.into_bytes()),
        ("20,000 parameters", parameters.into_bytes()),
        ("NUL bytes", b"Subject: a\0b\r\nX-A: \0\r\n\r\nbo\0dy\r\n".to_vec()),
        ("8-bit fields", b"Subject: caf\xe9 \xff\xfe\r\nX-\xe4: 1\r\n\r\n\x80\x81\r\n".to_vec()),
        (
            "charsets that are none",
            b"Subject: =?nonsense?q?x?= =?utf-8?b?!!!?= =?utf-8?q?=C3?=\r\nContent-Type: text/plain; charset=nonsense\r\n\
              Content-Transfer-Encoding: nonsense\r\n\r\n\xe4\xf6\r\n"
                .to_vec(),
        ),
        (
            "base64 that is none",
            b"Subject: x\r\nContent-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n=A=B!\xff\r\n"
                .to_vec(),
        ),
        ("no header at all", b"\r\nbody\r\n".to_vec()),
        ("no colon", b"this is no field\r\nSubject: x\r\n\r\nbody\r\n".to_vec()),
        ("blanks for a field", b" folded from nothing\r\nSubject: x\r\n\r\nbody\r\n".to_vec()),
        ("an empty boundary", b"Subject: x\r\nContent-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\na\r\n----\r\n".to_vec()),
        ("dots", b"Subject: x\r\n\r\n.\r\n..\r\n.x\r\n".to_vec()),
    ]
}

/// Whether what went out is what came in behind the fields that the script and the server put in front.
fn is_as_it_came(got: &Message, sent: &[u8]) -> bool {
    let fields = &got.data[..got.data.len().saturating_sub(sent.len())];
    let starts = |line: &[u8]| line.starts_with(b"X-Seen: ") || line.starts_with(b"Received: ");
    let lines = fields.split_inclusive(|&byte| byte == b'\n');
    let in_front = lines.filter(|line| !line.starts_with(b"\t")).all(starts);
    in_front && fields.starts_with(b"X-Seen: ") && got.data.ends_with(sent)
}

#[test]
fn hostile_messages_are_read_within_bounds_and_go_out_as_they_came() {
    let sink = Sink::start();
    let script = SCRIPT.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let running = format!("scripting:\n  hooks:\n    eod:\n      - id: x\n        data: \"{script}\"\n");
    let server =
        Smtpd::relay_to(sink.port()).running(&running).server("phases: {eod: {hook: x}}").shards(1).start();
    let mut client = Client::connect(server.port());
    for (number, (name, message)) in cases().into_iter().enumerate() {
        let begun = std::time::Instant::now();
        let reply = client.try_send("a@x.example", &["b@z.example"], &message);
        assert!(reply.starts_with("250"), "{name}: {reply}\n{}", server.log().join("\n"));
        let got = sink.wait_for(number + 1).remove(number);
        assert!(is_as_it_came(&got, &message), "{name}: changed");
        println!("{name}: {} bytes in {:?}", message.len(), begun.elapsed());
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).expect("Linux says so");
    let kib: u64 = peak.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
    println!("{peak}");
    assert!(kib < 400 << 10, "{peak}");
    // What is more is refused, and read to its end: a line of more than 1 MiB, and more in short lines.
    let folded = "Subject: a\r\n".to_owned() + &(" ".repeat(998) + "\r\n").repeat(2000) + "\r\nbody\r\n";
    for (message, refusal) in [
        (long_field((1 << 20) + 1), "554 5.6.0 Line too long"),
        (folded.into_bytes(), "552 5.3.4 Message header too large"),
    ] {
        let reply = client.try_send("a@x.example", &["b@z.example"], &message);
        assert!(reply.starts_with(refusal), "{reply}");
    }
    client.send("a@x.example", &["b@z.example"], b"Subject: x\r\n\r\nstill here\r\n");
}

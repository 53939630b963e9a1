//! Messages that come by HTTP (reference: configuration 4.6, cli-and-operations 7.3, hooks 3.8.3).

mod messages;
mod service;

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::{Value, json};
use tests::pki::Authority;
use tests::{Builder, Smtpd};

const MESSAGE: &str = "From: jo@a.example\r\nSubject: hello\r\n\r\n.a dot\r\nlast line";

/// A server of type `http` that hands on to this port.
fn submission_to(next_hop: u16) -> Builder {
    Smtpd::relay_to(next_hop).listen("type: http").server("type: http").server("apikeys: [other, secret]")
}

/// One of type `https` with a certificate of this authority.
fn secure_submission_to(next_hop: u16, authority: &Authority) -> Builder {
    let builder = Smtpd::relay_to(next_hop).listen("type: https").server("type: https");
    let (certificate, key) = authority.issue(&["mx.test.example"]).write(builder.dir(), "mx");
    let pki = format!(
        "pki: {{private: [{{id: mx, certificate: {{path: \"{}\"}}, privatekey: {{path: \"{}\"}}}}]}}",
        certificate.display(),
        key.display()
    );
    builder.server("tls: {certs: {cert: mx}}").startup(&pki)
}

/// Has its eod script do this.
fn with_eod(builder: Builder, phases: &str, script: &str) -> Builder {
    let script =
        format!("scripting:\n  hooks:\n    eod:\n      - id: x\n        data: |\n          {script}\n");
    builder.server(&format!("phases: {{eod: {{hook: x}}{phases}}}")).running(&script)
}

/// A client that keeps its connection.
struct Web<S> {
    stream: BufReader<S>,
}

/// An answer: its status, its header fields and its body.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What is said to be wrong with the request.
    fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }

    fn closes(&self) -> bool {
        self.head.contains("\r\nConnection: close")
    }
}

impl Web<TcpStream> {
    fn connect(port: u16) -> Web<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        Web { stream: BufReader::new(stream) }
    }
}

impl Web<StreamOwned<ClientConnection, TcpStream>> {
    fn over_tls(authority: &Authority, tcp: TcpStream) -> Self {
        tcp.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let name = ServerName::try_from("mx.test.example").expect("a name");
        let connection = ClientConnection::new(Arc::new(authority.client()), name).expect("a client");
        Web { stream: BufReader::new(StreamOwned::new(connection, tcp)) }
    }
}

impl<S: Read + Write> Web<S> {
    fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("sent");
    }

    fn answer(&mut self) -> Answer {
        let (mut head, mut line) = (String::new(), String::new());
        while line != "\r\n" {
            line.clear();
            assert!(self.stream.read_line(&mut line).expect("an answer") > 0, "no answer after {head:?}");
            head.push_str(&line);
        }
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.map_or(0, |length| length.parse().expect("a number"));
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("the whole body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head, body: String::from_utf8(body).expect("text") }
    }

    fn submit(&mut self, target: &str, options: &Value, message: &[u8]) -> Answer {
        let form = form(&[("options", options.to_string().as_bytes()), ("rfc822", message)]);
        self.write(&post(target, "", &form));
        self.answer()
    }

    /// The server has closed the connection.
    fn is_over(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 1]), Ok(0) | Err(_))
    }
}

fn options(to: &[&str], metadata: &Value) -> Value {
    let recipient = |domain: &&str| json!({"localpart": "jo", "domain": domain});
    let recipients: Vec<Value> = to.iter().map(recipient).collect();
    json!({"sender": {"localpart": "me", "domain": "a.example"}, "recipients": recipients, "metadata": metadata})
}

fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, content) in parts {
        let head = format!("--=_b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=x\r\n\r\n");
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(content);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"--=_b--\r\n");
    out
}

fn head(target: &str, fields: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nX-API-Key: secret\r\nContent-Type: multipart/form-data; boundary=\"=_b\"\r\n{fields}\r\n"
    )
}

fn post(target: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = head(target, &format!("{fields}Content-Length: {}\r\n", body.len()));
    [head.as_bytes(), body].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .args(["-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip is everywhere");
    let mut stdin = child.stdin.take().expect("a pipe");
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("written");
    output.stdout
}

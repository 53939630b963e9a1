//! What scripts give to `http_bulk` arrives, whatever becomes of the server meanwhile.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tests::{Client, Halonctl, Smtpd, free_port, wait_until};

/// How long a slow, busy machine may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Takes one request after the other, and keeps the bodies.
fn collector(port: u16) -> Arc<Mutex<Vec<String>>> {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&bodies);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            loop {
                let length = stream.read(&mut buffer).expect("a request");
                bytes.extend_from_slice(&buffer[..length]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                if Some(body.len()) == length.and_then(|length| length.parse().ok()) {
                    shared.lock().expect("nobody panicked").push(body.to_owned());
                    break;
                }
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").expect("an answer");
        }
    });
    bodies
}

/// The server is killed while nobody takes its items; the next one sends them, and no others.
#[test]
fn items_arrive_after_the_server_was_killed() {
    let port = free_port();
    let script = "import { http_bulk } from \\\"extras://http-bulk\\\"; \
                  if (!http_bulk(\\\"q\\\", $arguments[\\\"mail\\\"]->getHeader(\\\"Subject\\\"))) Defer(); Accept();";
    let builder = Smtpd::relay_to(1);
    let path = builder.dir().join("items");
    let plugin = format!(
        "plugins: [{{id: http-bulk, config: {{queues: [{{id: q, path: {}, url: \"http://127.0.0.1:{port}/\", format: ndjson, max_items: 10}}]}}}}]",
        path.display()
    );
    let hook = format!("scripting: {{hooks: {{eod: [{{id: x, data: \"{script}\"}}]}}}}");
    let server = builder.startup(&plugin).running(&hook).server("phases: {eod: {hook: x}}").start();
    let mut client = Client::connect(server.port());
    for subject in ["one", "two"] {
        let message = format!("Subject: {subject}\r\n\r\nhi\r\n");
        client.send("a@x.example", &["b@z.example"], message.as_bytes());
    }
    server.wait_for_log("http_bulk(q): ");
    drop(client);
    let builder = server.kill();

    let bodies = collector(port);
    let halonctl = Halonctl::of(&builder.control_socket());
    let _server = builder.start();
    let all = || bodies.lock().expect("nobody panicked").concat();
    assert!(wait_until(PATIENCE, || all().lines().count() >= 2), "{:?}", all());
    assert_eq!(all(), "one\ntwo\n");
    let status = || halonctl.run(&["plugin", "command", "http-bulk", "status", "q"]).stdout;
    assert!(wait_until(PATIENCE, || status().contains("item-sent: 2")), "{}", status());
}

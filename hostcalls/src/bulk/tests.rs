#![allow(clippy::disallowed_methods, reason = "the peers of a test are no part of the engine")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use config::{BulkFormat, BulkQueue};

use super::{attach, command};
use crate::Settings;
use crate::on_engine::{on_a_shard, on_shards, result};
use crate::plugins::Plugins;

/// Requests that have come: the head, and the body.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// An HTTP server that answers with these statuses, then with 200.
fn server(statuses: &'static [u16]) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/items", listener.local_addr().unwrap());
    let seen = Seen::default();
    let shared = Arc::clone(&seen);
    std::thread::spawn(move || {
        let mut statuses = statuses.iter().copied();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            let (head, body) = loop {
                let length = stream.read(&mut buffer).unwrap();
                assert!(length > 0, "a request ends early");
                bytes.extend_from_slice(&buffer[..length]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let expected = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                if body.len() == expected.unwrap().parse::<usize>().unwrap() {
                    break (head.to_owned(), body.to_owned());
                }
            };
            shared.lock().unwrap().push((head, body));
            let status = statuses.next().unwrap_or(200);
            let answer = format!("HTTP/1.1 {status} So\r\nContent-Length: 3\r\n\r\nwhy");
            // Who gave up is gone.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, seen)
}

fn queue(directory: &Path, url: &str) -> BulkQueue {
    BulkQueue {
        id: "q".to_owned(),
        path: directory.join("q"),
        url: url.to_owned(),
        format: BulkFormat::JsonArray,
        min_items: 1,
        max_items: 100,
        max_interval: None,
        tls_verify: true,
        preamble: String::new(),
        postamble: String::new(),
        credentials: None,
        timeout: Duration::from_secs(60),
        connect_timeout: Duration::from_secs(60),
        headers: Vec::new(),
        aws_sigv4: None,
        concurrency: 1,
    }
}

fn settings(queue: BulkQueue) -> Settings {
    let plugins = config::Plugins { bulk_queues: vec![queue], ..config::Plugins::default() };
    let plugins = Plugins::load(&plugins, &|path| std::fs::read(path), &mut |what| panic!("{what}"));
    Settings { plugins: Arc::new(plugins), ..Settings::default() }
}

/// Until it holds; for ever if it does not, which the test runner ends.
async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        engine::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn ask(words: &str) -> String {
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    match command(&words).await {
        Ok(answer) => String::from_utf8(answer).unwrap(),
        Err(why) => format!("error: {why}"),
    }
}

async fn stopped() {
    assert_eq!(ask("stop q").await, "OK");
    while !ask("status q").await.starts_with("state: stopped") {
        engine::time::sleep(Duration::from_millis(5)).await;
    }
}

const ADD: &str = r#"import { http_bulk } from "extras://http-bulk"; return http_bulk("q", "1");"#;

#[test]
fn items_of_all_shards_arrive_in_spite_of_a_server_that_refuses_first() {
    let directory = tempfile::tempdir().unwrap();
    let (url, seen) = server(&[503]);
    let shared = Arc::clone(&seen);
    on_shards(2, settings(queue(directory.path(), &url)), move |environment, _| {
        let seen = Arc::clone(&shared);
        async move {
            attach(&environment);
            for _ in 0..5 {
                assert_eq!(result(&environment, ADD).await, "true");
            }
            let items = |body: &str| body.matches('1').count();
            until(|| {
                let seen = seen.lock().unwrap();
                seen.iter().skip(1).map(|(_, body)| items(body)).sum::<usize>() >= 10
            })
            .await;
            until_sent(10).await;
        }
    });
    for (head, body) in &*seen.lock().unwrap() {
        assert!(head.starts_with("POST /items HTTP/1.1"), "{head}");
        assert!(head.contains("Content-Type: application/json"), "{head}");
        assert!(body.starts_with('[') && body.ends_with(']'), "{body}");
    }
}

#[test]
fn requests_are_signed_for_amazon() {
    let directory = tempfile::tempdir().unwrap();
    let (url, seen) = server(&[]);
    let queue = BulkQueue {
        aws_sigv4: Some("aws:amz:us-east-1:es".to_owned()),
        credentials: Some(("AKID".to_owned(), "secret".to_owned())),
        ..queue(directory.path(), &url)
    };
    let by_script = format!(
        r#"import {{ http_background }} from "extras://http-background";
        return http_background("x", "{url}", ["aws_sigv4" => "aws:amz:eu-west-1:s3", "username" => "AKID", "password" => "s"], "x")["status"];"#
    );
    let by_script = Arc::new(by_script);
    on_a_shard(settings(queue), move |environment| {
        let by_script = Arc::clone(&by_script);
        async move {
            attach(&environment);
            assert_eq!(result(&environment, ADD).await, "true");
            until_sent(1).await;
            assert_eq!(result(&environment, &by_script).await, "200");
        }
    });
    let seen = seen.lock().unwrap();
    for ((head, _), scope) in seen.iter().zip(["us-east-1/es", "eu-west-1/s3"]) {
        assert!(head.contains("Authorization: AWS4-HMAC-SHA256 Credential=AKID/"), "{head}");
        assert!(head.contains(scope) && head.contains("x-amz-date: ") && !head.contains("Basic"), "{head}");
    }
    assert_eq!(seen.len(), 2);
}

async fn until_sent(items: u32) {
    while !ask("status q").await.ends_with(&format!("item-sent: {items}")) {
        engine::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn what_was_not_sent_is_sent_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dead = settings(queue(directory.path(), &format!("http://{closed}/")));
    on_shards(1, dead, |environment, _| async move {
        attach(&environment);
        assert_eq!(result(&environment, ADD).await, "true");
        assert_eq!(result(&environment, ADD).await, "true");
        while ask("last-error q").await != "no connection, or it broke" {
            engine::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let (url, seen) = server(&[]);
    let format = BulkFormat::Ndjson;
    let (preamble, postamble) = ("<".to_owned(), ">".to_owned());
    let credentials = Some(("user".to_owned(), "secret".to_owned()));
    let headers = vec!["X-Key: value".to_owned()];
    let again =
        BulkQueue { format, preamble, postamble, credentials, headers, ..queue(directory.path(), &url) };
    on_shards(1, settings(again), |environment, _| async move {
        attach(&environment);
        until_sent(2).await;
    });
    let seen = seen.lock().unwrap();
    let [(head, body)] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(body, "<1\n1\n>");
    for line in
        ["X-Key: value", "Authorization: Basic dXNlcjpzZWNyZXQ=", "Content-Type: application/x-ndjson"]
    {
        assert!(head.contains(line), "{head}");
    }
}

#[test]
fn few_items_wait_for_the_interval_and_an_operator_can_take_them_out() {
    let directory = tempfile::tempdir().unwrap();
    let (url, seen) = server(&[]);
    let shared = Arc::clone(&seen);
    let waits = BulkQueue { min_items: 3, max_items: 2, ..queue(directory.path(), &url) };
    on_shards(1, settings(waits), move |environment, _| {
        let seen = Arc::clone(&shared);
        async move {
            attach(&environment);
            let add = |item: &str| format!(r#"return http_bulk("q", "{item}");"#);
            assert_eq!(result(&environment, &add("a")).await, "true");
            assert_eq!(ask("count q").await, "error: Queue must be stopped");
            stopped().await;
            assert_eq!(result(&environment, &add("b")).await, "true");
            assert_eq!([ask("count q").await, ask("head q").await], ["2", "a"]);
            assert_eq!([ask("pop q").await, ask("head q").await], ["OK", "b"]);
            assert_eq!([ask("clear q").await, ask("count q").await], ["OK", "0"]);
            assert_eq!(ask("pop q").await, "error: Queue is empty");
            assert_eq!(ask("start other").await, "error: No such queue");
            assert!(seen.lock().unwrap().is_empty());
            for item in ["c", "d", "e"] {
                assert_eq!(result(&environment, &add(item)).await, "true");
            }
            assert_eq!(ask("start q").await, "OK");
            until_sent(2).await;
            // One is left, which is too few.
            stopped().await;
            assert_eq!([ask("count q").await, ask("head q").await], ["1", "e"]);
            assert_eq!(ask("start-one q").await, "OK");
            until_sent(3).await;
        }
    });
    let bodies: Vec<_> = seen.lock().unwrap().iter().map(|(_, body)| body.clone()).collect();
    assert_eq!(bodies, ["[c,d]", "[e]"]);
}

#[test]
fn an_interval_sends_few_items_and_queues_are_dealt_in_turn() {
    let directory = tempfile::tempdir().unwrap();
    let (url, seen) = server(&[]);
    let waits = BulkQueue {
        min_items: 100,
        max_items: 1,
        max_interval: Some(Duration::from_millis(1)),
        concurrency: 2,
        ..queue(directory.path(), &url)
    };
    let shared = Arc::clone(&seen);
    on_shards(1, settings(waits), move |environment, _| {
        let seen = Arc::clone(&shared);
        async move {
            attach(&environment);
            for _ in 0..4 {
                assert_eq!(result(&environment, ADD).await, "true");
            }
            until(|| seen.lock().unwrap().len() == 4).await;
            until_sent(2).await;
        }
    });
    assert!(seen.lock().unwrap().iter().all(|(_, body)| body == "1"), "an item alone is no array");
    assert!(directory.path().join("q.2").is_dir());
}

#[test]
fn a_queue_that_is_not_there_is_none_and_one_that_cannot_be_written_is_false() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("q"), "a file in its place").unwrap();
    on_shards(1, settings(queue(directory.path(), "http://127.0.0.1:9/")), |environment, _| async move {
        attach(&environment);
        assert_eq!(result(&environment, r#"return http_bulk("x", "1") === none;"#).await, "true");
        assert_eq!(result(&environment, r#"return http_bulk("q", "1");"#).await, "false");
    });
}

//! `kafka`, with a broker that is played.
#![allow(clippy::disallowed_methods, reason = "the peers of a test are no part of the engine")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::{check, settings};

/// A broker that leads both partitions of each topic. The first record that it gets it refuses: it is no leader of it. Of
/// what it takes it tells the request.
fn broker() -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let refused = Arc::new(AtomicBool::new(false));
        while let Ok((stream, _)) = listener.accept() {
            let (refused, tell) = (refused.clone(), tell.clone());
            std::thread::spawn(move || serve(stream, address.port(), &refused, &tell));
        }
    });
    (address, told)
}

fn serve(mut stream: TcpStream, port: u16, refused: &AtomicBool, tell: &Sender<Vec<u8>>) {
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request).unwrap();
        let (api, correlation) = (u16::from_be_bytes([request[0], request[1]]), &request[4..8]);
        let answer = match api {
            3 => {
                let mut answer = b"\0\0\0\x01\0\0\0\x05\0\x09127.0.0.1".to_vec();
                answer.extend(u32::from(port).to_be_bytes());
                answer.extend(b"\xff\xff\0\0\0\x05\0\0\0\x01\0\0\0\x01t\0\0\0\0\x02");
                for partition in 0..2 {
                    answer.extend([0, 0, 0, 0, 0, partition, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0]);
                }
                answer
            }
            0 => {
                let error = if refused.swap(true, Ordering::SeqCst) { 0 } else { 6 };
                if error == 0 {
                    tell.send(request.clone()).unwrap();
                }
                let mut answer = b"\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\0\0".to_vec();
                answer.push(error);
                answer.extend([0; 20]);
                answer
            }
            17 => b"\0\0\0\0\0\x01\0\x05PLAIN".to_vec(),
            36 if request.ends_with(b"\0u\0p") => b"\0\0\xff\xff\0\0\0\0".to_vec(),
            36 => b"\0\x3a\0\x02no\0\0\0\0".to_vec(),
            other => panic!("{other}"),
        };
        let length = (answer.len() as u32 + 4).to_be_bytes();
        stream.write_all(&[&length[..], correlation, &answer].concat()).unwrap();
    }
}

#[test]
fn a_message_goes_to_the_broker_that_leads_its_partition() {
    let (address, told) = broker();
    let port = address.port();
    let settings = settings(&format!(
        "  - id: kafka\n    config:\n      queues:\n        - {{id: q, config: {{bootstrap.servers: \"127.0.0.1:{port}\", security.protocol: sasl_plaintext, sasl.username: u, sasl.password: p}}}}\n        - {{id: bad, config: {{bootstrap.servers: \"127.0.0.1:{port}\", security.protocol: sasl_plaintext, sasl.username: u, sasl.password: x}}}}\n"
    ));
    check(
        settings,
        &[
            (
                r#"import { kafka_producer } from "extras://kafka";
                   return kafka_producer("q", "t", "value", "key", ["foo" => "bar"], 1);"#,
                "[]",
            ),
            (
                r#"import { kafka_producer } from "extras://kafka"; return kafka_producer("q", "t", "two");"#,
                "[]",
            ),
            (
                r#"import { kafka_producer } from "extras://kafka"; return kafka_producer("q", "t", "x", none, [], 7);"#,
                r#"["errno"=>-190,"errstr"=>"the topic has no such partition"]"#,
            ),
            (
                r#"import { kafka_producer } from "extras://kafka"; return kafka_producer("bad", "t", "x");"#,
                r#"["errno"=>-169,"errstr"=>"no"]"#,
            ),
            (
                r#"import { kafka_producer } from "extras://kafka"; return kafka_producer("none", "t");"#,
                r#"error: kafka_producer(): no such id: plugins[] has no queue "none" of kafka"#,
            ),
        ],
    );
    let first = told.recv().unwrap();
    let has = |part: &[u8]| first.windows(part.len()).any(|window| window == part);
    assert!(has(b"\x06key\x0avalue\x02\x06foo\x06bar") && has(b"\0\x01t\0\0\0\x01\0\0\0\x01"), "{first:x?}");
    assert!(told.recv().unwrap().ends_with(b"\x01\x06two\0"));
}

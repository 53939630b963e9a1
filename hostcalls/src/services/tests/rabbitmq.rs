//! `rabbitmq`.

use super::{check, play_built, settings};

fn frame(kind: u8, channel: u8, payload: &[u8]) -> Vec<u8> {
    [&[kind, 0, channel][..], &(payload.len() as u32).to_be_bytes(), payload, &[0xce]].concat()
}

/// A login as `guest`, up to a channel that confirms.
fn login() -> Vec<(Vec<u8>, Vec<u8>)> {
    let capabilities =
        ["publisher_confirms", "basic.nack", "connection.blocked", "authentication_failure_close"];
    let table: Vec<u8> = capabilities
        .iter()
        .flat_map(|name| [&[name.len() as u8][..], name.as_bytes(), b"t\x01"].concat())
        .collect();
    let properties = [&b"\x0ccapabilitiesF"[..], &(table.len() as u32).to_be_bytes(), &table].concat();
    let mut start_ok = b"\0\x0a\0\x0b".to_vec();
    start_ok.extend((properties.len() as u32).to_be_bytes());
    start_ok.extend(&properties);
    start_ok.extend(b"\x05PLAIN\0\0\0\x0c\0guest\0guest\x05en_US");
    let tune_ok = frame(1, 0, b"\0\x0a\0\x1f\0\x01\0\0\x10\0\0\0");
    let open = frame(1, 0, b"\0\x0a\0\x28\x01/\0\0");
    let channel = [frame(1, 1, b"\0\x14\0\x0a\0"), frame(1, 1, b"\0\x55\0\x0a\0")].concat();
    vec![
        (
            b"AMQP\0\0\x09\x01".to_vec(),
            frame(1, 0, b"\0\x0a\0\x0a\0\x09\0\0\0\0\0\0\0\x0ePLAIN AMQPLAIN\0\0\0\x05en_US"),
        ),
        (frame(1, 0, &start_ok), frame(1, 0, b"\0\x0a\0\x1e\x07\xff\0\0\x10\0\0\x3c")),
        ([tune_ok, open].concat(), frame(1, 0, b"\0\x0a\0\x29\0")),
        (channel, [frame(1, 1, b"\0\x14\0\x0b\0\0\0\0"), frame(1, 1, b"\0\x55\0\x0b")].concat()),
    ]
}

fn published(exchange: &str, mode: u8, body: &str) -> Vec<u8> {
    let short = |text: &str| [&[text.len() as u8][..], text.as_bytes()].concat();
    let method = [b"\0\x3c\0\x28\0\0".to_vec(), short(exchange), short("k"), vec![0]].concat();
    let size = (body.len() as u64).to_be_bytes();
    let header = [&b"\0\x3c\0\0"[..], &size, b"\x90\0", &short("text/plain"), &[mode]].concat();
    [frame(1, 1, &method), frame(2, 1, &header), frame(3, 1, body.as_bytes())].concat()
}

#[test]
fn a_message_counts_when_the_broker_has_it() {
    let ack = frame(1, 1, b"\0\x3c\0\x50\0\0\0\0\0\0\0\x01\0");
    let nack = frame(1, 1, b"\0\x3c\0\x78\0\0\0\0\0\0\0\x02\0");
    let mut first = login();
    first.push((published("amq.direct", 1, "one"), ack.clone()));
    first.push((published("amq.direct", 2, "two"), nack));
    // After a refusal another connection is made.
    let mut second = login();
    second.push((published("nope", 1, "three"), frame(1, 1, b"\0\x14\0\x28\x01\x94\x07no such\0\x3c\0\x28")));
    let mut third = login();
    third.push((published("amq.direct", 1, "four"), b"\x01\0\0\xff\xff\xff\xff".to_vec()));
    let other_version = vec![(b"AMQP\0\0\x09\x01".to_vec(), b"AMQP\0\x01\0\0".to_vec())];
    let port = play_built(vec![first, second, third, other_version]).port();
    let publish = |body: &str, more: &str| -> &'static str {
        format!(
            r#"import {{ rabbitmq_publish }} from "extras://rabbitmq";
               return rabbitmq_publish("{body}", ["hostname" => "127.0.0.1", "port" => {port}, "routing_key" => "k"{more}]);"#
        )
        .leak()
    };
    let cases = vec![
        (publish("one", ""), r#"["result"=>"published"]"#),
        (
            publish("two", r#", "delivery_mode" => "persistent""#),
            r#"["error"=>"the broker does not take the message"]"#,
        ),
        (publish("three", r#", "exchange" => "nope""#), r#"["error"=>"no such (404)"]"#),
        (
            publish("four", ""),
            r#"["error"=>"the server breaks the protocol: what came is no frame of AMQP 0-9-1"]"#,
        ),
        (
            publish("five", ""),
            r#"["error"=>"the server breaks the protocol: what came is no frame of AMQP 0-9-1"]"#,
        ),
        (
            publish("six", r#", "delivery_mode" => "x""#),
            r#"error: rabbitmq_publish(): option "delivery_mode" must be persistent or nonpersistent"#,
        ),
    ];
    check(settings("  - id: rabbitmq\n"), cases.leak());
}

//! Scripts of the queue run on an engine, against what they decide.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use hostcalls::file::HostFile;
use hostcalls::mail::{Given, GivenParameters};
use net::smtp::parameters::{EnvelopeId, Notify, RcptParameters, Ret};
use net::smtp::reply::EnhancedCode;
use uuid::Uuid;

use super::*;
use crate::tests::{Fixture, address, transports, with};

/// Text that a script may open.
struct Text(&'static str);

impl HostFile for Text {
    fn read(&self) -> Pin<Box<dyn Future<Output = Result<Bytes, String>>>> {
        let text = self.0;
        Box::pin(async move { Ok(Bytes::from_static(text.as_bytes())) })
    }
}

pub(crate) fn message() -> Message {
    Message {
        transaction: Uuid::nil(),
        queue: 2,
        received_s: 1.5,
        server_id: "in".to_owned(),
        sender: Some(address("Kim@X.example")),
        recipient: Some(address("Jo@Y.example")),
        transport: "out".to_owned(),
        tenant_id: String::new(),
        job_id: "news".to_owned(),
        priority: 1,
        size_bytes: 42,
        mail: Default::default(),
        rcpt: RcptParameters { notify: Notify::parse(b"FAILURE,DELAY"), original_recipient: None },
        files: Files::new(Text("as it came"), Text("as it goes")),
    }
}

fn item() -> Item {
    item_with(vec![(b"a".to_vec(), b"1".to_vec())], Kept::default())
}

pub(crate) fn item_with(metadata: Metadata, kept: Kept) -> Item {
    let Message { transaction, queue, .. } = message();
    Item::new(transaction, queue, metadata, kept)
}

/// What the predelivery script of a shard decides, and what it leaves.
async fn before(shard: &Fixture, item: &mut Item) -> Predelivery {
    let id = shard.runner.scripts().find("predelivery", "predelivery").expect("there is one");
    let transports = transports();
    let script = Script { runner: &shard.runner, id, transports: &transports };
    let asked = Before { retry: 3, returned: Some(r#"{"why":"full"}"#) };
    item.before(script, asked, message).await
}

async fn after(shard: &Fixture, item: &mut Item, ending: &Ending) -> Postdelivery {
    let id = shard.runner.scripts().find("postdelivery", "postdelivery").expect("there is one");
    let transports = transports();
    let script = Script { runner: &shard.runner, id, transports: &transports };
    item.after(script, ending.action.is_none(), message, |_| ending.clone()).await
}

/// What a predelivery script decides, as text, and what it tells.
fn decided(script: &str, check: impl Fn(Predelivery, Vec<String>) + Send + Sync + 'static) {
    let check = std::sync::Arc::new(check);
    with(&[("predelivery", script)], move |shard| {
        let check = std::sync::Arc::clone(&check);
        async move {
            let decided = before(&shard, &mut item()).await;
            check(decided, shard.told());
        }
    });
}

fn tried(options: &str, expected: Try) {
    decided(&format!("Try([{options}]);"), move |decided, told| {
        assert_eq!(told, [""; 0]);
        assert_eq!(decided, Predelivery::Try(Some(Box::new(expected.clone()))));
    });
}

#[test]
fn a_script_that_says_nothing_tries() {
    for script in ["$x = 1;", "Try();", "Try([]);", r#"Try(["tls_verify_host" => none]);"#] {
        decided(script, |decided, _| assert_eq!(decided, Predelivery::Try(None)));
    }
}

#[test]
fn each_option_of_try_is_read() {
    let ip = |text: &str| text.parse().expect("an address");
    let names = |list: &[&str]| Some(list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    tried(
        r#""host" => "MX.example", "port" => "2525", "helo" => "me.example", "sourceip_random" => false,
        "nonlocal_source" => true, "proxyprotocol" => ["server" => "192.0.2.7", "port" => 99],
        "sourceip" => ["a1", ["id" => "a2"], ["address" => "192.0.2.3", "helo" => "h3.example"]],
        "saslusername" => "u", "saslpassword" => "p", "protocol" => "lmtp", "jobid" => "j""#,
        Try {
            host: Some(NextHop::Host("mx.example".to_owned())),
            port: Some(2525),
            helo: Some("me.example".to_owned()),
            source_random: Some(false),
            nonlocal_source: Some(true),
            proxy: Some((ip("192.0.2.7"), 99)),
            source_ips: Some(vec![
                SourceIp::Id("a1".to_owned()),
                SourceIp::Id("a2".to_owned()),
                SourceIp::Address(ip("192.0.2.3"), Some("h3.example".to_owned())),
            ]),
            sasl_username: Some("u".to_owned()),
            sasl_password: Some("p".to_owned()),
            lmtp: Some(true),
            job_id: Some("j".to_owned()),
            ..Try::default()
        },
    );
    tried(
        r#""tls" => "require_verify", "tls_sni" => true, "tls_protocols" => "TLSv1.3", "tls_ciphers" => "X",
        "tls_verify_host" => true, "tls_verify_name" => ["a.example", "*.b.example"], "tls_default_ca" => true,
        "tls_client_cert" => "c", "xclient" => ["helo" => "h"], "mx_include" => ["*.x.example"],
        "mx_exclude" => ["bad.x.example"], "timeout" => ["MAIL" => 5, "eod" => 7], "connect_timeout" => 2,
        "dsn" => ["success" => "delivered", "notify" => ["SUCCESS", "FAILURE"], "envid" => "e"]"#,
        Try {
            tls: Some(TlsMode::RequireVerify),
            tls_sni: Some(Sni::Host),
            tls_protocols: Some("TLSv1.3".to_owned()),
            tls_ciphers: Some("X".to_owned()),
            tls_verify_host: Some(true),
            tls_verify_names: names(&["a.example", "*.b.example"]),
            tls_default_ca: Some(true),
            tls_client_cert: Some("c".to_owned()),
            xclient: Some(vec![(net::smtp::client::XclientAttribute::Helo, "h".to_owned())]),
            mx_include: names(&["*.x.example"]),
            mx_exclude: names(&["bad.x.example"]),
            timeouts_s: vec![("MAIL".to_owned(), 5.0), ("EOD".to_owned(), 7.0)],
            connect_timeout_s: Some(2.0),
            success_is_delivered: true,
            dsn: GivenParameters {
                envelope_id: Given::This(EnvelopeId::parse(b"e").expect("it is one")),
                notify: Given::This(Notify::parse(b"SUCCESS,FAILURE").expect("it is one")),
                ..GivenParameters::default()
            },
            ..Try::default()
        },
    );
    tried(
        r#""host" => "lookup-mx", "sender" => ["localpart" => "n", "domain" => "y.example", "params" => ["ret" => "HDRS"]],
        "recipient" => "o@y.example""#,
        Try {
            host: Some(NextHop::Mx),
            sender: Some((
                Some(address("n@y.example")),
                GivenParameters { ret: Given::This(Ret::Headers), ..GivenParameters::default() },
            )),
            recipient: Some((address("o@y.example"), GivenParameters::default())),
            ..Try::default()
        },
    );
    tried(
        "\"host\" => \"2001:db8::1\"",
        Try { host: Some(NextHop::Address(ip("2001:db8::1"))), ..Try::default() },
    );
    tried("\"sender\" => \"\"", Try { sender: Some((None, GivenParameters::default())), ..Try::default() });
}

#[test]
fn an_option_that_cannot_be_used_is_an_error_and_delays() {
    for (options, error) in [
        ("\"port\" => 0", "option \"port\": 0 is not between 1 and 65535"),
        ("\"tls\" => \"DANE\"", "option \"tls\": \"DANE\" is none of disabled, "),
        ("\"tls\" => \"always\"", "is none of disabled, optional"),
        (
            "\"plugin\" => [\"id\" => \"x\"]",
            "option \"plugin\": this server has no interface for native plugins yet",
        ),
        ("\"recipient\" => \"\"", "option \"recipient\": it is empty"),
        ("\"sourceip\" => []", "option \"sourceip\": it has 1 to 100 addresses"),
        ("\"sourceip\" => [[]]", "an entry has \"id\" or \"address\""),
        ("\"xclient\" => [\"x\" => \"y\"]", "option \"xclient\": there is no attribute \"x\""),
        ("\"protocol\" => \"qmtp\"", "is not smtp or lmtp"),
        ("\"timeout\" => [\"MAIL\" => \"x\"]", "option \"timeout\": option \"MAIL\": expected a number"),
        ("\"dsn\" => [\"success\" => 1]", "option \"dsn\": option \"success\": expected a string"),
        ("\"host\" => \"\"", "option \"host\": it is empty"),
        ("\"host\" => 5", "option \"host\": expected a string"),
        (
            "\"dsn\" => [\"notify\" => \"FOO\"]",
            "option \"dsn\": notify is \"FOO\", and must be NEVER, or some",
        ),
        (
            "\"sender\" => [\"localpart\" => \"n\", \"domain\" => \"y.example\", \"params\" => [\"RET\" => \"ALL\"]]",
            "option \"sender\": ret is \"ALL\", and must be FULL or HDRS",
        ),
    ] {
        decided(&format!("Try([{options}]);"), move |decided, told| {
            assert!(told.len() == 1 && told[0].contains(error), "{error}: {told:?}");
            assert_eq!(decided, Predelivery::Queue(Box::new(Requeue::after_failure())));
        });
    }
}

#[test]
fn a_predelivery_script_that_fails_delays_for_five_minutes_and_counts_nothing() {
    decided("throw \"x\";", |decided, told| {
        assert!(told[0].starts_with("failed predelivery: "), "{told:?}");
        let Predelivery::Queue(requeue) = decided else { panic!("{decided:?}") };
        assert_eq!((requeue.delay_s, requeue.increment_retry, requeue.hold), (Some(300.0), false, false));
    });
}

#[test]
fn queue_bounce_and_delete_are_read() {
    decided(
        r#"Queue(["delay" => 2, "reason" => "wait", "increment_retry" => false, "reset_retry" => true,
           "transportid" => "t2", "dsn_delayed" => true, "dsn" => ["subject_prepend" => "Still: "]]);"#,
        |decided, told| {
            assert_eq!(told, [""; 0]);
            let expected = Requeue {
                hold: false,
                delay_s: Some(2.0),
                reason: Some("wait".to_owned()),
                increment_retry: false,
                reset_retry: true,
                transport: Some("t2".to_owned()),
                dsn_delayed: Some(true),
                dsn: DsnOverrides { subject_prepend: Some("Still: ".to_owned()), ..DsnOverrides::default() },
            };
            assert_eq!(decided, Predelivery::Queue(Box::new(expected)));
        },
    );
    decided("Queue([\"transportid\" => \"gone\"]);", |_, told| {
        assert!(told[0].contains("there is no transport \"gone\""), "{told:?}");
    });
    decided("Delete([\"reason\" => \"dup\"]);", |decided, _| {
        assert_eq!(decided, Predelivery::Delete(Some("dup".to_owned())));
    });
    decided(
        r#"Bounce(["dsn" => ["recipient" => "b@z.example", "from" => "d@z.example", "from_name" => "Desk",
           "headers" => ["X-A: 1"], "original_headers" => false, "delay" => 5, "jobid" => "j", "transportid" => "t2",
           "metadata" => ["k" => "v"], "readable_mimepart" => "X: y\r\n\r\nz"]]);"#,
        |decided, told| {
            assert_eq!(told, [""; 0]);
            let expected = DsnOverrides {
                transport: Some("t2".to_owned()),
                recipient: Some(address("b@z.example")),
                metadata: vec![(b"k".to_vec(), b"v".to_vec())],
                from: Some("d@z.example".to_owned()),
                from_name: Some("Desk".to_owned()),
                job_id: Some("j".to_owned()),
                readable_part: Some(b"X: y\r\n\r\nz"[..].into()),
                headers: vec!["X-A: 1".to_owned()],
                without_original: true,
                delay_s: Some(5.0),
                ..DsnOverrides::default()
            };
            assert_eq!(decided, Predelivery::Bounce(Box::new(expected)));
        },
    );
}

/// A part with LF made a report that no peer took, and one without a header a part that is none; a second Content-Type made
/// it no report.
#[test]
fn a_report_that_would_be_none_is_an_error_of_the_script() {
    for (dsn, told) in [
        (r#""headers" => ["X: a\r\nBcc: b"]"#, "is no header field in one line"),
        (
            r#""headers" => ["Content-Type: text/plain", "X: y"]"#,
            "\"Content-Type: text/plain\" is not for a script to set",
        ),
        (r#""headers" => ["Subject: a", "SUBJECT: b"]"#, "\"SUBJECT: b\" is the second of its name"),
        (r#""readable_mimepart" => "no header at all""#, "it does not begin with header fields"),
    ] {
        decided(&format!("Bounce([\"dsn\" => [{dsn}]]);"), move |_, said| {
            assert!(said[0].contains(told), "{said:?}");
        });
    }
    decided(
        r#"Bounce(["dsn" => ["headers" => ["Subject: a"], "readable_mimepart" => "X: y\n\nz\n"]]);"#,
        |decided, said| {
            assert_eq!(said, [""; 0]);
            let expected = DsnOverrides {
                headers: vec!["Subject: a".to_owned()],
                readable_part: Some(b"X: y\r\n\r\nz\r\n"[..].into()),
                ..DsnOverrides::default()
            };
            assert_eq!(decided, Predelivery::Bounce(Box::new(expected)));
        },
    );
}

#[test]
fn a_script_finds_the_message_and_its_bytes() {
    let script = r#"
        $m = $message;
        echo $m["id"]["transaction"] . ":" . $m["id"]["queue"] . " " . $m["ts"] . " " . $m["serverid"];
        echo $m["sender"] . " " . $m["senderaddress"]["localpart"] . " " . $m["recipient"] . " " . $m["size"];
        echo $m["transportid"] . " " . $m["jobid"] . " " . $m["priority"] . " " . implode(",", $m["dsn"]["notify"]);
        echo File($m["file"]["original"])->read() . "; " . File($m["file"]["modified"])->read();
        echo $arguments["retry"] . " " . $arguments["queue"]["plugin"]["return"]["why"];"#;
    decided(script, |_, told| {
        let id = Uuid::nil();
        let lines: Vec<_> = told.iter().map(|line| line.split_once("] ").expect("labelled").1).collect();
        assert_eq!(
            lines,
            [
                &*format!("{id}:2 1.5 in"),
                "kim@x.example Kim jo@y.example 42",
                "out news 1 FAILURE,DELAY",
                "as it came; as it goes",
                "3 full",
            ]
        );
        assert!(told[0].starts_with(&format!("[{id}:2] ")), "{told:?}");
    });
}

#[test]
fn metadata_is_replaced_and_seen_by_the_next_script() {
    let script = r#"echo json_encode(GetMetaData()); SetMetaData(["n" => "2"]); echo json_encode(GetMetaData()); throw "x";"#;
    with(&[("predelivery", script)], |shard| async move {
        let mut item = item();
        before(&shard, &mut item).await;
        let told = shard.told();
        assert!(told[0].ends_with("{\"a\":\"1\"}") && told[1].ends_with("{\"n\":\"2\"}"), "{told:?}");
        // It counts although the script failed afterwards.
        assert_eq!(item.take_metadata(), Some(vec![(b"n".to_vec(), b"2".to_vec())]));
        assert_eq!(item.take_metadata(), None);
    });
    decided("SetMetaData([\"n\" => 2]);", |_, told| {
        assert!(told[0].contains("metadata: the value of a key is a number"), "{told:?}");
    });
    decided("SetMetaData([\"n\" => str_repeat(\"x\", 16000)]);", |_, told| {
        assert!(told[0].contains("of which 15360 can be kept"), "{told:?}");
    });
}

#[test]
fn what_predelivery_leaves_in_context_postdelivery_reads() {
    let scripts = [("predelivery", "$context = 7; Try();"), ("postdelivery", "echo $context;")];
    with(&scripts, |shard| async move {
        let mut first = item();
        before(&shard, &mut first).await;
        let mut second = item_with(Vec::new(), first.into_kept());
        let delivered = Ending::default();
        assert_eq!(after(&shard, &mut second, &delivered).await, Postdelivery::Default);
        assert!(shard.told()[0].ends_with("] 7"));
    });
}

#[test]
fn facts_that_a_script_does_not_mention_are_not_gathered() {
    with(&[("postdelivery", "Default();")], |shard| async move {
        let id = shard.runner.scripts().find("postdelivery", "postdelivery").expect("there is one");
        let transports = transports();
        let script = Script { runner: &shard.runner, id, transports: &transports };
        let nobody = || panic!("nobody asked for it");
        let decided = item().after(script, true, nobody, |_| panic!("nor for this")).await;
        assert_eq!(decided, Postdelivery::Default);
    });
}

#[test]
fn what_is_delivered_stays_delivered() {
    for script in ["Queue();", "Bounce();", "Delete();"] {
        with(&[("postdelivery", script)], move |shard| async move {
            let delivered = Ending::default();
            assert_eq!(after(&shard, &mut item(), &delivered).await, Postdelivery::Default);
            assert!(shard.told()[0].contains("the message has been delivered"));
            let failed = Ending { action: Some(Action::Bounce), ..Ending::default() };
            assert_ne!(after(&shard, &mut item(), &failed).await, Postdelivery::Default, "{script}");
        });
    }
}

#[test]
fn a_script_finds_what_became_of_the_attempt() {
    let script = "echo json_encode($arguments);";
    with(&[("postdelivery", script)], |shard| async move {
        let ending = Ending {
            retry: 1,
            expired: true,
            action: Some(Action::Queue),
            grouping: Some("&g".to_owned()),
            attempt: Some(Attempted {
                result: Some(Answer {
                    code: 450,
                    enhanced: Some(EnhancedCode { class: 4, subject: 2, detail: 1 }),
                    lines: vec!["later".to_owned(), "please".to_owned()],
                    state: "RCPT",
                }),
                error: Some(Trouble {
                    temporary: true,
                    message: "lost".to_owned(),
                    kind: "dns",
                    dns: Some("nullmx"),
                }),
                connection: Some(Connection {
                    id: Some(Uuid::nil()),
                    transactions: 1,
                    remote_mx: Some("mx.example".to_owned()),
                    remote_ip: Some("192.0.2.1".parse().expect("an address")),
                    ..Connection::default()
                }),
                duration_s: 0.5,
            }),
            dsn: Some(DsnFacts {
                report: Some(("delayed", Uuid::nil())),
                status: Some((4, 2, 1)),
                diagnostic_type: "smtp",
                diagnostic_code: "450 later".to_owned(),
            }),
            policies: Some(Policies {
                tags: vec!["t".to_owned()],
                list: vec![PolicyFacts {
                    fields: vec!["remoteip"],
                    stop: Some(true),
                    ..PolicyFacts::default()
                }],
            }),
            returned: Some("[1]".into()),
        };
        after(&shard, &mut item(), &ending).await;
        let told = shard.told();
        for part in [
            r#""retry":1,"expired":true,"action":"QUEUE","grouping":"&g""#,
            r#""policy":{"tags":["t"],"policies":[{"fields":["remoteip"],"grouping":[],"dynamic":[],"properties":[],"stop":true}]}"#,
            r#""result":{"code":450,"enhanced":[4,2,1],"reason":["later","please"],"state":"RCPT"}"#,
            r#""error":{"temporary":true,"message":"lost","type":"dns","dns":"nullmx"}"#,
            r#""transactions":1,"remoteip":"192.0.2.1","remotemx":"mx.example","tls":{"started":false}},"duration":0.5}"#,
            r#""status":[4,2,1]"#,
            r#""queue":{"plugin":{"return":[1]}}"#,
        ] {
            assert!(told[0].contains(part), "{part}: {}", told[0]);
        }
    });
}

//! What scripts find in their variables, and what they leave in them.

use net::smtp::reply::Reply;

use super::*;
use crate::tests::{Fixture, address, transports, with};

/// Runs each text as a script of these phases in one conversation with one accepted recipient; gives what all of them tell.
async fn echoed(f: &mut Fixture, phases: &[&str]) -> Vec<String> {
    let mut told = Vec::new();
    for phase in phases {
        match *phase {
            "connect" => drop(f.talk.connect(&f.runner, f.script(phase)).await),
            "helo" => {
                let hello = Hello { verb: "EHLO", host: "client.example".into() };
                drop(f.talk.hello(&f.runner, f.script(phase), hello, &["SIZE 5".into()]).await);
            }
            "mailfrom" => {
                let sender = address("Kim@X.example");
                let parameters = vec![("SIZE".to_owned(), "7".to_owned())];
                drop(f.talk.mail(&f.runner, f.script(phase), Some(&sender), parameters).await);
            }
            "rcptto" => {
                let to = address("Jo@Y.example");
                drop(f.talk.rcpt(&f.runner, f.script(phase), &to, &[], Some("out"), &transports()).await);
                let recipient =
                    Recipient { address: to, parameters: Vec::new(), transport: Some("out".to_owned()) };
                f.talk.transaction.recipients.push(recipient);
            }
            _ => {
                let reply = bye();
                let ended = Ended { local: true, reply: Some((reply, "QUIT".to_owned())), error: None };
                f.talk.disconnect(&f.runner, f.script(phase), &ended).await;
            }
        }
        told.extend(f.told());
    }
    told
}

fn bye() -> Reply {
    Reply::new(221, None, "Bye")
}

/// Paths of each phase, and what is found there.
const PATHS: [(&str, &[&str]); 5] = [
    (
        "connect",
        &[
            "arguments.remoteip",
            "arguments.localport",
            "connection.id",
            "connection.remoteip",
            "transaction.id",
        ],
    ),
    (
        "helo",
        &["arguments.host", "arguments.extensions", "connection.helo", "connection.serverid", "context.x"],
    ),
    (
        "mailfrom",
        &["arguments.address.domain", "arguments.params.SIZE", "connection.helo.host", "transaction.sender"],
    ),
    (
        "rcptto",
        &[
            "arguments.address.localpart",
            "arguments.transportid",
            "transaction.senderaddress.domain",
            "transaction.recipients",
            "transaction.senderparams",
        ],
    ),
    (
        "disconnect",
        &[
            "arguments.close",
            "arguments.reply.code",
            "arguments.reply.reason",
            "connection.auth",
            "transaction.id",
        ],
    ),
];

#[test]
fn a_member_is_the_same_whether_a_script_reads_it_alone_or_all() {
    let script = |path: &&str, whole: bool| {
        let mut parts = path.split('.');
        let variable = parts.next().unwrap_or_default();
        let keys: String = parts.map(|key| format!("[\"{key}\"]")).collect();
        match whole {
            true => format!("$v = ${variable}; echo json_encode($v{keys} ?? \"-\");"),
            false => format!("echo json_encode(${variable}{keys} ?? \"-\");"),
        }
    };
    let tell = |whole| {
        let texts = PATHS.map(|(phase, paths)| {
            (phase, paths.iter().map(|path| script(path, whole)).collect::<Vec<_>>().concat())
        });
        let (give, told) = std::sync::mpsc::channel();
        let scripts = texts.each_ref().map(|(phase, text)| (*phase, text.as_str()));
        let give = std::sync::Mutex::new(give);
        with(&scripts, move |mut f| {
            let give = give.lock().expect("nobody panics with it").clone();
            async move {
                let told =
                    echoed(&mut f, &["connect", "helo", "mailfrom", "rcptto", "rcptto", "disconnect"]).await;
                give.send(told).expect("the test waits");
            }
        });
        told.recv().expect("it ran")
    };
    let (alone, whole) = (tell(false), tell(true));
    assert_eq!(alone, whole);
    assert_eq!(alone.len(), 29);
    let text = alone.join("\n");
    for expected in
        ["192.0.2.1", "client.example", "SIZE 5", "\"7\"", "X.example", "jo@y.example", "221", "Bye", "\"-\""]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn what_a_script_does_to_its_copies_is_seen_by_no_other() {
    let script = "$c = $connection; $c[\"id\"] = \"mine\"; $t = $transaction; $t[\"recipients\"][] = \"mine\"; \
        $r = $transaction[\"recipients\"]; $r[0] = \"mine\"; echo length($transaction[\"recipients\"]) . $connection[\"id\"];";
    with(&[("rcptto", script)], |mut f| async move {
        let told = echoed(&mut f, &["rcptto", "rcptto", "rcptto"]).await;
        let counts: Vec<_> = told.iter().map(|line| line.contains("mine")).collect();
        assert_eq!(counts, [false; 3], "{told:?}");
    });
}

#[test]
fn the_connection_as_a_whole_shows_what_was_learnt_meanwhile() {
    let script =
        "$c = $connection; echo json_encode($c[\"helo\"] ?? none) . json_encode($c[\"remoteptr\"] ?? none);";
    with(&[("helo", script), ("rcptto", script)], |mut f| async move {
        let before = echoed(&mut f, &["helo", "rcptto"]).await;
        assert!(before[0].ends_with("nullnull") && before[1].contains("client.example"), "{before:?}");
        f.talk.connection_mut().remote_ptr = Some("c.example".to_owned());
        let after = echoed(&mut f, &["rcptto"]).await;
        assert!(after[0].ends_with("\"c.example\""), "{after:?}");
    });
}

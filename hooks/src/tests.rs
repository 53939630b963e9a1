//! Hooks run on an engine, against what they decide.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use config::{HookScript, Scripting};
use engine::boot::{self, DriverChoice, Options};
use hostcalls::source::Sources;
use hostcalls::{Environment, Settings};
use net::smtp::address::Address;
use script::compile::BreakPoints;
use script::machine::Limits;
use uuid::Uuid;

use crate::*;

/// Keeps what is told.
#[derive(Default)]
struct Told(RefCell<Vec<String>>);

impl Notices for Told {
    fn echo(&self, transaction: &str, text: &[u8]) {
        self.0.borrow_mut().push(format!("[{transaction}] {}", String::from_utf8_lossy(text)));
    }
    fn syslog(&self, _transaction: &str, priority: u32, text: &[u8]) {
        self.0.borrow_mut().push(format!("<{priority}> {}", String::from_utf8_lossy(text)));
    }
    fn failed(&self, _transaction: &str, script: &str, what: &str) {
        self.0.borrow_mut().push(format!("failed {script}: {what}"));
    }
}

impl hostcalls::Log for Told {
    fn echo(&self, _text: &[u8]) {}
    fn syslog(&self, _priority: u32, _text: &[u8]) {}
}

/// A connection to scripts of which each has the id `x`.
pub(crate) struct Fixture {
    pub(crate) runner: Rc<Runner>,
    pub(crate) talk: Conversation,
    told: Rc<Told>,
}

impl Fixture {
    pub(crate) fn script(&self, phase: &str) -> ScriptId {
        self.runner.scripts().find(phase, "x").expect("the test has a script for it")
    }

    pub(crate) fn told(&self) -> Vec<String> {
        self.told.0.take()
    }
}

pub(crate) fn compiled(scripts: &[(&'static str, &str)]) -> Result<Compiled, Vec<String>> {
    let text = |wanted: &str| {
        let script = scripts.iter().find(|(phase, _)| *phase == wanted);
        script.map(|(_, data)| (*data).to_owned())
    };
    let of_sessions = scripts.iter().filter(|(phase, _)| !phase.ends_with("delivery"));
    let hooks =
        of_sessions.map(|&(phase, data)| HookScript { phase, id: "x".to_owned(), data: data.to_owned() });
    let scripting = Scripting {
        hooks: hooks.collect(),
        predelivery: text("predelivery"),
        postdelivery: text("postdelivery"),
        ..Scripting::default()
    };
    Scripts::compile(&scripting, &Sources::default(), BreakPoints::Refused)
}

/// Runs `f` on a shard with these scripts.
pub(crate) fn with<F, Fut>(scripts: &[(&'static str, &str)], f: F)
where
    F: Fn(Fixture) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let scripts = Arc::new(compiled(scripts).expect("the scripts are correct").scripts);
    let f = Arc::new(f);
    let options = Options { shards: 1, pin: false, driver: DriverChoice::Auto, signals: Vec::new() };
    let root = move |_| {
        let (scripts, f) = (Arc::clone(&scripts), Arc::clone(&f));
        async move {
            if boot::is_control() {
                return;
            }
            let told = Rc::new(Told::default());
            let environment = Environment::start(Arc::new(Settings::default()), Rc::new(Told::default()));
            let runner =
                Runner::new(scripts, &environment, Rc::clone(&told) as Rc<dyn Notices>, Limits::default());
            let talk = Conversation::new(connection(), Uuid::nil());
            f(Fixture { runner, talk, told }).await;
        }
    };
    boot::run(options, root).expect("the engine runs here");
}

fn connection() -> Connection {
    Connection {
        id: Uuid::nil(),
        server_id: "in".into(),
        remote: "192.0.2.1:4711".parse().expect("an address"),
        remote_ptr: None,
        name_answers: None,
        remote_uid: None,
        local: "192.0.2.2:25".parse().expect("an address"),
        proxy_ip: None,
        proxy_tlvs: Vec::new(),
        hello: None,
        tls: None,
        auth: None,
    }
}

pub(crate) fn transports() -> TransportNames {
    Arc::new(["t2".to_owned(), "out".to_owned()].into())
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text.as_bytes()).expect("an address")
}

fn refused(reply: &str) -> String {
    format!("refused {reply}")
}

/// The verdict in short.
fn short<T: std::fmt::Debug>(verdict: Verdict<T>) -> String {
    match verdict {
        Verdict::Accept(accepted) => format!("{accepted:?}"),
        Verdict::Refuse(Refusal { reply, disconnect: false }) => refused(&reply.to_string()),
        Verdict::Refuse(Refusal { reply, disconnect: true }) => format!("refused {reply} and closed"),
    }
}

#[test]
fn connect_decides_on_the_banner_and_the_address() {
    with(
        &[
            ("connect", "Accept([\"reason\" => \"mx.example welcome\", \"remoteip\" => \"192.0.2.9\"]);"),
            ("helo", "Accept([\"reason\" => $connection[\"remoteip\"]]);"),
        ],
        |mut f| async move {
            let verdict = f.talk.connect(&f.runner, f.script("connect")).await;
            assert_eq!(verdict, Verdict::Accept(Connected { banner: Some("mx.example welcome".into()) }));
            let hello = Hello { verb: "EHLO", host: "a".into() };
            let verdict = f.talk.hello(&f.runner, f.script("helo"), hello, &[]).await;
            let Verdict::Accept(accepted) = verdict else { panic!("{verdict:?}") };
            assert_eq!(accepted.greeting.as_deref(), Some("192.0.2.9"));
        },
    );
}

#[test]
fn each_way_to_refuse_has_its_reply() {
    let cases = [
        ("Reject(\"no\");", "refused 554 5.7.1 no"),
        ("Reject([\"one\", \"two\"]);", "refused 554 5.7.1 one two"),
        ("Reject();", "refused 554 5.7.1 Not accepted"),
        ("Defer(\"later\");", "refused 450 4.7.1 later"),
        ("Defer(\"x\", [\"disconnect\" => true]);", "refused 450 4.7.1 x and closed"),
        (
            "Reject(\"x\", [\"reply_codes\" => [\"code\" => 550, \"enhanced\" => [\"5\", \"1\", \"1\"]]]);",
            "refused 550 5.1.1 x",
        ),
        // What is wrong in a decision is an error of the script.
        ("Reject(\"x\", [\"reply_codes\" => [\"code\" => 250]]);", "refused 450 4.7.1 Try again later"),
        (
            "Reject(\"x\", [\"reply_codes\" => [\"enhanced\" => [4, 1, 1]]]);",
            "refused 450 4.7.1 Try again later",
        ),
        ("throw Exception(\"oops\");", "refused 450 4.7.1 Try again later"),
        ("Accept([\"sender\" => \"no address\"]);", "refused 450 4.7.1 Try again later"),
    ];
    for (script, expected) in cases {
        with(&[("mailfrom", script)], move |mut f| async move {
            let verdict = f.talk.mail(&f.runner, f.script("mailfrom"), None, Vec::new()).await;
            assert_eq!(short(verdict), expected, "{script}");
            assert_eq!(
                f.told().len(),
                usize::from(expected.contains("later") && expected.contains("Try")),
                "{script}"
            );
        });
    }
}

#[test]
fn the_context_lives_from_hook_to_hook() {
    let scripts = [
        ("mailfrom", "$context[\"seen\"][] = $arguments[\"sender\"]; Accept();"),
        (
            "rcptto",
            "$context[\"seen\"][] = $arguments[\"recipient\"]; echo $context; Reject(implode(\",\", $context[\"seen\"]));",
        ),
        ("disconnect", "echo length($context[\"seen\"]);"),
    ];
    with(&scripts, |mut f| async move {
        let sender = address("John.DOE@X.example");
        f.talk.mail(&f.runner, f.script("mailfrom"), Some(&sender), Vec::new()).await;
        let verdict = f
            .talk
            .rcpt(&f.runner, f.script("rcptto"), &address("b@y.example"), &[], Some("t"), &transports())
            .await;
        assert_eq!(short(verdict), "refused 554 5.7.1 john.doe@x.example,b@y.example");
        f.told();
        f.talk.disconnect(&f.runner, f.script("disconnect"), &Ended::default()).await;
        assert_eq!(f.told(), ["[00000000-0000-0000-0000-000000000000] 2"]);
    });
}

#[test]
fn a_rejection_keeps_what_the_script_left_in_the_context() {
    with(
        &[
            ("mailfrom", "function no() { global $context; $context = 7; Reject(\"x\"); } no();"),
            ("rcptto", "Reject(\"$context\");"),
        ],
        |mut f| async move {
            f.talk.mail(&f.runner, f.script("mailfrom"), None, Vec::new()).await;
            let verdict = f
                .talk
                .rcpt(&f.runner, f.script("rcptto"), &address("b@y.example"), &[], Some("t"), &transports())
                .await;
            assert_eq!(short(verdict), "refused 554 5.7.1 7", "{:?}", f.told());
        },
    );
}

#[test]
fn mail_and_rcpt_see_and_change_addresses_and_parameters() {
    let scripts = [
        (
            "mailfrom",
            "echo $arguments; Accept([\"sender\" => [\"localpart\" => \"two words\", \"domain\" => \"y.example\"]]);",
        ),
        (
            "rcptto",
            "echo $transaction[\"senderaddress\"]; Accept([\"transportid\" => \"t2\", \"recipient\" => \"c@z.example\"]);",
        ),
    ];
    with(&scripts, |mut f| async move {
        let sender = address("John.DOE@X.example");
        let parameters = vec![("SMTPUTF8".to_owned(), String::new())];
        let verdict = f.talk.mail(&f.runner, f.script("mailfrom"), Some(&sender), parameters).await;
        let Verdict::Accept(accepted) = verdict else { panic!("{verdict:?}") };
        assert_eq!(accepted.sender, Some(Some(address("\"two words\"@y.example"))));
        let verdict = f
            .talk
            .rcpt(&f.runner, f.script("rcptto"), &address("b@y.example"), &[], Some("t"), &transports())
            .await;
        let expected = RcptAccepted {
            recipient: Some(address("c@z.example")),
            transport: Some("t2".into()),
            reply: None,
        };
        assert_eq!(verdict, Verdict::Accept(expected));
        let told = f.told().join("\n");
        for text in ["john.doe@x.example", "John.DOE", "SMTPUTF8", "two words"] {
            assert!(told.contains(text), "{text}: {told}");
        }
    });
}

#[test]
fn auth_accepts_refuses_and_asks_on() {
    let scripts = [(
        "auth",
        "if ($arguments[\"mechanism\"] == \"XM\") {
            if ($arguments[\"state\"] == 0) Reply(\"q\");
            Accept([\"username\" => $arguments[\"response\"]]);
        }
        if ($arguments[\"username\"] == \"u\" and $arguments[\"password\"] == \"p\") Accept();",
    )];
    with(&scripts, |mut f| async move {
        let script = f.script("auth");
        let verdict = f.talk.auth_password(&f.runner, script, "plain", b"u", b"wrong").await;
        let AuthVerdict::Refuse(refusal) = verdict else { panic!("{verdict:?}") };
        assert_eq!(refusal.reply.code(), 535);
        assert_eq!(f.talk.connection().auth, None);
        f.talk.auth_password(&f.runner, script, "plain", b"u", b"p").await;
        assert_eq!(
            f.talk.connection_mut().auth.take(),
            Some(Auth { mechanism: "PLAIN".into(), username: Some("u".into()) })
        );
        let verdict = f.talk.auth_round(&f.runner, script, "XM", 0, None).await;
        assert_eq!(verdict, AuthVerdict::Challenge { bytes: b"q".to_vec(), disconnect: false });
        f.talk.auth_round(&f.runner, script, "XM", 1, Some(b"bob")).await;
        assert_eq!(
            f.talk.connection().auth.as_ref().and_then(|auth| auth.username.as_deref()),
            Some(&b"bob"[..])
        );
    });
}

#[test]
fn a_proxy_answers_rewrites_or_lets_pass() {
    let script = "if ($arguments[\"command\"] == \"PING\") Reply(\"pong\");
        if ($arguments[\"command\"] == \"BYE\") Reply(\"bye\", [\"disconnect\" => true, \"reply_codes\" => [\"code\" => 421]]);
        if ($arguments[\"command\"] == \"HELO other\") Pass([\"command\" => \"HELO fixed\"]);";
    with(&[("proxy", script)], |mut f| async move {
        let proxy = f.script("proxy");
        let cases: [(&[u8], &str); 4] = [
            (b"PING", "250 pong"),
            (b"BYE", "421 bye closed"),
            (b"HELO other", "pass HELO fixed"),
            (b"NOOP", "pass"),
        ];
        for (line, expected) in cases {
            let text = match f.talk.proxy(&f.runner, proxy, line).await {
                Proxied::Pass { command, .. } => {
                    format!("pass {}", command.unwrap_or_default()).trim_end().to_owned()
                }
                Proxied::Reply { reply, disconnect, .. } => {
                    format!("{reply}{}", if disconnect { " closed" } else { "" })
                }
            };
            assert_eq!(text, expected);
        }
    });
}

#[test]
fn errors_of_all_scripts_are_told_with_their_places() {
    let errors = compiled(&[("mailfrom", "Accept("), ("rcptto", "Tryy();")]).expect_err("they are wrong");
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].contains("mailfrom:x:1:"), "{}", errors[0]);
    assert!(errors[1].contains("Tryy"), "{}", errors[1]);
}

#[test]
fn a_context_that_belongs_to_its_program_or_is_too_large_is_an_error() {
    let large =
        "$context = []; for ($i = 0; $i < 400; $i += 1) $context[] = str_repeat(\"x$i\", 400); Accept();";
    for script in ["$context = function () { return 1; }; Accept();", large] {
        with(&[("mailfrom", script)], move |mut f| async move {
            let verdict = f.talk.mail(&f.runner, f.script("mailfrom"), None, Vec::new()).await;
            assert_eq!(short(verdict), "refused 450 4.7.1 Try again later");
            let told = f.told().join("\n");
            assert!(told.contains("$context"), "{told}");
        });
    }
}

/// What an eod script with this text makes of a message for two recipients.
fn end_of_data(script: &str, check: fn(&str, Vec<Queued>, Vec<String>)) {
    with(&[("eod", script)], move |mut f| async move {
        f.talk.transaction.sender = Some(Some(address("a@x.example")));
        for recipient in ["b@y.example", "c@y.example"] {
            f.talk.transaction.recipients.push(Recipient {
                address: address(recipient),
                parameters: Vec::new(),
                transport: Some("out".to_owned()),
            });
        }
        let mail = mail::message::Message::parse(&b"Subject: A\r\n\r\nbody\r\n"[..]).expect("small");
        let (verdict, queued) = f
            .talk
            .end_of_data(
                &f.runner,
                f.script("eod"),
                mail,
                1.5,
                transports(),
                Box::new(|| Box::pin(async { None })),
            )
            .await;
        check(&short(verdict), queued, f.told());
    });
}

const RELAY: &str = "foreach ($transaction[\"recipients\"] as $r)
    $arguments[\"mail\"]->queue($transaction[\"senderaddress\"], $r[\"address\"], $r[\"transportid\"]); ";

#[test]
fn a_message_is_queued_for_each_recipient_and_accepted() {
    end_of_data(&format!("{RELAY} Accept();"), |verdict, queued, _| {
        assert_eq!(verdict, "MessageAccepted { reply: None }");
        let to: Vec<String> = queued.iter().map(|item| item.recipient.to_string()).collect();
        assert_eq!(to, ["b@y.example", "c@y.example"]);
        assert!(queued.iter().all(|item| item.delta.is_empty() && item.options == QueueOptions::default()));
    });
}

#[test]
fn nothing_stays_queued_of_a_script_that_does_not_decide_or_fails() {
    for end in
        ["", "throw \"x\";", "$arguments[\"mail\"]->queue(\"\", \"b@y.example\", \"nowhere\"); Accept();"]
    {
        end_of_data(&format!("{RELAY} {end}"), |verdict, queued, _| {
            assert_eq!(verdict, "refused 421 4.3.2 Try again later");
            assert!(queued.is_empty());
        });
    }
}

#[test]
fn what_was_queued_before_a_rejection_stays() {
    let script = "$arguments[\"mail\"]->queue(\"\", \"q@y.example\", \"out\", [\"hold\" => true, \"metadata\" => [\"box\" => \"spam\"]]); Reject(\"spam\");";
    end_of_data(script, |verdict, queued, _| {
        assert_eq!(verdict, "refused 550 5.7.1 spam");
        let [item] = queued.as_slice() else { panic!("{queued:?}") };
        assert!(item.options.hold && item.sender.is_none());
        assert_eq!(item.options.metadata, [(b"box".to_vec(), b"spam".to_vec())]);
    });
}

#[test]
fn each_copy_has_the_changes_made_before_it_and_getters_tell_the_original() {
    let script = "$m = $arguments[\"mail\"];
        foreach ($transaction[\"recipients\"] as $i => $r) {
            $s = $m->snapshot();
            $m->addHeader(\"X-To\", \"$i\");
            $m->setHeader(\"Subject\", \"B\");
            echo $m->getHeader(\"Subject\");
            $m->queue($transaction[\"senderaddress\"], $r[\"address\"], \"out\");
            $m->restore($s);
        }
        Accept();";
    end_of_data(script, |_, queued, told| {
        let original = b"Subject: A\r\n\r\nbody\r\n";
        let now = mail::delta::Now { unix_s: 0, offset_min: 0 };
        let sent: Vec<String> = queued
            .iter()
            .map(|item| String::from_utf8_lossy(&item.delta.apply(original, now)).into_owned())
            .collect();
        assert_eq!(sent, ["X-To: 0\r\nSubject: B\r\n\r\nbody\r\n", "X-To: 1\r\nSubject: B\r\n\r\nbody\r\n"]);
        assert!(told.iter().all(|line| line.ends_with("] A")), "{told:?}");
    });
}

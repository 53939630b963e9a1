//! Microseconds of CPU and allocations of each hook: `cargo run --release -p hooks --example cost [HOOK [ROUNDS]]`.
//!
//! The scripts are those of `bench/script/hooks`, which `bench/compare` gives to the peer `hooked`. What is measured is all
//! that this crate does for a hook: making its variables, running the script, reading its decision. What the server does
//! around it is in the figures of `compare` only.
#![allow(clippy::print_stdout)] // a measurement

use std::alloc::System;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::{HookScript, Scripting};
use engine::boot::{self, DriverChoice, Options};
use hooks::queued::{
    Action, Answer, Attempted, Before, DsnFacts, Ending, Files, Item, Message, Policies, Script,
};
use hooks::{
    Connection, Conversation, Ended, Hello, Kept, Notices, Reads, Recipient, Runner, ScriptId, Scripts,
    Transaction, TransportNames,
};
use hostcalls::file::HostFile;
use hostcalls::source::Sources;
use hostcalls::{Environment, Settings};
use net::smtp::address::Address;
use script::compile::BreakPoints;
use script::machine::Limits;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The hooks of a message, and their scripts.
const SCRIPTS: [(&str, &str); 10] = [
    ("connect", include_str!("../../bench/script/hooks/connect.hsl")),
    ("proxy", include_str!("../../bench/script/hooks/proxy.hsl")),
    ("helo", include_str!("../../bench/script/hooks/helo.hsl")),
    ("auth", include_str!("../../bench/script/hooks/auth.hsl")),
    ("mailfrom", include_str!("../../bench/script/hooks/mailfrom.hsl")),
    ("rcptto", include_str!("../../bench/script/hooks/rcptto.hsl")),
    ("eod", include_str!("../../bench/script/hooks/eod.hsl")),
    ("disconnect", include_str!("../../bench/script/hooks/disconnect.hsl")),
    ("predelivery", include_str!("../../bench/script/hooks/predelivery.hsl")),
    ("postdelivery", include_str!("../../bench/script/hooks/postdelivery.hsl")),
];

/// A script of RCPT that looks at the recipients before it.
const MANY: &str = "if (length($transaction[\"recipients\"]) >= 20000) Reject(); Accept();";

fn main() {
    let mut args = std::env::args().skip(1);
    let only = args.next();
    let rounds = args.next().map_or(50_000, |rounds| rounds.parse().expect("ROUNDS is a number"));
    let scripts = Arc::new(compiled());
    let options = Options { shards: 1, pin: false, driver: DriverChoice::Epoll, signals: Vec::new() };
    let root = move |_| {
        let (scripts, only) = (Arc::clone(&scripts), only.clone());
        async move {
            if boot::is_control() {
                return;
            }
            let environment = Environment::start(Arc::new(Settings::default()), Rc::new(Silent));
            let runner = Runner::new(scripts, &environment, Rc::new(Silent), Limits::default());
            println!("{:<14} {:>8} {:>12}", "hook", "CPU us", "allocations");
            for (hook, _) in SCRIPTS {
                if only.as_deref().is_none_or(|only| only == hook) {
                    measure(&Bench::new(&runner), hook, rounds).await;
                }
            }
            if only.is_none_or(|only| only == "recipients") {
                many_recipients(&Bench::new(&runner)).await;
            }
        }
    };
    boot::run(options, root).expect("the engine runs here");
}

fn compiled() -> Scripts {
    let queue = |wanted| SCRIPTS.iter().find(|(hook, _)| *hook == wanted).map(|(_, text)| (*text).to_owned());
    let hooks = SCRIPTS.iter().filter(|(hook, _)| !hook.ends_with("delivery"));
    let script = |&(phase, text): &(&'static str, &str)| HookScript {
        phase,
        id: "x".to_owned(),
        data: text.to_owned(),
    };
    let many = HookScript { phase: "rcptto", id: "many".to_owned(), data: MANY.to_owned() };
    let scripting = Scripting {
        hooks: hooks.map(script).chain([many]).collect(),
        predelivery: queue("predelivery"),
        postdelivery: queue("postdelivery"),
        ..Scripting::default()
    };
    Scripts::compile(&scripting, &Sources::default(), BreakPoints::Refused)
        .expect("the scripts are correct")
        .scripts
}

/// The best of five, in CPU time of this thread, as the machine is shared.
async fn measure(bench: &Bench, hook: &str, rounds: u32) {
    let mut talk = talk();
    // The script of the end of data needs what that of HELO leaves.
    bench.run("helo", &mut talk).await;
    // The first run loads the script.
    bench.run(hook, &mut talk).await;
    let mut best = Duration::MAX;
    let region = Region::new(ALLOCATOR);
    for _ in 0..5 {
        let start = cpu_time();
        for _ in 0..rounds {
            bench.run(hook, &mut talk).await;
        }
        best = best.min(cpu_time() - start);
    }
    let stats = region.change();
    let allocations = (stats.allocations + stats.reallocations) as f64 / (5.0 * f64::from(rounds));
    let microseconds = best.as_secs_f64() * 1e6 / f64::from(rounds);
    println!("{hook:<14} {microseconds:>8.2} {allocations:>12.1}");
}

/// What RCPT costs with few and with many recipients before it, when its script looks at them.
async fn many_recipients(bench: &Bench) {
    let mut talk = talk();
    let script = bench.runner.scripts().find("rcptto", "many").expect("it is there");
    println!("{:<14} {:>8}", "recipients", "CPU us");
    let mut start = cpu_time();
    for number in 1..=10_000 {
        drop(talk.rcpt(&bench.runner, script, &bench.recipient, &[], Some("out"), &bench.transports).await);
        talk.transaction.recipients.push(accepted());
        if number % 1_000 == 0 && [1_000, 5_000, 10_000].contains(&number) {
            println!("{number:<14} {:>8.2}", (cpu_time() - start).as_secs_f64() * 1e3);
        }
        if number % 1_000 == 0 {
            start = cpu_time();
        }
    }
}

fn cpu_time() -> Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has it");
    Duration::new(time.tv_sec() as u64, time.tv_nsec() as u32)
}

struct Bench {
    runner: Rc<Runner>,
    transports: TransportNames,
    mail: Bytes,
    sender: Address,
    recipient: Address,
}

impl Bench {
    fn new(runner: &Rc<Runner>) -> Bench {
        Bench {
            runner: Rc::clone(runner),
            transports: Arc::new(["out".to_owned()].into()),
            mail: mail(),
            sender: address("sender@x.example"),
            recipient: address("jo@y.example"),
        }
    }

    fn script(&self, hook: &str) -> ScriptId {
        let id = if hook.ends_with("delivery") { hook } else { "x" };
        self.runner.scripts().find(hook, id).expect("there is a script for each")
    }

    async fn run(&self, hook: &str, talk: &mut Conversation) {
        let (runner, id) = (&self.runner, self.script(hook));
        match hook {
            "connect" => drop(talk.connect(runner, id).await),
            "proxy" => drop(talk.proxy(runner, id, b"RCPT TO:<jo@y.example>").await),
            "auth" => drop(talk.auth_password(runner, id, "PLAIN", b"jo", b"secret").await),
            "helo" => {
                let hello = Hello { verb: "EHLO", host: "client.example".to_owned() };
                drop(talk.hello(runner, id, hello, &[]).await);
            }
            "mailfrom" => drop(talk.mail(runner, id, Some(&self.sender), Vec::new()).await),
            "rcptto" => {
                drop(talk.rcpt(runner, id, &self.recipient, &[], Some("out"), &self.transports).await);
            }
            "eod" => {
                let mail = mail::message::Message::parse_later(self.mail.clone()).expect("it is small");
                let reread =
                    Box::new(|| -> Pin<Box<dyn Future<Output = Option<Bytes>>>> { Box::pin(async { None }) });
                let transports = Arc::clone(&self.transports);
                let (_, queued) = talk.end_of_data(runner, id, mail, 1.5, transports, reread).await;
                assert_eq!(queued.len(), 1, "the script queues it once");
            }
            "disconnect" => talk.disconnect(runner, id, &Ended::default()).await,
            _ => {
                let metadata = vec![(b"helo".to_vec(), b"client.example".to_vec())];
                let mut item = Item::new(Uuid::nil(), 1, metadata, Kept::default());
                let script = Script { runner, id, transports: &self.transports };
                match hook {
                    "predelivery" => drop(item.before(script, Before::default(), message).await),
                    _ => drop(item.after(script, true, message, ending).await),
                }
            }
        }
    }
}

/// A connection in the middle of a transaction with one recipient.
fn talk() -> Conversation {
    let connection = Connection {
        id: Uuid::nil(),
        server_id: "in".into(),
        remote: "192.0.2.7:4711".parse().expect("an address"),
        name_answers: None,
        remote_uid: None,
        remote_ptr: None,
        local: "192.0.2.2:25".parse().expect("an address"),
        proxy_ip: None,
        proxy_tlvs: Vec::new(),
        hello: Some(Hello { verb: "EHLO", host: "client.example".to_owned() }),
        tls: None,
        auth: None,
    };
    let mut talk = Conversation::new(connection, Uuid::nil());
    talk.transaction = Transaction {
        sender: Some(Some(address("sender@x.example"))),
        recipients: vec![accepted()].into(),
        ..Transaction::default()
    };
    talk
}

fn accepted() -> Recipient {
    Recipient { address: address("jo@y.example"), parameters: Vec::new(), transport: Some("out".to_owned()) }
}

fn mail() -> Bytes {
    let fields = "From: <sender@x.example>\r\nTo: <jo@y.example>\r\nSubject: A message of two KiB\r\n\
        Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@x.example>\r\n\r\n";
    [fields, &"A line of text.\r\n".repeat(110)].concat().into()
}

fn message() -> Message {
    Message {
        transaction: Uuid::nil(),
        queue: 1,
        received_s: 1.5,
        server_id: "in".to_owned(),
        sender: Some(address("sender@x.example")),
        recipient: Some(address("jo@y.example")),
        transport: "out".to_owned(),
        tenant_id: String::new(),
        job_id: "job".to_owned(),
        priority: 0,
        size_bytes: 2048,
        mail: Default::default(),
        rcpt: Default::default(),
        files: Files::new(Nothing, Nothing),
    }
}

/// A delivery.
fn ending(_: &Reads) -> Ending {
    let lines = || vec!["Ok".to_owned()];
    let result = Answer { code: 250, enhanced: None, lines: lines(), state: "EOD" };
    let connection = hooks::queued::Connection {
        remote_ip: Some("192.0.2.9".parse().expect("an address")),
        remote_mx: Some("mx.y.example".to_owned()),
        remote_greeting: Some(lines()),
        ..Default::default()
    };
    let attempt = Attempted {
        result: Some(result),
        connection: Some(connection),
        duration_s: 0.1,
        ..Attempted::default()
    };
    let (action, dsn): (Option<Action>, Option<DsnFacts>) = (None, None);
    let grouping = Some("y.example".to_owned());
    Ending {
        grouping,
        action,
        dsn,
        policies: Some(Policies::default()),
        attempt: Some(attempt),
        ..Ending::default()
    }
}

fn address(text: &str) -> Address {
    Address::parse(text.as_bytes()).expect("an address")
}

struct Nothing;

impl HostFile for Nothing {
    fn read(&self) -> Pin<Box<dyn Future<Output = Result<Bytes, String>>>> {
        Box::pin(async { Ok(Bytes::new()) })
    }
}

struct Silent;

impl Notices for Silent {
    fn echo(&self, _transaction: &str, _text: &[u8]) {}
    fn syslog(&self, _transaction: &str, _priority: u32, _text: &[u8]) {}
    fn failed(&self, _transaction: &str, script: &str, what: &str) {
        println!("{script}: {what}");
    }
}

impl hostcalls::Log for Silent {
    fn echo(&self, _text: &[u8]) {}
    fn syslog(&self, _priority: u32, _text: &[u8]) {}
}

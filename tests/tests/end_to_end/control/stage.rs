//! Live stages, and debuggers that look at their scripts.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use control::framing::{self, Response, Status};
use control::smtpd as proto;
use control::{Command, Message as _};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn};
use proto::{ConfigGreenConditions, ConfigGreenDeployRequest, HslBreakPointResponse, QueueState};
use tests::{Client, ControlClient, Halonctl, Sink, Smtpd, wait_until};

use super::{in_states, send, wait_for_rows};

const LIMIT: Duration = Duration::from_secs(30);

/// A running file's scripts: MAIL is refused with what it comes from.
fn hook(text: &str) -> String {
    format!("scripting:\n  hooks:\n    mailfrom:\n      - id: x\n        data: '{text}'\n")
}

fn server() -> Smtpd {
    Smtpd::relay_to(1)
        .shards(2)
        .server("phases: {mailfrom: {hook: x}}")
        .running(&hook("Reject(\"the main one\");"))
        .start()
}

/// The running file with another script.
fn staged(server: &Smtpd, script: &str) -> String {
    let text = std::fs::read_to_string(server.dir().join("smtpd-app.yaml")).expect("it is there");
    let staged = text.replace("Reject(\"the main one\");", script);
    assert_ne!(text, staged);
    staged
}

fn said(client: &mut Client) -> String {
    client.command("MAIL FROM:<a@b.example>\r\n", "5")
}

fn start(
    control: &mut ControlClient,
    config: String,
    conditions: ConfigGreenConditions,
) -> Result<(), String> {
    let conditions = Some(conditions);
    let request = ConfigGreenDeployRequest { id: "t1".to_owned(), config, conditions, ..Default::default() };
    control.ask(Command::StageStart, &request)
}

fn status(control: &mut ControlClient) -> proto::ConfigGreenStatusResponse {
    control.ask_plainly(Command::StageStatus).expect("it answers")
}

fn wait_for_end(control: &mut ControlClient) {
    assert!(wait_until(LIMIT, || status(control).id.is_empty()), "it does not end");
}

#[test]
fn a_live_stage_has_new_connections_until_it_is_cancelled() {
    // OPS33
    let server = server();
    let file = server.dir().join("f.yaml");
    let path = file.to_str().expect("a plain path").to_owned();
    std::fs::write(&file, staged(&server, "Reject(\"the stage\");")).expect("it can be written");
    let ctl = Halonctl::of(&server.dir().join("smtpd.ctl"));
    let run = |words: &str| {
        let words: Vec<&str> = words.split(' ').chain(["--file", &path]).collect();
        ctl.run(&words)
    };
    let mut before = Client::connect(server.port());
    let ended = run("config livestage start --id t1 --probability 1 --time 60 --dry-run");
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
    assert_eq!(ctl.run(&["config", "livestage", "status"]).stdout, "");
    let ended = run("config livestage start --id t1 --probability 1 --time 60");
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
    let mut on_it = Client::connect(server.port());
    assert!(said(&mut on_it).contains("the stage"));
    assert!(said(&mut before).contains("the main one"), "a connection keeps what it began with");
    let shown = ctl.run(&["config", "livestage", "status"]).stdout;
    assert!(shown.starts_with("t1: 1 connections(s), ") && shown.ends_with("/60 runtime\n"), "{shown}");
    let second = run("config livestage start --id t2");
    assert!(second.status == Some(1) && second.stderr.contains("\"t1\" runs"), "{}", second.stderr);
    server.wait_for_log(" --probability 1 --time 60: started");

    let ended = ctl.run(&["config", "livestage", "cancel"]);
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
    assert!(said(&mut on_it).contains("the stage"), "it finishes on it");
    assert!(said(&mut Client::connect(server.port())).contains("the main one"));
    server.wait_for_log("live stage \"t1\" ended after");
    server.wait_for_log("1 connection(s): it was cancelled");
    let again = ctl.run(&["config", "livestage", "cancel"]);
    assert!(again.status == Some(1) && again.stderr.contains("no live stage"), "{}", again.stderr);
}

#[test]
fn what_is_wrong_with_a_stage_is_said_with_its_place_and_nothing_starts() {
    let server = server();
    let file = server.dir().join("f.yaml");
    let ctl = Halonctl::of(&server.dir().join("smtpd.ctl"));
    let path = file.to_str().expect("a plain path").to_owned();
    let refused = |text: String, more: &[&str]| {
        std::fs::write(&file, text).expect("it can be written");
        let words = ["config", "livestage", "start", "--id", "t1", "--file", &path];
        let ended = ctl.run(&[&words[..], more].concat());
        assert_ne!(ended.status, Some(0), "{}", ended.stdout);
        ended.stderr
    };
    let good = staged(&server, "Reject(\"the stage\");");
    let why = refused(good.replace("transport: out", "transport: [out"), &[]);
    assert!(why.contains(&format!("{path}:5:")), "{why}");
    let why = refused(good.replace("transport: out", "transport: elsewhere"), &[]);
    assert!(why.contains(&format!("{path}:4:")) && why.contains("elsewhere"), "{why}");
    let why = refused(good.replace("the stage\");", "the stage\""), &[]);
    assert!(why.contains("mailfrom:x:1:"), "{why}");
    let why = refused(good.clone(), &["--remoteip", "nowhere"]);
    assert!(why.contains("remoteip: \"nowhere\""), "{why}");
    let why = refused(good.clone(), &["--serverid", "outbound"]);
    assert!(why.contains("no server \"outbound\""), "{why}");
    let why = refused(good, &["--count", "0"]);
    assert!(why.contains("count: at least 1"), "{why}");
    assert!(said(&mut Client::connect(server.port())).contains("the main one"));
    // Breakpoints are for stages only.
    let text = staged(&server, "__debug [\"t\", \"1\"] Reject();");
    std::fs::write(server.dir().join("smtpd-app.yaml"), text).expect("it can be written");
    let why = server.control().order(Command::ConfigReload).expect_err("it has a breakpoint");
    assert!(why.contains("mailfrom:x:1:") && why.contains("breakpoints are only for"), "{why}");
}

/// The first reply to MAIL of a client with this address.
fn said_from(address: [u8; 4], port: u16) -> String {
    use std::io::{BufRead as _, BufReader};
    let socket =
        nix::sys::socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .expect("a socket");
    let at = |address: [u8; 4], port| SockaddrIn::from(std::net::SocketAddrV4::new(address.into(), port));
    use std::os::fd::AsRawFd as _;
    nix::sys::socket::bind(socket.as_raw_fd(), &at(address, 0)).expect("all of 127.0.0.0/8 is ours");
    nix::sys::socket::connect(socket.as_raw_fd(), &at([127, 0, 0, 1], port)).expect("it listens");
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(LIMIT)).expect("a timeout can be set");
    let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
    let mut reply = || lines.next().expect("a reply").expect("text");
    reply();
    stream.write_all(b"HELO x.example\r\n").expect("it reads");
    reply();
    stream.write_all(b"MAIL FROM:<a@b.example>\r\n").expect("it reads");
    reply()
}

#[test]
fn a_live_stage_is_for_the_clients_that_were_named() {
    // OPS34
    let server = server();
    let config = staged(&server, "Reject(\"the stage\");");
    let remoteips = vec!["127.0.0.2/32".to_owned()];
    let conditions = ConfigGreenConditions { remoteips, ..Default::default() };
    assert_eq!(start(&mut server.control(), config, conditions), Ok(()));
    assert!(said_from([127, 0, 0, 2], server.port()).contains("the stage"));
    assert!(said_from([127, 0, 0, 3], server.port()).contains("the main one"));
    assert_eq!(status(&mut server.control()).connections, 1);
}

#[test]
fn a_stage_ends_when_as_many_connections_as_were_asked_for_have_closed_or_its_time_is_over() {
    let server = server();
    let mut control = server.control();
    let config = staged(&server, "Reject(\"the stage\");");
    let twice = ConfigGreenConditions { count: Some(2), ..Default::default() };
    assert_eq!(start(&mut control, config.clone(), twice), Ok(()));
    let mut first = Client::connect(server.port());
    let mut second = Client::connect(server.port());
    assert!(said(&mut first).contains("the stage") && said(&mut second).contains("the stage"));
    assert!(said(&mut Client::connect(server.port())).contains("the main one"), "two, over both shards");
    drop(first);
    assert_eq!(status(&mut control).connections, 2, "one is still on it");
    drop(second);
    wait_for_end(&mut control);
    server.wait_for_log("2 connection(s): all its connections have closed");

    let short = ConfigGreenConditions { time: Some(0.05), ..Default::default() };
    assert_eq!(start(&mut control, config.clone(), short), Ok(()));
    wait_for_end(&mut control);
    server.wait_for_log("its time is over");

    let half = ConfigGreenConditions { probability: Some(0.5), ..Default::default() };
    assert_eq!(start(&mut control, config, half), Ok(()));
    let replies: Vec<String> = (0..60).map(|_| said(&mut Client::connect(server.port()))).collect();
    let on_it = replies.iter().filter(|reply| reply.contains("the stage")).count();
    // The chance that this fails is below one in 10^15.
    assert!((1..60).contains(&on_it), "{on_it}");
    assert_eq!(status(&mut control).connections, on_it as u64);
}

#[test]
fn what_a_stage_queues_has_its_queue_scripts_while_it_lasts() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).shards(2).start();
    let text = std::fs::read_to_string(server.dir().join("smtpd-app.yaml")).expect("it is there");
    let hold =
        "scripting:\n  hooks:\n    predelivery: 'Queue([\"hold\" => true, \"reason\" => \"staged\"]);'\n";
    let mut control = server.control();
    assert_eq!(start(&mut control, text + hold, ConfigGreenConditions::default()), Ok(()));
    send(server.port(), &["staged@a.example"]);
    let held = wait_for_rows(&mut control, &in_states(&[QueueState::Hold]), 1);
    assert_eq!(held[0].recipient, "staged@a.example");
    assert_eq!(control.order(Command::StageCancel), Ok(()));
    send(server.port(), &["main@a.example"]);
    sink.wait_for(1);
    // Released, it goes the usual way: the stage has ended.
    let release = proto::QueueUpdateRequest {
        conditions: Some(in_states(&[QueueState::Hold])),
        action: Some(proto::queue_update_request::Action::Active(Default::default())),
        ..Default::default()
    };
    let updated: proto::QueueUpdateResponse =
        control.ask(Command::QueueUpdate, &release).expect("it is released");
    assert_eq!(updated.affected, 1);
    sink.wait_for(2);
}

/// A debugger that has started a stage, bound to its connection.
fn debugger(server: &Smtpd, script: &str) -> ControlClient {
    let mut control = server.control();
    let request = ConfigGreenDeployRequest {
        id: "t1".to_owned(),
        config: staged(server, script),
        connectionbound: true,
        ..Default::default()
    };
    assert_eq!(control.ask(Command::StageStart, &request), Ok(()));
    control
}

fn order(control: &mut ControlClient, command: Command) {
    let mut wire = Vec::new();
    framing::write_request(&mut wire, command, &[]);
    control.write(&wire);
}

/// The next answer, and what scripts have printed before it.
fn answer(control: &mut ControlClient) -> (Vec<String>, Response) {
    let mut printed = Vec::new();
    loop {
        let response = control.read().expect("an answer");
        if response.status != Status::Asynchronous {
            return (printed, response);
        }
        let frame = proto::HslLogResponse::decode(&response.payload[..]).expect("a message");
        assert_eq!(frame.id.len(), 36, "a transaction: {}", frame.id);
        printed.push(String::from_utf8_lossy(&frame.text).into_owned());
    }
}

fn stop(response: &Response) -> (HslBreakPointResponse, serde_json::Value) {
    assert_eq!(response.status, Status::Success, "{}", String::from_utf8_lossy(&response.payload));
    let stop = HslBreakPointResponse::decode(&response.payload[..]).expect("a message");
    let values = serde_json::from_str(&stop.values).expect("they are JSON");
    (stop, values)
}

fn error(response: &Response) -> String {
    assert_eq!(response.status, Status::Error);
    String::from_utf8_lossy(&response.payload).into_owned()
}

/// A client that has said MAIL and waits for the answer.
fn begin(server: &Smtpd) -> Client {
    let mut client = Client::connect(server.port());
    client.write(b"MAIL FROM:<a@b.example>\r\n");
    client
}

#[test]
fn scripts_of_a_stage_stand_at_breakpoints_for_its_debugger_and_nobody_else_waits() {
    let server = server();
    let script = "echo \"before\"; $n = [1, \"x\"]; __debug [\"other\", \"0\"] \
                  __debug [\"t1\", \"7\"] $n = 2; Reject(\"the stage\");";
    let mut debugger = debugger(&server, script);
    order(&mut debugger, Command::BreakPointWait);
    let mut first = begin(&server);
    let (printed, response) = answer(&mut debugger);
    assert_eq!(printed, ["before"]);
    let (at, values) = stop(&response);
    let place = at.location.expect("a place");
    assert_eq!((&*at.id, &*place.file, place.beginline), ("7", "mailfrom:x", 1));
    assert_eq!(values["n"], serde_json::json!({"format": "json", "value": "[1,\"x\"]"}));
    assert_eq!(at.callstack.len(), 1);

    // The shards go on, and other scripts that stop wait behind the first.
    let mut others = [begin(&server), begin(&server)];
    assert_eq!(server.control().order(Command::Users), Ok(()));
    order(&mut debugger, Command::BreakPointWait);
    assert_eq!(stop(&answer(&mut debugger).1).0.id, "7", "it is shown again until it goes on");
    order(&mut debugger, Command::BreakPointContinue);
    assert_eq!(answer(&mut debugger).1.status, Status::Success);
    assert!(first.reply().contains("the stage"));
    for other in &mut others {
        order(&mut debugger, Command::BreakPointWait);
        assert_eq!(stop(&answer(&mut debugger).1).0.id, "7");
        order(&mut debugger, Command::BreakPointContinue);
        assert_eq!(answer(&mut debugger).1.status, Status::Success);
        let _ = other;
    }
    assert!(others.iter_mut().all(|other| other.reply().contains("the stage")));
    order(&mut debugger, Command::BreakPointContinue);
    assert_eq!(error(&answer(&mut debugger).1), "No breakpoint");
    let poll = proto::HslBreakPointRequest { id: "t1".to_owned() };
    let poll: Result<HslBreakPointResponse, _> = debugger.ask(Command::BreakPointPoll, &poll);
    assert_eq!(poll.expect_err("none stands"), "No breakpoint");

    // As editors do it: the end of the stage, while they wait.
    order(&mut debugger, Command::BreakPointWait);
    order(&mut debugger, Command::StageCancel);
    assert_eq!(error(&answer(&mut debugger).1), "Aborted");
    assert_eq!(answer(&mut debugger).1.status, Status::Success);
    assert!(said(&mut Client::connect(server.port())).contains("the main one"));
}

#[test]
fn errors_stop_scripts_of_a_stage_and_a_debugger_that_goes_ends_it() {
    let server = server();
    let script = "try { throw \"inner\"; } catch ($e) { $seen = $e; } \
                  function f($x) { echo $nothing; } f(1);";
    let mut debugger = debugger(&server, script);
    order(&mut debugger, Command::BreakPointWait);
    let mut client = begin(&server);
    let (caught, values) = stop(&answer(&mut debugger).1);
    assert_eq!(caught.id, "");
    let thrown = serde_json::json!({
        "format": "json", "value": "\"inner\"", "uncaught": false, "message": "inner"
    });
    assert_eq!(values["__throw"], thrown);
    order(&mut debugger, Command::BreakPointContinue);
    assert_eq!(answer(&mut debugger).1.status, Status::Success);
    order(&mut debugger, Command::BreakPointWait);
    let (uncaught, values) = stop(&answer(&mut debugger).1);
    assert_eq!(values["__throw"]["uncaught"], true);
    assert_eq!(values["x"]["value"], "1");
    let functions: Vec<&str> = uncaught.callstack.iter().map(|call| &*call.function).collect();
    assert_eq!(functions, ["mailfrom:x", "f"], "outermost first");

    // A script stands when the debugger goes: it goes on, and the stage has ended.
    drop(debugger);
    assert!(client.reply().starts_with('4'), "the script has failed");
    wait_for_end(&mut server.control());
    server.wait_for_log("the client that it was bound to has gone");
    assert!(said(&mut Client::connect(server.port())).contains("the main one"));
}

#[test]
fn a_stage_that_nobody_looks_at_does_not_stop_and_its_end_lets_scripts_go_on() {
    let server = server();
    let config = staged(&server, "__debug [\"t1\", \"1\"] Reject(\"the stage\");");
    let mut operator = server.control();
    assert_eq!(start(&mut operator, config, ConfigGreenConditions::default()), Ok(()));
    assert!(said(&mut Client::connect(server.port())).contains("the stage"));
    // Somebody comes to look.
    let mut debugger = server.control();
    order(&mut debugger, Command::BreakPointContinue);
    assert_eq!(error(&answer(&mut debugger).1), "No breakpoint");
    let mut client = begin(&server);
    order(&mut debugger, Command::BreakPointWait);
    assert_eq!(stop(&answer(&mut debugger).1).0.id, "1");
    assert_eq!(operator.order(Command::StageCancel), Ok(()));
    assert!(client.reply().contains("the stage"));
    order(&mut debugger, Command::BreakPointContinue);
    assert_eq!(error(&answer(&mut debugger).1), "Aborted");
    order(&mut debugger, Command::BreakPointWait);
    assert_eq!(error(&answer(&mut debugger).1), "there is no live stage");
}

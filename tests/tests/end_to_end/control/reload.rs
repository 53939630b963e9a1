//! Reloads over the control socket, each file on its own.

use control::Command;
use control::smtpd::QueueState;
use tests::{Sink, Smtpd};

use super::{in_states, send, wait_for_rows};

/// Writes another running file, made from the present one.
fn edit(server: &Smtpd, change: impl FnOnce(String) -> String) {
    let path = server.dir().join("smtpd-app.yaml");
    let text = std::fs::read_to_string(&path).expect("it is there");
    std::fs::write(&path, change(text)).expect("it can be written");
}

const HOOK: &str = "scripting:\n  hooks:\n    mailfrom:\n      - id: x\n        data: 'Reject(\"first\");'\n";

#[test]
fn a_reload_takes_a_good_file_and_says_what_is_wrong_with_a_bad_one() {
    // OPS04, OPS05
    let server = Smtpd::relay_to(1).server("phases: {mailfrom: {hook: x}}").running(HOOK).start();
    let said = |server: &Smtpd| {
        let mut client = tests::Client::connect(server.port());
        client.command("MAIL FROM:<a@b.example>\r\n", "5")
    };
    assert!(said(&server).contains("first"));
    edit(&server, |text| text.replace("Reject(\"first\");", "Reject(\"first\""));
    let refused = server.control().order(Command::ConfigReload).expect_err("it is broken");
    assert!(refused.contains("mailfrom") && refused.contains(":1:"), "{refused}");
    assert!(said(&server).contains("first"));
    // What was refused is not what other reloads go by.
    assert_eq!(server.control().order(Command::PolicyReload), Ok(()));
    edit(&server, |text| text.replace("Reject(\"first\"", "Reject(\"second\");"));
    assert_eq!(server.control().order(Command::ConfigReload), Ok(()));
    assert!(said(&server).contains("second"));
    server.wait_for_log("config reload: done");
}

#[test]
fn the_suspend_file_is_read_alone() {
    let sink = Sink::start();
    let all = "version: \"6.10\"\nsuspends:\n  - recipientdomain: a.example\n";
    let server = Smtpd::relay_to(sink.port()).suspends(Some(all)).start();
    send(server.port(), &["a@a.example"]);
    let mut control = server.control();
    wait_for_rows(&mut control, &in_states(&[QueueState::Active]), 1);
    // The running file is broken meanwhile, which is nobody's business here.
    edit(&server, |text| text.replace("transport: out", "transport: [out"));
    std::fs::write(server.dir().join("smtpd-suspend.yaml"), "version: \"6.10\"\nsuspends: []\n")
        .expect("it can be written");
    assert_eq!(control.order(Command::SuspendReload), Ok(()));
    sink.wait_for(1);
    let refused = control.order(Command::ConfigReload).expect_err("it is broken");
    assert!(refused.starts_with("smtpd_app:5:"), "{refused}");
    for command in [Command::PolicyReload, Command::DeliveryReload] {
        assert_eq!(control.order(command), Ok(()));
    }
}

#[test]
fn listeners_stay_as_they_were_at_the_start() {
    // OPS70
    let server = Smtpd::relay_to(1).start();
    let path = server.dir().join("smtpd.yaml");
    let text = std::fs::read_to_string(&path).expect("it is there");
    let other = tests::free_port();
    std::fs::write(&path, text.replace(&server.port().to_string(), &other.to_string())).expect("writes");
    assert_eq!(server.control().order(Command::ConfigReload), Ok(()));
    tests::Client::connect(server.port());
    assert!(std::net::TcpStream::connect(("127.0.0.1", other)).is_err());
}

//! A spool with a damaged record: OPS19, OPS72.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tests::{Client, Halonctl, Sink, Smtpd, wait_until};

const MESSAGES: usize = 100;

const HOLD_ALL: &str = "scripting:\n  hooks:\n    eod:\n      - id: x\n        data: |\n          \
    foreach ($transaction[\"recipients\"] as $r)\n              \
    $arguments[\"mail\"]->queue($transaction[\"senderaddress\"], $r[\"address\"], $r[\"transportid\"], [\"hold\" => true]);\n          \
    Accept();\n";

/// Files of the spool's directory with this ending.
fn files(spool: &Path, ending: &str) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(spool).expect("it is there").map(|entry| entry.expect("it is listed").path());
    entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect()
}

/// Flips a bit where this text stands in a segment; gives the segment's name.
fn flip(spool: &Path, text: &str) -> String {
    for path in files(spool, ".seg") {
        let mut bytes = std::fs::read(&path).expect("it can be read");
        if let Some(at) = bytes.windows(text.len()).position(|window| window == text.as_bytes()) {
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).expect("it is ours");
            return path.file_name().and_then(|name| name.to_str()).expect("ours are UTF-8").to_owned();
        }
    }
    panic!("{text} is in no segment");
}

#[test]
fn a_damaged_record_costs_one_message_and_is_dealt_with_as_configured() {
    for corrupt in ["rename", "ignore", "unlink"] {
        let sink = Sink::start();
        let builder = Smtpd::relay_to(sink.port()).shards(1);
        let spool = builder.dir().join("spool");
        let block = format!("spool: {{path: \"{}\", corrupt: {corrupt}}}", spool.display());
        let builder = builder.server("phases: {eod: {hook: x}}").running(HOLD_ALL).replace_spool(&block);
        let server = builder.start();
        let mut client = Client::connect(server.port());
        for number in 0..MESSAGES {
            client.send("n@s.example", &[&format!("r{number:03}@a.example")], b"Subject: x\r\n\r\nx\r\n");
        }
        // Without an index, which a stop in order would write: the record itself is read back.
        let builder = server.kill();
        let segment = flip(&spool, "r050@a.example");
        let server = builder.start();
        server.wait_for_log(&segment);
        let line = server.log().into_iter().find(|line| line.contains(&segment)).expect("it was waited for");
        let done = match corrupt {
            "rename" => "copied to corrupt-",
            "ignore" => "left in place",
            _ => "dropped",
        };
        assert!(line.contains("damaged at ") && line.contains(done), "{corrupt}: {line}");
        let halonctl = Halonctl::of(&server.dir().join("smtpd.ctl"));
        let mut rows: Vec<Value> = Vec::new();
        let listed = wait_until(Duration::from_secs(60), || {
            let ended = halonctl.run(&["queue", "list", "--json"]);
            rows = serde_json::from_str(&ended.stdout).unwrap_or_default();
            ended.stderr.is_empty() && rows.len() == MESSAGES - 1
        });
        assert!(listed, "{corrupt}: {} rows\n{}", rows.len(), server.log().join("\n"));
        assert!(rows.iter().all(|row| row["recipient"] != "r050@a.example"));
        let aside =
            files(&spool, "").into_iter().filter(|path| path.to_string_lossy().contains("/corrupt-")).count();
        assert_eq!(aside, usize::from(corrupt == "rename"), "{corrupt}: {line}");
        let released = halonctl.run(&["queue", "update", "--all", "--active"]);
        assert_eq!(released.stdout, format!("{} messages affected\n", MESSAGES - 1), "{released:?}");
        assert_eq!(sink.wait_for(MESSAGES - 1).len(), MESSAGES - 1);
    }
}

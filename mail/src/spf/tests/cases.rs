//! Zones, and what checks against them come to: `cases.txt`, in the format of which its first lines tell.

use std::collections::HashMap;

use super::*;

type Zone = HashMap<String, Vec<(String, String)>>;

/// What the zone says; an alias is followed.
fn answer(zone: &Zone, question: &Question) -> Answer {
    let kind = match question.kind {
        Kind::Txt => "TXT",
        Kind::A => "A",
        Kind::Aaaa => "AAAA",
        Kind::Mx => "MX",
        Kind::Ptr => "PTR",
    };
    let mut name = question.name.clone();
    for _ in 0..10 {
        let Some(records) = zone.get(&name) else { return Answer::Nothing };
        let found: Vec<String> =
            records.iter().filter(|(other, _)| other == kind).map(|(_, value)| value.clone()).collect();
        if !found.is_empty() {
            return if found.iter().any(|value| value == "TIMEOUT") {
                Answer::Temporary
            } else {
                Answer::Records(found)
            };
        }
        if records.iter().any(|(other, _)| other == "TIMEOUT") {
            return Answer::Temporary;
        }
        let Some((_, target)) = records.iter().find(|(other, _)| other == "CNAME") else {
            return Answer::Nothing;
        };
        name = target.to_ascii_lowercase();
    }
    Answer::Nothing
}

fn run(zone: &Zone, ip: &str, helo: &str, sender: &str) -> Outcome {
    let mut check = Check::new(Identity {
        ip: ip.parse().unwrap(),
        helo: helo.to_owned(),
        sender: sender.to_owned(),
        receiver: "unknown".to_owned(),
        now: 1_800_000_000,
    });
    loop {
        match check.step() {
            Step::Done(outcome) => return outcome,
            Step::Ask(question) => check.answer(answer(zone, &question)),
        }
    }
}

/// Runs all cases; returns how many there were, and what failed.
fn run_cases(text: &str) -> (usize, Vec<String>) {
    let (mut zone, mut count, mut failed) = (Zone::new(), 0, Vec::new());
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        if line.starts_with("=== ") {
            zone.clear();
            continue;
        }
        let fields: Vec<String> = line
            .split('\t')
            .map(|field| field.replace("\\t", "\t").replace("\\n", "\n").replace("\\\\", "\\"))
            .collect();
        match fields.as_slice() {
            [marker, id, ip, helo, sender, expected, reason] if marker == ">" => {
                count += 1;
                let outcome = run(&zone, ip, helo, sender);
                let found = outcome.reason.as_deref().unwrap_or("DEFAULT");
                let reason_fits = reason == "-" || outcome.result != Result::Fail || reason == found;
                if !expected.split('|').any(|one| one == outcome.result.name()) || !reason_fits {
                    failed.push(format!("{id}: {outcome:?}, not {expected} {reason}"));
                }
            }
            [name, kind, value] => {
                zone.entry(name.to_ascii_lowercase()).or_default().push((kind.clone(), value.clone()));
            }
            _ => panic!("a line is a record or a case: {line}"),
        }
    }
    (count, failed)
}

#[test]
fn the_cases_of_the_table_hold() {
    let (count, failed) = run_cases(include_str!("cases.txt"));
    assert_eq!(failed, Vec::<String>::new());
    assert!(count > 50, "only {count} cases");
}

/// The test suite of openspf.org for RFC 7208, which `scripts/outside/install.sh` fetches: it is not ours to keep here.
#[test]
#[allow(clippy::disallowed_methods, reason = "a test reads its files")]
fn the_published_suite_of_rfc_7208_holds() {
    let program = std::env::current_exe().expect("a test has a program");
    let target = program.ancestors().nth(3).expect("target/debug/deps/program");
    let path = target.join("outside/rfc7208.txt");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            let why =
                format!("SKIPPED: {}: {error}; scripts/outside/install.sh fetches it\n", path.display());
            assert!(std::env::var("OUTSIDE").as_deref() != Ok("required"), "{why}");
            // Past what keeps the output of tests that pass.
            std::io::Write::write_all(&mut std::io::stderr(), why.as_bytes()).expect("there is an output");
            return;
        }
    };
    let (count, failed) = run_cases(&text);
    assert_eq!(failed, Vec::<String>::new());
    assert_eq!(count, 203);
}

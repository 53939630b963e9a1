//! The list of the acceptance cases (`acceptance.txt`) is complete, and what it names exists.

use std::collections::BTreeMap;
use std::path::Path;

const CASES: &str = include_str!("acceptance.txt");

/// The series of the reference, each with its last case.
const SERIES: [(&str, u32); 2] = [("HK", 63), ("OPS", 77)];

/// The files of cases.
const FILES: [(&str, &str); 3] = [
    ("halonctl.txt", include_str!("halonctl.txt")),
    ("hooks.txt", include_str!("hooks.txt")),
    ("queue_hooks.txt", include_str!("queue_hooks.txt")),
];

/// The text of all files below a folder.
fn texts(folder: &Path, ending: &str, out: &mut String) {
    for entry in std::fs::read_dir(folder).expect("it is in the repository") {
        let path = entry.expect("it is listed").path();
        if path.is_dir() {
            texts(&path, ending, out);
        } else if path.extension().is_some_and(|found| found == ending) {
            out.push_str(&std::fs::read_to_string(&path).expect("it is text"));
        }
    }
}

#[test]
fn each_acceptance_case_is_tested_or_left_out_for_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    texts(&root.join("tests"), "rs", &mut sources);
    texts(&root.join("../spool/tests"), "rs", &mut sources);
    let mut cases: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for line in CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut words = line.split(' ');
        let (case, kind) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let rest: Vec<&str> = words.collect();
        let (tested, skipped) = match kind {
            "test" => (1, 0),
            "skip" => (0, 1),
            _ => panic!("{line}: is neither tested nor skipped"),
        };
        assert!(!rest.is_empty(), "{line}: ends too early");
        let count = cases.entry(case).or_default();
        *count = (count.0 + tested, count.1 + skipped);
        for name in rest.iter().filter(|_| kind == "test") {
            let known = match FILES.iter().find(|(file, _)| file == name) {
                Some((_, cases)) => cases.lines().any(|line| line.starts_with("== ") && line.contains(case)),
                None => sources.contains(&format!("fn {name}()")),
            };
            assert!(known, "{line}: there is no {name}");
        }
    }
    for (series, last) in SERIES {
        for number in 1..=last {
            let case = format!("{series}{number:02}");
            let listed = cases.remove(case.as_str());
            assert!(matches!(listed, Some((1, 0) | (0, 1))), "{case}: {listed:?}");
        }
    }
    assert!(cases.is_empty(), "{cases:?}");
}

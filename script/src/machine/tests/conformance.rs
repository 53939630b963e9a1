//! The cases of hsl-language section 19.

use super::harness::{load, printed};

/// A case of the file.
struct Case {
    id: String,
    reject: bool,
    script: String,
    files: Vec<(String, String)>,
    output: Vec<String>,
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for part in text.split("\n=== ").skip(1) {
        let (head, body) = part.split_once('\n').expect("a case has a script");
        let (id, reject) = match head.strip_suffix(" reject") {
            Some(id) => (id, true),
            None => (head, false),
        };
        let mut sections = body.split("\n--- ");
        let script = sections.next().unwrap_or_default().trim_end_matches('\n').to_owned();
        let (mut files, mut output) = (Vec::new(), Vec::new());
        for section in sections {
            let (name, text) = section.split_once('\n').unwrap_or((section, ""));
            let text = text.trim_end_matches('\n');
            match name.strip_prefix("file ") {
                Some(name) => files.push((name.to_owned(), text.to_owned())),
                None => output = text.split('\n').map(str::to_owned).collect(),
            }
        }
        cases.push(Case { id: id.to_owned(), reject, script, files, output });
    }
    cases
}

fn check(text: &str, budget: u32) {
    let mut failures = Vec::new();
    for case in cases(text) {
        if case.reject {
            if load(&case.script, &case.files).is_ok() {
                failures.push(format!("{}: compiles", case.id));
            }
            continue;
        }
        let lines = match load(&case.script, &case.files) {
            Ok(_) => printed(&case.script, &case.files, budget),
            Err(messages) => messages,
        };
        if lines != case.output {
            failures.push(format!(
                "{}: {}\n   prints   {lines:?}\n   expected {:?}",
                case.id, case.script, case.output
            ));
        }
    }
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
}

const CASES: &str = include_str!("../../../tests/conformance.txt");

#[test]
fn the_conformance_cases_print_what_the_reference_says() {
    assert_eq!(cases(CASES).len(), 98);
    check(CASES, 1_000_000);
}

#[test]
fn they_print_the_same_when_every_step_is_interrupted() {
    check(CASES, 1);
}

const MORE: &str = include_str!("language.txt");

#[test]
fn more_of_the_language_works() {
    check(MORE, 1_000_000);
}

#[test]
fn more_of_the_language_works_when_every_step_is_interrupted() {
    check(MORE, 1);
}

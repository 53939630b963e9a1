//! Whole files through the loader. The cases are data: `tests/invalid.txt` and `tests/valid.txt`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::report::Report;
use crate::schema::File;
use crate::{Error, Loaded, Options, Reloadable, Scope, Source, check, load_files, load_startup_file};

mod corpus;
#[path = "../fuzz/checks.rs"]
mod fuzz_checks;
mod reference;
mod typed;

/// A case: its name, its files, and the lines that must come out.
struct Case<'a> {
    name: &'a str,
    sections: BTreeMap<&'a str, String>,
}

/// `=== name` begins a case, `--- section` a section of it; `#` at the start of a line before the first case is a comment.
fn cases(text: &str) -> Vec<Case<'_>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    let mut section = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("=== ") {
            cases.push(Case { name, sections: BTreeMap::new() });
        } else if let Some(case) = cases.last_mut() {
            if let Some(name) = line.strip_prefix("--- ") {
                section = name;
                case.sections.insert(name, String::new());
            } else if let Some(text) = case.sections.get_mut(section) {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    cases
}

const STARTUP: &str =
    "version: \"6.10\"\nservers:\n  - id: in\n    listeners: [{address: 127.0.0.1, port: 2525}]\n";
const RUNNING: &str = "version: \"6.10\"\nservers:\n  - id: in\n    transport: mx\n\
                       transportgroups:\n  - id: default\n    transports:\n      - id: mx\n";

impl Case<'_> {
    /// The file at `path`, or a good one where the case does not give it and it is required.
    fn read(&self, path: &Path) -> io::Result<String> {
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a file name");
        let given = self.sections.get(name).cloned();
        let default = match name {
            "smtpd" => Some(STARTUP.to_owned()),
            "smtpd-app" => Some(RUNNING.to_owned()),
            _ => None,
        };
        given.or(default).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn load(&self) -> Result<Loaded<Reloadable>, Vec<Error>> {
        let variables: BTreeMap<&str, &str> = self
            .sections
            .get("env")
            .map(|text| text.lines().filter_map(|line| line.split_once('=')).collect())
            .unwrap_or_default();
        let env = |name: &str| variables.get(name).map(|value| (*value).to_owned());
        let options =
            Options { env: self.sections.contains_key("env").then_some(&env), scope: Scope::Server };
        let read = |path: &Path| self.read(path);
        let startup = load_startup_file(Path::new("smtpd.yaml"), &read, &options)?;
        let mut files = load_files(&startup.value, &read, &options)?;
        files.warnings.splice(0..0, startup.warnings);
        Ok(files)
    }
}

fn lines(errors: &[Error]) -> String {
    errors.iter().map(|error| format!("{error}\n")).collect()
}

#[test]
fn each_invalid_configuration_gives_its_message() {
    let mut wrong = String::new();
    for case in cases(include_str!("tests/invalid.txt")) {
        let found = case.load().map_or_else(|errors| lines(&errors), |_| "(no error)\n".to_owned());
        let expected = case.sections.get("expect").expect("each case expects something");
        if found != *expected {
            wrong.push_str(&format!("=== {}\n--- expected\n{expected}--- found\n{found}\n", case.name));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn each_valid_configuration_gives_its_warnings_and_no_error() {
    let mut wrong = String::new();
    for case in cases(include_str!("tests/valid.txt")) {
        let found = match case.load() {
            Ok(files) => lines(&files.warnings),
            Err(errors) => format!("refused:\n{}", lines(&errors)),
        };
        let expected = case.sections.get("expect").cloned().unwrap_or_default();
        if found != expected {
            wrong.push_str(&format!("=== {}\n--- expected\n{expected}--- found\n{found}\n", case.name));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_key_of_the_rich_example_is_known() {
    let case = &cases(include_str!("tests/rich.txt"))[0];
    let options = Options { env: Some(&|_| Some("secret".to_owned())), ..Options::default() };
    for file in File::ALL {
        let text = &case.sections[file.file_name().trim_end_matches(".yaml")];
        let mut report = Report::new(file.source_name());
        let read = check::read(file, &Source { name: file.source_name(), text }, &options, &mut report);
        for error in report.loaded(read).err().unwrap_or_default() {
            assert!(error.text.ends_with("not supported yet by this version"), "{error}");
        }
    }
}

#[test]
fn case_names_are_unique() {
    let all = [include_str!("tests/invalid.txt"), include_str!("tests/valid.txt")];
    let mut names: Vec<&str> = all.into_iter().flat_map(cases).map(|case| case.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count > 60, "the files of cases are read");
}

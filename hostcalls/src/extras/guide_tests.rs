//! The examples of the page about modules say what it says.
#![allow(clippy::disallowed_methods, reason = "no engine runs here")]

use std::rc::Rc;
use std::sync::Arc;

use crate::on_engine::{TestLog, load, on_a_shard, result};
use crate::plugins::Plugins;
use crate::{Environment, Settings, bulk};

const GUIDE: &str = include_str!("../../../docs/hsl/extras.md");

/// Text and output of each example; without an output it is only compiled.
fn examples() -> Vec<(&'static str, Option<&'static str>)> {
    let texts = GUIDE.split("```hsl\n").skip(1).filter_map(|rest| rest.split_once("```\n"));
    let output = |rest: &'static str| Some(rest.strip_prefix("```text\n")?.split_once("```")?.0);
    texts.map(|(text, rest)| (text, output(rest))).collect()
}

/// What the page takes for granted: a queue, a database of addresses, and an address that is new.
fn settings(directory: &std::path::Path) -> Settings {
    let yaml = format!(
        "version: \"6.10\"\nplugins:\n  - id: http-bulk\n    config:\n      queues:\n        - {{id: events, path: {}, url: \"http://127.0.0.1:1/\"}}\n",
        directory.join("events").display()
    );
    let options = config::Options { scope: config::Scope::Scripts, ..config::Options::default() };
    let source = config::Source { name: "smtpd", text: &yaml };
    let startup = config::load_startup(&source, &options).expect("a good file").value;
    let geoip = directory.join("countries.mmdb");
    std::fs::write(&geoip, crate::plugins::test_database()).unwrap();
    let new = config::WarmUpAddress {
        ip: "192.0.2.17".parse().unwrap(),
        helo: None,
        class: "slow".into(),
        added: jiff::civil::Date::constant(2026, 3, 10),
    };
    let warm_up = config::WarmUp { addresses: vec![new], ..config::WarmUp::default() };
    let plugins = config::Plugins { geoip: Some(geoip), warm_up, ..startup.plugins };
    let plugins = Plugins::load(&plugins, &|path| std::fs::read(path), &mut |what| panic!("{what}"));
    Settings { plugins: Arc::new(plugins), ..Settings::default() }
}

/// Not what a script has echoed.
fn is_of_the_log(line: &str) -> bool {
    line.strip_prefix('<').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[test]
fn every_example_says_what_the_page_says() {
    let directory = tempfile::tempdir().unwrap();
    assert!(examples().len() >= 10, "{}", examples().len());
    on_a_shard(settings(directory.path()), |environment| async move {
        for (text, expected) in examples() {
            let log = Rc::new(TestLog::default());
            let environment =
                Environment::start(Arc::clone(&environment.settings), Rc::clone(&log) as Rc<dyn crate::Log>);
            bulk::attach(&environment);
            let Some(expected) = expected else {
                load(text);
                continue;
            };
            let returned = result(&environment, text).await;
            let said = log
                .lines
                .borrow()
                .iter()
                .filter(|line| !is_of_the_log(line))
                .fold(String::new(), |all, line| all + line + "\n");
            assert_eq!(said, expected, "{text}: {returned} {:?}", log.lines.borrow());
        }
    });
}

/// What an example imports has a section.
#[test]
fn every_example_stands_below_the_name_of_its_module() {
    for section in GUIDE.split("\n## ").skip(1) {
        let (name, text) = section.split_once('\n').unwrap();
        assert!(text.contains(&format!("from \"extras://{name}\"")), "{name} has no example");
    }
}

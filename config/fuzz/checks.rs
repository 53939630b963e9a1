//! What the fuzz target of the configuration checks, shared with the test that replays its corpus. Uses the public interface
//! only.
#![allow(dead_code, unreachable_pub)] // a module of several programs

use std::fmt::Debug;
use std::sync::LazyLock;

use config::{
    Error, Loaded, Options, Running, Scope, Source, Startup, load_client, load_delivery, load_policies,
    load_running, load_startup, load_suspends,
};

/// Most problems that a file may have, and the line that says how many are not shown.
const PROBLEMS_MAX: usize = 101;

const STARTUP: &str = r#"version: "6.10"
servers: [{id: in, listeners: [{address: 127.0.0.1, port: 2525}]}]
"#;

/// Names that other files can refer to.
const RUNNING: &str = r#"version: "6.10"
servers: [{id: in, transport: mx}]
transportgroups: [{id: g, transports: [{id: mx}, {id: other, connection: {server: a.example}}]}]
lists: {recipientdomain: {big: [a.example, "*.b.example", /c$/]}}
"#;

static BASE: LazyLock<(Startup, Running)> = LazyLock::new(|| {
    let options = Options::default();
    let startup =
        load_startup(&Source { name: "smtpd", text: STARTUP }, &options).expect("a good file").value;
    let running = load_running(&Source { name: "smtpd_app", text: RUNNING }, &startup, &options);
    let running = running.expect("a good file").value;
    (startup, running)
});

/// A byte that says which file it is, then its text: it is read, or each problem is one line about a place in the text, in the
/// order of the file, and not too many of them; and so again.
pub fn files(data: &[u8]) {
    let Some((&kind, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let source = Source { name: "file", text: &text };
    let (startup, running) = &*BASE;
    let env = |name: &str| (name != "UNSET").then(|| "5".to_owned());
    let scope = if kind & 0x10 == 0 { Scope::Server } else { Scope::Scripts };
    let options = Options { env: Some(&env), scope };
    match kind % 6 {
        0 => check(&text, || load_startup(&source, &options)),
        1 => check(&text, || load_running(&source, startup, &options)),
        2 => check(&text, || load_policies(&source, running, &options)),
        3 => check(&text, || load_suspends(&source, running, &options)),
        4 => check(&text, || load_delivery(&source, running, &options)),
        _ => check(&text, || {
            load_client(&source, &options).map(|value| Loaded { value, warnings: Vec::new() })
        }),
    }
}

fn check<T: Debug>(text: &str, load: impl Fn() -> Result<Loaded<T>, Vec<Error>>) {
    let loaded = load();
    let problems = match &loaded {
        Ok(loaded) => &loaded.warnings,
        Err(errors) => {
            assert!(!errors.is_empty(), "a refusal has a reason");
            errors
        }
    };
    assert!(problems.len() <= PROBLEMS_MAX);
    let lines = text.split('\n').count() as u32 + 1;
    for problem in problems {
        let shown = problem.to_string();
        assert!(!shown.chars().any(char::is_control), "one line that can be shown: {shown:?}");
        assert!(problem.line <= lines && (problem.line == 0) == (problem.column == 0), "{shown}");
    }
    let placed = problems.iter().filter(|problem| problem.line > 0);
    assert!(placed.is_sorted_by_key(|problem| (problem.line, problem.column)), "in the order of the file");
    assert_eq!(format!("{loaded:?}"), format!("{:?}", load()));
}

//! Where scripts stop for a debugger, and what it is shown.

use std::rc::Rc;

use crate::compile::{BreakPoints, CompileOptions, Predefined, SourceText, compile};
use crate::host::PendingCall;
use crate::limits::{SHOWN_VALUE_BYTES, SHOWN_VALUES_BYTES};
use crate::machine::{Context, Limits, Loaded, Range, Run, Stop};
use crate::syntax::tables;
use crate::value::Value;

use super::harness::{Files, LIBRARY, TestHost};

fn load(script: &str) -> Rc<Loaded> {
    let options = CompileOptions {
        predefined: vec![Predefined { name: "in".to_owned(), read_only: true }],
        break_points: BreakPoints::Allowed,
        ..CompileOptions::default()
    };
    let main = SourceText { name: "main".to_owned(), bytes: script.as_bytes().to_vec() };
    let module = "export".to_owned() + "ed";
    let text = "function exported($n) { __debug [\"t\", \"m\"] return $n * 2; }".to_owned();
    let files = [(module, text)];
    match compile(main, &mut Files(&files), &LIBRARY, &options) {
        Ok(compiled) => Loaded::new(&compiled.program),
        Err(found) => panic!("{script}: {}", tables::findings(&found.all, &found.sources)),
    }
}

/// The stops of a script, and how it ended.
fn run(script: &str, stage: Option<&str>) -> (Vec<Stop>, TestHost, Run) {
    let mut context = Context::new(&load(script), Limits::default());
    context.debug(stage.map(Rc::from));
    context.set("in", 5.into());
    let mut host = TestHost::default();
    let mut stops = Vec::new();
    loop {
        match context.run(&mut host, 1) {
            Run::Pending(PendingCall::Stop(stop)) => {
                stops.push(*stop);
                context.resume(Ok(Value::None));
            }
            Run::OutOfBudget => {}
            run => return (stops, host, run),
        }
    }
}

fn range(range: &Range) -> String {
    let Range { file, begin_line, begin_column, end_line, end_column } = range;
    format!("{file}:{begin_line}:{begin_column}-{end_line}:{end_column}")
}

/// A line for each stop, then what was printed, then how it ended.
fn told(script: &str) -> String {
    let (stops, host, run) = run(script, Some("t"));
    let mut lines: Vec<String> = stops
        .iter()
        .map(|stop| {
            let calls: Vec<_> = stop.calls.iter().skip(1).map(|call| &*call.function).collect();
            let within = if calls.is_empty() { String::new() } else { format!(" in {}", calls.join(", ")) };
            let at = stop.range.as_ref().map(range).unwrap_or_default();
            format!("[{}] {at}{within} {}", stop.id, stop.values)
        })
        .collect();
    lines.extend(host.printed.iter().map(|line| format!("prints {line}")));
    match run {
        Run::Done(_) => {}
        Run::Failed(error) => lines.push(format!("fails {error}")),
        other => lines.push(format!("{other:?}")),
    }
    lines.join("\n")
}

#[test]
fn scripts_stop_where_the_debugger_wants_and_at_errors() {
    tables::check(include_str!("stops.txt"), told);
}

#[test]
fn without_a_stage_all_breakpoints_count() {
    let (stops, ..) = run("__debug [\"other\", \"1\"] echo 1; __debug [\"\", \"2\"] echo 2;", None);
    assert_eq!(stops.iter().map(|stop| &*stop.id).collect::<Vec<_>>(), ["1", "2"]);
}

#[test]
fn nothing_stops_where_nobody_debugs() {
    let mut context = Context::new(&load("__debug [\"t\", \"1\"] throw 1;"), Limits::default());
    assert!(matches!(context.run(&mut TestHost::default(), 100), Run::Failed(_)));
}

#[test]
fn breakpoints_are_refused_where_no_debugger_may_look() {
    let main =
        SourceText { name: "main".to_owned(), bytes: b"echo 1;\n__debug [\"t\", \"1\"] echo 2;".to_vec() };
    let found = compile(main, &mut Files(&[]), &LIBRARY, &CompileOptions::default()).expect_err("refused");
    let told = tables::findings(&found.all, &found.sources);
    assert!(told.starts_with("2:20: error: breakpoints are only for a live stage"), "{told}");
}

/// A value that is larger than memory when it is written out must not be.
#[test]
fn what_is_shown_of_large_values_is_bounded() {
    let script = "$a = [1, 2, 3]; for ($i = 0; $i < 60; $i++) $a = [$a, $a]; $s = \"x\" * 1000000; \
                  $l = []; for ($i = 0; $i < 100000; $i++) $l[] = \"y\"; \
                  __debug [\"t\", \"1\"] echo 1;";
    let (stops, ..) = run(script, Some("t"));
    let values: serde_json::Value = serde_json::from_str(&stops[0].values).expect("it is JSON");
    for name in ["a", "s", "l"] {
        let shown = values[name]["value"].as_str().expect("a text");
        let _: serde_json::Value = serde_json::from_str(shown).expect("it is JSON");
        assert!(shown.len() < 2 * SHOWN_VALUE_BYTES, "{name}: {}", shown.len());
    }
    assert!(values["l"]["value"].as_str().is_some_and(|shown| shown.contains(" more\"]")));
    let many: String =
        (0..40).map(|n| format!("$v{n} = \"z\" * 15000; $w{n} = [$v{n}, $v{n}, $v{n}, $v{n}];")).collect();
    let (stops, ..) = run(&format!("{many} __debug [\"t\", \"1\"] echo 1;"), Some("t"));
    assert!(stops[0].values.len() < 2 * SHOWN_VALUES_BYTES, "{}", stops[0].values.len());
    assert!(stops[0].values.contains("\"w39\":"), "all are named");
}

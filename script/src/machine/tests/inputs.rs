//! Variables of the host: what scripts find in them, and what they leave.

use crate::compile::{CompileOptions, NoLoader, Predefined, SourceText, compile};
use crate::machine::{Context, Limits, Loaded, Run};
use crate::value::Value;

use super::harness::{LIBRARY, TestHost};

/// Runs a script with `$in` = 5, which is read-only, and `$context` = 1; gives how it ended and what `$context` is then.
fn run(script: &str) -> (Run, Option<Value>) {
    let predefined = |name: &str, read_only| Predefined { name: name.to_owned(), read_only };
    let options = CompileOptions {
        predefined: vec![predefined("in", true), predefined("context", false)],
        ..CompileOptions::default()
    };
    let main = SourceText { name: "main".to_owned(), bytes: script.as_bytes().to_vec() };
    let compiled = compile(main, &mut NoLoader, &LIBRARY, &options).expect("it is correct");
    let mut context = Context::new(&Loaded::new(&compiled.program), Limits::default());
    context.set("in", 5.into());
    context.set("context", 1.into());
    context.keep("context");
    let run = context.run(&mut TestHost::default(), 1_000);
    let kept = context.take_kept();
    (run, kept)
}

fn kept(script: &str) -> Option<f64> {
    run(script).1.map(|value| value.as_number().unwrap_or(-1.0))
}

#[test]
fn what_a_script_leaves_in_a_variable_of_the_host_can_be_had() {
    assert_eq!(kept("$context = 7; Accept();"), Some(7.0));
    assert_eq!(kept("$context = 7;"), Some(7.0));
    assert_eq!(kept("$context = $context + $in;"), Some(6.0));
    assert_eq!(kept("$context = 7; throw \"x\";"), Some(7.0));
    assert_eq!(kept("if ($context == 2) $context = 3;"), Some(1.0));
    assert_eq!(kept("unset($context);"), Some(-1.0), "none");
}

#[test]
fn a_function_that_decides_leaves_what_it_assigned() {
    assert_eq!(kept("function f() { global $context; $context = 7; Accept(); } f();"), Some(7.0));
    assert_eq!(
        kept("$f = function () { global $context; $context[\"a\"] = 7; Accept(); }; unset($context); $f();"),
        Some(-1.0)
    );
}

#[test]
fn a_variable_that_a_script_does_not_mention_is_neither_made_nor_kept() {
    assert_eq!(kept("Accept();"), None);
    let main = SourceText { name: "main".to_owned(), bytes: b"echo $in;".to_vec() };
    let predefined = vec![
        Predefined { name: "in".to_owned(), read_only: true },
        Predefined { name: "out".to_owned(), read_only: true },
    ];
    let options = CompileOptions { predefined, ..CompileOptions::default() };
    let loaded =
        Loaded::new(&compile(main, &mut NoLoader, &LIBRARY, &options).expect("it is correct").program);
    assert!(loaded.mentions("in") && !loaded.mentions("out"));
}

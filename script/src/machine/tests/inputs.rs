//! Variables of the host: what scripts find in them, and what they leave.

use crate::compile::{CompileOptions, NoLoader, Predefined, Reads, SourceText, compile};
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
    let loaded = Loaded::new(&compiled.program);
    let mut context = Context::new(&loaded, Limits::default());
    context.set("in", 5.into());
    context.set("context", 1.into());
    loaded.variable("context").into_iter().for_each(|variable| context.keep(variable));
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
    assert_eq!(reads("echo $out;"), None);
}

#[test]
fn a_renewed_context_knows_nothing_of_its_last_run_and_holds_nothing_of_it() {
    let script = "if (isset($mine)) echo \"left over\"; $mine = [$in];
        $f = function () closure ($in) { return $in; }; $out = $f(); while (isset($in[1])) {} if ($in) Accept($in);";
    let predefined = ["in", "out"].map(|name| Predefined { name: name.to_owned(), read_only: false });
    let options = CompileOptions { predefined: predefined.to_vec(), ..CompileOptions::default() };
    let main = SourceText { name: "main".to_owned(), bytes: script.as_bytes().to_vec() };
    let compiled = compile(main, &mut NoLoader, &LIBRARY, &options).expect("it is correct");
    let loaded = Loaded::new(&compiled.program);
    let mut context = Context::new(&loaded, Limits::default());
    let out = loaded.variable("out").expect("the script mentions it");
    // The last one stops before its end.
    for (text, budget) in [("one", 1_000), ("", 1_000), ("two", 0), ("three", 1_000)] {
        let given = crate::value::Array::from_list(vec![text.into()]);
        let given = if text.is_empty() { Value::None } else { given.into() };
        context.set("in", given.clone());
        context.keep(out);
        let mut host = TestHost::default();
        let run = context.run(&mut host, budget);
        assert!(host.printed.is_empty(), "{text}: {:?}", host.printed);
        match (text, run) {
            ("", Run::Done(_)) | ("two", Run::OutOfBudget) => {}
            (_, Run::Finished(decision)) => assert!(decision.arguments[0].strict_eq(&given).expect("short")),
            (_, other) => panic!("{text}: {other:?}"),
        }
        if budget > 0 {
            assert!(context.take_kept().expect("kept").strict_eq(&given).expect("short"));
        }
        context.renew();
        assert_eq!((context.steps(), context.take_kept().is_some()), (0, false));
        assert!(!matches!(&given, Value::Array(array) if array.is_shared()), "{text}: somebody holds it");
    }
}

/// What a script reads of `$in`: its members by their paths, `*` for all of one.
fn reads(script: &str) -> Option<String> {
    let predefined = ["in", "out"].map(|name| Predefined { name: name.to_owned(), read_only: true });
    let options = CompileOptions { predefined: predefined.to_vec(), ..CompileOptions::default() };
    let main = SourceText { name: "main".to_owned(), bytes: script.as_bytes().to_vec() };
    let compiled = compile(main, &mut NoLoader, &LIBRARY, &options).expect("it is correct");
    compiled.program.reads("in").map(shown)
}

fn shown(reads: &Reads) -> String {
    match reads {
        Reads::All => "*".to_owned(),
        Reads::Members(members) => {
            let members: Vec<_> =
                members.iter().map(|(name, reads)| format!("{name} {}", shown(reads))).collect();
            format!("({})", members.join(", "))
        }
    }
}

#[test]
fn members_by_constant_keys_are_read_alone() {
    for (script, expected) in [
        ("echo $in[\"a\"];", "(a *)"),
        (
            "echo $in[\"a\"][\"b\"] ?? $in[\"a\"][\"c\"]; if (isset($in[\"d\"][\"e\"])) echo 1;",
            "(a (b *, c *), d (e *))",
        ),
        ("echo $in[\"a\"][\"b\"] . $in[\"a\"];", "(a *)"),
        ("foreach ($in[\"a\"] as $x) echo $x[\"b\"];", "(a *)"),
        ("echo $in[\"a\"][0][\"b\"] . $in[\"c\"][\"7\"];", "(a *, c *)"),
        (
            "echo length($in[\"a\"]); $in[\"m\"]->f($in[\"s\"][1:2], $in[\"l\"][$in[\"k\"]]);",
            "(a *, m *, s *, l *, k *)",
        ),
        ("function f() { $in = []; return $in[\"z\"]; } f(); echo $in[\"a\"];", "(a *)"),
    ] {
        assert_eq!(reads(script).as_deref(), Some(expected), "{script}");
    }
}

#[test]
fn what_may_be_read_in_unknown_parts_is_read_whole() {
    for script in [
        "echo $in;",
        "$x = $in; echo $x[\"a\"];",
        "echo \"$in\";",
        "echo $in[\"a\"]; foreach ($in as $k => $v) echo $k;",
        "echo $in[\"a\"]; $k = \"b\"; echo $in[$k];",
        "echo $in[\"a\"]; echo isset($in);",
        "echo $in[\"a\"]; function f() { global $in; return $in[\"b\"]; } f();",
        "echo $in[\"a\"]; $f = function () closure ($in) { return $in[\"b\"]; }; $f();",
        "echo $in[\"a\"]; echo [...$in];",
        "echo $in[\"a\"]; echo ($in ?: 1);",
        "echo $in[0];",
    ] {
        assert_eq!(reads(script).as_deref(), Some("*"), "{script}");
    }
}

//! Runs scripts against the library. The vectors of the reference whose functions this crate has run here; the others run
//! where theirs are.

use crate::compile::{CompileOptions, NoLoader, SourceText, compile};
use crate::machine::{Context, Limits, Loaded, Run};
use crate::native::Library;
use crate::std::testing::StillHost;

/// Whose functions need files, messages, keys or the store: `hostcalls` and `hsh` run them.
const ELSEWHERE: &[&str] = &[
    "V020", "V026", "V097", "V098", "V099", "V100", "V101", "V102", "V103", "V104", "V105", "V106", "V107",
    "V108", "V109", "V110", "V111", "V112",
];

#[test]
fn vectors_of_the_reference_hold() {
    let library = Library::standard().build();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for line in include_str!("vectors.txt").lines().filter(|line| !line.starts_with('#')) {
        let (id, rest) = line.split_once(" | ").unwrap_or_else(|| panic!("{line}"));
        let (expression, expected) = rest.rsplit_once(" |").unwrap_or_else(|| panic!("{line}"));
        count += 1;
        let source = SourceText { name: id.to_owned(), bytes: format!("return {expression};").into_bytes() };
        match compile(source, &mut NoLoader, &library, &CompileOptions::default()) {
            Err(_) if ELSEWHERE.contains(&id) => {}
            Err(found) => wrong.push(format!("{id}: {:?}", found.all)),
            Ok(_) if ELSEWHERE.contains(&id) => wrong.push(format!("{id} can run here")),
            Ok(compiled) => {
                let found = run(&mut Context::new(&Loaded::new(&compiled.program), Limits::default()));
                if found != expected.trim().replace("\\r", "\r").replace("\\n", "\n") {
                    wrong.push(format!("{id}: {expression} is {found}, not {expected}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(count, 112);
}

fn run(context: &mut Context) -> String {
    match context.run(&mut StillHost::default(), u32::MAX) {
        Run::Done(value) if value.is_none() => "none".to_owned(),
        Run::Done(value) => value.to_text().unwrap().to_string_lossy().into_owned(),
        other => format!("{other:?}"),
    }
}

/// How a script ends under a memory limit.
fn limited(script: &str, memory_bytes: usize) -> Run {
    let source = SourceText { name: "main".to_owned(), bytes: script.as_bytes().to_vec() };
    let library = Library::standard().build();
    let compiled = compile(source, &mut NoLoader, &library, &CompileOptions::default()).unwrap();
    let limits = Limits { memory_bytes, ..Limits::default() };
    Context::new(&Loaded::new(&compiled.program), limits).run(&mut StillHost::default(), u32::MAX)
}

#[test]
fn results_that_grow_through_callbacks_count_against_the_memory_limit() {
    let script = r#"$big = "x" * 1000000;
        pcre_replace("a", function ($m) closure ($big) { return $big; }, "a" * 50);"#;
    assert!(matches!(limited(script, 100 << 20), Run::Done(_)));
    match limited(script, 16 << 20) {
        Run::Failed(error) => assert!(error.limit.is_some(), "{}", error.message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn yaml_pauses_and_calls_functions_for_tags() {
    let script = r#"
        $long = "";
        for ($i = 0; $i < 3000; $i += 1) $long .= "- !Double " . string($i) . "\n";
        $double = function ($data) { return $data * 2; };
        $list = yaml_decode($long, ["tags" => ["!Double" => $double]]);
        $fails = "no";
        try {
            yaml_decode("!Bad x", ["tags" => ["!Bad" => function ($data) { throw $data; }]]);
        } catch ($error) {
            $fails = $error;
        }
        return length($list) . " " . $list[2999] . " " . $fails;"#;
    let source = SourceText { name: "main".to_owned(), bytes: script.as_bytes().to_vec() };
    let library = Library::standard().build();
    let compiled = compile(source, &mut NoLoader, &library, &CompileOptions::default()).unwrap();
    let mut context = Context::new(&Loaded::new(&compiled.program), Limits::default());
    let mut pauses = 0;
    let value = loop {
        match context.run(&mut StillHost::default(), 500) {
            Run::OutOfBudget => pauses += 1,
            Run::Done(value) => break value,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(value.to_text().unwrap().to_string_lossy(), "3000 5998 x");
    assert!(pauses > 10, "{pauses}");
}

#[test]
fn functions_over_many_items_pause_and_give_what_they_would_have_given_at_once() {
    let many = "$n = range(1, 20000); $m = []; foreach ($n as $i) $m[\"k$i\"] = $i % 7;";
    for (call, result) in [
        ("length(array_keys($m))", "20000"),
        ("array_combine($n, $n)[20000]", "20000"),
        ("length(array_join($n, \",\"))", "108893"),
        ("length(implode(\",\", $n))", "108893"),
        ("array_reverse($n)[0]", "20000"),
        ("array_keys(array_reverse($m))[0]", "k20000"),
        ("length(array_shuffle($n))", "20000"),
        (
            "array_keys(array_unique($m))",
            "[0=>\"k1\",1=>\"k2\",2=>\"k3\",3=>\"k4\",4=>\"k5\",5=>\"k6\",6=>\"k7\"]",
        ),
        ("array_unique($n) === $n", "true"),
        ("in_array(20000, $n)", "true"),
        ("array_includes(\"x\", $n)", "false"),
        ("length(range(1, 20000)) + length(array_range(0, 20000))", "40000"),
        ("array_sort(function ($a, $b) { return $a > $b; }, range(1, 2000))[1999]", "2000"),
        ("array_keys(array_sort(function ($a, $b) { return $a > $b; }, range(1, 2000)))[0]", "1999"),
    ] {
        let script = format!("{many} $begun = true; return {call};");
        let source = SourceText { name: "main".to_owned(), bytes: script.into_bytes() };
        let library = Library::standard().build();
        let compiled = compile(source, &mut NoLoader, &library, &CompileOptions::default()).unwrap();
        let mut context = Context::new(&Loaded::new(&compiled.program), Limits::default());
        let mut pauses = 0;
        let value = loop {
            match context.run(&mut StillHost::default(), u32::MAX) {
                Run::OutOfBudget => pauses += 1,
                Run::Done(value) => break value,
                other => panic!("{call}: {other:?}"),
            }
        };
        assert_eq!(value.to_text().unwrap().to_string_lossy(), result, "{call}");
        // Making the array pauses once.
        assert!(pauses > 2, "{call}: {pauses} pauses");
    }
}

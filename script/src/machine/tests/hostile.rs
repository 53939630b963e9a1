//! Scripts that want too much: they end with an error, and nothing else happens.

use super::harness::{TestHost, load, run_with};
use crate::fault::{Fault, Limit};
use crate::machine::{Context, Limits, Run};

const SMALL: Limits = Limits { steps: 200_000, memory_bytes: 4 << 20, depth: 200 };

fn limit_of(script: &str) -> Option<Limit> {
    match run_with(script, &[], SMALL, 10_000) {
        (_, Run::Failed(error)) => error.limit,
        (_, run) => panic!("{script}: {run:?}"),
    }
}

#[test]
fn endless_scripts_exceed_their_steps() {
    let scripts = [
        "forever { }",
        "while (true) ;",
        "for (;;) { try { throw 1; } catch ($e) { } }",
        "$i = 0; while ($i < 1) $i = 0;",
        "function g() { forever yield 1; } foreach (g() as $v) { }",
        "function f() { try { f(); } catch ($e) { f(); } } f();",
        "forever { try { forever { } } catch ($e) { } }",
    ];
    for script in scripts {
        assert_eq!(limit_of(script), Some(Limit::Steps), "{script}");
    }
}

#[test]
fn greedy_scripts_exceed_their_memory() {
    let scripts = [
        "$s = \"x\"; forever { $s .= $s; }",
        "$a = []; forever { $a[] = [1, 2, 3]; }",
        "$a = []; for ($i = 0; ; $i++) { $a[\"k\" . $i] = $i; }",
        "class N { $next = none; } $n = none; forever { $m = N(); $m->next = $n; $n = $m; }",
        "$f = []; forever { $x = \"abcdefgh\" * 100; $f[] = function () closure ($x) { return $x; }; $f[] = $x; }",
        "function g() { $a = \"x\" * 1000; yield $a; } $g = []; forever { $h = g(); $h->next(); $g[] = $h; }",
        "$a = [[1]]; forever { $a = [$a, \"y\" * 1000]; }",
        "$s = \"x\" * 1000000; $a = []; forever { $a[] = $s . \"y\"; }",
        "$a = [1]; forever { $a = $a + $a; }",
        "$a = [1] * 10000; $l = []; forever { $c = $a; $c[0] = 2; $l[] = $c; }",
        "$a = [1] * 10000; $l = []; forever { $c = $a; $c[] = 2; $l[] = $c; }",
        "$a = [[1] * 10000]; $l = []; forever { $c = $a; $c[0][0] += 1; $l[] = $c; }",
        "$a = [\"k\" => 1] + [1] * 10000; $l = []; forever { $c = $a; $c[\"k\"] = 2; $l[] = $c; }",
        "$s = \"x\" * 100000; $l = []; forever { $t = $s; $t .= \"y\"; $l[] = $t; }",
        "class N { $v = none; } $n = N(); $n->v = \"x\" * 100000; $l = []; forever { $t = $n->v; $n->v .= \"y\"; $l[] = $t; }",
    ];
    for script in scripts {
        assert_eq!(limit_of(script), Some(Limit::Memory), "{script}");
    }
}

#[test]
fn garbage_is_not_counted() {
    let script = "$k = []; for ($i = 0; $i < 2000; $i++) { $s = \"x\" * 10000; $k[0] = [$s, $s . \"y\"]; } echo $k[0][1][:3];";
    let (printed, run) = run_with(script, &[], SMALL, 1000);
    assert!(matches!(run, Run::Done(_)), "{run:?}");
    assert_eq!(printed, ["xxx"]);
}

#[test]
fn huge_results_are_errors_that_can_be_caught() {
    let script = r#"
        foreach ([
            function () { return "x" * 1000000000000; },
            function () { return [1] * 1000000000000; },
            function () { return "%1000000000s" % ["a"]; },
        ] as $f) { try { $f(); echo "made"; } catch ($e) { echo "no"; } }
    "#;
    let (printed, _) = run_with(script, &[], Limits::default(), 1000);
    assert_eq!(printed, ["no", "no", "no"]);
}

#[test]
fn cycles_are_freed_with_the_context() {
    let script = "class N { $me = none; $f = none; } for ($i = 0; $i < 100; $i++) { $n = N(); $n->me = $n; \
                  $n->f = function () closure ($n) { return $n; }; }";
    let loaded = load(script, &[]).expect("the script compiles");
    let before = std::rc::Rc::strong_count(&loaded.home);
    let mut context = Context::new(&loaded, Limits::default());
    assert!(matches!(context.run(&mut TestHost::default(), 1_000_000), Run::Done(_)));
    drop(context);
    // Objects and functions hold the identity of their program.
    assert_eq!(std::rc::Rc::strong_count(&loaded.home), before);
}

#[test]
fn nesting_up_to_the_limit_compiles_on_a_small_stack() {
    let depth = crate::limits::MAX_NESTING as usize / 2 - 5;
    let wrap = |open: &str, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    let scripts = [
        format!("$x = 1; echo {};", wrap("(1 + ", "$x", ")")),
        format!("$x = [1]; echo {};", wrap("[", "$x", "]")),
        wrap("if (true) { ", "echo 1;", " }"),
        format!("$f = {}; echo 1;", wrap("function () { return ", "1", "; }")),
        format!("$x = 1; echo {};", wrap("($x ? ", "$x", " : 2)")),
        format!("$x = 1; function f($x) {{ return $x; }} echo {};", wrap("f([", "$x", "])")),
        format!("$x = 1; echo {};", wrap("match (1) { default => ", "$x", " }")),
        format!("$x = []; $y = {};", wrap("$x[", "1", "]")),
    ];
    let run = move || {
        for script in scripts {
            load(&script, &[]).unwrap_or_else(|messages| panic!("{script}: {messages:?}"));
        }
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(run).expect("a thread");
    thread.join().expect("the compiler fits into 2 MiB of stack");
}

#[test]
fn long_chains_are_no_problem() {
    let scripts = [
        format!("$x = 1; echo {}$x;", "$x + ".repeat(20_000)),
        format!("$x = 1; $y = {}$x;", "$x . ".repeat(20_000)),
        format!("$x = []; echo $x{} === none ? 1 : 2;", "[1]".repeat(20_000)),
        format!("$x = 1; if ({}$x) echo 1;", "$x and ".repeat(20_000)),
        format!("$x = none; echo {}5;", "$x ?? ".repeat(20_000)),
        format!("$x = [{}];", "1, ".repeat(20_000)),
        format!("$x = 1; {} echo 1;", "$x = $x + 1; ".repeat(20_000)),
        format!("function f(...$a) {{ return $a[2000]; }} $x = 1; echo f({}$x);", "$x, ".repeat(3_000)),
    ];
    for script in scripts {
        let (_, run) = run_with(&script, &[], Limits::default(), 1000);
        assert!(matches!(run, Run::Done(_)), "{}: {run:?}", &script[..60]);
    }
}

#[test]
fn a_script_can_be_stopped_while_it_runs() {
    let loaded = load("try { forever { } } catch ($e) { }", &[]).expect("the script compiles");
    let mut context = Context::new(&loaded, Limits::default());
    let mut host = TestHost::default();
    assert!(matches!(context.run(&mut host, 1000), Run::OutOfBudget));
    context.stop(Fault::limit(Limit::Time));
    match context.run(&mut host, 1000) {
        Run::Failed(error) => {
            assert_eq!(error.limit, Some(Limit::Time));
            assert_eq!(error.position.map(|place| place.line), Some(1));
        }
        run => panic!("{run:?}"),
    }
}

#[test]
fn an_idle_context_is_small() {
    let script = "$a = [1, \"x\"]; $i = 1; $i += 1; forever { $a[0] = $i; }";
    let loaded = load(script, &[]).expect("the script compiles");
    let mut context = Context::new(&loaded, Limits::default());
    assert!(matches!(context.run(&mut TestHost::default(), 5), Run::OutOfBudget));
    let bytes = crate::machine::memory::live_bytes(&context) + size_of::<Context>();
    assert!(bytes < 4096, "{bytes} bytes");
}

//! Instructions that do the work of two: each case takes the way that is common and the way that is not.

use super::harness::{printed, run_with};
use crate::machine::{Limits, Run};

fn check(cases: &[(&str, &[&str])]) {
    for (script, expected) in cases {
        for budget in [1_000_000, 1] {
            assert_eq!(printed(script, &[], budget), *expected, "{script}");
        }
    }
}

#[test]
fn remainders_jump_or_fail() {
    check(&[
        ("for ($i = 0; $i < 4; $i++) { if ($i % 2 == 1) echo $i; }", &["1", "3"]),
        ("for ($i = 0; $i < 4; $i++) { if ($i % 2 != 1) echo $i; }", &["0", "2"]),
        ("$n = -3; if ($n % 2 == -1) echo \"odd\"; else echo \"even\";", &["odd"]),
        ("$n = 0.5; $m = 0; if ($n % 2 == 0.5) $m = 1; echo $m;", &["1"]),
        ("$n = 5; try { if ($n % 0 == 1) echo \"?\"; } catch ($e) { echo \"caught\"; }", &["caught"]),
    ]);
}

#[test]
fn loops_end_where_they_should() {
    check(&[
        ("$n = 3; $s = 0; while ($n > 0) { $s += $n; $n -= 1; } echo $s;", &["6"]),
        ("$n = 0; while ($n <= 2) { $n += 1; } echo $n;", &["3"]),
        ("$n = 0; while ($n < 9 and $n != 4) { $n += 1; } echo $n;", &["4"]),
        ("$n = 0; while ($n < 3 or $n == 3) { $n += 1; } echo $n;", &["4"]),
        ("$n = 0; while (!($n >= 3)) { $n += 1; } echo $n;", &["3"]),
        ("$n = 0; while (true and $n < 2) { $n += 1; } echo $n;", &["2"]),
        // Nothing is greater or less than this.
        ("$n = 0 * pow(10, 400); $i = 0; while ($n + 1 < 2) { $i++; } echo $i;", &["0"]),
    ]);
}

#[test]
fn conditions_of_loops_cost_budget() {
    let limits = Limits { steps: 1000, ..Limits::default() };
    for script in [
        "$i = 0; while ($i < 1 and true) $i = 0;",
        "$i = 0; $x = \"\"; while ($i < 1 and $x == \"\") $i = 0;",
        "$i = 0; while (false or $i < 1) $i = 0;",
        "$i = 5; while ($i > 1 or $i < 0) { $i += 1; $i -= 1; }",
    ] {
        assert!(matches!(run_with(script, &[], limits, 10), (_, Run::Failed(_))), "{script}");
    }
}

#[test]
fn items_that_are_no_numbers_go_the_long_way() {
    let text =
        "try { $t = 0; foreach ([0, 1] as $i) { $t += $l[$i]; } echo $t; } catch ($e) { echo \"caught\"; }";
    let cases: Vec<(String, Vec<&str>)> =
        [("[1, 2]", "3"), ("[1, true]", "2"), ("[1, \"x\"]", "caught"), ("[1]", "caught")]
            .iter()
            .map(|(list, result)| (format!("$l = {list}; {text}"), vec![*result]))
            .collect();
    for (script, expected) in &cases {
        check(&[(script, expected)]);
    }
    check(&[
        ("$l = [1, 2, 3]; $t = 0; for ($i = 0; $i < 3; $i++) $t += $l[$i]; echo $t;", &["6"]),
        ("$m = [\"a\" => 1]; $t = 1; $t += $m[\"a\"]; echo $t;", &["2"]),
        ("$m = [\"a\" => 1]; $k = \"a\"; $t = 1; $t += $m[$k]; echo $t;", &["2"]),
        ("$m = [7 => 1]; $k = \"7\"; $t = 1; $t += $m[$k]; echo $t;", &["2"]),
        // The variable keeps its value, and is read again.
        ("$l = [5]; $i = 0; $x = $l[$i]; $t = 1; $t += $x; echo $t . $x;", &["65"]),
    ]);
}

#[test]
fn numbers_are_stored_into_lists_maps_and_what_is_shared() {
    check(&[
        ("$l = [0, 0]; for ($i = 0; $i < 2; $i++) $l[$i] = $i + 1; echo $l;", &["[0=>1,1=>2]"]),
        ("$l = []; for ($i = 0; $i < 3; $i++) $l[] = $i; echo $l;", &["[0=>0,1=>1,2=>2]"]),
        ("$l = [1]; $m = $l; for ($i = 0; $i < 2; $i++) $l[] = $i; echo $m;", &["[0=>1]"]),
        ("$l = [1]; $m = $l; for ($i = 0; $i < 1; $i++) $l[$i] = 9; echo $m;", &["[0=>1]"]),
        (
            "$m = [\"a\" => 1]; $n = $m; for ($i = 0; $i < 2; $i++) $m[\"a\"] = $i; echo $m; echo $n;",
            &["[\"a\"=>1]", "[\"a\"=>1]"],
        ),
        ("$m = []; for ($i = 0; $i < 2; $i++) $m[\"b\"] = $i; echo $m;", &["[\"b\"=>1]"]),
    ]);
}

#[test]
fn names_are_found_where_they_moved() {
    check(&[
        (
            "function get($m) { return $m[\"k\"]; } echo get([\"k\" => 1]); echo get([\"a\" => 0, \"k\" => 2]); echo get([\"a\" => 3]);",
            &["1", "2", ""],
        ),
        (
            "class A { function f() { return 1; } } class B { function f() { return 2; } }
             foreach ([A(), B(), A()] as $o) echo $o->f();",
            &["1", "2", "1"],
        ),
        (
            "class A { $x = 1; $y = 2; } class B { $y = 3; $x = 4; } $t = 0;
             foreach ([A(), B(), A()] as $o) { $o->y += 1; $t += $o->y; } echo $t;",
            &["10"],
        ),
        (
            "class A { private function f() { return 1; } function g($o) { return $o->f(); } } $a = A(); echo $a->g($a);
             try { $a->f(); } catch ($e) { echo \"private\"; }",
            &["1", "private"],
        ),
    ]);
}

#[test]
fn comparisons_of_arguments_take_numbers_or_fail() {
    check(&[
        (
            "function f($n) { if ($n < 2) return \"less\"; return \"not\"; } echo f(1); echo f(2);",
            &["less", "not"],
        ),
        (
            "function f($n) { if ($n > 2) return \"more\"; return \"not\"; } echo f(3); echo f(2);",
            &["more", "not"],
        ),
        (
            "function f($n) { if (2 <= $n) return \"yes\"; return \"no\"; } echo f(2); echo f(1);",
            &["yes", "no"],
        ),
        (
            "function f($n) { if ($n < 2) return 1; return 2; } try { f(\"x\"); } catch ($e) { echo \"caught\"; }",
            &["caught"],
        ),
    ]);
}

//! Inputs of a session.

use super::harness::{Files, LIBRARY, TestHost};
use crate::compile::SourceText;
use crate::machine::{Limits, ReplSession, Run};

/// What an input prints, then its value, error, or messages.
fn input(session: &mut ReplSession, number: usize, text: &str) -> Vec<String> {
    let source = SourceText { name: format!("input {number}"), bytes: text.as_bytes().to_vec() };
    let files = [("m".to_owned(), "$n = 1; function up() { global $n; $n += 1; return $n; }".to_owned())];
    let compiled = match session.input(source, &mut Files(&files)) {
        Ok(compiled) => compiled,
        Err(found) => {
            return found.all.iter().map(|diagnostic| diagnostic.headline(&found.sources)).collect();
        }
    };
    let mut host = TestHost::default();
    loop {
        let run = session.context().run(&mut host, 3);
        let mut lines = std::mem::take(&mut host.printed);
        match run {
            Run::OutOfBudget => host.printed = lines,
            Run::Done(value) => {
                if compiled.has_value {
                    let text = value.to_text().expect("the test prints small values");
                    lines.push(format!("= {}", text.to_string_lossy()));
                }
                return lines;
            }
            Run::Failed(error) => {
                lines.push(error.to_string());
                return lines;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_session_keeps_what_its_inputs_define() {
    let mut session = ReplSession::new(&LIBRARY, Limits::default());
    let inputs = [
        ("$x = 5;", &[][..]),
        ("$x + 1;", &["= 6"]),
        ("function f($a) { global $x; return $a + $x; }", &[]),
        ("f(10);", &["= 15"]),
        ("$x = 1; echo f(1);", &["2"]),
        ("$y + 1;", &["input 5:1:1: undefined variable $y"]),
        ("nope();", &["input 6:1:1: error: there is no function or class nope"]),
        ("$x .= ;", &["input 7:1:7: error: expected an expression, found `;`"]),
        ("class C { $v = 1; static $s = 3; function get() { return $this->v; } }", &[]),
        ("$c = C(); $c->v = 7; C::$s++;", &[]),
        ("$c->get() . C::$s;", &["= 74"]),
        ("function f($a) { return \"new\"; }", &[]),
        ("f(1);", &["= new"]),
        ("import { up, $n } from \"m\"; import * as m from \"m\";", &[]),
        ("up() . $n . m::$n;", &["= 222"]),
        ("$g = function () closure ($x) { $x .= \"!\"; return $x; }; $g();", &["= 1!"]),
        ("$x;", &["= 1!"]),
        ("throw \"out\";", &["input 17:1:1: out"]),
        ("for ($i = 0; $i < 9; $i++) { }", &[]),
        ("$i;", &["= 9"]),
    ];
    for (number, (text, expected)) in inputs.into_iter().enumerate() {
        assert_eq!(input(&mut session, number, text), expected, "{text}");
    }
}

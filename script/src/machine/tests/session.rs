//! Inputs of a session.

use super::harness::{Files, LIBRARY, TestHost, run_with};
use crate::compile::SourceText;
use crate::machine::{Limits, ReplSession, Run};
use crate::value::Value;

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

#[test]
fn the_literal_form_of_a_value_can_be_read_back() {
    let all: Vec<u8> = (0..=255).collect();
    let texts: [&[u8]; 9] = [
        b"",
        b"a$b",
        b"$_",
        b"${x}",
        b"5$ $5 $",
        b"two\nlines\t\"\\",
        &all,
        "e\u{301}\u{85}\u{9b}1m".as_bytes(),
        b"$\xff",
    ];
    let mut values: Vec<Value> = texts.iter().map(|text| Value::from(*text)).collect();
    values.push(Value::from(values.clone()));
    values.push(Value::from(vec![Value::None, true.into(), 1.5.into(), Value::from(values.clone())]));
    for value in values {
        let mut literal = Vec::new();
        value.write_literal(&mut literal).expect("small");
        let literal = String::from_utf8(literal).expect("it is UTF-8");
        assert!(!literal.contains(char::is_control), "{literal:?}");
        let (_, run) = run_with(&format!("return {literal};"), &[], Limits::default(), 1000);
        let Run::Done(read) = run else { panic!("{literal}: {run:?}") };
        assert!(read.strict_eq(&value).expect("small"), "{literal}");
    }
    let mut literal = Vec::new();
    Value::from("a$b, 5$\n\x1b").write_literal(&mut literal).expect("small");
    assert_eq!(String::from_utf8_lossy(&literal), r#""a\$b, 5$\n\x1b""#);
}

use proptest::prelude::*;

use super::super::testing::{StillHost, text};
use super::{NATIVES, decode};
use crate::fault::Fault;
use crate::native::{Call, Native, NativeRun, Next, Step};
use crate::value::{Array, Function, FunctionBuf, Value};

fn decoded(yaml: &str) -> Result<String, String> {
    decode(yaml.as_bytes()).map(|value| if value.is_none() { "none".into() } else { text(Ok(value)) })
}

/// Runs `yaml_decode` as the machine does; tells the value and how often it paused.
fn run(args: [Value; 2]) -> Result<(Value, usize), Fault> {
    let mut host = StillHost::default();
    let mut args = args;
    let NativeRun::Offloading { run: start, .. } = NATIVES[0].run else { panic!("yaml_decode calls back") };
    let (mut next, mut then) = match start(&mut Call::new(&NATIVES[0], None, &mut args, &mut host))? {
        Step::Return(value) => return Ok((value, 0)),
        Step::Begin(then) => (Next::Pause, then),
        Step::Call { function, args, then } => (Next::Call { function, args }, then),
        Step::Host { .. } | Step::Offload { .. } => panic!("it asks the host nothing"),
    };
    let mut pauses = 0;
    loop {
        let result = match next {
            Next::Return(value) => return Ok((value, pauses)),
            Next::Pause => {
                pauses += 1;
                Value::None
            }
            Next::Call { function, mut args } => {
                let FunctionBuf::Native(native) = function.as_function().unwrap().kind() else {
                    panic!("not a native")
                };
                let NativeRun::Inline(run) = native.run else { panic!("not inline") };
                run(&mut Call::new(native, None, &mut args, &mut host))?
            }
            Next::Host(_) | Next::Offload { .. } => panic!("it asks the host nothing"),
        };
        next = then.resume(result, &mut host)?;
    }
}

#[test]
fn documents_become_values() {
    let cases = [
        ("a: 1\nb:\n  - x\n  - {c: true, d: ~}\n", r#"["a"=>1,"b"=>[0=>"x",1=>["c"=>true,"d"=>none]]]"#),
        (
            "- 1\n- -2\n- 0x1f\n- 0o17\n- 1.5\n- 1e3\n- .5\n- 017\n",
            "[0=>1,1=>-2,2=>31,3=>15,4=>1.5,5=>1000,6=>0.5,7=>17]",
        ),
        ("[True, FALSE, null, Null, yes, No]", r#"[0=>true,1=>false,2=>none,3=>none,4=>"yes",5=>"No"]"#),
        ("['1', \"2\", '~', 1a, 1.2.3, +, .]", r#"[0=>"1",1=>"2",2=>"~",3=>"1a",4=>"1.2.3",5=>"+",6=>"."]"#),
        ("[.inf, -.INF, +.inf]", "[0=>inf,1=>-inf,2=>inf]"),
        ("1: a\n\"2\": b\n1.5: c\ntrue: d\n~: e\n", r#"[1=>"a",2=>"b","1.5"=>"c","true"=>"d","~"=>"e"]"#),
        ("? [a, b]\n: c\n", r#"[array=>"c"]"#),
        ("a: |\n  one\n  two\nb: >-\n  one\n  two\n", "[\"a\"=>\"one\ntwo\n\",\"b\"=>\"one two\"]"),
        (
            "a: &x [1, 2]\nb: *x\nc: &x 3\nd: *x\n",
            "[\"a\"=>[0=>1,1=>2],\"b\"=>[0=>1,1=>2],\"c\"=>3,\"d\"=>3]",
        ),
        (
            "[!!str 1, !!int \"7\", !!float 1, !!null \"\", !!bool 'true', ! 1, !x 1, !x '1']",
            r#"[0=>"1",1=>7,2=>1,3=>none,4=>true,5=>"1",6=>1,7=>"1"]"#,
        ),
        ("a: 1\na: 2\n", r#"["a"=>2]"#),
        ("--- a\n--- b\n", "a"),
        ("---\na: 1\n...\n", r#"["a"=>1]"#),
        ("%YAML 1.2\n---\nx", "x"),
        ("# comment\nx # y", "x"),
        ("\u{feff}x", "x"),
        ("", "none"),
        ("# nothing", "none"),
        ("å: \"\\u00e5\\n\"", "[\"å\"=>\"å\n\"]"),
    ];
    for (yaml, expected) in cases {
        assert_eq!(decoded(yaml).map(|found| found.replace("\\n", "\n")).as_deref(), Ok(expected), "{yaml}");
    }
}

#[test]
fn malformed_documents_are_errors() {
    for yaml in ["[", "{", "a: b: c", "*x", "a: &x [*x]", "\"", "!!int x", "!!bool 1", "- a\nb", "@a", "%"] {
        assert!(decoded(yaml).is_err(), "{yaml}: {:?}", decoded(yaml));
    }
    assert!(decode(b"\xff").is_err());
    assert!(run(["[".into(), Value::None]).unwrap().0.is_none());
    assert!(run([(&b"\xff"[..]).into(), Value::None]).unwrap().0.is_none());
}

#[test]
fn aliases_do_not_multiply_without_bound() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let alias = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
    }
    assert!(decoded(&bomb).unwrap_err().contains("nodes"));
}

#[test]
fn nesting_is_bounded() {
    for open in ["[", "{a: ", "- "] {
        assert!(decoded(&open.repeat(100_000)).is_err());
    }
    let deep = "[".repeat(190) + &"]".repeat(190);
    assert!(decode(deep.as_bytes()).unwrap().freeze().is_ok());
}

#[test]
fn a_long_text_pauses() {
    let long = "- x\n".repeat(5000);
    let (value, pauses) = run([long.into(), Value::None]).unwrap();
    assert_eq!(value.as_array().unwrap().len(), 5000);
    assert!(pauses > 20, "{pauses}");
}

#[test]
fn tags_call_functions() {
    static LENGTH: Native =
        Native::inline("length", "", (1, Some(1)), "", |call| Ok(Value::from(call.array(0)?.len())));
    static SHOUT: Native = Native::inline("shout", "", (1, Some(1)), "", |call| {
        Ok(Value::from(format!("{}!", call.arg(0).to_text()?.to_string_lossy())))
    });
    let mut tags = Array::new();
    tags.set_str("!Length", Value::from(Function::new(FunctionBuf::Native(&LENGTH))));
    tags.set_str("!Shout", Value::from(Function::new(FunctionBuf::Native(&SHOUT))));
    tags.set_str("!Text", "no function");
    let mut options = Array::new();
    options.set_str("tags", tags);
    let cases = [
        ("!Length [1, 2]", "2"),
        ("!Shout 5", "5!"),
        (
            "a: !Shout b\nc: [!Length {d: !Shout e}, !Other f, !Text g]",
            r#"["a"=>"b!","c"=>[0=>1,1=>"f",2=>"g"]]"#,
        ),
        ("!Shout k: v", r#"["k!"=>"v"]"#),
        ("[&x !Shout a, *x]", r#"[0=>"a!",1=>"a!"]"#),
    ];
    for (yaml, expected) in cases {
        assert_eq!(
            text(run([yaml.into(), options.clone().into()]).map(|(value, _)| value)),
            expected,
            "{yaml}"
        );
    }
    assert!(run(["!Length x".into(), options.into()]).is_err());
}

proptest! {
    #[test]
    fn json_is_yaml(text in r#"(\[|\]|\{|\}|"[a-c]{0,2}"|: |, |[0-9]{1,2}|true|null){0,12}"#) {
        if let Ok(value) = super::super::json::decode(text.as_bytes(), false) {
            let found = decode(text.as_bytes());
            prop_assert_eq!(found.map(|value| value.to_text().unwrap()), Ok(value.to_text().unwrap()));
        }
    }

    #[test]
    fn any_text_ends(text in "[\\[\\]{}:,&*!|>?#%@`'\"a0~ \\-\\n\\t]{0,30}") {
        let _ = decode(text.as_bytes());
    }
}

use super::*;
use crate::native::NativeRun;
use crate::std::driver::call;
use crate::std::testing::StillHost;

#[test]
fn a_pattern_that_backtracks_without_end_fails_quickly() {
    for pattern in ["(a+)+$", "(a|aa)+$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(?:a?){40}a{40}", "(*NO_JIT)(a+)+$"]
    {
        let subject = "a".repeat(5000) + "!";
        match Pattern::parse(pattern.as_bytes()).unwrap().is_match(subject.as_bytes()) {
            Ok(matched) => assert!(!matched || pattern.starts_with("(?:"), "{pattern}"),
            Err(fault) => assert!(fault.to_string().contains("gave up"), "{pattern}: {fault}"),
        }
    }
}

#[test]
fn bad_patterns_are_errors_that_show_the_pattern() {
    let fault = Pattern::parse(b"a(b").unwrap_err().to_string();
    assert!(fault.starts_with("bad regular expression \"a(b\": "), "{fault}");
    assert!(Pattern::parse(&[b'a'; 1 << 20]).is_err());
    assert!(Pattern::parse(b"((a{1000}){1000}){1000}").is_err());
    assert!(Pattern::compile(b"a", b"q").is_err());
    assert!(Pattern::parse(b"/\xff/u").is_err());
    assert!(Pattern::parse(b"/\\y/X").is_err());
}

#[test]
fn patterns_and_subjects_may_be_any_bytes() {
    assert!(Pattern::parse(b"^\xff[\xfe\xc3]\\\xfd$").unwrap().is_match(b"\xff\xfe\xfd").unwrap());
    assert!(Pattern::parse("^é$".as_bytes()).unwrap().is_match("é".as_bytes()).unwrap());
    assert!(Pattern::parse(b"/a/u").unwrap().is_match(b"\xff\xffa\xff").unwrap());
    assert!(Pattern::parse(b"a\0b").unwrap().is_match(b"xa\0b").unwrap());
}

#[test]
fn odd_matches_neither_panic_nor_loop() {
    for pattern in ["a\\K", "(?=a)", "^", "$", "\\b", "(?<=a)", "x*", "\\Kb?", "(?|(a)|(b))"] {
        for name in ["pcre_match", "pcre_match_all"] {
            call(name, vec![pattern.into(), "aab\u{e9}a".into()]).unwrap();
        }
        call("pcre_replace", vec![pattern.into(), "<$1>".into(), "aab\u{e9}a".into()]).unwrap();
    }
}

#[test]
fn the_cache_forgets_old_patterns() {
    let mut cache = PatternCache::default();
    for round in 0..300 {
        assert!(
            cache
                .get(&format!("^{round}$").as_str().into())
                .unwrap()
                .is_match(round.to_string().as_bytes())
                .unwrap()
        );
    }
    assert!(cache.len() <= crate::limits::MAX_CACHED_PATTERNS);
}

#[test]
fn compiled_patterns_cross_threads_as_constants() {
    let frozen = Pattern::compile(b"^ab+$", b"i").unwrap().into_value().freeze().unwrap();
    let value = Value::from_frozen(&frozen);
    assert!(Pattern::of(&value).unwrap().is_match(b"ABB").unwrap());
}

/// Steps of single characters are not counted in machine code, and PCRE2 counts anew at each position.
#[test]
fn a_pattern_that_looks_ahead_far_from_everywhere_fails_quickly() {
    for pattern in ["(?=.*.*x)", "(?=(.*).*\\1x)", "/(?=.*.*.*.*x)/u"] {
        for bytes in [1_000, 10_000] {
            match Pattern::parse(pattern.as_bytes()).unwrap().is_match("a".repeat(bytes).as_bytes()) {
                Ok(matched) => assert!(!matched && bytes == 1_000, "{pattern}"),
                Err(fault) => assert!(fault.to_string().contains("gave up"), "{pattern}: {fault}"),
            }
        }
    }
}

/// What needs a character that is not there was refused, because the search for it was given up.
#[test]
fn a_text_without_what_any_match_needs_is_told_at_once() {
    for pattern in ["/.*.*x/s", "(a+)+b", "a*a*a*a*b", "^(a|aa)+b", "/(.)*x/u"] {
        let pattern = Pattern::parse(pattern.as_bytes()).unwrap();
        for bytes in [6_000, 300_000] {
            assert!(!pattern.is_match("a".repeat(bytes).as_bytes()).unwrap());
        }
    }
}

#[test]
fn patterns_that_take_long_for_long_texts_still_find_what_is_there() {
    let mut text = "Received: by mx.example (x)\r\n".repeat(3000);
    text.push_str("Subject: here it is\r\nX: \u{e9}\r\n");
    for (pattern, groups) in [
        ("/^Subject: *(.*?) *\\r$/m", vec!["Subject: here it is\r", "here it is"]),
        ("/(here) .*(is)/i", vec!["here it is", "here", "is"]),
        ("/(?<=Subject:\\ )(h)\\w+ # a comment/x", vec!["here", "h"]),
        ("/X: (.)\\r/u", vec!["X: \u{e9}\r", "\u{e9}"]),
    ] {
        let found = call("pcre_match", vec![pattern.into(), text.as_str().into()]).unwrap();
        let expected: Vec<Value> = groups.into_iter().map(Value::from).collect();
        assert!(found.strict_eq(&expected.into()).unwrap(), "{pattern}: {found:?}");
    }
}

#[test]
fn a_match_that_is_counted_is_the_match_of_machine_code() {
    let atoms =
        ["a", "b", ".", "\\b", "[ab]", "(a)", "(?:b|ab)", "^", "$", "a*", "b+?", "(?=b)", "(?<=a)", "\\1"];
    let mut state = 7_u32;
    let mut draw = |most: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize % most
    };
    for round in 0..2000 {
        let body: String = (0..1 + draw(5)).map(|_| atoms[draw(atoms.len())]).collect();
        let flags = ["", "i", "m", "s", "u", "x", "U", "mU"][draw(8)];
        let Ok(pattern) = Pattern::compile(body.as_bytes(), flags.as_bytes()) else { continue };
        let subject: String = (0..draw(12)).map(|_| ["a", "b", "A", "\n", "\u{e9}"][draw(5)]).collect();
        let [machine, counted] = pattern.both_ways(subject.as_bytes());
        assert_eq!(machine.unwrap(), counted.unwrap(), "{round}: /{body}/{flags} on {subject:?}");
    }
}

/// A pattern whose repeats give nothing back took 2.5 s on a shard, since a step can be as long as the text.
#[test]
fn a_repeat_that_gives_nothing_back_is_counted_character_by_character() {
    let subject = "a".repeat(65_000) + "-0";
    let fault = Pattern::parse(b"[a-z]+0").unwrap().is_match(subject.as_bytes()).unwrap_err();
    assert!(fault.to_string().contains("gave up"), "{fault}");
}

#[test]
fn encoded_lines_are_searched_to_their_end() {
    let body =
        ("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3\r\n").repeat(800);
    let address = body + "<kim@example.org>";
    for pattern in ["/\\w+@\\w+/", "/[A-Za-z0-9]+@([a-z.]+)/"] {
        assert!(
            Pattern::parse(pattern.as_bytes()).unwrap().is_match(address.as_bytes()).unwrap(),
            "{pattern}"
        );
    }
}

#[test]
fn a_shard_leaves_what_takes_long_to_another_thread() {
    let long = |unit: &str, bytes: usize| unit.repeat(bytes / unit.len());
    let cases = [
        ("nowhere", long("a", 65_000), true),
        ("nowhere", long("a", 66_000), false),
        ("^From: (\\w\\w) ", long("a", 1 << 20), true),
        ("[a-z]+0", long("a", 360), true),
        ("[a-z]+0", long("a", 600), false),
        ("/[a-z]+0/u", long("a", 300) + "-0", false),
        ("[a-z]+.*[01]", long("a", 70), true),
        ("[a-z]+.*[01]", long("a", 100), false),
        ("(a+)+[01]", long("a", 11), true),
        ("^(?:\\d{1,3}\\.){3}\\d{1,3}$", "192.168.100.200".to_owned(), true),
        ("^([a-z0-9-]+\\.)+[a-z]{2,}$", long("mail.example.", 120) + "org", true),
        ("^([a-z0-9-]+\\.)+[a-z]{2,}$", long("mail.example.", 600) + "org", false),
        ("(a+)+[01]", long("a", 20), false),
        ("((?:a|a)+)+$", long("a", 11) + "-", false),
        ("^[ab]{1,16}[ab]{1,16}[ab]{1,16}[ab]{1,16}[bc]", long("a", 128) + "-c", false),
        ("^[ab]{1,16}[ab]{1,16}[ab]{1,16}[bc]", long("a", 128) + "-c", true),
    ];
    for (pattern, subject, on_a_shard) in cases {
        let parsed = Pattern::parse(pattern.as_bytes()).unwrap();
        let found = parsed.matches_inline(subject.as_bytes());
        assert_eq!(found.is_some(), on_a_shard, "{pattern} on {} bytes", subject.len());
        let groups = &mut parsed.groups();
        assert_eq!(parsed.find_inline(groups, subject.as_bytes(), 0), found, "{pattern}");
        assert!(found.is_none_or(|found| found == parsed.is_match(subject.as_bytes()).unwrap()), "{pattern}");
    }
}

#[test]
fn many_matches_or_a_long_result_are_made_elsewhere() {
    let is_offloaded = |name: &str, mut args: Vec<Value>| {
        let native = NATIVES.iter().find(|native| native.name == name).unwrap();
        let NativeRun::Offloading { run, .. } = native.run else { panic!("{name} never goes elsewhere") };
        let step = run(&mut Call::new(native, None, &mut args, &mut StillHost::default())).unwrap();
        matches!(step, Step::Offload { .. })
    };
    let (few, many) = (Value::from("ab".repeat(100)), Value::from("ab".repeat(1000)));
    let template = Value::from("x".repeat(10_000));
    for (name, args, elsewhere) in [
        ("pcre_match", vec!["a(b)".into(), many.clone()], false),
        ("pcre_match_all", vec!["a(b)".into(), few.clone()], false),
        ("pcre_match_all", vec!["a(b)".into(), many.clone()], true),
        ("pcre_replace", vec!["a(b)".into(), "x".into(), few.clone()], false),
        ("pcre_replace", vec!["a(b)".into(), "x".into(), many.clone()], true),
        ("pcre_replace", vec!["a(b)".into(), "x".into(), many, 100.into()], false),
        ("pcre_replace", vec!["a(b)".into(), template, few], true),
    ] {
        assert_eq!(is_offloaded(name, args), elsewhere, "{name}");
    }
}

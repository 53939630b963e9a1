use super::*;
use crate::std::driver::call;

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

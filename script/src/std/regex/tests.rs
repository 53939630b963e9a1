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

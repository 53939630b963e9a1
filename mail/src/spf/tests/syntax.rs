use crate::spf::macros::{MacroString, Values};

/// The values of the examples in RFC 7208, section 7.4.
struct Example(&'static str);

impl Values for Example {
    type Error = ();

    fn value(&mut self, letter: u8) -> Result<Option<String>, ()> {
        let value = match letter {
            b's' => "strong-bad@email.example.com",
            b'l' => "strong-bad",
            b'o' | b'd' => "email.example.com",
            b'i' => self.0,
            b'v' if self.0.contains('b') => "ip6",
            b'v' => "in-addr",
            _ => return Ok(None),
        };
        Ok(Some(value.to_owned()))
    }
}

#[test]
fn the_macros_of_the_standard_expand_as_there() {
    let cases = [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
    ];
    for (text, expected) in cases {
        let expanded = MacroString::parse_domain(text).unwrap().expand(&mut Example("192.0.2.3"));
        assert_eq!(expanded.as_deref(), Ok(expected), "{text}");
    }
    let text = MacroString::parse_domain("%{ir}.%{v}._spf.%{d2}").unwrap();
    let expected = "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com";
    let address = "2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.c.b.0.1";
    assert_eq!(text.expand(&mut Example(address)).as_deref(), Ok(expected));
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_record_or_not(text in "(v=spf1 )?[a-z:/=%{}0-9.é -]{0,40}") {
        if super::super::record::is_spf(&text) {
            let _ = super::super::record::Record::parse(&text);
        }
        let _ = MacroString::parse_explanation(&text);
    }

    #[test]
    fn any_records_give_a_result(texts in proptest::collection::vec("v=spf1( (include|redirect|a|mx|ptr|exists|exp)[:=](a|%\\{[a-z]\\})\\.b){0,4}", 1..4)) {
        let identity = super::Identity {
            ip: "192.0.2.1".parse().unwrap(),
            helo: "a.b".into(),
            sender: "x@a.b".into(),
            receiver: String::new(),
            now: 0,
        };
        let mut check = super::Check::new(identity);
        let mut steps = 0;
        while let super::Step::Ask(_) = check.step() {
            check.answer(super::Answer::Records(vec![texts[steps % texts.len()].clone()]));
            steps += 1;
            proptest::prop_assert!(steps <= crate::limits::MAX_SPF_QUESTIONS);
        }
    }
}

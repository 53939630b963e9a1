//! Operators against plain models, for random operands.

use proptest::prelude::*;

use super::*;
use crate::std::driver::call;
use crate::value::Array;

/// A slice by the definition: walk from the first position to before the last, within the text.
fn naive_slice(text: &str, first: Option<i64>, last: Option<i64>, step: i64) -> String {
    let length = text.len() as i64;
    let from_end = |position: i64| if position < 0 { position + length } else { position };
    let (start, end) = if step > 0 {
        (first.map_or(0, from_end).max(0), last.map_or(length, from_end).min(length))
    } else {
        (first.map_or(length - 1, from_end).min(length - 1), last.map_or(-1, |last| from_end(last).max(-1)))
    };
    let mut out = String::new();
    let mut at = start;
    while (step > 0 && at < end) || (step < 0 && at > end) {
        out.push(char::from(text.as_bytes()[at as usize]));
        at += step;
    }
    out
}

fn text(result: Result<Value, Fault>) -> String {
    result.unwrap().to_text().unwrap().to_string_lossy().into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slices_follow_their_definition(
        subject in "[a-z]{0,9}",
        first in prop::option::of(-12i64..12),
        last in prop::option::of(-12i64..12),
        step in prop_oneof![-4i64..0, 1i64..5],
    ) {
        let expected = naive_slice(&subject, first, last, step);
        let found = slice(&subject.as_str().into(), &first.into(), &last.into(), &step.into());
        prop_assert_eq!(text(found), expected.clone());
        // What a slice takes out and what is left are the whole.
        let letters: Array = subject.chars().map(|letter| Value::from(letter.to_string())).collect();
        let mut rest = Value::from(letters);
        let some = unset_slice(&mut rest, &first.into(), &last.into(), &step.into()).unwrap();
        prop_assert_eq!(some, !expected.is_empty());
        prop_assert_eq!(rest.as_array().unwrap().len() + expected.len(), subject.len());
    }

    #[test]
    fn assigned_slices_replace_what_a_slice_reads(
        size in 0i64..9, first in prop::option::of(-12i64..12), last in prop::option::of(-12i64..12), new in 0i64..4,
    ) {
        let mut target: Value = (0..size).map(Value::from).collect::<Array>().into();
        let new: Array = (0..new).map(|at| Value::from(100 + at)).collect();
        let read = slice(&target, &first.into(), &last.into(), &Value::None).unwrap();
        let read = read.as_array().unwrap().len();
        assign_slice(&mut target, &first.into(), &last.into(), &new.clone().into()).unwrap();
        let target = target.as_array().unwrap();
        prop_assert_eq!(target.len(), size as usize - read + new.len());
        let kept = target.values().filter(|value| value.as_number() < Some(100.0)).count();
        prop_assert_eq!(kept, size as usize - read);
        prop_assert!(target.is_list());
    }

    #[test]
    fn integers_wrap_as_two_to_the_32nd(number in prop_oneof![-1e18f64..1e18, -1e30f64..1e30, -1e10f64..1e10]) {
        let expected = number.trunc() as i128 as u128 as u32 as i32;
        prop_assert_eq!(to_int32(number), expected);
    }

    #[test]
    fn joined_parts_of_a_split_are_the_whole(subject in "[ab:]{0,12}", delimiter in "[b:]{1,2}", limit in -4i64..5) {
        let args = vec![subject.as_str().into(), delimiter.as_str().into(), limit.into()];
        let parts = call("str_split", args).unwrap();
        let count = parts.as_array().unwrap().len() as u64;
        prop_assert!(count >= 1 && (limit == 0 || count <= limit.unsigned_abs()));
        prop_assert_eq!(text(call("array_join", vec![parts, delimiter.as_str().into()])), subject);
    }

    #[test]
    fn no_template_panics(template in "[%\\[\\]0-9'<>^=.sfxcb\\- ]{0,12}", number in any::<f64>()) {
        let values = Value::from(vec![Value::from(number), "text".into(), Value::None]);
        let _ = rem(&template.as_str().into(), &values);
    }

    #[test]
    fn no_pattern_panics(pattern in "[ab()\\[\\]*+?{}|^$.\\\\12,:=!<>/iuxK]{0,14}", subject in "[ab\n\u{e9}]{0,10}") {
        for name in ["pcre_match", "pcre_match_all"] {
            let _ = call(name, vec![pattern.as_str().into(), subject.as_str().into()]);
        }
        let _ = call("pcre_replace", vec![pattern.as_str().into(), "<$0$1$12>".into(), subject.as_str().into()]);
        // A quoted text matches itself.
        let quoted = text(call("pcre_quote", vec![pattern.as_str().into()]));
        let whole = format!("^{quoted}\\z");
        let found = call("pcre_match", vec![whole.into(), pattern.as_str().into()]).unwrap();
        prop_assert!(found.truthy(), "{quoted}");
    }
}

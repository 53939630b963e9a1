use proptest::prelude::*;

use super::super::testing::{call, text};
use crate::value::Value;

fn packed<const N: usize>(args: [Value; N]) -> Option<Vec<u8>> {
    call("pack", args).unwrap().as_bytes().map(<[u8]>::to_vec)
}

fn unpacked(format: &str, data: &[u8]) -> Option<String> {
    let value = call("unpack", [format.into(), data.into()]).unwrap();
    if value.is_none() { None } else { Some(text(Ok(value))) }
}

#[test]
fn arguments_become_bytes() {
    let cases: [(&str, Value, &[u8]); 22] = [
        ("a", "xy".into(), b"x"),
        ("a4", "xy".into(), b"xy\0\0"),
        ("a*", "xy".into(), b"xy"),
        ("a0", "xy".into(), b""),
        ("Z", "xy".into(), b"\0"),
        ("Z2", "xyz".into(), b"x\0"),
        ("Z4", "xy".into(), b"xy\0\0"),
        ("Z*", "xy".into(), b"xy\0"),
        ("H*", "0aFf".into(), b"\x0a\xff"),
        ("H3", "abcd".into(), b"\xab\xc0"),
        ("H", "a".into(), b"\xa0"),
        ("C", 255.0.into(), b"\xff"),
        ("C", (-1.0).into(), b"\xff"),
        ("C", 256.9.into(), b"\0"),
        ("C", true.into(), b"\x01"),
        ("n", 513.0.into(), b"\x02\x01"),
        ("N", 4294967295.0.into(), b"\xff\xff\xff\xff"),
        ("v", 513.0.into(), b"\x01\x02"),
        ("V", 1.0.into(), b"\x01\0\0\0"),
        ("E", 1.5.into(), b"\x3f\xf8\0\0\0\0\0\0"),
        ("e", 1.5.into(), b"\0\0\0\0\0\0\xf8\x3f"),
        ("x2 C x", 7.0.into(), b"\0\0\x07\0"),
    ];
    for (format, arg, expected) in cases {
        assert_eq!(packed([format.into(), arg]).as_deref(), Some(expected), "{format}");
    }
    assert_eq!(packed(["C*".into(), 1.0.into(), 2.0.into()]).as_deref(), Some(&b"\x01\x02"[..]));
    assert_eq!(packed(["n2".into(), 1.0.into(), 2.0.into()]).as_deref(), Some(&b"\0\x01\0\x02"[..]));
    assert_eq!(packed(["x*".into()]).as_deref(), Some(&b""[..]));
    assert_eq!(packed(["".into()]).as_deref(), Some(&b""[..]));
}

#[test]
fn arguments_that_do_not_fit_give_none() {
    for (format, arg) in
        [("C2", 1.0.into()), ("C", "1".into()), ("H2", "zz".into()), ("H4", "ab".into()), ("", "x".into())]
    {
        assert_eq!(packed([format.into(), arg]), None, "{format}");
    }
    assert_eq!(packed(["a".into()]), None);
}

#[test]
fn bytes_become_values() {
    let cases: [(&str, &[u8], Option<&str>); 22] = [
        ("a", b"xy", Some(r#"[0=>"x"]"#)),
        ("a2", b"xyz", Some(r#"[0=>"xy"]"#)),
        ("a*", b"", Some(r#"[0=>""]"#)),
        ("Z*C", b"xy\0\x07", Some(r#"[0=>"xy",1=>7]"#)),
        ("Z*", b"xy", Some(r#"[0=>"xy"]"#)),
        ("Z4C", b"x\0yz\x07", Some(r#"[0=>"x",1=>7]"#)),
        ("H*", b"\x0a\xff", Some(r#"[0=>"0aff"]"#)),
        ("H2C", b"\xab\x07", Some(r#"[0=>"ab",1=>7]"#)),
        ("H3", b"\xab\xcd", Some(r#"[0=>"abc"]"#)),
        ("c2", b"\xff\x7f", Some("[0=>-1,1=>127]")),
        ("N", b"\xff\xff\xff\xff", Some("[0=>4294967295]")),
        ("v", b"\x01\x02", Some("[0=>513]")),
        ("V", b"\x01\0\0\0", Some("[0=>1]")),
        ("E", b"\x3f\xf8\0\0\0\0\0\0", Some("[0=>1.5]")),
        ("e", b"\0\0\0\0\0\0\xf8\x3f", Some("[0=>1.5]")),
        ("x*C*", b"abc", Some("[]")),
        ("n*", b"\0\x01\0\x02\0", Some("[0=>1,1=>2]")),
        ("", b"abc", Some("[]")),
        ("n", b"\0", None),
        ("a4", b"abc", None),
        ("H5", b"\xab\xcd", None),
        ("x4", b"abc", None),
    ];
    for (format, data, expected) in cases {
        assert_eq!(unpacked(format, data).as_deref(), expected, "{format}");
    }
    for (offset, expected) in [(3.0, Some("[]")), (4.0, None), (-1.0, None)] {
        let value = call("unpack", ["C*".into(), "abc".into(), offset.into()]).unwrap();
        assert_eq!((!value.is_none()).then(|| text(Ok(value))).as_deref(), expected, "{offset}");
    }
}

#[test]
fn formats_of_strangers_are_bounded() {
    for format in ["x999999999", "x600000x600000", "a999999999", "q", "c", "é", "a12345678901"] {
        assert!(call("pack", [format.into(), "x".into()]).is_err(), "{format}");
    }
    for format in ["q", "é", "a12345678901"] {
        assert!(call("unpack", [format.into(), "x".into()]).is_err(), "{format}");
    }
    assert_eq!(unpacked("C999999", b"x"), None);
    assert!(call("unpack", ["C999999999".into(), "x".into()]).is_err());
}

proptest! {
    #[test]
    fn numbers_come_back(a: u8, b: u16, c: u32, d: f64) {
        for format in ["CnNE", "CvVe"] {
            let args = [format.into(), f64::from(a).into(), f64::from(b).into(), f64::from(c).into(), d.into()];
            let data = packed(args).unwrap();
            let values = call("unpack", [format.into(), data.into()]).unwrap();
            let values: Vec<f64> = values.as_array().unwrap().values().map(|value| value.as_number().unwrap()).collect();
            prop_assert_eq!(&values[..3], &[f64::from(a), f64::from(b), f64::from(c)]);
            prop_assert_eq!(values[3].to_bits(), d.to_bits());
        }
    }

    #[test]
    fn any_format_ends(format in "([aZHcCnNvVEex](\\*|[0-9]{1,4})?){0,8}", data in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = call("unpack", [format.as_str().into(), data.clone().into()]);
        let _ = call("pack", [format.as_str().into(), data.into(), 7.0.into()]);
    }
}

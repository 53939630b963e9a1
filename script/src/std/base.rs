//! Base64, base64url and base32 (RFC 4648).

use std::sync::LazyLock;

use data_encoding::{BASE32, BASE64, BASE64URL_NOPAD, Encoding, Specification};

use crate::fault::Fault;
use crate::native::{Call, Native};
use crate::value::Value;

/// On one core of a busy machine both directions run at more than 1 GB/s.
const INLINE_BYTES: usize = 64 << 10;

/// The natives of this file.
pub static NATIVES: &[Native] = &[
    native("base64_encode", "string data", "Base64 with padding, in one line.", base64_encode),
    native(
        "base64_decode",
        "string text",
        "The bytes of a base64 text; white space and missing padding are fine. None for anything else.",
        base64_decode,
    ),
    native(
        "base64url_encode",
        "string data",
        "Base64 with the alphabet for URLs, without padding.",
        base64url_encode,
    ),
    native(
        "base64url_decode",
        "string text",
        "As base64_decode, with the alphabet for URLs.",
        base64url_decode,
    ),
    native("base32_encode", "string data", "Base32 with padding.", base32_encode),
    native("base32_decode", "string text", "As base64_decode, for base32 in either case.", base32_decode),
];

const fn native(
    name: &'static str,
    params: &'static str,
    doc: &'static str,
    run: fn(&mut Call<'_>) -> Result<Value, Fault>,
) -> Native {
    Native::sized(name, params, (1, Some(1)), doc, INLINE_BYTES, run)
}

fn base64_encode(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(Value::from(BASE64.encode(call.bytes(0)?)))
}

fn base64url_encode(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(Value::from(BASE64URL_NOPAD.encode(call.bytes(0)?)))
}

fn base32_encode(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(Value::from(BASE32.encode(call.bytes(0)?)))
}

fn base64_decode(call: &mut Call<'_>) -> Result<Value, Fault> {
    static LENIENT: LazyLock<Encoding> = LazyLock::new(|| {
        lenient("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", ("", ""))
    });
    Ok(decode(&LENIENT, call.bytes(0)?))
}

fn base64url_decode(call: &mut Call<'_>) -> Result<Value, Fault> {
    static LENIENT: LazyLock<Encoding> = LazyLock::new(|| {
        lenient("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", ("", ""))
    });
    Ok(decode(&LENIENT, call.bytes(0)?))
}

fn base32_decode(call: &mut Call<'_>) -> Result<Value, Fault> {
    static LENIENT: LazyLock<Encoding> = LazyLock::new(|| {
        lenient(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
            ("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        )
    });
    Ok(decode(&LENIENT, call.bytes(0)?))
}

/// An encoding without padding that skips white space and does not look at unused bits.
fn lenient(symbols: &str, translate: (&str, &str)) -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str(symbols);
    specification.translate.from.push_str(translate.0);
    specification.translate.to.push_str(translate.1);
    specification.ignore.push_str(" \t\r\n");
    specification.check_trailing_bits = false;
    specification.encoding().expect("the alphabets are distinct and complete")
}

fn decode(encoding: &Encoding, text: &[u8]) -> Value {
    let end = text.iter().rposition(|byte| !matches!(byte, b'=' | b' ' | b'\t' | b'\r' | b'\n'));
    let body = &text[..end.map_or(0, |end| end + 1)];
    encoding.decode(body).map_or(Value::None, Value::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{call, text};

    #[test]
    fn vectors_of_rfc_4648_come_out() {
        let cases = [
            ("", "", ""),
            ("f", "Zg==", "MY======"),
            ("fo", "Zm8=", "MZXQ===="),
            ("foo", "Zm9v", "MZXW6==="),
            ("foob", "Zm9vYg==", "MZXW6YQ="),
            ("fooba", "Zm9vYmE=", "MZXW6YTB"),
            ("foobar", "Zm9vYmFy", "MZXW6YTBOI======"),
        ];
        for (plain, base64, base32) in cases {
            assert_eq!(text(call("base64_encode", [plain.into()])), base64);
            assert_eq!(text(call("base64_decode", [base64.into()])), plain);
            assert_eq!(text(call("base64url_decode", [base64.into()])), plain);
            assert_eq!(text(call("base32_encode", [plain.into()])), base32);
            assert_eq!(text(call("base32_decode", [base32.into()])), plain);
            assert_eq!(text(call("base32_decode", [base32.to_lowercase().into()])), plain);
        }
    }

    #[test]
    fn a_decoder_forgives_white_space_and_padding_only() {
        for fine in ["Zm9vYg", "Zm9vYg==", " Zm9v\r\n\tYg=\r\n= ", "Zm9vYh=="] {
            assert_eq!(text(call("base64_decode", [fine.into()])), "foob", "{fine}");
        }
        for bad in ["Z", "Zm9v!", "Zm9v=Zm9v", "-_-_", "Zg==Zg=="] {
            assert!(call("base64_decode", [bad.into()]).unwrap().is_none(), "{bad}");
        }
        assert!(call("base64url_decode", ["+/+/".into()]).unwrap().is_none());
        assert!(call("base32_decode", ["MZXW1===".into()]).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let pairs = [("base64_encode", "base64_decode"), ("base64url_encode", "base64url_decode"),
                ("base32_encode", "base32_decode")];
            for (encode, decode) in pairs {
                let encoded = call(encode, [data.clone().into()]).unwrap();
                let decoded = call(decode, [encoded]).unwrap();
                prop_assert_eq!(decoded.as_bytes(), Some(&data[..]));
            }
        }
    }
}

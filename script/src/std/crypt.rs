//! `crypt`: the password hashes of crypt(3), by the prefix of the salt.

use crate::fault::Fault;
use crate::limits::{MAX_BCRYPT_COST, MAX_CRYPT_KEY_BYTES, MAX_CRYPT_ROUNDS};
use crate::native::{Call, Native, NativeRun};
use crate::value::Value;

/// The natives of this file.
pub static NATIVES: &[Native] = &[Native {
    name: "crypt",
    params: "string key, string salt",
    doc: "Hashes a password as crypt(3) does: DES, $1$ (MD5), $2a$ $2b$ $2y$ (bcrypt), $5$ (SHA-256), $6$ (SHA-512), \
          $sha1$ and _ (BSDi). None for a salt of any other kind. To verify a password pass the stored hash as salt.",
    min_args: 2,
    max_args: Some(2),
    // It is slow on purpose: 2 ms for $6$, 70 ms for bcrypt with cost 10.
    run: NativeRun::Sized { above_bytes: 0, run: crypt },
}];

fn crypt(call: &mut Call<'_>) -> Result<Value, Fault> {
    let salt = call.bytes(1)?;
    let key = call.bytes(0)?;
    // In C a key ends at its first NUL.
    let key = &key[..memchr::memchr(0, key).unwrap_or(key.len())];
    let Some(salt) = graphic(salt) else { return Ok(Value::None) };
    if key.len() > MAX_CRYPT_KEY_BYTES {
        return Ok(Value::None);
    }
    if !is_affordable(salt) {
        return Err(Fault::error(format!(
            "crypt(): the salt asks for more than {MAX_CRYPT_ROUNDS} rounds or a cost above {MAX_BCRYPT_COST}"
        )));
    }
    Ok(pwhash::unix::crypt(key, salt).map_or(Value::None, Value::from))
}

/// The salt, if it consists of what any kind of salt may hold.
fn graphic(salt: &[u8]) -> Option<&str> {
    let allowed = !salt.is_empty() && salt.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(salt).ok().filter(|_| allowed)
}

fn is_affordable(salt: &str) -> bool {
    if let Some(count) = salt.strip_prefix('_') {
        return bsdi_rounds(count) <= MAX_CRYPT_ROUNDS;
    }
    let mut fields = salt.split('$').skip(1);
    let (kind, first) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
    let number = |text: &str| text.parse::<u64>().unwrap_or(0);
    match kind {
        "2a" | "2b" | "2y" => number(first) <= MAX_BCRYPT_COST,
        "sha1" => number(first) <= MAX_CRYPT_ROUNDS,
        _ => first.strip_prefix("rounds=").is_none_or(|rounds| number(rounds) <= MAX_CRYPT_ROUNDS),
    }
}

/// Four digits of base 64, the least significant first.
fn bsdi_rounds(count: &str) -> u64 {
    let digit = |byte: u8| match byte {
        b'.' | b'/' => byte - b'.',
        b'0'..=b'9' => byte - b'0' + 2,
        b'A'..=b'Z' => byte - b'A' + 12,
        b'a'..=b'z' => byte - b'a' + 38,
        _ => 0,
    };
    count.bytes().take(4).enumerate().map(|(at, byte)| u64::from(digit(byte)) << (6 * at)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_hashes_verify() {
        let cases = [
            // The specification of SHA-crypt by Ulrich Drepper.
            ("Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
            (
                "Hello world!",
                "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
            ),
            ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
            ("password", "$1$5pZSV9va$azfrPr6af3Fc7dLblQXVa0"),
            ("test", "aZGJuE6EXrjEE"),
        ];
        for (key, stored) in cases {
            let salt = graphic(stored.as_bytes()).unwrap();
            assert!(is_affordable(salt));
            assert_eq!(pwhash::unix::crypt(key, salt).unwrap(), stored);
        }
    }

    #[test]
    fn expensive_salts_are_refused() {
        for salt in [
            "$6$rounds=999999999$salt",
            "$5$rounds=1000001$x",
            "$sha1$4294967295$x$",
            "$2b$31$CCCCCCCCCCCCCCCCCCCCC.",
            "_zzzzsalt",
        ] {
            assert!(!is_affordable(salt), "{salt}");
        }
        assert_eq!(bsdi_rounds("J9.."), 725);
    }

    #[test]
    fn salts_of_strangers_do_not_panic() {
        for salt in [
            "$",
            "$$",
            "$1",
            "$1$",
            "$2a$",
            "$2a$05",
            "$2a$05$",
            "$2a$99$x",
            "$5$",
            "$6$rounds=",
            "$6$rounds=1$",
            "$sha1$",
            "$sha1$1",
            "$sha1$1$",
            "_",
            "_....",
            "_J9..",
            "a",
            "~~",
            "$y$j9T$x$",
            "*0",
            "$5$a~b",
        ] {
            if is_affordable(salt) {
                let _ = pwhash::unix::crypt("key", salt);
            }
        }
        assert_eq!(graphic(b"a\xff"), None);
        assert_eq!(graphic(b"a b"), None);
        assert_eq!(graphic(b""), None);
    }
}

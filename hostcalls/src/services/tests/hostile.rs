//! Servers that say anything at all: answers that were good, with bytes changed, put in, taken out and cut off, in a fixed
//! order of chance.

use crate::services::{kafka, ldap, mariadb, postgresql, rabbitmq, redis};

/// Chance that repeats (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    fn spoil(&mut self, good: &[u8]) -> Vec<u8> {
        const STRANGE: [u8; 8] = [0, 1, 0x7f, 0x80, 0xfe, 0xff, b'\r', b'9'];
        let mut bytes = good.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(5) {
                0 if !bytes.is_empty() => bytes[at] = STRANGE[self.below(STRANGE.len())],
                1 if !bytes.is_empty() => bytes[at] = self.below(256) as u8,
                2 => bytes.insert(at, STRANGE[self.below(STRANGE.len())]),
                3 if !bytes.is_empty() => _ = bytes.remove(at),
                _ => bytes.truncate(at.max(1)),
            }
        }
        bytes
    }
}

type Decoder = (&'static str, &'static [u8], fn(&[u8]));

/// A good answer for each decoder. What they give does not matter: they end, without a panic.
const DECODERS: &[Decoder] = &[
    ("redis", b"*3\r\n$3\r\nabc\r\n%1\r\n+k\r\n:1\r\n|1\r\n+a\r\n,1.5\r\n=5\r\ntxt:x\r\n", redis::check),
    ("ldap", b"\x30\x1e\x02\x01\x02\x64\x19\x04\x04cn=a\x30\x11\x30\x0f\x04\x02cn\x31\x09\x04\x03joe\x04\x02jo", ldap::check),
    ("postgresql", b"T\0\0\0\x1b\0\x01abcd\0\0\0\0\0\0\0\0\0\0\x17\0\x04\0\0\0\0\0\0D\0\0\0\x0b\0\x01\0\0\0\x011E\0\0\0\x09C1\0\0\0", postgresql::check),
    ("mariadb", b"\x0a5.5\0\x1e\0\0\0abcdefgh\0\xfe\xf7\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0ijklmnopqrst\0plugin\0", mariadb::check),
    ("mariadb row", b"\x03def\0\0\0\x01a\0\xfc\x04\0abcd\xfb", mariadb::check),
    ("rabbitmq", b"\x01\0\0\0\0\0\x1c\0\x0a\0\x0a\0\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05en_US\xce", rabbitmq::check),
    ("kafka", b"\0\0\0\x01\0\0\0\x01\0\0\0\x05\0\x01h\0\0\x23\x84\xff\xff\0\0\0\x05\0\0\0\x01\0\0\0\x01t\0\0\0\0\x01\0\0\0\0\0\x02\0\0\0\x05\0\0\0\0\0\0\0\0", kafka::check),
];

#[test]
fn no_answer_of_a_server_is_a_panic() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for (name, good, check) in DECODERS {
        for round in 0..3000 {
            let bytes = chance.spoil(good);
            let shown = bytes.escape_ascii().to_string();
            let caught = std::panic::catch_unwind(|| check(&bytes));
            assert!(caught.is_ok(), "{name}, round {round}: {shown}");
        }
    }
}

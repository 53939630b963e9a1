//! Messages that are a function of their number.

/// Names a message of a test.
pub type Number = u64;

/// Header that carries the number.
const HEADER: &[u8] = b"X-Number: ";

/// The message with this number: header and body, CRLF line ends, not dot-stuffed. Lines of every awkward shape:
/// empty, of dots, of 998 octets, 8-bit.
pub fn message(number: Number) -> Vec<u8> {
    let mut chance = Chance(number);
    let mut out = Vec::new();
    out.extend_from_slice(HEADER);
    out.extend_from_slice(format!("{number}\r\nSubject: number {number}\r\n").as_bytes());
    if chance.below(16) == 0 {
        return out; // no body, not even the empty line
    }
    out.extend_from_slice(b"\r\n");
    let lines = match chance.below(20) {
        0 => chance.below(400),
        1..5 => chance.below(60),
        _ => chance.below(8),
    };
    for _ in 0..lines {
        line(&mut chance, &mut out);
    }
    out
}

fn line(chance: &mut Chance, out: &mut Vec<u8>) {
    match chance.below(8) {
        0 => {}
        1 => out.push(b'.'),
        2 => out.extend_from_slice(b".."),
        3 => out.extend_from_slice(b".leading dot"),
        4 => out.extend(std::iter::repeat_n(b'x', 998)),
        5 => out.extend((0..chance.below(200)).map(|_| 0x80 | chance.next() as u8)),
        _ => out.extend((0..chance.below(78)).map(|_| b' ' + chance.below(95) as u8)),
    }
    out.extend_from_slice(b"\r\n");
}

/// The number of a received message, from its first header of that name.
pub fn number(message: &[u8]) -> Option<Number> {
    let at = message.windows(HEADER.len()).position(|window| window == HEADER)? + HEADER.len();
    let digits = message[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&message[at..at + digits]).ok()?.parse().ok()
}

/// Whether a received message is the one with this number, byte for byte, below header lines that relays put on top.
pub fn is_intact(received: &[u8], number: Number) -> bool {
    let expected = message(number);
    let Some(above) = received.len().checked_sub(expected.len()) else { return false };
    let (added, rest) = received.split_at(above);
    rest == expected && (added.is_empty() || added.ends_with(b"\r\n"))
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let value = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ (value >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_names_itself_and_no_other() {
        for it in 0..500 {
            let received = [b"Received: from here\r\n\tby there\r\n", &message(it)[..]].concat();
            assert_eq!(number(&received), Some(it));
            assert!(is_intact(&received, it));
            assert!(!is_intact(&received, it + 1));
            assert!(!is_intact(&received[..received.len() - 1], it));
        }
    }
}

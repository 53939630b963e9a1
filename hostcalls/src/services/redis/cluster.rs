//! Which node of a cluster has a key.

use std::cell::RefCell;
use std::collections::HashMap;

/// Slots of a cluster.
const SLOTS: u16 = 16384;

/// Name or address, and port.
pub(super) type Node = (String, u16);

/// Where the slots are, as far as clusters have told; by profile.
#[derive(Default)]
pub(super) struct SlotMap(RefCell<HashMap<String, HashMap<u16, Node>>>);

impl SlotMap {
    pub(super) fn find(&self, profile: &str, slot: u16) -> Option<Node> {
        self.0.borrow().get(profile)?.get(&slot).cloned()
    }

    pub(super) fn learn(&self, profile: &str, slot: u16, node: Node) {
        self.0.borrow_mut().entry(profile.to_owned()).or_default().insert(slot % SLOTS, node);
    }

    /// What was known of this slot is wrong.
    pub(super) fn forget(&self, profile: &str, slot: u16) {
        if let Some(slots) = self.0.borrow_mut().get_mut(profile) {
            slots.remove(&slot);
        }
    }
}

/// Where a command has to go instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Redirection {
    /// From now on.
    Moved(u16, Node),
    /// This once, and with a word before it.
    Ask(Node),
}

impl Redirection {
    /// Reads `MOVED slot host:port` and `ASK slot host:port`; the host may be missing, and is then `asked`, who says so.
    pub(super) fn read(error: &[u8], asked: &str) -> Option<Redirection> {
        let mut words = std::str::from_utf8(error).ok()?.split(' ');
        let kind = words.next()?;
        let slot: u16 = words.next()?.parse().ok().filter(|slot| *slot < SLOTS)?;
        let (host, port) = words.next()?.rsplit_once(':')?;
        let host = if host.is_empty() { asked } else { host };
        let node = (host.to_owned(), port.parse().ok().filter(|port| *port != 0)?);
        match kind {
            "MOVED" => Some(Redirection::Moved(slot, node)),
            "ASK" => Some(Redirection::Ask(node)),
            _ => None,
        }
    }
}

/// The slot of a command: that of its first key.
pub(super) fn slot_of(words: &[impl AsRef<[u8]>]) -> Option<u16> {
    let name = words.first()?.as_ref();
    let behind_count = [&b"EVAL"[..], b"EVALSHA", b"EVAL_RO", b"EVALSHA_RO", b"FCALL", b"FCALL_RO"];
    let at = if behind_count.iter().any(|known| name.eq_ignore_ascii_case(known)) { 3 } else { 1 };
    words.get(at).map(|key| slot(key.as_ref()))
}

/// Of what stands between the first braces, if anything does, so that keys can be kept together.
fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC-16 as XMODEM has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_slots_that_the_specification_says() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot_of(&["GET", "foo"]), Some(12182));
        assert_eq!(slot(b"{user1000}.following"), slot(b"user1000"));
        assert_eq!(slot(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
        assert_eq!(slot_of(&["EVAL", "return 1", "1", "foo"]), Some(12182));
        assert_eq!(slot_of(&["PING"]), None);
    }

    #[test]
    fn redirections_name_another_node() {
        let node = |host: &str, port| (host.to_owned(), port);
        let cases = [
            ("MOVED 3999 127.0.0.1:6381", Some(Redirection::Moved(3999, node("127.0.0.1", 6381)))),
            ("MOVED 3999 :6381", Some(Redirection::Moved(3999, node("asked", 6381)))),
            ("ASK 1 ::1:7", Some(Redirection::Ask(node("::1", 7)))),
            ("MOVED 99999 h:1", None),
            ("MOVED 1 h:0", None),
            ("MOVED", None),
            ("ERR unknown command", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Redirection::read(text.as_bytes(), "asked"), expected, "{text}");
        }
    }
}

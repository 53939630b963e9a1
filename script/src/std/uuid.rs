//! UUIDs (RFC 9562).

use std::sync::atomic::{AtomicBool, Ordering};

use uuid::{Builder, Uuid};

use crate::fault::Fault;
use crate::host::Host;
use crate::native::{Call, Native};
use crate::value::Value;

/// Longest name that is hashed at once: as for `sha1`.
const INLINE_BYTES: usize = 24 << 10;

/// The natives of this file.
pub static NATIVES: &[Native] = &[
    Native::inline(
        "uuid",
        "",
        (0, Some(0)),
        "A new UUID: random (version 4), or by time (version 1) if the program is configured so.",
        new,
    ),
    Native::sized(
        "uuidv5",
        "string namespace, string value",
        (2, Some(2)),
        "The UUID of a name (version 5, SHA-1) in a namespace, which is a UUID as text; none if it is not.",
        INLINE_BYTES,
        uuidv5,
    ),
];

/// Whether `uuid()` goes by time.
static BY_TIME: AtomicBool = AtomicBool::new(false);

/// Lets `uuid()` make UUIDs of version 1 (time) instead of 4 (random): `environment.uuid.version`.
pub fn set_by_time(by_time: bool) {
    BY_TIME.store(by_time, Ordering::Relaxed);
}

fn new(call: &mut Call<'_>) -> Result<Value, Fault> {
    let uuid = if BY_TIME.load(Ordering::Relaxed) { by_time(call.host()) } else { random(call.host()) };
    Ok(Value::from(uuid.hyphenated().to_string()))
}

fn random(host: &mut dyn Host) -> Uuid {
    let mut bytes = [0; 16];
    host.random(&mut bytes);
    Builder::from_random_bytes(bytes).into_uuid()
}

/// Version 1 with a random clock sequence and node, so that two made within one tick differ.
fn by_time(host: &mut dyn Host) -> Uuid {
    /// From the reform of the calendar in 1582 to 1970, in ticks of 100 ns.
    const TICKS_BEFORE_1970: u64 = 0x01b2_1dd2_1381_4000;
    let mut bytes = [0; 8];
    host.random(&mut bytes);
    let [first, second, mut node @ ..] = bytes;
    // The multicast bit tells that it is no address of a network card.
    node[0] |= 1;
    let ticks = TICKS_BEFORE_1970 + (host.now() * 1e7) as u64;
    Builder::from_gregorian_timestamp(ticks, u16::from_be_bytes([first, second]) & 0x3fff, &node).into_uuid()
}

fn uuidv5(call: &mut Call<'_>) -> Result<Value, Fault> {
    let Ok(namespace) = Uuid::try_parse_ascii(call.bytes(0)?) else { return Ok(Value::None) };
    Ok(Value::from(Uuid::new_v5(&namespace, call.bytes(1)?).hyphenated().to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{StillHost, call, text};
    use super::*;

    #[test]
    fn uuids_have_their_version_and_variant() {
        let uuid = Uuid::parse_str(&text(call("uuid", []))).unwrap();
        assert_eq!(uuid.get_version_num(), 4);
        assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        let mut host = StillHost::default();
        let (one, two) = (by_time(&mut host), by_time(&mut host));
        assert_eq!((one.get_version_num(), two.get_version_num()), (1, 1));
        assert_ne!(one, two);
        assert_eq!(one.as_bytes()[10] & 1, 1, "the multicast bit of the node");
        let (seconds, nanos) = one.get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos), (1_700_000_000, 250_000_000));
    }

    #[test]
    fn names_need_a_namespace() {
        let namespace = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
        assert_eq!(
            text(call("uuidv5", [namespace.into(), "www.example.com".into()])),
            "2ed6657d-e927-568b-95e1-2665a8aea6a2"
        );
        assert!(call("uuidv5", ["nonsense".into(), "x".into()]).unwrap().is_none());
    }
}

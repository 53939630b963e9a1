//! Transaction ids (reference: hooks 1.2 point 4, `environment.uuid.version`).

use uuid::Uuid;

/// Which kind of UUID names a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UuidVersion {
    /// Time based.
    V1,
    /// Random.
    V4,
}

/// A new transaction id.
pub fn transaction_id(version: UuidVersion) -> Uuid {
    let mut random = [0u8; 16];
    engine::rng::fill(&mut random);
    match version {
        UuidVersion::V4 => uuid::Builder::from_random_bytes(random).into_uuid(),
        UuidVersion::V1 => {
            let wall_us = engine::time::wall_us();
            let nanos = u32::try_from(wall_us % 1_000_000).unwrap_or(0) * 1000;
            // Two shards, or two messages in one clock tick, must not share an id: the counter is random too.
            let counter = u16::from_be_bytes([random[0], random[1]]);
            let timestamp =
                uuid::Timestamp::from_unix_time(wall_us / 1_000_000, nanos, u128::from(counter), 14);
            let (ticks, counter) = timestamp.to_gregorian();
            let mut node = [random[2], random[3], random[4], random[5], random[6], random[7]];
            // RFC 9562 section 6.10: a random node has the multicast bit set.
            node[0] |= 1;
            uuid::Builder::from_gregorian_timestamp(ticks, counter, &node).into_uuid()
        }
    }
}

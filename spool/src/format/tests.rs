//! What is written is read again; what is damaged, elsewhere or old is not.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::batch::{Batch, Builder, Place};
use super::codec::Bad;
use super::meta::{Log, Meta, SLOT_BYTES};
use super::record::{
    Change, CommitHead, ItemImage, Kind, Live, LiveMap, Mark, Part, SettleEncoder, decode_ids, encode_ids,
    settles,
};
use super::scan::{Scan, Step};
use super::segment::{DATA_OFFSET, Header, Identity, Retire, Trailer, Use, use_of};
use super::{BLOCK, batch::RecordAt, envelope};
use crate::types::{Envelope, ItemId, ItemState, MessageId, Recipient};

fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..max).prop_map(Bytes::from)
}

fn id() -> impl Strategy<Value = MessageId> {
    (any::<u32>(), any::<u64>()).prop_map(|(log, sequence)| MessageId { log, sequence })
}

fn recipient() -> impl Strategy<Value = Recipient> {
    let address = prop_oneof![bytes(40), "[a-z]{1,8}@[a-z]{1,8}\\.example".prop_map(Bytes::from),];
    let domain = prop_oneof![Just(Bytes::from_static(b"mx.example")), bytes(10)];
    (address, bytes(6), domain, vec((any::<u16>(), bytes(5)), 0..3), any::<bool>()).prop_map(
        |(address, transport, domain, fields, of_address)| {
            let at = address.iter().rposition(|byte| *byte == b'@');
            let own = at.map_or(Bytes::new(), |at| address.slice(at + 1..));
            let domain = if of_address { own } else { domain };
            Recipient { address, transport, domain, fields }
        },
    )
}

fn an_envelope() -> impl Strategy<Value = Envelope> {
    let first = (any::<[u8; 16]>(), bytes(10), bytes(30), any::<u64>(), any::<Option<(bool, u128, u16)>>());
    let second = (bytes(20), proptest::option::of(bytes(10)), any::<bool>(), any::<bool>());
    (first, second, vec(recipient(), 0..20), vec((any::<u16>(), bytes(20)), 0..3)).prop_map(
        |((transaction, server_id, sender, received_ms, peer), second, recipients, fields)| {
            let (helo, auth_user, eight_bit, smtputf8) = second;
            let peer = peer.map(|(v4, ip, port)| match v4 {
                true => (std::net::Ipv4Addr::from(ip as u32), port).into(),
                false => (std::net::Ipv6Addr::from(ip), port).into(),
            });
            Envelope {
                transaction,
                server_id,
                sender,
                received_ms,
                peer,
                helo,
                auth_user,
                eight_bit,
                smtputf8,
                recipients,
                fields,
            }
        },
    )
}

fn state() -> impl Strategy<Value = ItemState> {
    prop_oneof![
        Just(ItemState::Active),
        (any::<u64>(), bytes(30)).prop_map(|(at_ms, reply)| ItemState::RetryAt { at_ms, reply }),
        bytes(30).prop_map(|reason| ItemState::Hold { reason }),
    ]
}

fn image() -> impl Strategy<Value = ItemImage> {
    let mark =
        proptest::option::of((any::<u32>(), any::<u8>()).prop_map(|(epoch, aborts)| Mark { epoch, aborts }));
    (any::<u32>(), state(), any::<u32>(), proptest::option::of(bytes(20)), mark).prop_map(
        |(recipient, state, attempts, properties, mark)| ItemImage {
            recipient,
            state,
            attempts,
            properties,
            mark,
        },
    )
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::Done),
        Just(Change::Active),
        (any::<u64>(), any::<u32>(), bytes(30)).prop_map(|(at_ms, attempts, reply)| Change::RetryAt {
            at_ms,
            attempts,
            reply
        }),
        bytes(30).prop_map(|reason| Change::Hold { reason }),
        bytes(30).prop_map(Change::Properties),
        (any::<u32>(), any::<u8>()).prop_map(|(epoch, aborts)| Change::Mark(Mark { epoch, aborts })),
        image().prop_map(|image| Change::Image(Box::new(image))),
    ]
}

fn at() -> impl Strategy<Value = RecordAt> {
    any::<(u32, u32, u32, u32)>().prop_map(|(offset, seed, meta_bytes, data_bytes)| RecordAt {
        offset,
        seed,
        meta_bytes,
        data_bytes,
    })
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        (any::<u64>(), at()).prop_map(|(segment, at)| Part::Record { segment, at }),
        (any::<u64>(), vec(any::<u32>(), 1..5)).prop_map(|(id, crcs)| Part::Extent {
            id,
            bytes: (crcs.len() as u64 - 1) * 65536 + 1,
            crcs,
        }),
    ]
}

fn identity() -> impl Strategy<Value = Identity> {
    (any::<[u8; 16]>(), any::<u32>(), any::<u64>()).prop_map(|(id, log, sequence)| Identity {
        id,
        log,
        sequence,
    })
}

/// Batches of a segment, each a list of record data.
fn segment_of(identity: Identity, batches: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let header = Header { identity, spool: [9; 16], size_bytes: 1 << 20, zeroed: true };
    let mut out = header.encode();
    out.resize(DATA_OFFSET as usize, 0);
    for (number, records) in batches.iter().enumerate() {
        let mut batch = Vec::new();
        let place = Place {
            segment: identity,
            number: number as u32,
            offset: out.len() as u32,
            stamp: 100 + number as u64,
        };
        let mut builder = Builder::begin(&mut batch, place);
        for data in records {
            builder.record(Kind::Body, 0, b"meta", &[data]);
        }
        builder.finish();
        assert_eq!(batch.len() % BLOCK, 0);
        out.extend_from_slice(&batch);
    }
    out.resize(out.len() + 4 * BLOCK, 0);
    out
}

/// Data of all good records, as a reader finds them, and how many places were damaged.
fn scan_all(identity: Identity, segment: &[u8]) -> (Vec<Vec<u8>>, usize) {
    let mut scan = Scan::new(identity, segment.len() as u64);
    let (mut found, mut damaged) = (Vec::new(), 0);
    loop {
        match scan.step(0, segment) {
            Step::Read { .. } => panic!("all bytes are there"),
            Step::Batch { batch, window_at, damaged: range } => {
                damaged += usize::from(range.is_some());
                for record in batch.records(&segment[window_at..]) {
                    match record {
                        Ok((record, Ok(()))) => found.push(record.data.to_vec()),
                        _ => damaged += 1,
                    }
                }
            }
            Step::End { .. } => return (found, damaged),
        }
    }
}

proptest! {
    #[test]
    fn an_envelope_is_read_as_it_was_written(envelope in an_envelope(), size in any::<u64>(), later in bytes(10)) {
        let mut out = Vec::new();
        envelope::encode(&mut out, &envelope, size);
        // A later release may append.
        out.extend_from_slice(&later);
        prop_assert_eq!(envelope::decode(&Bytes::from(out)), Ok((envelope, size)));
    }

    #[test]
    fn a_cut_envelope_is_no_envelope(envelope in an_envelope(), cut in any::<proptest::sample::Index>()) {
        let mut out = Vec::new();
        envelope::encode(&mut out, &envelope, 7);
        out.truncate(cut.index(out.len()));
        prop_assert!(envelope::decode(&Bytes::from(out)).is_err());
    }

    #[test]
    fn settles_are_read_as_they_were_written(entries in vec((id(), any::<u32>(), change(), any::<bool>()), 0..20)) {
        let mut encoder = SettleEncoder::default();
        let mut expected: Vec<(ItemId, Change)> = Vec::new();
        for (message, recipient, change, same) in entries {
            let message = expected.last().filter(|_| same).map_or(message, |(item, _)| item.message);
            let item = ItemId { message, recipient };
            encoder.push(item, &change);
            expected.push((item, change));
        }
        prop_assert_eq!(settles(encoder.bytes()), Ok(expected));
    }

    #[test]
    fn heads_maps_and_indexes_are_read_as_they_were_written(
        ids in vec(id(), 1..10),
        parts in vec(part(), 0..4),
        items in vec(image(), 0..4),
        moved in any::<bool>(),
        place in at(),
        numbers in any::<(u32, u32, u64)>(),
    ) {
        let (recipients, prefix_bytes, stamp) = numbers;
        let items_or_none = moved.then(|| items.clone());
        let head = CommitHead { id: ids[0], recipients, prefix_bytes, parts, items: items_or_none };
        let mut meta = Vec::new();
        head.encode(&mut meta);
        let len = meta.len();
        meta.extend_from_slice(b"envelope");
        prop_assert_eq!(CommitHead::decode(&meta, head.flags()), Ok((head.clone(), len)));
        CommitHead::patch_id(&mut meta, ids[ids.len() - 1]);
        prop_assert_eq!(CommitHead::decode(&meta, head.flags()).expect("valid").0.id, ids[ids.len() - 1]);

        let live: Vec<_> = ids.iter().map(|id| (*id, items.clone())).collect();
        let map = LiveMap { as_of: stamp, log: recipients, segment: stamp, first: ids[0], last: ids[0], live };
        prop_assert_eq!(LiveMap::decode(&map.encode()), Ok(map));
        let live = Live { at: place, stamp, flags: 1, items, meta: Bytes::from(meta) };
        let mut out = Vec::new();
        live.encode(&mut out);
        prop_assert_eq!(Live::decode(&out), Ok(live));
        prop_assert_eq!(decode_ids(&encode_ids(&ids)), Ok(ids));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(content in vec(any::<u8>(), 0..300)) {
        crate::check::record(&content);
        crate::check::segment(&content);
    }

    #[test]
    fn one_damaged_byte_costs_one_record(
        identity in identity(),
        batches in vec(vec(vec(any::<u8>(), 1..3000), 1..6), 2..5),
        at in any::<proptest::sample::Index>(),
        flip in 1..=255u8,
    ) {
        let mut segment = segment_of(identity, &batches);
        let all: usize = batches.iter().map(Vec::len).sum();
        prop_assert_eq!(scan_all(identity, &segment), (batches.concat(), 0));
        let end = segment.len() - 4 * BLOCK;
        let at = DATA_OFFSET as usize + at.index(end - DATA_OFFSET as usize);
        segment[at] ^= flip;
        let (found, _) = scan_all(identity, &segment);
        prop_assert!(found.len() + 1 >= all, "{} of {}", found.len(), all);
        prop_assert!(found.iter().all(|data| batches.concat().contains(data)));
    }

    #[test]
    fn a_batch_verifies_in_its_own_place_only(
        identity in identity(),
        other in identity(),
        records in vec(vec(any::<u8>(), 0..2000), 1..4),
    ) {
        prop_assume!(identity != other);
        let segment = segment_of(identity, &[records.clone(), records]);
        let first = &segment[DATA_OFFSET as usize..];
        let offset = DATA_OFFSET as u32;
        prop_assert!(Batch::parse(&identity, 0, offset, first).is_ok());
        prop_assert_eq!(Batch::parse(&identity, 0, offset + BLOCK as u32, first), Err(Bad::Foreign));
        prop_assert_eq!(Batch::parse(&identity, 1, offset, first), Err(Bad::Foreign));
        prop_assert!(Batch::parse(&other, 0, offset, first).is_err());
        prop_assert_eq!(scan_all(other, &segment).0.len(), 0);
    }

    #[test]
    fn fixed_blocks_are_read_as_they_were_written(identity in identity(), numbers in any::<(u64, u32, u32, bool)>()) {
        let (stamp, batches, blocks, zeroed) = numbers;
        let header = Header { identity, spool: [3; 16], size_bytes: 1 << 20, zeroed };
        let retire = Retire { identity, stamp };
        prop_assert_eq!(Header::decode(&header.encode()), Ok(header));
        prop_assert_eq!(Retire::decode(&retire.encode()), Ok(retire));
        let index_offset = (blocks % 1000) * BLOCK as u32;
        let trailer = Trailer {
            identity,
            index_offset,
            index_bytes: index_offset,
            batches,
            first_stamp: stamp,
            last_stamp: stamp,
            as_of: stamp,
        };
        prop_assert_eq!(Trailer::decode(&trailer.encode(), &identity), Ok(trailer));
        prop_assert_eq!(use_of(&header.encode()), Use::Used(header));
        prop_assert_eq!(use_of(&[header.encode(), retire.encode()].concat()), Use::Free { zeroed });
        // The next use was begun, and torn: still free. The mark of another use has no meaning.
        let mut torn = header.encode();
        torn[30] ^= 1;
        prop_assert_eq!(use_of(&[torn, retire.encode()].concat()), Use::Free { zeroed: false });
        let next = Identity { sequence: identity.sequence ^ 1, ..identity };
        let next = Header { identity: next, ..header };
        prop_assert_eq!(use_of(&[next.encode(), retire.encode()].concat()), Use::Used(next));
    }
}

#[test]
fn the_later_valid_slot_of_the_meta_file_counts() {
    let logs = vec![Log { id: 1, group: 1 }, Log { id: 4, group: 1 }];
    let older = Meta { epoch: 6, next_log: 5, logs, ..Meta::new([1; 16]) };
    let newer = Meta { epoch: 7, ..older.clone() };
    let mut file = [older.encode(), newer.encode()].concat();
    assert_eq!(Meta::read(&file), Ok(newer));
    file[SLOT_BYTES + 20] ^= 1;
    assert_eq!(Meta::read(&file), Ok(older));
    file[20] ^= 1;
    assert_eq!(Meta::read(&file), Err(Bad::Checksum));
}

#[test]
fn the_corpus_of_the_fuzz_targets_is_read_without_a_panic() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut files = 0;
    type Check = fn(&[u8]);
    let segment: Check = crate::check::segment;
    for (target, check) in
        [("segment", segment), ("records", crate::check::record), ("hqf", crate::check::hqf)]
    {
        for entry in std::fs::read_dir(corpus.join(target)).expect("in the repository") {
            #[expect(clippy::disallowed_methods, reason = "a test reads its corpus")]
            let bytes = std::fs::read(entry.expect("listed").path()).expect("readable");
            check(&bytes);
            files += 1;
        }
    }
    assert!(files > 10, "the corpus is gone");
}

//! Checks for arbitrary bytes, shared by the fuzz targets (`spool/fuzz`) and the test that replays their corpus.

use bytes::Bytes;

use crate::content::Content;
use crate::format::envelope;
use crate::format::meta::Meta;
use crate::format::record::{self, CommitHead, Cut, Live, LiveMap};
use crate::format::scan::{Scan, Step};
use crate::format::segment::{DATA_OFFSET, Header, Identity, Retire, Trailer, Use, use_of};
use crate::hqf;
use crate::replay::{Next, Replay};

/// Reads bytes as a segment, whatever they are. Must neither panic nor go on for ever.
pub fn segment(bytes: &[u8]) {
    let identity = match use_of(bytes) {
        Use::Used(header) => header.identity,
        Use::Free { .. } | Use::Damaged(_) => {
            let mut id = [0; 16];
            let named = bytes.get(DATA_OFFSET as usize + 8..DATA_OFFSET as usize + 24).unwrap_or_default();
            id[..named.len()].copy_from_slice(named);
            Identity { id, log: 0, sequence: 1 }
        }
    };
    let mut content = Content::new((identity.log, identity.sequence));
    let mut scan = Scan::new(identity, bytes.len() as u64);
    loop {
        match scan.step(0, bytes) {
            Step::Batch { batch, window_at, .. } => {
                content.batch(&batch, &bytes[window_at..]);
                let _ = content.index_batch(&batch, &bytes[window_at..], 1);
            }
            Step::End { .. } => break,
            Step::Read { .. } => panic!("all bytes are there"),
        }
    }
    content.end();
    let mut replay = Replay::new(0);
    replay.add(content.found);
    for mut segment in replay.resolve(None) {
        loop {
            match segment.next(&replay) {
                Next::Message(message) => drop(envelope::decode(&message.commit.envelope)),
                Next::Dead => {}
                Next::End => break,
            }
        }
    }
    if let Some(last) = bytes.len().checked_sub(4096) {
        let _ = Trailer::decode(&bytes[last..], &identity);
    }
}

/// Reads bytes as an unloaded file, all at once and in small pieces: both come to the same.
pub fn hqf(bytes: &[u8]) {
    let read = |piece: usize| {
        let mut decoder = hqf::Decoder::default();
        let (mut head, mut body) = (None, Vec::new());
        for piece in bytes.chunks(piece) {
            decoder.push(piece);
            while let Some(part) = decoder.next().ok()? {
                match part {
                    hqf::Part::Head(found) => head = Some(found),
                    hqf::Part::Body(bytes) => body.extend_from_slice(&bytes),
                    hqf::Part::End => {}
                }
            }
        }
        decoder.finish().ok()?;
        head.map(|head| (head, body))
    };
    let whole = read(bytes.len().max(1));
    assert_eq!(read(7), whole);
    let Some((head, body)) = whole else { return };
    assert_eq!(head.size_bytes, body.len() as u64);
    assert!(head.items.iter().all(|item| (item.recipient as usize) < head.envelope.recipients.len()));
}

/// Reads bytes as the content of a record or block; what is accepted is written and read again, and must be the same.
pub fn record(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 10 {
        0 | 1 => {
            if let Ok((head, at)) = CommitHead::decode(bytes, kind & 1) {
                let mut again = Vec::new();
                head.encode(&mut again);
                assert_eq!(CommitHead::decode(&again, kind & 1), Ok((head, again.len())));
                assert!(at <= bytes.len());
            }
        }
        2 => {
            if let Ok(entries) = record::settles(bytes) {
                let mut encoder = record::SettleEncoder::default();
                for (item, change) in &entries {
                    encoder.push(*item, change);
                }
                assert_eq!(record::settles(encoder.bytes()), Ok(entries));
            }
        }
        3 => {
            if let Ok(map) = LiveMap::decode(bytes) {
                assert_eq!(LiveMap::decode(&map.encode()), Ok(map));
            }
        }
        4 => {
            if let Ok(live) = Live::decode(bytes) {
                let mut again = Vec::new();
                live.encode(&mut again);
                assert_eq!(Live::decode(&again), Ok(live));
            }
        }
        5 => {
            if let Ok(ids) = record::decode_ids(bytes) {
                assert_eq!(record::decode_ids(&record::encode_ids(&ids)), Ok(ids));
            }
        }
        6 => {
            let bytes = Bytes::copy_from_slice(bytes);
            if let Ok((envelope, size)) = envelope::decode(&bytes) {
                let mut again = Vec::new();
                envelope::encode(&mut again, &envelope, size);
                assert_eq!(envelope::decode(&Bytes::from(again)), Ok((envelope, size)));
            }
        }
        7 => drop(Meta::read(bytes)),
        8 => {
            let _ = Cut::decode(bytes);
        }
        _ => {
            let _ = Header::decode(bytes);
            let _ = Retire::decode(bytes);
        }
    }
}

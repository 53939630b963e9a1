//! What the tests share.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use spool::{Envelope, ItemId, MessageId, Options, Recipient, Recovered, Settle, Spool, Store};

/// Small segments, so that little mail fills many.
pub(crate) fn options(path: &str, shards: u16) -> Options {
    Options {
        segment_bytes: 256 << 10,
        reserve_segments: 2,
        min_free_bytes: 0,
        min_free_inodes: 0,
        memory_budget_bytes: 4 << 20,
        log: Arc::new(|event| {
            if std::env::var("SPOOL_LOG").is_ok() {
                println!("{event}");
            }
        }),
        ..Options::new(path, shards)
    }
}

pub(crate) fn envelope(number: u64, recipients: u32) -> Envelope {
    let mut transaction = [0; 16];
    transaction[..8].copy_from_slice(&number.to_le_bytes());
    Envelope {
        transaction,
        server_id: Bytes::from_static(b"default"),
        sender: Bytes::from(format!("sender{number}@example.org")),
        received_ms: 1_700_000_000_000 + number,
        peer: Some("192.0.2.7:4711".parse().expect("an address")),
        helo: Bytes::from_static(b"client.example.org"),
        recipients: (0..recipients)
            .map(|at| Recipient {
                address: Bytes::from(format!("user{at}.{number}@example.com")),
                transport: Bytes::from_static(b"mx"),
                domain: Bytes::from_static(b"example.com"),
                fields: vec![(7, Bytes::from_static(b"same for all"))],
            })
            .collect(),
        fields: vec![(1, Bytes::from_static(b"value"))],
        ..Envelope::default()
    }
}

/// A body that nobody else has, of this length.
pub(crate) fn body(number: u64, len: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(len);
    out
}

pub(crate) const PREFIX: &[u8] = b"Received: from client.example.org by test\r\n";

/// Accepts a message.
pub(crate) async fn accept(store: &Rc<Store>, number: u64, recipients: u32, len: usize) -> MessageId {
    try_accept(store, number, recipients, len).await.expect("accepted")
}

pub(crate) async fn try_accept(
    store: &Rc<Store>,
    number: u64,
    recipients: u32,
    len: usize,
) -> Result<MessageId, String> {
    let mut intake = store.begin(Some(len as u64)).map_err(|refused| format!("{refused:?}"))?;
    for piece in body(number, len).chunks(3000) {
        intake.write(piece);
        intake.ready().await.map_err(|error| format!("{error:?}"))?;
    }
    let prefix = Bytes::from_static(PREFIX);
    intake.commit(&envelope(number, recipients), prefix).await.map_err(|error| format!("{error:?}"))
}

/// Reads a message whole.
pub(crate) async fn read(store: &Rc<Store>, id: MessageId) -> Result<Vec<u8>, spool::ReadError> {
    let mut reader = store.body(id);
    let mut out = Vec::new();
    while let Some(bytes) = reader.next().await? {
        assert!(bytes.len() <= 64 << 10);
        out.extend_from_slice(&bytes);
    }
    assert_eq!(out.len() as u64, reader.len());
    Ok(out)
}

pub(crate) fn whole(number: u64, len: usize) -> Vec<u8> {
    [PREFIX, &body(number, len)].concat()
}

pub(crate) async fn recovered(store: &Rc<Store>) -> Vec<Recovered> {
    let mut all = Vec::new();
    let mut recovery = store.recovery();
    while let Some(message) = recovery.next().await {
        all.push(message);
    }
    all
}

pub(crate) async fn open(options: Options) -> Rc<Store> {
    let spool: Arc<Spool> = Spool::open(options).await.expect("a spool");
    Store::open(&spool, 0).await.expect("a store")
}

pub(crate) fn item(message: MessageId, recipient: u32) -> ItemId {
    ItemId { message, recipient }
}

pub(crate) fn done(message: MessageId, recipient: u32) -> (ItemId, Settle) {
    (item(message, recipient), Settle::Done)
}

/// The number that [`envelope`] hid in the transaction.
pub(crate) fn number(envelope: &Envelope) -> u64 {
    u64::from_le_bytes(envelope.transaction[..8].try_into().expect("8 bytes"))
}

/// Prints what all segments say, for looking into a failure.
pub(crate) fn dump(sim: &engine::sim::Sim, host: engine::sim::HostId) {
    use spool::content::Content;
    use spool::format::scan::{Scan, Step};
    use spool::format::segment::{Trailer, Use, use_of};
    println!("==== dump");
    for path in sim.files(host).into_iter().filter(|path| path.ends_with(".seg")) {
        let bytes = sim.read_file(host, &path).expect("listed");
        let found = use_of(&bytes);
        println!("== {path} {found:?}");
        let Use::Used(header) = found else { continue };
        let trailer =
            bytes.get(bytes.len().saturating_sub(4096)..).map(|b| Trailer::decode(b, &header.identity));
        println!("   {trailer:?}");
        let mut scan = Scan::new(header.identity, bytes.len() as u64);
        let mut content = Content::new((header.identity.log, header.identity.sequence));
        loop {
            match scan.step(0, &bytes) {
                Step::Batch { batch, window_at, damaged } => {
                    println!(
                        "   batch {} at {} stamp {:x} index {} {damaged:?}",
                        batch.place.number, batch.place.offset, batch.place.stamp, batch.index
                    );
                    content.batch(&batch, &bytes[window_at..]);
                    for commit in content.found.commits.drain(..) {
                        println!(
                            "      commit {} at {} items {:?}",
                            commit.head.id, commit.at.offset, commit.head.items
                        );
                    }
                    for settle in content.found.settles.drain(..).flatten() {
                        println!(
                            "      settle {}/{} {:?}",
                            settle.item.message, settle.item.recipient, settle.change
                        );
                    }
                    for map in content.found.maps.drain(..) {
                        println!("      map {map:?}");
                    }
                    for cut in content.found.cuts.drain(..) {
                        println!("      cut {cut:?}");
                    }
                    for damage in content.damage.drain(..) {
                        println!("      damage {damage:?}");
                    }
                    if batch.index {
                        let mut index = Content::new((0, 0));
                        let result = index.index_batch(&batch, &bytes[window_at..], 0);
                        println!("      index {result:?} {:?}", index.found);
                    }
                }
                Step::End { tail, torn } => {
                    println!("   end {tail} torn {torn}");
                    break;
                }
                Step::Read { .. } => break,
            }
        }
    }
}

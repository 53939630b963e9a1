//! What goes into a batch: cuts and settles first, then marks and live maps, then what is being taken in.

use engine::buf::AlignedBuf;

use crate::format::batch::{Builder, RecordAt, record_bytes};
use crate::format::record::{Change, CommitHead, Kind, Mark, SettleEncoder};
use crate::format::stamp;
use crate::limits::{SETTLE_BATCH_BYTES, SETTLE_RECORD_BYTES};
use crate::state::{State, Uid};
use crate::types::{ItemId, MessageId};
use crate::writer::{Commit, Flight, Request};

pub(crate) type Building<'b> = Builder<'b, AlignedBuf>;

pub(crate) fn put_cuts(state: &mut State, flight: &mut Flight, builder: &mut Building<'_>, limit: usize) {
    while let Some((about, cut)) = state.cuts.pop() {
        let meta = cut.encode();
        if builder.len() + record_bytes(meta.len(), 0) > limit {
            state.cuts.push((about, cut));
            return;
        }
        builder.record(Kind::Cut, 0, &meta, &[]);
        let target = state.segments.get_mut(&flight.segment).expect("the active segment exists");
        target.cuts.push(cut);
        target.pin(about, u64::MAX);
        flight.cuts.push((about, cut));
    }
}

pub(crate) fn put_settles(
    state: &mut State,
    flight: &mut Flight,
    builder: &mut Building<'_>,
    limit: usize,
    encoder: &mut SettleEncoder,
) {
    // Many settles at once, of an operator say, do not hold up those who wait for their 250: neither in this batch nor, by its
    // size, in the next one.
    let limit = limit.min(builder.len() + SETTLE_BATCH_BYTES);
    while let Some(pending) = state.settles.front() {
        let bytes = encoder.len() + change_bytes(&pending.change);
        if builder.len() + record_bytes(bytes, 0) > limit {
            break;
        }
        if !encoder.is_empty() && bytes > SETTLE_RECORD_BYTES {
            builder.record(Kind::Settle, 0, encoder.bytes(), &[]);
            encoder.clear();
            continue;
        }
        let mut pending = state.settles.pop_front().expect("looked at");
        pending.copy = copy_of(state, pending.item, pending.home).or(pending.copy);
        if !(state.tight && matches!(pending.change, Change::Mark(_))) {
            encoder.push(pending.item, &pending.change);
            say(state, flight, pending.item, pending.home, pending.copy);
        }
        flight.settles.push(pending);
    }
    if !encoder.is_empty() {
        builder.record(Kind::Settle, 0, encoder.bytes(), &[]);
        encoder.clear();
    }
}

/// Marks of attempts that have not ended meanwhile.
pub(crate) fn put_marks(
    state: &mut State,
    flight: &mut Flight,
    builder: &mut Building<'_>,
    limit: usize,
    encoder: &mut SettleEncoder,
    epoch: u32,
) {
    if state.tight {
        state.marks.clear();
    }
    while let Some(item) = state.marks.pop() {
        if builder.len() + record_bytes(encoder.len() + 64, 0) > limit {
            state.marks.push(item);
            break;
        }
        let Some(home) = state.messages.get(item.message).map(|message| message.home) else { continue };
        let Some(entry) = state.messages.item(item).filter(|entry| entry.in_flight) else { continue };
        encoder.push(item, &Change::Mark(Mark { epoch, aborts: entry.aborts }));
        say(state, flight, item, home, copy_of(state, item, home));
    }
    if !encoder.is_empty() {
        builder.record(Kind::Settle, 0, encoder.bytes(), &[]);
        encoder.clear();
    }
}

/// Where a message whose `home` is known has a copy that does not know what is said of it now: the copy that is being written may
/// be older than this; and where the message was may be gone, but not its copy.
fn copy_of(state: &State, item: ItemId, home: Uid) -> Option<Uid> {
    if state.segments.contains_key(&home) {
        if state.moving.is_empty() { None } else { state.moving.get(&item.message).copied() }
    } else {
        state.messages.get(item.message).map(|message| message.home).or(state.cold)
    }
}

/// The segment of this batch says something about an item at `home`, and about its copy.
fn say(state: &mut State, flight: &Flight, item: ItemId, home: Uid, copy: Option<Uid>) {
    for about in [Some(home), copy].into_iter().flatten() {
        if about == flight.segment || !state.segments.contains_key(&about) {
            continue;
        }
        let target = state.segments.get_mut(&flight.segment).expect("the active segment exists");
        target.pin(about, flight.stamp);
        target.said.push((item, about));
        target.index_bytes += 24;
    }
}

pub(crate) fn put_maps(state: &mut State, flight: &mut Flight, builder: &mut Building<'_>, limit: usize) {
    while let Some(map) = state.maps.front() {
        if builder.len() + record_bytes(map.meta.len(), 0) > limit {
            return;
        }
        let map = state.maps.pop_front().expect("looked at");
        builder.record(Kind::LiveMap, 0, &map.meta, &[]);
        let target = state.segments.get_mut(&flight.segment).expect("the active segment exists");
        target.maps.push(map.meta.clone());
        target.index_bytes += map.meta.len() as u64 + 16;
        // Later than what it covers, or it would cover itself.
        target.pin(map.target, flight.stamp);
        flight.maps.push(map);
    }
}

pub(crate) fn put_requests(
    state: &mut State,
    flight: &mut Flight,
    builder: &mut Building<'_>,
    limit: &mut usize,
    log: u32,
    epoch: u32,
) {
    while let Some(request) = state.queue.front() {
        // What the index takes later comes off the room.
        let index = if let Request::Commit(commit) = request { commit.meta.len() + 80 } else { 0 };
        let bytes = request.bytes() + if builder.is_empty() { 0 } else { index };
        if builder.len() + bytes > *limit {
            return;
        }
        match state.queue.pop_front().expect("looked at") {
            Request::Commit(mut commit) => {
                state.sequences += 1;
                let id = MessageId { log, sequence: stamp(epoch, state.sequences) };
                CommitHead::patch_id(&mut commit.meta, id);
                let at = put_commit(builder, &commit);
                *limit = limit.saturating_sub(index);
                flight.commits.push((commit, id, at));
            }
            Request::Body(body) => {
                let at = builder.record(Kind::Body, 0, &[], &[&body.bytes]);
                flight.bodies.push((body, at));
            }
        }
    }
}

fn put_commit(builder: &mut Building<'_>, commit: &Commit) -> RecordAt {
    if commit.body.rest.is_empty() {
        return builder.record(
            Kind::Commit,
            commit.flags,
            &commit.meta,
            &[&commit.prefix, &commit.body.first],
        );
    }
    let mut data: Vec<&[u8]> = Vec::with_capacity(commit.body.rest.len() + 2);
    data.push(&commit.prefix);
    data.push(&commit.body.first);
    data.extend(commit.body.rest.iter().map(|chunk| &chunk[..]));
    builder.record(Kind::Commit, commit.flags, &commit.meta, &data)
}

/// Bytes that an entry takes at most.
pub(crate) fn change_bytes(change: &Change) -> usize {
    40 + match change {
        Change::RetryAt { reply: text, .. } | Change::Hold { reason: text } | Change::Properties(text) => {
            text.len()
        }
        Change::Image(_) => crate::limits::PROPERTIES_MAX_BYTES + crate::limits::REPLY_MAX_BYTES,
        Change::Done | Change::Active | Change::Mark(_) => 0,
    }
}

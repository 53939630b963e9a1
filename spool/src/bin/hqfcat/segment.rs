//! Prints one segment, record by record.

use std::io::Write;
use std::path::Path;

use spool::content::Content;
use spool::format::batch::{Batch, Record};
use spool::format::envelope;
use spool::format::record::{self, CommitHead, Cut, Kind, Live, LiveMap};
use spool::format::scan::{Scan, Step};
use spool::format::segment::{Trailer, Use, use_of};
use spool::offline::read_file;

use crate::json::Json;

/// True when nothing is damaged.
pub(crate) fn print(path: &Path, json: bool) -> Result<bool, String> {
    let bytes = read_file(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut out = Lines { json, out: std::io::stdout().lock(), good: true };
    let header = match use_of(&bytes) {
        Use::Used(header) => header,
        Use::Free { .. } => {
            out.line("segment", 0, 0, "free: never used, or retired");
            return Ok(true);
        }
        Use::Damaged(bad) => return Err(format!("{}: header: {bad}", path.display())),
    };
    let id: String = header.identity.id.iter().map(|byte| format!("{byte:02x}")).collect();
    let (log, sequence, size) = (header.identity.log, header.identity.sequence, header.size_bytes);
    out.line("segment", 0, 0, &format!("id {id}, log {log}, sequence {sequence}, {size} bytes"));
    let mut scan = Scan::new(header.identity, bytes.len() as u64);
    loop {
        match scan.step(0, &bytes) {
            Step::Batch { batch, window_at, damaged } => {
                if let Some(range) = damaged {
                    out.damaged(range.start, &format!("to {}: no valid batch", range.end));
                }
                out.batch(&batch, &bytes[window_at..]);
            }
            Step::End { tail, torn } => {
                let text = if torn { "a torn batch begins here" } else { "nothing valid follows" };
                out.line("end", tail, 0, text);
                break;
            }
            Step::Read { .. } => break,
        }
    }
    let trailer =
        bytes.len().checked_sub(4096).map(|at| (at, Trailer::decode(&bytes[at..], &header.identity)));
    if let Some((at, Ok(trailer))) = trailer {
        let text = format!("index at {}, {} bytes", trailer.index_offset, trailer.index_bytes);
        out.line("trailer", at as u64, trailer.as_of, &text);
    }
    Ok(out.good)
}

struct Lines<W: Write> {
    json: bool,
    out: W,
    good: bool,
}

impl<W: Write> Lines<W> {
    fn line(&mut self, what: &'static str, offset: u64, stamp: u64, text: &str) {
        let line = if self.json {
            Json::Object(vec![
                ("what", Json::Text(what.to_owned())),
                ("offset", Json::Number(offset)),
                ("stamp", Json::Number(stamp)),
                ("text", Json::Text(text.to_owned())),
            ])
            .text()
        } else {
            format!("{offset:10} {what:8} {text}")
        };
        // A reader that has gone (a pipe to head) is no error.
        let _ = writeln!(self.out, "{line}");
    }

    fn damaged(&mut self, offset: u64, text: &str) {
        self.good = false;
        self.line("DAMAGED", offset, 0, text);
    }

    fn batch(&mut self, batch: &Batch, bytes: &[u8]) {
        let (offset, stamp) = (u64::from(batch.place.offset), batch.place.stamp);
        let index = if batch.index { ", index" } else { "" };
        let text =
            format!("number {}, {} bytes, {} records{index}", batch.place.number, batch.bytes, batch.records);
        self.line("batch", offset, stamp, &text);
        let mut content = Content::default();
        content.batch(batch, bytes);
        for record in batch.records(bytes).flatten() {
            let (record, data) = record;
            let at = u64::from(record.at.offset);
            self.record(&record, at, stamp);
            if data.is_err() {
                self.damaged(at, "checksum of its data does not match");
            }
        }
        for damage in content.damage {
            self.damaged(damage.range.start, &format!("to {}: {}", damage.range.end, damage.bad));
        }
    }

    fn record(&mut self, record: &Record<'_>, at: u64, stamp: u64) {
        match record.kind {
            Some(Kind::Body) => self.line("body", at, stamp, &format!("{} bytes", record.at.data_bytes)),
            Some(Kind::Commit) => self.commit("commit", record.meta, record.flags, at, stamp),
            Some(Kind::Settle) => {
                for (item, change) in record::settles(record.meta).unwrap_or_default() {
                    self.line(
                        "settle",
                        at,
                        stamp,
                        &format!("{}/{} {change:?}", item.message, item.recipient),
                    );
                }
            }
            Some(Kind::LiveMap) => {
                if let Ok(map) = LiveMap::decode(record.meta) {
                    let (log, segment, live) = (map.log, map.segment, map.live.len());
                    let text =
                        format!("of segment {log}:{segment}, {} to {}: {live} live", map.first, map.last);
                    self.line("live map", at, map.as_of, &text);
                }
            }
            Some(Kind::Cut) => {
                if let Ok(Cut { log, segment, batches }) = Cut::decode(record.meta) {
                    self.line(
                        "cut",
                        at,
                        stamp,
                        &format!("segment {log}:{segment} counts up to batch {batches}"),
                    );
                }
            }
            Some(Kind::Clean) => self.line("clean", at, stamp, "the store was closed in order"),
            Some(Kind::Live) => {
                if let Ok(live) = Live::decode(record.meta) {
                    self.commit("live", &live.meta, live.flags, at, live.stamp);
                }
            }
            Some(Kind::Ids) => {
                let ids = record::decode_ids(record.meta).unwrap_or_default();
                self.line("ids", at, stamp, &format!("{} messages that are not here any more", ids.len()));
            }
            None => self.line("unknown", at, stamp, "of a later release"),
        }
    }

    fn commit(&mut self, what: &'static str, meta: &[u8], flags: u8, at: u64, stamp: u64) {
        let Ok((head, envelope_at)) = CommitHead::decode(meta, flags) else {
            return self.damaged(at, "head of a commit record");
        };
        let envelope = envelope::decode(&bytes::Bytes::copy_from_slice(&meta[envelope_at..]));
        let text = match envelope {
            Ok((envelope, size)) => {
                let first = envelope.recipients.first().map(|recipient| recipient.address.clone());
                format!(
                    "{} <{}> -> <{}> ({} recipients), {size} bytes{}",
                    head.id,
                    String::from_utf8_lossy(&envelope.sender).escape_debug(),
                    String::from_utf8_lossy(&first.unwrap_or_default()).escape_debug(),
                    envelope.recipients.len(),
                    if head.items.is_some() { ", moved" } else { "" },
                )
            }
            Err(bad) => format!("{}: envelope: {bad}", head.id),
        };
        self.line(what, at, stamp, &text);
    }
}

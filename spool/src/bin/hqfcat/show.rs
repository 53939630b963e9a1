//! Queued messages as `hqfcat` prints them.

use spool::ItemState;
use spool::offline::Message;

use crate::json::Json;

/// One recipient, as `hqfcat` documents it.
pub(crate) fn object(message: &Message, at: usize) -> Json {
    let (envelope, item) = (&message.envelope, &message.items[at]);
    let recipient = envelope.recipients.get(item.recipient as usize).cloned().unwrap_or_default();
    let (status, retry_ms, reply) = state(&item.state);
    let optional = |bytes: &[u8]| if bytes.is_empty() { Json::Null } else { Json::bytes(bytes) };
    Json::Object(vec![
        ("id", Json::Text(message.transaction())),
        ("queueid", Json::Number(u64::from(item.recipient) + 1)),
        ("message", message.id().map_or(Json::Null, |id| Json::Text(id.to_string()))),
        ("status", Json::Text(status.to_owned())),
        ("retry", Json::Number(u64::from(item.attempts))),
        ("retryts", retry_ms.map_or(Json::Null, |ms| Json::Number(ms / 1000))),
        ("transportid", Json::bytes(&recipient.transport)),
        ("ts", Json::Number(envelope.received_ms / 1000)),
        ("sender", Json::bytes(&envelope.sender)),
        ("recipient", Json::bytes(&recipient.address)),
        ("domain", Json::bytes(&recipient.domain)),
        ("serverid", Json::bytes(&envelope.server_id)),
        ("senderip", envelope.peer.map_or(Json::Null, |peer| Json::Text(peer.ip().to_string()))),
        ("senderhelo", Json::bytes(&envelope.helo)),
        ("username", envelope.auth_user.as_deref().map_or(Json::Null, Json::bytes)),
        ("size", Json::Number(message.size_bytes)),
        ("reply", optional(reply)),
    ])
}

/// The same as a line.
pub(crate) fn line(message: &Message, at: usize) -> String {
    let (envelope, item) = (&message.envelope, &message.items[at]);
    let address = envelope.recipients.get(item.recipient as usize).map(|r| r.address.clone());
    let (status, _, reply) = state(&item.state);
    format!(
        "{} {status:5} <{}> -> <{}> {} bytes, {} attempts{}{}",
        message.transaction(),
        String::from_utf8_lossy(&envelope.sender).escape_debug(),
        String::from_utf8_lossy(&address.unwrap_or_default()).escape_debug(),
        message.size_bytes,
        item.attempts,
        if reply.is_empty() { "" } else { ": " },
        String::from_utf8_lossy(reply).escape_debug(),
    )
}

fn state(state: &ItemState) -> (&'static str, Option<u64>, &[u8]) {
    match state {
        ItemState::Active => ("QUEUE", None, &[]),
        ItemState::RetryAt { at_ms, reply } => ("QUEUE", Some(*at_ms), readable(reply)),
        ItemState::Hold { reason } => ("HOLD", None, readable(reason)),
    }
}

/// The server keeps more behind a NUL.
fn readable(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

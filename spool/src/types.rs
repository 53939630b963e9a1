//! Names and contents of messages, as the rest of the server sees them.

use std::net::SocketAddr;

use bytes::Bytes;

/// Names a message for as long as it is queued, over restarts and moves. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId {
    /// The log that accepted it.
    pub log: u32,
    /// Its number in that log; later messages have higher numbers.
    pub sequence: u64,
}

/// Names one recipient of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId {
    /// The message.
    pub message: MessageId,
    /// Index into [`Envelope::recipients`].
    pub recipient: u32,
}

/// What is known of a message besides its bytes. All text is bytes, kept as received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Transaction id (UUID).
    pub transaction: [u8; 16],
    /// Id of the listener (server) that took it.
    pub server_id: Bytes,
    /// Sender address without angle brackets; empty for the null sender.
    pub sender: Bytes,
    /// When it was received, milliseconds since the Unix epoch.
    pub received_ms: u64,
    /// The client.
    pub peer: Option<SocketAddr>,
    /// What the client called itself.
    pub helo: Bytes,
    /// Name the client authenticated with.
    pub auth_user: Option<Bytes>,
    /// The message was announced or found to hold 8-bit bytes.
    pub eight_bit: bool,
    /// SMTPUTF8 was asked for.
    pub smtputf8: bool,
    /// Who gets it.
    pub recipients: Vec<Recipient>,
    /// Further fields by tag; kept as they are, also by releases that do not know the tag.
    pub fields: Vec<(u16, Bytes)>,
}

/// One recipient as accepted. Long values that are equal between recipients are stored once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipient {
    /// Address without angle brackets.
    pub address: Bytes,
    /// Id of the transport that delivers it.
    pub transport: Bytes,
    /// Domain that decides the next hop.
    pub domain: Bytes,
    /// Further fields by tag (metadata, edits, DSN options).
    pub fields: Vec<(u16, Bytes)>,
}

/// A change of one item's state. The latest wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settle {
    /// Finished: delivered, bounced or deleted. When all items of a message are done its space comes back.
    Done,
    /// Due at once (also: released from hold). The count of attempts stays.
    Active,
    /// Try again later.
    RetryAt {
        /// When, milliseconds since the Unix epoch.
        at_ms: u64,
        /// Attempts made so far.
        attempts: u32,
        /// Last reply or error, for listings and the DSN. Cut to [`crate::limits::REPLY_MAX_BYTES`].
        reply: Bytes,
    },
    /// Kept until somebody releases it.
    Hold {
        /// Why, for listings. Cut to [`crate::limits::REPLY_MAX_BYTES`].
        reason: Bytes,
    },
    /// Replaces the item's properties (metadata, changed transport...): a value only the caller understands, at
    /// most [`crate::limits::PROPERTIES_MAX_BYTES`] (longer ones are not taken). The state stays.
    Properties(Bytes),
}

/// State of an item that is not done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ItemState {
    /// Due at once.
    #[default]
    Active,
    /// Due later.
    RetryAt {
        /// When, milliseconds since the Unix epoch.
        at_ms: u64,
        /// Last reply or error.
        reply: Bytes,
    },
    /// Kept until released.
    Hold {
        /// Why.
        reason: Bytes,
    },
}

//! Every bound of this crate, with the memory or time it implies.

/// Queued recipients per shard before there is no [`crate::Queue::room`]; the caller answers 452 at MAIL.
/// At about 200 bytes each: 0.8 GB per shard when full. Configurable down through [`crate::Options`].
pub const MAX_ITEMS: usize = 4_000_000;

/// Recipients of one message in one attempt (one body, many RCPT). RFC 5321 4.5.3.1.8 has every server take 100;
/// with half of that a refusal or a lost connection costs less.
pub const MAX_ATTEMPT_RECIPIENTS: usize = 50;

/// Attempts at once per destination, when a transport does not say.
/// With [`MAX_ATTEMPT_RECIPIENTS`] this is also the window of prepared items per destination: an item
/// beyond it is ACTIVE and costs its slot only; a running attempt costs about 1 KiB here.
pub const DESTINATION_CONCURRENCY: u32 = 20;

/// Attempts at once per shard, when the caller does not say.
pub const TOTAL_CONCURRENCY: u32 = 10_000;

/// Attempts a busy connection may take through `next_for` while other destinations wait for the last free
/// attempts; then it has to let them go first.
pub const REUSE_BURST: u32 = 20;

/// Urgent attempts that are picked in a row while others wait; then one of the others goes.
pub const URGENT_BURST: u32 = 4;

/// When a line is looked at again that was tried because its time had come, if that says nothing.
pub const HELD_AGAIN_MS: u64 = 10_000;

/// How often all items are looked at for those that have waited too long though nothing was tried.
pub const EXPIRY_INTERVAL_MS: u64 = 60_000;

/// Items that one look at that visits: at about 10 ns each.
pub const EXPIRY_CHUNK: u32 = 2_000;

/// Items that one call of `next` may move or look at (come due, suspended, to another line). Each costs a few
/// cache misses, 0.3 to 3 microseconds, so a call stays within a millisecond.
pub const NEXT_BUDGET: u32 = 250;

/// Suspends that are gone through one by one, at about 50 ns each, that cost as much as an item.
pub const RULES_PER_LOOK: usize = 60;

/// What a call may look at in any case.
pub const NEXT_BUDGET_MIN: u32 = 4;

/// Width of a bucket of the retry schedule. An item comes due at the end of its bucket, so at most this late.
pub const BUCKET_MS: u64 = 1_000;

/// Items that one call of `scan` may visit: at 10 to 100 ns each, within a millisecond. A visitor that takes long looks at the
/// clock.
pub const SCAN_CHUNK: usize = 10_000;

/// Bytes of a reason kept with a held item; longer texts are cut at a character.
pub const REASON_BYTES: usize = 512;

/// Bytes of an address that `insert` takes: RFC 5321 4.5.3.1.1-3 with room for SMTPUTF8 and quoting.
pub const ADDRESS_BYTES: usize = 1_024;

/// Bytes of any interned name (transport, domain, job, tenant, quota).
pub const NAME_BYTES: usize = fields::NAME_BYTES_MAX;

/// Bytes of an item's metadata, with 8 for each pair; what is beyond is not kept in memory.
pub const METADATA_BYTES: usize = 65_536;

/// Quotas of one item.
pub const QUOTAS: usize = fields::QUOTAS_MAX;

/// Suspend rules in one set.
pub const SUSPEND_RULES: usize = 10_000;

/// Values (exact names, networks, expressions) of all rules of one set: about 100 bytes each.
pub const SUSPEND_VALUES: usize = 1_000_000;

/// Counters that a shard owns: about 400 bytes each. Beyond that, mail that needs another one waits.
pub const COUNTERS: usize = 200_000;

/// How long it waits before it looks again, in milliseconds.
pub const COUNTERS_PAUSE_MS: u64 = 1_000;

/// Messages that a shard asks for at once, at most.
pub const TOKENS_AT_ONCE: u32 = 64;

/// Units of a limit of connections that a shard is given at once for later ones, at most, and the most that it keeps.
pub const SPARE_UNITS: u32 = 16;

/// They are at most this part of what is left of the limit: with less than that left there are none, and each connection
/// is asked for.
pub const SPARE_PART: u32 = 32;

/// How long a shard keeps units that nobody wants, in milliseconds.
pub const SPARE_IDLE_MS: u64 = 1_000;

/// Policies in one set; each message is compared with all of them.
pub const POLICIES: usize = 200;

/// Regular expressions in one set. They are a linear scan: at about 50 ns each, 0.1 ms per look at 2,000.
pub const SUSPEND_REGEXES: usize = 2_000;

/// Compiled size of one regular expression, in bytes.
pub const REGEX_BYTES: usize = 256 * 1024;

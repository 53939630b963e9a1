//! Every bound of the server, in one place, with the memory it implies per shard unless said otherwise.

use std::time::Duration;

/// How long a log line may wait for others to be written with. What a `kill -9` can cost of the log.
pub const LOG_DELAY: Duration = Duration::from_millis(20);
/// How often freed memory goes back to the system.
pub const MEMORY_SWEEP: Duration = Duration::from_secs(5);
/// How often it is looked whether the shards' loops turn.
pub const HEARTBEAT: Duration = Duration::from_millis(250);
/// A loop that has not turned for so long stands still: it is said so, and the server is not healthy.
pub const STALLED: Duration = Duration::from_secs(1);
/// After so long the process ends itself, so that the service manager starts it anew.
pub const STALLED_FOR_GOOD: Duration = Duration::from_secs(60);
/// How long it takes over its last words then.
pub const LAST_LINES: Duration = Duration::from_secs(2);

/// How long a connection that was brought for waiting mail waits for it before others may have it.
pub const BROUGHT: Duration = Duration::from_secs(1);

/// How long a shard may take to say what it counts: `shard status` answers within a second even when one has just come to a stand.
pub const SHARD_ANSWER: Duration = Duration::from_millis(700);
/// Connections to the monitor at once (once per process); each holds at most its head and its answer, some 100 KiB.
pub const MONITOR_CONNECTIONS: usize = 64;
/// How long a client of the monitor may take for its request, and again for taking the answer.
pub const MONITOR_PATIENCE: Duration = Duration::from_secs(10);

/// How long a trace goes on, unless less is asked for.
pub const TRACE_TIME: Duration = Duration::from_secs(3600);
/// Traces at once (once per process).
pub const TRACES: usize = 16;
/// Events that wait for an operator who watches, each some hundred bytes: with [`TRACES`], 16 MB at most in one process.
pub const TRACE_EVENTS: usize = 2_000;
/// Events of a connection that are held back until a recipient is known.
pub const TRACE_HELD: usize = 50;
/// Compiled size of a regular expression in a trace's filter.
pub const TRACE_REGEX_BYTES: usize = 256 << 10;

/// What a percentile of how long things took is about: the last this, to twice as much. 4 KiB.
pub const RECENT: Duration = Duration::from_secs(30);
/// Log text a shard may hold before it drops lines; emptied after [`LOG_DELAY`], or when [`LOG_WRITE_BYTES`] are there.
pub const LOG_BUFFER_BYTES: usize = 1 << 20;
/// Log text the control thread may hold for a slow reader before it drops lines (once per process).
pub const LOG_QUEUE_BYTES: usize = 8 << 20;
/// Log text given to one write.
pub const LOG_WRITE_BYTES: usize = 64 << 10;
/// How long one log write is waited for; after that it is looked at now and then, and nothing else is written.
pub const LOG_WRITE_DEADLINE: Duration = Duration::from_secs(60);
/// How often it is looked whether a log write that took longer has ended.
pub const LOG_STUCK_PAUSE: Duration = Duration::from_secs(1);
/// Recipients named in the line of a message that was taken in; each has lines of its own later.
pub const LOG_RECIPIENTS: usize = 10;
/// How long a stop waits for the last log lines while none of them is written.
pub const LOG_DRAIN: Duration = Duration::from_secs(2);
/// How many times that long it waits while some are.
pub const LOG_DRAIN_PATIENCES: usize = 5;

/// Size of a configuration file.
pub const CONFIG_FILE_BYTES: usize = 64 << 20;

/// Size of a file with a certificate chain or a key.
pub const PEM_FILE_BYTES: u64 = 1 << 20;
/// How often the end of certificates is looked at.
pub const EXPIRY_INTERVAL: Duration = Duration::from_secs(3600);

/// How long a client may take for a TLS handshake.
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(60);

/// Pause after an accept that failed (out of descriptors, mostly).
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a start waits for an address that somebody has: a predecessor that was killed, whose sockets the kernel still closes.
pub const PREDECESSOR_CLOSES: Duration = Duration::from_secs(2);
/// How often it looks.
pub const PREDECESSOR_LOOK: Duration = Duration::from_millis(20);

/// How long a goodbye to a peer may take when we hang up.
pub const FAREWELL: Duration = Duration::from_secs(2);

/// How long a script waits for the control thread, which asks all shards.
pub const SCRIPT_ASKS_CONTROL: Duration = Duration::from_secs(5);
/// How long a script waits for what another shard has to say.
pub const SCRIPT_ASKS_SHARD: Duration = Duration::from_secs(1);

/// Bytes of the part `options` of a message that comes by HTTP, unpacked: enough for 1,000 recipients with the longest
/// addresses. Held once as it came and once as addresses while the message comes in, by those alone who have a key.
pub const SUBMISSION_OPTIONS_BYTES: usize = 512 << 10;
/// Options of more bytes, or packed ones, are read beside the shard.
pub const SUBMISSION_OPTIONS_INLINE_BYTES: usize = 16 << 10;
/// Bytes of `metadata` in them: a script has it as a value, which is some ten times as large.
pub const SUBMISSION_METADATA_BYTES: usize = 64 << 10;
/// How deep it may be nested.
pub const SUBMISSION_METADATA_DEPTH: usize = 32;
/// What the body of a submission may have beside its message and its options: boundaries, headers of parts.
pub const SUBMISSION_FORM_BYTES: u64 = 64 << 10;
/// Bytes of a message that came packed, where `phases.data.maxsize` says nothing. A thousandth of it may be what came.
pub const SUBMISSION_UNPACKED_BYTES: u64 = 256 << 20;
/// Packed bytes that are unpacked in one step: at most 64 KiB come out.
pub const SUBMISSION_UNPACK_STEP: usize = 64;
/// What unpacking takes of one turn of the loop.
pub const SUBMISSION_UNPACK_SLICE: Duration = Duration::from_micros(300);
/// Bytes of the body of a request that is refused which are read all the same, so that the connection can be used again.
pub const HTTP_DISCARD_BYTES: u64 = 1 << 20;
/// How long a client may take for the head of a request, once it has begun.
pub const HTTP_HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take to receive an answer.
pub const HTTP_SEND_PATIENCE: Duration = Duration::from_secs(60);
/// How long reading large options beside the shard may take.
pub const SUBMISSION_OPTIONS_PATIENCE: Duration = Duration::from_secs(10);

/// How long a listed proxy may take for its PROXY header.
pub const PROXY_HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a message waits for the reverse name of its client, from the connect on.
pub const REVERSE_WAIT: Duration = Duration::from_secs(2);

/// How long after the name servers' return questions may still be known to have failed that were asked before it: one try,
/// and as long as its failure is kept.
pub const RESOLVER_AFTERMATH: Duration = Duration::from_secs(12);

/// Buckets of a table of addresses, and slots in each: 64 Ki slots of 8 bytes, 512 KiB for each of the two tables (open
/// connections, failed logins).
pub const ADDRESS_BUCKETS: usize = 8192;
/// See [`ADDRESS_BUCKETS`]. A bucket is one cache line.
pub const ADDRESS_SLOTS: usize = 8;
/// Failed logins of an address within [`AUTH_FAILURE_WINDOW`] after which its logins are refused.
pub const AUTH_FAILURES_PER_ADDRESS: u64 = 20;
/// See [`AUTH_FAILURES_PER_ADDRESS`]; also how long they are refused.
pub const AUTH_FAILURE_WINDOW: Duration = Duration::from_secs(600);

/// What queueing recovered recipients takes of one turn of the loop, about: 2 us each. The spool, which finds them, takes as much.
pub const LOAD_SLICE: Duration = Duration::from_micros(300);
/// The same of a message whose recipients come into the queue.
pub const ENQUEUE_SLICE: Duration = Duration::from_micros(300);
/// How long the load waits before it looks again whether the queue has room.
pub const LOAD_PAUSE: Duration = Duration::from_millis(500);

/// Attempts begun in one turn of the loop.
pub const PICK_UP_BURST: u32 = 64;

/// The same by time: rules with many expressions make a look at a message slow.
pub const PICK_UP_SLICE: Duration = Duration::from_micros(500);
/// What a walk over a shard's counters takes of a turn: when policies change, or somebody lists them.
pub const COUNTERS_SLICE: Duration = Duration::from_micros(500);
/// How often a shard whose disk takes no writes looks whether it does again.
pub const UNHEALTHY_PAUSE: Duration = Duration::from_secs(1);
/// Addresses tried in one attempt (reference: cli-and-operations 9.7).
pub const HOSTS_PER_ATTEMPT: usize = 5;
/// How long an outgoing connection waits for the next message before it says QUIT.
pub const CONNECTION_IDLE: Duration = Duration::from_secs(10);
/// Transactions after which an outgoing connection is given up.
pub const CONNECTION_TRANSACTIONS: u32 = 100;
/// Routes with an attempt's own settings that a shard keeps; with more, it begins anew. About 2 KiB each, 2 MB in all.
pub const ROUTES_MADE: usize = 1000;
/// Paths to hosts that a shard remembers as their owner, and again as a reader: about 100 bytes each, 4 MB in all.
pub const PATHS_MAX: usize = 20_000;
/// How long the owner of a counter may take to answer. A shard that is stuck does not hold up the mail of others.
pub const COUNTER_PATIENCE: Duration = Duration::from_secs(1);
/// When mail is looked at again whose counter's owner did not answer.
pub const OWNER_STUCK_MS: u64 = 1_000;
/// When mail is looked at again at the latest that a policy holds back: it is woken before that, unless the wake was lost.
pub const LIMITED_LOOK_AGAIN_MS: u64 = 10_000;
/// The shortest such time. A wake comes before it.
pub const LIMITED_SHORTEST_MS: u64 = 250;
/// Refusals of policies that a line is to be woken by, for each of its hosts and our addresses.
pub const REFUSALS_MAX: usize = 32;
/// How long connections that others wait for are not kept idle, in milliseconds.
pub const RECALL_MS: u64 = 10_000;
/// Counters of which a shard remembers that their connections are called back, and again when they woke it last: about
/// 150 bytes each.
pub const HINTS_MAX: usize = 10_000;
/// How long a peer that closes while it is sent a message may take to say why.
pub const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a peer is not taken at its word that did not do what it offers: gets DATA instead of BDAT, or mail in clear
/// where TLS is optional.
pub const DISTRUST: Duration = Duration::from_secs(3600);
/// Such peers that are remembered; about 40 bytes each.
pub const DISTRUSTED: usize = 1000;
/// How long it is known whether an address is one of this host.
pub const LOCALITY: Duration = Duration::from_secs(60);
/// Addresses of which that is known; about 40 bytes each.
pub const LOCALITY_KNOWN: usize = 4096;
/// How long a report waits for further recipients of the message to fail, after the last one.
pub const REPORT_GATHER_QUIET: Duration = Duration::from_secs(1);
/// How long it waits in all. Until it is written, a crash repeats the attempts that it is about.
pub const REPORT_GATHER_MAX: Duration = Duration::from_secs(10);
/// Reports that wait for further recipients, each about 1 KiB; with more, none waits.
pub const REPORTS_GATHERING: usize = 10_000;
/// Reports that are composed and written at once: each has up to 256 KiB of its message in memory.
pub const REPORTS_WRITING: usize = 16;
/// How often, and for how long in all, a report waits for a place in the buffers of the spool: others are being written.
pub const REPORT_BUFFER_PAUSE: Duration = Duration::from_millis(100);
/// See [`REPORT_BUFFER_PAUSE`].
pub const REPORT_BUFFER_PATIENCE: Duration = Duration::from_secs(60);
/// Recipients in one report: at most about 3 KiB each.
pub const REPORT_RECIPIENTS: usize = 500;
/// Bytes of what a peer said that a report repeats.
pub const REPORT_DIAGNOSTIC_BYTES: usize = 1024;
/// Largest message that a report gives back whole; of a larger one it gives the header.
pub const REPORT_MESSAGE_BYTES: usize = 256 << 10;
/// Bytes of a header that a report gives back.
pub const REPORT_HEADER_BYTES: usize = 64 << 10;
/// When an attempt is repeated whose report could not be stored.
pub const REPORT_RETRY: Duration = Duration::from_secs(60);
/// Message bytes gathered into one write: what a busy attempt holds in memory besides the spool's cache.
pub const BODY_WRITE_BYTES: usize = 256 << 10;

/// How long an accounting line may wait for others to be written with, and with it what the spool is told.
pub const ACCOUNTING_DELAY: Duration = Duration::from_millis(5);
/// Accounting text a shard may hold while the disk is slow; beyond it, events are lost and counted.
pub const ACCOUNTING_BUFFER_BYTES: usize = 16 << 20;
/// How long a write of the accounting file is waited for before mail goes on without it.
pub const ACCOUNTING_WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of the accounting file read at once at the start (once per process).
pub const ACCOUNTING_READ_BYTES: usize = 1 << 20;
/// Marks kept, one for each log of the spool and start of the server: 25 bytes each in every file.
pub const ACCOUNTING_MARKS: usize = 1024;
/// Messages below the mark of the accounting file that are told again after a crash: twice what a batch of the spool
/// holds, within which they may be written out of order.
pub const ACCOUNTING_MARGIN: u64 = 20_000;

/// Permissions of a listening socket in the file system: who may reach its directory may connect, as anybody on this host
/// may to a port of loopback.
pub const UNIX_LISTENER_MODE: u32 = 0o666;

/// Descriptors that a shard needs beside connections: rings, listeners, segments of the spool.
pub const DESCRIPTORS_PER_SHARD: u64 = 128;
/// How long the scripts and other files of a configuration may take to be read and compiled.
pub const CONFIGURE: Duration = Duration::from_secs(60);

/// Recipients whose predelivery script was asked and whose attempt then had to wait: about 100 bytes each.
pub const PREPARED_WAITING: usize = 200_000;
/// Bytes of `$context` that such recipients keep.
pub const PREPARED_CONTEXT_BYTES: usize = 32 << 20;
/// Postdelivery scripts that run beside the lanes; with more, lanes wait for theirs. Each takes what its script takes.
pub const POSTDELIVERY_BESIDE: usize = 1000;
/// Size of a message that a script of the queue can open.
pub const SCRIPT_MESSAGE_BYTES: u64 = 64 << 20;

/// Clients of the control socket at once; a request that is being read holds up to [`control::limits::REQUEST_BYTES`],
/// and only those who may control the server can send one.
pub const CONTROL_CLIENTS: usize = 32;
/// Clients that may wait to be accepted.
pub const CONTROL_BACKLOG: u32 = 128;
/// How long a client may take no byte of its answer.
pub const CONTROL_SEND: Duration = Duration::from_secs(30);
/// Bytes of an answer sent at once.
pub const CONTROL_SEND_BYTES: usize = 64 << 10;
/// Half the time after which a shard that does not answer is said to stand still.
pub const CONTROL_PATIENCE: Duration = Duration::from_millis(400);
/// Bytes of rows in one answer; a longer listing goes on by a cursor.
pub const CONTROL_PAGE_BYTES: usize = 2 << 20;
/// Rows of a sorted listing without a limit, offset included: about 500 bytes each on the control thread and on each
/// shard.
pub const CONTROL_SORTED_ROWS: usize = 20_000;
/// Rows of a sorted listing with subjects: each shard reads the beginning of as many messages.
pub const CONTROL_SUBJECTS: usize = 1_000;
/// Bytes of a message in which its subject is looked for.
pub const SUBJECT_BYTES: usize = 256 << 10;
/// Groups of one distribution: about 200 bytes each on each shard.
pub const CONTROL_GROUPS: usize = 100_000;
/// How many times the queue is gone through, at most, to find the largest of more groups than that: for a part of them each time.
pub const CONTROL_GROUP_SHARES: u64 = 64;
/// Recipients that are selected before they are unloaded: 16 bytes each.
pub const UNLOAD_SELECTED: usize = 4096;
/// Messages that are unloaded together: their recipients are out of reach until all of their files are complete.
pub const UNLOAD_CHUNK: usize = 64;
/// Files of one transaction in one directory: more than one where it was unloaded in parts.
pub const UNLOAD_FILES: u32 = 1_000;
/// Bytes of an unloaded file that are read or written at once.
pub const TRANSFER_BYTES: usize = 256 << 10;
/// Files that the answer to an unload names.
pub const CONTROL_PATHS: usize = 10_000;
/// Look-ups that are listed at once: about 300 bytes each.
pub const CONTROL_LOOKUPS: usize = 10_000;
/// Counters of policies that are listed at once: about 200 bytes each.
pub const CONTROL_COUNTERS: usize = 10_000;
/// Suspends or conditions that are named in the log when they are removed at once; the others are counted.
pub const CONTROL_RULES_NAMED: usize = 10;
/// What a listing, a count or an update takes of one turn of a shard's loop, about: a message that comes in meanwhile takes some
/// turns, and each waits so long.
pub const CONTROL_SLICE: Duration = Duration::from_micros(500);
/// Items that an update selects before it changes them, and that are made durable together: about 30 bytes each, and some
/// hundred bytes each until they are on disk, with their keys among those that are listed as UPDATE.
pub const CONTROL_UPDATE_CHUNK: usize = 4096;
/// What an operator may have remembered of a recipient, in bytes: with a path and a few words of the server's own it stays
/// within [`spool::limits::PROPERTIES_MAX_BYTES`].
pub const ORDERED_PROPERTIES_BYTES: usize = 16 << 10;
/// Reports that are being gathered or written on a shard when a command that removes much waits for them.
pub const CONTROL_REPORTS: usize = 64;

/// Suspends that are added while the server runs: about 300 bytes each on the control thread, and again compiled.
pub const DYNAMIC_SUSPENDS: usize = 5_000;
/// The same of conditions of policies.
pub const DYNAMIC_CONDITIONS: usize = 5_000;
/// Ways that scripts want attempts back from: about 300 bytes each on the control thread, and again on each shard.
pub const RELINQUISHED: usize = 1_000;
/// Bytes of the value that comes with one.
pub const RELINQUISH_VALUE_BYTES: usize = 4096;
/// How long those recipients of an attempt wait that are given back where others are not.
pub const GIVEN_BACK_MS: u64 = 1_000;
/// How often the control thread looks whether another day has begun, for `warmup`.
pub const WARM_UP_LOOK: Duration = Duration::from_secs(30);
/// Bytes of the id of one.
pub const DYNAMIC_ID_BYTES: usize = 256;
/// Properties of one.
pub const DYNAMIC_PROPERTIES: usize = 64;
/// Size of the file that keeps them.
pub const DYNAMIC_FILE_BYTES: usize = 16 << 20;

/// Addresses and server ids that the conditions of a live stage name, each.
pub const STAGE_CONDITIONS: usize = 1_000;
/// The longest life of a live stage that may be asked for.
pub const STAGE_TIME: Duration = Duration::from_secs(366 * 24 * 3600);
/// Bytes of the name of a live stage, and of what errors call its file.
pub const STAGE_NAME_BYTES: usize = 256;
/// How often it is looked whether a live stage is over.
pub const STAGE_TICK: Duration = Duration::from_secs(1);
/// Bytes of what a script of a live stage prints that the client which started it is shown at once.
pub const STAGE_PRINTED_BYTES: usize = 16 << 10;
/// Requests of a client that are read while it waits for a breakpoint.
pub const CONTROL_AHEAD: usize = 4;

//! Every bound of this crate, with the memory it implies. Bounds of one process are divided by the number of shards
//! where each shard keeps its part.

use std::time::Duration;

/// How long a script may take, waiting included, unless the program that runs it says otherwise.
pub const WALL_CLOCK: Duration = Duration::from_secs(600);

/// How long a script waits before it gives up the memory of its message.
pub const REST_AFTER: Duration = Duration::from_millis(50);

/// Size of a message that is kept in memory while its script waits.
pub const REST_BYTES: usize = 16 * 1024;

/// How long a script runs before other tasks of its shard get their turn.
pub const SLICE: Duration = Duration::from_micros(150);

/// Rounds of loops and calls in the first slice of a script, before it is known how long they take.
pub const SLICE_ROUNDS_FIRST: u32 = 1_000;

/// Fewest rounds of a slice, however long they take.
pub const SLICE_ROUNDS_MIN: u32 = 50;

/// Most rounds of a slice: of the shortest loops, a quarter of a millisecond.
pub const SLICE_ROUNDS_MAX: u32 = 50_000;

/// How long an offloaded call may take, its wait for a thread included.
pub const OFFLOAD: Duration = Duration::from_secs(60);

/// Longest `sleep` at once: a day.
pub const SLEEP: Duration = Duration::from_secs(86_400);

/// How long a script waits for a barrier, or for a key of shared memory that another one has locked.
pub const LOCK_WAIT: Duration = Duration::from_secs(60);

/// Scripts that wait for one lock. About 100 bytes each.
pub const LOCK_WAITERS_MAX: usize = 10_000;

/// Locks that one script may hold. About 200 bytes each.
pub const LOCKS_HELD_MAX: usize = 100;

/// Steps from lock to holder to lock that the search for a deadlock follows.
pub const DEADLOCK_STEPS_MAX: usize = 64;

/// Longest name of a key, a barrier or a bucket.
pub const STORE_KEY_BYTES_MAX: usize = 4096;

/// Bytes of shared memory in the process, keys included.
pub const MEMORY_BYTES_MAX: usize = 256 << 20;

/// Longest key of a cache entry: its arguments, in bytes.
pub const CACHE_KEY_BYTES_MAX: usize = 64 * 1024;

/// Bytes of all caches in the process, keys included.
pub const CACHE_BYTES_MAX: usize = 256 << 20;

/// Buckets of caches in the process. About 300 bytes each.
pub const CACHE_BUCKETS_MAX: usize = 10_000;

/// Most entries in one bucket, whatever `size` says. About 200 bytes each, besides key and value.
pub const CACHE_SIZE_MAX: usize = 1_000_000;

/// Entries in a bucket unless `size` says otherwise.
pub const CACHE_SIZE: usize = 32;

/// Seconds that an entry lives unless `ttl` says otherwise.
pub const CACHE_TTL_S: f64 = 60.0;

/// How long a DNS question may take unless its options say otherwise.
pub const DNS_TIMEOUT: Duration = Duration::from_secs(5);

/// Most that they can say.
pub const DNS_TIMEOUT_MAX: Duration = Duration::from_secs(300);

/// Answers to scripts' questions that a shard keeps: 2,000, of at most 4 KiB each.
pub const DNS_KEPT_MAX: usize = 2_000;

/// Size of an answer that is kept.
pub const DNS_KEPT_BYTES_MAX: usize = 4096;

/// How long an answer is kept at most.
pub const DNS_KEPT: Duration = Duration::from_secs(3600);

/// How long it is kept that there is nothing.
pub const DNS_ABSENT_KEPT: Duration = Duration::from_secs(30);

/// Scripts that wait for one answer together; the next one asks by itself.
pub const DNS_WAITING_MAX: usize = 10_000;

/// How long connecting to an SMTP server may take unless the call says otherwise.
pub const SMTP_CONNECT: Duration = Duration::from_secs(30);

/// Longest time that a call may give an SMTP server.
pub const SMTP_WAIT_MAX: Duration = Duration::from_secs(3600);

/// How long a goodbye to an SMTP server may take.
pub const SMTP_FAREWELL: Duration = Duration::from_secs(2);

/// Recipients of one `send`.
pub const SMTP_RECIPIENTS_MAX: usize = net::limits::CLIENT_RECIPIENTS_MAX;

/// Bytes of one read of a file on disk.
pub const FILE_READ_BYTES: usize = 64 * 1024;

/// Most bytes of a file that one call gives: a string's bound.
pub const FILE_BYTES_MAX: usize = script::limits::MAX_STRING_BYTES;

/// Bytes of one certificate in DER; those with a logotype inside have some 20 KiB.
pub const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;

/// Certificates read from one text, or given to one verification.
pub const MAX_CERTIFICATES: usize = 1024;

/// Bytes of a list of revoked certificates.
pub const MAX_CRL_BYTES: usize = 16 * 1024 * 1024;

/// How long connecting for `http` may take unless its options say otherwise, the look-up of the name and the agreement
/// on TLS included.
pub const HTTP_CONNECT: Duration = Duration::from_secs(10);

/// Most bytes of a response's body unless `max_file_size` says less: a string's bound.
pub const HTTP_BODY_BYTES_MAX: usize = script::limits::MAX_STRING_BYTES;

/// Most bytes that a function may give as the body of a request, and how many it is asked for at once.
pub const HTTP_POST_BYTES_MAX: usize = script::limits::MAX_STRING_BYTES;

/// Bytes that such a function is asked for at once.
pub const HTTP_POST_PIECE_BYTES: usize = 64 * 1024;

/// A longer form is written on another thread.
pub const HTTP_FORM_INLINE_BYTES: usize = 32 * 1024;

/// Redirects that `http` follows when it is told to follow all.
pub const HTTP_REDIRECTS_MAX: u32 = 50;

/// Addresses of one host that are tried.
pub const CONNECT_ADDRESSES_MAX: usize = 8;

/// Sockets and files on disk that one script may have open.
pub const OPEN_MAX: usize = 100;

/// Most bytes that one `recv` of a socket gives.
pub const SOCKET_RECV_BYTES_MAX: usize = 16 << 20;

/// How long `MSG_DONTWAIT` waits for what the kernel has already.
pub const SOCKET_DONT_WAIT: Duration = Duration::from_millis(2);

/// How long `bind` of a socket waits for what a script has closed just now.
pub const SOCKET_CLOSED: Duration = Duration::from_millis(2);

/// Longest file that a script includes or imports, or that is the list of a plugin: 64 MiB.
pub const MAX_IMPORT_BYTES: usize = 64 << 20;

/// Times that a script may queue one message.
pub const QUEUED_PER_MESSAGE: usize = 100_000;

/// Longest delay with which a script may queue a message, in seconds: a year.
pub const MAX_DELAY_S: f64 = 366.0 * 86_400.0;

/// Items in `params` of one address, and words in one list of DSN options.
pub const ADDRESS_PARAMETERS: usize = 100;

/// Keys and values of the metadata of one item.
pub const METADATA_BYTES: usize = 64 * 1024;

/// What `SetMetaData` may keep, with 8 bytes for each pair: it stays in memory as long as the item is queued, and must fit into
/// what the spool takes as properties of an item (16 KiB).
pub const REWRITTEN_METADATA_BYTES: usize = 15 * 1024;

/// Entries of one list of `bounce-list`, `suppression-list` or `ip-list`: some 100 bytes each, patterns some KiB.
pub const LIST_ENTRIES_MAX: usize = 1_000_000;

/// Wrong lines of a list that are told of.
pub const LIST_COMPLAINTS_MAX: usize = 5;

/// How long the patterns of a list may take for one text, on another thread.
pub const LIST_MATCHING: Duration = Duration::from_secs(5);

/// How long `rate` waits for an answer through a socket in the file system.
pub const RATE_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers to other questions after which `rate` gives up.
pub const RATE_STRAY_DATAGRAMS_MAX: u32 = 64;

/// Keys of shared memory that are listed of each shard, with the values that they have: no more than the memory itself.
pub const OPERATOR_KEYS: usize = 100_000;

/// Sets of labels of one custom metric on one shard: about 200 bytes each, so that 200 metrics of a shard take 40 MB.
pub const METRIC_SERIES_MAX: usize = 1_000;

/// Labels of one of them.
pub const METRIC_LABELS_MAX: usize = 16;

/// Bytes of the name of a label, and of its value.
pub const METRIC_LABEL_BYTES_MAX: usize = 256;

/// Most bytes of an answer of a service that are received before any of it is taken: a string's bound, and what frames it.
pub const SERVICE_INPUT_BYTES_MAX: usize = script::limits::MAX_STRING_BYTES + 64 * 1024;

/// Most bytes of a whole answer of a service: the memory of a script's values is bounded besides.
pub const SERVICE_ANSWER_BYTES_MAX: usize = 128 << 20;

/// Items of an answer of a service, nested ones too: some 50 bytes each.
pub const SERVICE_ITEMS_MAX: usize = 1_000_000;

/// How deep they may be nested.
pub const SERVICE_DEPTH_MAX: usize = 32;

/// Longest line that frames an answer.
pub const SERVICE_LINE_BYTES_MAX: usize = 64 * 1024;

/// Servers of one kind that a shard keeps connections to; more are told of by clusters only. About 1 KiB each.
pub const SERVICE_POOLS_MAX: usize = 1_000;

/// How long a script waits for a connection of a pool, or for a broker to confirm a message.
pub const SERVICE_WAIT: Duration = Duration::from_secs(30);

/// How long a query of `postgresql` may take.
pub const SQL_PATIENCE: Duration = Duration::from_secs(60);

/// How long a query of `sqlite` may run; its wait for a thread and for locks is not counted.
pub const SQLITE_PATIENCE: Duration = Duration::from_secs(30);

/// Columns of a row.
pub const SQL_COLUMNS_MAX: usize = 4096;

/// Largest message of a directory: one entry.
pub const LDAP_MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Bytes of entries that one search has found while another one is asked for its own.
pub const LDAP_WAITING_BYTES_MAX: usize = 16 << 20;

/// How deep a filter may be nested.
pub const LDAP_FILTER_DEPTH_MAX: usize = 50;

/// How long connecting to a directory may take unless an option says otherwise.
pub const LDAP_CONNECT: Duration = Duration::from_secs(30);

/// The same for an answer.
pub const LDAP_WAIT: Duration = Duration::from_secs(60);

/// Connections of the process to one broker of AMQP, as one user.
pub const RABBITMQ_CONNECTIONS_MAX: usize = 64;

/// How long one rests before it is closed.
pub const RABBITMQ_IDLE: Duration = Duration::from_secs(60);

/// Connections of the process to one broker of Kafka.
pub const KAFKA_CONNECTIONS_MAX: usize = 64;

/// How long one rests before it is closed.
pub const KAFKA_IDLE: Duration = Duration::from_secs(60);

/// Largest answer of a broker of Kafka: what is known of a topic.
pub const KAFKA_ANSWER_BYTES_MAX: usize = 4 << 20;

/// Topics whose brokers a shard remembers: some KiB each.
pub const KAFKA_TOPICS_MAX: usize = 1_000;

/// How long to wait before a message is sent again.
pub const KAFKA_RETRY: Duration = Duration::from_millis(100);

/// Bytes of one item of `http_bulk`.
pub const BULK_ITEM_BYTES_MAX: usize = 32 << 20;

/// Bytes of the items of one request of `http-bulk`, unless one item alone has more. Held twice for each queue that sends.
pub const BULK_REQUEST_BYTES_MAX: usize = 16 << 20;

/// Bytes of items that wait on one shard for their turn to be written to one queue.
pub const BULK_WAITING_BYTES_MAX: usize = 64 << 20;

/// Bytes on disk after which another file is begun: what is done is freed by files.
pub const BULK_SEGMENT_BYTES: u64 = 16 << 20;

/// Bytes on disk of one queue of `http-bulk`.
pub const BULK_QUEUE_BYTES_MAX: u64 = 4 << 30;

/// How long `http-bulk` waits after a request that failed; doubled with each one that follows, up to the second.
pub const BULK_PAUSE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

/// Bytes of an answer of a server that are kept as the last error of a queue.
pub const BULK_ERROR_BYTES_MAX: usize = 1024;

/// Scripts that may stand at breakpoints at once, in the whole process; the others go on. Each holds what its session or attempt
/// holds, a call to the thread of the debugger, and there what is shown of its variables (up to 1 MiB).
pub const BREAKPOINTS: usize = 32;
/// How long a script may stand at a breakpoint.
pub const BREAKPOINT_TIME: Duration = Duration::from_secs(3600);
/// Texts that scripts have printed and the debugger has not read; of more, the oldest are lost.
pub const DEBUG_PRINTED: usize = 1_000;

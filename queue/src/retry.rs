//! When a failed item is tried again, and when it has expired (hooks 5.3).

/// Retry rule of a transport, as data.
///
/// An attempt with `retry` attempts behind it that fails for a temporary reason waits `intervals_ms[retry]`,
/// or the last interval when the list is exhausted. It has expired when `retry >= count`, or when the message
/// is older than `during_ms`. So `count` is the number of retries after the first attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Retries after the first attempt; `None`: only the age decides.
    pub count: Option<u32>,
    /// Waits between attempts, in milliseconds; the last one repeats.
    pub intervals_ms: Vec<u64>,
    /// Longest time in the queue, in milliseconds.
    pub during_ms: Option<u64>,
}

impl Default for RetryPolicy {
    /// Without a `retry` block: five days on a rising curve.
    fn default() -> Self {
        const MINUTE_MS: u64 = 60_000;
        const HOUR_MS: u64 = 60 * MINUTE_MS;
        RetryPolicy {
            count: None,
            intervals_ms: vec![
                MINUTE_MS,
                5 * MINUTE_MS,
                15 * MINUTE_MS,
                30 * MINUTE_MS,
                HOUR_MS,
                2 * HOUR_MS,
                4 * HOUR_MS,
            ],
            during_ms: Some(5 * 24 * HOUR_MS),
        }
    }
}

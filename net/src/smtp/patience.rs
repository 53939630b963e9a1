//! How long to wait: data for the driver, which owns the clock.

use std::time::Duration;

/// How long the driver may wait for the session's next input.
///
/// Two clocks run. The first starts with every byte that arrives and stops a peer that has gone; the second
/// starts only when [`mark`](Patience::mark) changes and stops a peer that trickles bytes to hold the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Patience {
    /// Close when nothing at all has arrived for this long.
    pub idle: Duration,
    /// Close when this long has passed since `mark` last changed, whatever arrived meanwhile.
    pub total: Duration,
    /// Differs from its last value when the clock of `total` starts anew. Otherwise without meaning.
    pub mark: u32,
}

/// Which of the two clocks of [`Patience`] ran out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Clock {
    /// Nothing came.
    Idle,
    /// Something came, but too slowly.
    Total,
}

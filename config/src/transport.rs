//! `transportgroups[].transports[]`: routes out, with what they inherit from their group.

use std::net::IpAddr;
use std::time::Duration;

/// One outgoing route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// What servers and scripts call it.
    pub id: String,
    /// Id of the group that it is in.
    pub group: String,
    /// Where messages go.
    pub next_hop: NextHop,
    /// TCP port, also for deliveries by MX.
    pub port: u16,
    /// May connect over IPv4. One of the two is `true`.
    pub ipv4: bool,
    /// May connect over IPv6.
    pub ipv6: bool,
    /// HELO name; `None`: the system host name.
    pub helo: Option<String>,
    /// When to try again.
    pub retry: Retry,
    /// How long to wait for what.
    pub timeouts: DeliveryTimeouts,
}

/// `connection.server`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// MX look-up of the recipient domain.
    Mx,
    /// This host, by address look-up.
    Host(String),
    /// This address.
    Address(IpAddr),
}

/// `retry`. An attempt with number `n` (from 0) that fails for a temporary reason waits `intervals[n]`, or the last
/// interval; the recipient has expired when `n >= count` or its age exceeds `during`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Retries after the first attempt.
    pub count: u32,
    /// At least one.
    pub intervals: Vec<RetryInterval>,
    /// Longest time in the queue; `None`: only `count` decides.
    pub during: Option<Duration>,
}

/// `retry.intervals[]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryInterval {
    /// Delay before the next attempt.
    pub interval: Duration,
    /// Tell the sender when this wait begins.
    pub notify: bool,
}

/// `timeout`: limits of one delivery attempt, per reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the states are named as the commands whose reply is awaited")]
pub struct DeliveryTimeouts {
    pub connect: Duration,
    pub banner: Duration,
    pub ehlo: Duration,
    pub helo: Duration,
    pub mail: Duration,
    pub rcpt: Duration,
    pub data: Duration,
    pub eod: Duration,
    pub rset: Duration,
    pub quit: Duration,
}

//! Policies: limits that hold over all shards (configuration 5, cli-and-operations 14.2).
//!
//! A policy names fields; mail with the same values of them shares one *counter*, whatever shard it is on. What a counter
//! permits follows from the policy's conditions.
//!
//! * [`Policies`]: the compiled file and the dynamic conditions. For what is known of a message and its way it says which
//!   counters it needs ([`Policies::applying`]), and for a counter's [`Key`] what that permits ([`Policies::limits`]).
//! * [`Counters`]: the state machine of the shard that owns counters. It grants, refuses, remembers who waits, and wakes them.
//! * [`Wallet`]: what a shard holds that asked: tokens and units in hand.
//!
//! All pure: the time is an argument (milliseconds of a clock that all shards share), messages are values.
//!
//! Which numbers are exact, over all shards:
//!
//! | number | |
//! |---|---|
//! | open connections of a counter | exact: a unit is granted before the connect and given back after the close; of a large limit several are granted at once, and count as long as they are held |
//! | messages per interval, token bucket | exact: a token that is granted and not yet spent counts against the capacity |
//! | messages per interval, fixed window | exact: tokens end with their window, and the next window counts from the latest time at which the first could have been spent, up to [`USE_BY_MS`] late |
//! | time between two connects | exact: the next interval counts from the end of the time that the last grant was good for, up to [`USE_BY_MS`] late |
//! | all of these across a change of limits | exact again after [`USE_BY_MS`]; connections beyond a lowered limit drain |
//! | all of these over a reload | kept, by fields and values |
//! | all of these over a restart | begin anew |
//! | the order of those who wait | approximate: by the age of the oldest message of each shard |
//! | numbers in a listing | approximate: each shard is read at a time of its own; units held for later count as connections |

mod bucket;
mod counter;
mod counters;
mod key;
#[cfg(test)]
mod property_test;
mod rules;
#[cfg(test)]
mod tests;
mod wallet;

pub use counters::{Answer, Ask, Counters, Grant, Notice, Offered, Usage};
pub use key::{FieldSet, Key};
pub use rules::{
    Applying, Condition, Dynamic, DynamicMatch, Kind, Policies, Policy, PolicyError, PolicyFault, Then,
};
pub use wallet::Wallet;

/// How long what was granted may be used, in milliseconds.
pub const USE_BY_MS: u64 = 50;

/// What a counter permits. A limit that is absent does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Most open connections, idle ones among them; 0 stops the mail.
    pub concurrency: Option<u32>,
    /// Most messages to a recipient in a time.
    pub rate: Option<Rate>,
    /// Least time between two connects, in milliseconds.
    pub connect_interval_ms: Option<u64>,
}

/// `count` messages in `interval_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many; 0 stops the mail.
    pub count: u32,
    /// In how many milliseconds; at least 1.
    pub interval_ms: u64,
    /// How it is counted.
    pub algorithm: Algorithm,
}

/// How messages are counted against a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// A bucket of `count` tokens that fills at `count` per interval.
    #[default]
    TokenBucket,
    /// A window opens with the first message and lasts an interval.
    FixedWindow,
}

/// Which of its limits a counter has refused by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// Open connections.
    Concurrency,
    /// Messages in a time.
    Rate,
    /// Time between connects.
    ConnectInterval,
}

impl Limit {
    /// As it is written in files.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Concurrency => "concurrency",
            Limit::Rate => "rate",
            Limit::ConnectInterval => "connectinterval",
        }
    }
}

impl Limits {
    /// Nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Limits::default()
    }

    /// Whether this limit exists.
    pub fn has(&self, limit: Limit) -> bool {
        match limit {
            Limit::Concurrency => self.concurrency.is_some(),
            Limit::Rate => self.rate.is_some(),
            Limit::ConnectInterval => self.connect_interval_ms.is_some(),
        }
    }

    /// For each limit the stricter of the two.
    pub fn stricter(self, other: Limits) -> Limits {
        Limits {
            concurrency: fold(self.concurrency, other.concurrency, u32::min),
            rate: fold(self.rate, other.rate, Rate::slower),
            connect_interval_ms: fold(self.connect_interval_ms, other.connect_interval_ms, u64::max),
        }
    }

    /// For each limit its own, and where there is none that of `other`.
    pub fn or(self, other: Limits) -> Limits {
        Limits {
            concurrency: self.concurrency.or(other.concurrency),
            rate: self.rate.or(other.rate),
            connect_interval_ms: self.connect_interval_ms.or(other.connect_interval_ms),
        }
    }
}

impl Rate {
    /// Within what can be counted: an interval of a millisecond at least, and of some thirty years at most.
    fn bounded(self) -> Rate {
        Rate { interval_ms: self.interval_ms.clamp(1, 1 << 40), ..self }
    }

    /// The one that permits less in the long run; of equal ones the one that permits less at once.
    fn slower(self, other: Rate) -> Rate {
        let cross = |a: Rate, b: Rate| u128::from(a.count) * u128::from(b.interval_ms);
        let by = cross(self, other).cmp(&cross(other, self)).then(self.count.cmp(&other.count));
        if by.is_le() { self } else { other }
    }
}

fn fold<T>(a: Option<T>, b: Option<T>, pick: fn(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(pick(a, b)),
        (a, b) => a.or(b),
    }
}

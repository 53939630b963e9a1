//! Whether the server is ready, and whether it can take mail.

use std::cell::Cell;

use config::MaxMessages;

/// What is known of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// Recipients in the queue.
    pub queued: u64,
    /// Shards that stand still.
    pub stalled: usize,
    /// Shards whose part of the spool takes no mail.
    pub closed: usize,
    /// Neither accepts nor sends until thawed.
    pub frozen: bool,
}

/// The state that `/ready` and `/healthy` tell of.
#[derive(Debug, Default)]
pub struct Health {
    started: Cell<bool>,
    ready: Cell<bool>,
    stopping: Cell<bool>,
    /// More is queued than may be, and not yet less than must be.
    crowded: Cell<bool>,
}

impl Health {
    /// The shards have started.
    pub fn set_started(&self) {
        self.started.set(true);
    }

    /// The server shuts down.
    pub fn set_stopping(&self) {
        self.stopping.set(true);
    }

    /// The start is over, and what was queued before is `loaded`; this never goes back.
    pub fn is_ready(&self, loaded: impl FnOnce() -> bool) -> bool {
        if !self.ready.get() && self.started.get() && loaded() {
            self.ready.set(true);
        }
        self.ready.get()
    }

    /// Why the server cannot take mail; `None`: it can.
    pub fn complaint(&self, ready: bool, signs: Signs, limits: Option<MaxMessages>) -> Option<String> {
        let crowded = limits.is_some_and(|limits| {
            signs.queued > limits.upper || self.crowded.get() && signs.queued >= limits.lower
        });
        self.crowded.set(crowded);
        Some(if self.stopping.get() {
            "shutting down".to_owned()
        } else if !ready {
            "starting".to_owned()
        } else if signs.stalled > 0 {
            format!("{} shards stand still", signs.stalled)
        } else if signs.closed > 0 {
            format!("the spool takes no mail on {} shards", signs.closed)
        } else if signs.frozen {
            "frozen".to_owned()
        } else if crowded {
            format!("{} recipients are queued", signs.queued)
        } else {
            return None;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowded_queue_is_unhealthy_until_it_is_below_the_lower_limit() {
        let (health, limits) = (Health::default(), Some(MaxMessages { upper: 100, lower: 50 }));
        let said: Vec<bool> = [100, 101, 100, 50, 49, 100, 101]
            .map(|queued| health.complaint(true, Signs { queued, ..Signs::default() }, limits).is_none())
            .to_vec();
        assert_eq!(said, [true, false, false, false, true, true, false]);
        assert_eq!(health.complaint(true, Signs { queued: 500, ..Signs::default() }, None), None);
    }

    #[test]
    fn it_is_healthy_from_the_start_to_the_stop_unless_something_is_wrong() {
        let health = Health::default();
        let well = Signs::default();
        assert!(!health.is_ready(|| true), "not before the shards have started");
        assert_eq!(health.complaint(false, well, None).as_deref(), Some("starting"));
        health.set_started();
        assert!(!health.is_ready(|| false));
        assert!(health.is_ready(|| true));
        assert_eq!(health.complaint(true, well, None), None);
        for bad in [Signs { stalled: 1, ..well }, Signs { closed: 2, ..well }, Signs { frozen: true, ..well }]
        {
            assert!(health.complaint(true, bad, None).is_some(), "{bad:?}");
        }
        health.set_stopping();
        assert_eq!(health.complaint(true, well, None).as_deref(), Some("shutting down"));
        assert!(health.is_ready(|| false), "ready never goes back");
    }
}

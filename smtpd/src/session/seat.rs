//! Which shard serves a new connection: the one with the fewest.
//!
//! The kernel spreads connections over the shards' sockets by a hash, which is even only over many of them. A few long ones
//! (a load balancer, a neighbour that keeps its connections) would sit on one shard while another idles. A connection
//! therefore goes to the shard with the fewest open ones before its banner, and never moves after that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Open connections of each shard.
#[derive(Debug)]
pub struct Seats(Box<[AtomicU32]>);

/// One connection's place on a shard; given back on drop.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    shard: u16,
}

impl Seats {
    /// Of a server with so many shards.
    pub fn new(shards: u16) -> Arc<Seats> {
        Arc::new(Seats((0..shards).map(|_| AtomicU32::new(0)).collect()))
    }

    /// Takes a place on shard `here`, or on the one with the fewest connections if that has fewer.
    pub fn take(self: &Arc<Self>, here: u16) -> Seat {
        let load = |shard: u16| self.0[usize::from(shard)].load(Ordering::Relaxed);
        let fewest = (0..self.0.len() as u16).min_by_key(|&shard| (load(shard), shard != here));
        self.on(fewest.unwrap_or(here))
    }

    /// Takes a place on this shard.
    pub fn on(self: &Arc<Self>, shard: u16) -> Seat {
        self.0[usize::from(shard)].fetch_add(1, Ordering::Relaxed);
        Seat { seats: Arc::clone(self), shard }
    }
}

impl Seat {
    /// Whose it is.
    pub fn shard(&self) -> u16 {
        self.shard
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.0[usize::from(self.shard)].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_long_connections_are_spread_evenly_wherever_they_arrive() {
        let seats = Seats::new(4);
        let taken: Vec<Seat> = (0..8).map(|_| seats.take(2)).collect();
        let mut counts = [0; 4];
        taken.iter().for_each(|seat| counts[usize::from(seat.shard())] += 1);
        assert_eq!(counts, [2; 4]);
    }

    #[test]
    fn a_connection_stays_where_it_arrived_when_no_other_shard_has_fewer() {
        let seats = Seats::new(3);
        let first = seats.take(1);
        assert_eq!(first.shard(), 1);
        drop(first);
        let others: Vec<Seat> = (0..3).map(|shard| seats.on(shard)).collect();
        assert_eq!(seats.take(2).shard(), 2);
        drop(others);
        assert_eq!(seats.0.iter().map(|count| count.load(Ordering::Relaxed)).sum::<u32>(), 0);
    }
}

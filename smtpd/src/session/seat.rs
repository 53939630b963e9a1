//! Which shard serves a new connection: the one with the fewest.
//!
//! The kernel spreads connections over the shards' sockets by a hash, which is even only over many of them. A few long ones
//! (a load balancer, a neighbour that keeps its connections) would sit on one shard while another idles. A connection
//! therefore goes to the shard with the fewest open ones before its banner, and never moves after that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Open connections of each shard.
#[derive(Debug)]
pub struct Seats(Box<[Room]>);

#[derive(Debug, Default)]
struct Room {
    taken: AtomicU32,
    /// The shard takes connections of others: it has started and does not stop.
    open: AtomicBool,
}

/// One connection's place on a shard; given back on drop.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    shard: u16,
}

impl Seats {
    /// Of a server with so many shards.
    pub fn new(shards: u16) -> Arc<Seats> {
        Arc::new(Seats((0..shards).map(|_| Room::default()).collect()))
    }

    /// A shard takes connections of others from now on, or no longer.
    pub fn set_open(&self, shard: u16, open: bool) {
        self.0[usize::from(shard)].open.store(open, Ordering::Relaxed);
    }

    /// Takes a place on shard `here`, or on the open one with the fewest connections if that has fewer.
    pub fn take(self: &Arc<Self>, here: u16) -> Seat {
        let room = |shard: u16| &self.0[usize::from(shard)];
        let load = |shard: u16| room(shard).taken.load(Ordering::Relaxed);
        let fewest = (0..self.0.len() as u16)
            .filter(|&shard| shard == here || room(shard).open.load(Ordering::Relaxed))
            .min_by_key(|&shard| (load(shard), shard != here));
        self.on(fewest.unwrap_or(here))
    }

    /// Takes a place on this shard.
    pub fn on(self: &Arc<Self>, shard: u16) -> Seat {
        self.0[usize::from(shard)].taken.fetch_add(1, Ordering::Relaxed);
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
        self.seats.0[usize::from(self.shard)].taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_long_connections_are_spread_evenly_wherever_they_arrive() {
        let seats = Seats::new(4);
        (0..4).for_each(|shard| seats.set_open(shard, true));
        let taken: Vec<Seat> = (0..8).map(|_| seats.take(2)).collect();
        let mut counts = [0; 4];
        taken.iter().for_each(|seat| counts[usize::from(seat.shard())] += 1);
        assert_eq!(counts, [2; 4]);
    }

    #[test]
    fn a_connection_stays_where_it_arrived_when_no_other_shard_has_fewer() {
        let seats = Seats::new(3);
        (0..3).for_each(|shard| seats.set_open(shard, true));
        let first = seats.take(1);
        assert_eq!(first.shard(), 1);
        drop(first);
        let others: Vec<Seat> = (0..3).map(|shard| seats.on(shard)).collect();
        assert_eq!(seats.take(2).shard(), 2);
        drop(others);
        assert_eq!(seats.0.iter().map(|room| room.taken.load(Ordering::Relaxed)).sum::<u32>(), 0);
    }

    #[test]
    fn a_shard_that_has_not_started_or_stops_gets_no_connection_of_another() {
        let seats = Seats::new(2);
        let taken: Vec<Seat> = (0..3).map(|_| seats.take(0)).collect();
        assert!(taken.iter().all(|seat| seat.shard() == 0));
        seats.set_open(1, true);
        assert_eq!(seats.take(0).shard(), 1);
        seats.set_open(1, false);
        assert_eq!(seats.take(0).shard(), 0);
    }
}

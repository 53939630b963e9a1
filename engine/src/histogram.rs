//! Durations counted by size: enough for a median and a 99th percentile, at the cost of an addition each.

use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets to each power of two: what is read is at most a quarter too high.
const PER_OCTAVE_BITS: u32 = 2;
/// Everything from 2^30 microseconds (18 minutes) on counts alike.
const LAST_OCTAVE: u32 = 29;
/// Number of buckets.
pub const BUCKETS: usize = ((LAST_OCTAVE - PER_OCTAVE_BITS + 2) as usize) << PER_OCTAVE_BITS;

/// How many durations of each size there were; 960 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
}

/// The bucket of a duration in microseconds.
fn bucket(us: u64) -> usize {
    let octave = us.max(1).ilog2();
    if octave < PER_OCTAVE_BITS {
        return us as usize;
    }
    if octave > LAST_OCTAVE {
        return BUCKETS - 1;
    }
    let within = (us >> (octave - PER_OCTAVE_BITS)) as usize & ((1 << PER_OCTAVE_BITS) - 1);
    (((octave - PER_OCTAVE_BITS + 1) as usize) << PER_OCTAVE_BITS) + within
}

/// The greatest duration of a bucket, in microseconds.
fn upper_us(bucket: usize) -> u64 {
    let (octave, within) = (bucket >> PER_OCTAVE_BITS, bucket & ((1 << PER_OCTAVE_BITS) - 1));
    match octave {
        0 => within as u64,
        octave => (((1 << PER_OCTAVE_BITS) + within as u64 + 1) << (octave - 1)) - 1,
    }
}

impl Histogram {
    /// Counts a duration in microseconds.
    pub fn record(&mut self, us: u64) {
        self.counts[bucket(us)] += 1;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The duration in microseconds that `share` of all (0 to 1) did not exceed; at most a quarter too high. 0 when nothing
    /// was counted.
    pub fn quantile_us(&self, share: f64) -> u64 {
        let rank = (self.count() as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        found.map_or(0, upper_us)
    }

    /// Adds what another one has counted.
    pub fn merge(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// What was counted since `earlier`, which is an older copy of this one.
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let mut counts = self.counts;
        counts.iter_mut().zip(&earlier.counts).for_each(|(now, then)| *now = now.saturating_sub(*then));
        Histogram { counts }
    }
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: [0; BUCKETS] }
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("p50_us", &self.quantile_us(0.5))
            .field("p99_us", &self.quantile_us(0.99))
            .finish()
    }
}

/// One that a single thread writes and all may read.
pub(crate) struct Shared([AtomicU64; BUCKETS]);

impl Shared {
    /// Counts a duration in microseconds. Only from the thread that owns it: it takes no locked instruction.
    pub(crate) fn record(&self, us: u64) {
        let count = &self.0[bucket(us)];
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Histogram {
        Histogram { counts: std::array::from_fn(|bucket| self.0[bucket].load(Ordering::Relaxed)) }
    }
}

impl Default for Shared {
    fn default() -> Shared {
        Shared(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_at_most_a_quarter_too_high() {
        for us in (0..5000).chain((12..30).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 77])) {
            let mut histogram = Histogram::default();
            histogram.record(us);
            let read = histogram.quantile_us(0.5);
            assert!(read >= us && read - us <= us / 4, "{us} is read as {read}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert!((0..BUCKETS - 1).all(|number| bucket(upper_us(number)) == number));
        assert!((0..BUCKETS - 1).all(|number| bucket(upper_us(number) + 1) == number + 1));
    }

    #[test]
    fn quantiles_are_of_all_that_was_counted() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_us(0.99), 0);
        (0..990).for_each(|_| histogram.record(2));
        let before = histogram.clone();
        (0..10).for_each(|_| histogram.record(1000));
        assert_eq!((histogram.quantile_us(0.5), histogram.quantile_us(0.99)), (2, 2));
        assert!(histogram.quantile_us(0.995) >= 1000);
        let lately = histogram.since(&before);
        assert_eq!(lately.count(), 10);
        assert!(lately.quantile_us(0.5) >= 1000);
        let mut all = before;
        all.merge(&lately);
        assert_eq!(all, histogram);
    }
}

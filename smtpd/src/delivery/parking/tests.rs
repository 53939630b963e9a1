//! On a virtual clock.

use super::*;

fn path() -> Path {
    Path { source: None, remote: "192.0.2.1:25".parse().unwrap() }
}

/// Somebody who wants to connect as often as it is let, to a host that answers as told; counts connects.
struct Eager {
    parking: Parking,
    now_ms: u64,
    connects: Vec<u64>,
}

impl Eager {
    fn new() -> Eager {
        Eager { parking: Parking::default(), now_ms: 1_000_000, connects: Vec::new() }
    }

    /// Tries every 100 ms for so long; each connect fails at once.
    fn fail_for(&mut self, duration_ms: u64) {
        let end_ms = self.now_ms + duration_ms;
        while self.now_ms < end_ms {
            if self.parking.admit(path(), self.now_ms) == Admission::Probe {
                self.connects.push(self.now_ms);
                self.parking.failed(path(), true, self.now_ms);
            }
            self.now_ms += 100;
        }
    }
}

#[test]
fn three_failures_in_a_row_park_for_a_minute_and_each_probe_that_fails_doubles_it() {
    let mut eager = Eager::new();
    eager.fail_for(4 * 3_600_000);
    let minutes = |pair: &[u64]| (pair[1] - pair[0]) / 60_000;
    let waits: Vec<u64> = eager.connects[2..].windows(2).map(minutes).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(eager.connects[2] - eager.connects[0], 200, "the first three follow each other");
}

#[test]
fn a_success_in_between_begins_the_count_anew() {
    let mut parking = Parking::default();
    for _ in 0..10 {
        parking.failed(path(), false, 0);
        assert_eq!(parking.failed(path(), false, 0).parked_for_ms, None);
        parking.succeeded(path(), false, 0);
    }
    assert_eq!(parking.admit(path(), 0), Admission::Free);
    assert_eq!(parking.failed(path(), false, 0).standing, Standing::Doubtful);
    assert_eq!(parking.failed(path(), false, 0).standing, Standing::Doubtful);
    assert_eq!(parking.failed(path(), false, 0).standing, Standing::Parked { until_ms: PERIOD_FIRST_MS });
}

#[test]
fn few_connect_at_once_until_one_has_come_through() {
    let mut parking = Parking::default();
    assert_eq!(parking.admit(path(), 0), Admission::Probe);
    assert_eq!(parking.admit(path(), 10), Admission::Probe);
    assert_eq!(parking.admit(path(), 20), Admission::Wait);
    parking.succeeded(path(), true, 30);
    assert_eq!(parking.admit(path(), 40), Admission::Free);
    assert_eq!(parking.admit(path(), 30 + PROVEN_MS), Admission::Probe, "not used for long");
}

#[test]
fn nobody_waits_long_for_a_host_that_says_nothing() {
    let mut parking = Parking::default();
    parking.admit(path(), 0);
    parking.admit(path(), 0);
    assert_eq!(parking.admit(path(), PROOF_PATIENCE_MS - 1), Admission::Wait);
    let later = PROOF_PATIENCE_MS + LOOK_AGAIN_MS;
    assert_eq!(parking.admit(path(), PROOF_PATIENCE_MS), Admission::Skip { until_ms: later });
}

#[test]
fn one_probe_per_period_and_a_success_of_it_frees_the_path() {
    let mut parking = Parking::default();
    for _ in 0..3 {
        parking.failed(path(), false, 0);
    }
    assert_eq!(parking.admit(path(), 59_999), Admission::Skip { until_ms: 60_000 });
    assert_eq!(parking.admit(path(), 60_000), Admission::Probe);
    assert_eq!(parking.admit(path(), 60_000), Admission::Wait);
    assert!(matches!(parking.admit(path(), 62_000), Admission::Skip { .. }));
    assert!(parking.succeeded(path(), true, 63_000));
    assert_eq!(parking.admit(path(), 63_000), Admission::Free);
}

#[test]
fn connects_that_were_under_way_when_it_was_parked_do_not_lengthen_the_period() {
    let mut parking = Parking::default();
    for _ in 0..40 {
        parking.failed(path(), false, 5);
    }
    assert_eq!(parking.admit(path(), 60_005), Admission::Probe);
}

#[test]
fn a_probe_that_was_given_up_makes_room_for_another() {
    let mut parking = Parking::default();
    parking.admit(path(), 0);
    parking.admit(path(), 0);
    parking.abandoned(path(), true, 1);
    assert_eq!(parking.admit(path(), 2), Admission::Probe);
}

#[test]
fn a_probe_whose_report_was_lost_does_not_close_the_path_for_ever() {
    let mut parking = Parking::default();
    parking.admit(path(), 0);
    parking.admit(path(), 0);
    assert!(matches!(parking.admit(path(), PROBE_LONGEST_MS), Admission::Skip { .. }));
    assert_eq!(parking.admit(path(), PROBE_LONGEST_MS + 1), Admission::Probe);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut parking = Parking::default();
    let to = |n: u32| Path { source: None, remote: SocketAddr::from((n.to_be_bytes(), 25)) };
    let most = limits::PATHS_MAX as u32;
    for number in 0..most + 10 {
        parking.succeeded(to(number), false, 0);
    }
    assert_eq!(parking.len(), limits::PATHS_MAX);
    assert_eq!(parking.admit(to(most + 20), 1), Admission::Free, "not remembered, not stopped");
    assert_eq!(parking.admit(to(most + 20), 2 * PERIOD_FIRST_MS), Admission::Probe, "the old ones went");
    assert_eq!(parking.len(), 1);
}

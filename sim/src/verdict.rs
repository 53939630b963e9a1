//! Holds what the client was promised against what the sink got.

use std::time::Duration;

use engine::time::Instant;

use crate::client::{Answer, Ledger};
use crate::mail::Number;
use crate::sink::{Deliveries, Delivery};

/// On a disk that works, a message is settled durably within this time after the next hop's answer, stalls included.
/// A crash in that window may duplicate it.
pub const SETTLE_WINDOW: Duration = Duration::from_millis(500);

/// A message may be on its way to the next hop, whole, when its sender dies; it arrives within this time.
pub const TRANSIT: Duration = Duration::from_millis(300);

/// What broke the promise.
#[derive(Debug, PartialEq, Eq)]
pub enum Breach {
    /// Answered 250 and never delivered.
    Lost(Number),
    /// Delivered more often than the crashes allow.
    Duplicate(Number, Vec<Delivery>),
    /// Delivered, but not as it was sent; the first bytes.
    Damaged(String),
    /// Delivered though the client never sent it.
    Invented(Number),
    /// Delivered though the client was refused, and will send it again.
    Refused(Number),
}

/// All breaches. `crashes` are the times at which the server ended; one within `window` after a delivery may have
/// lost its settle ([`SETTLE_WINDOW`] on a disk that works); `queued` says whether a message is still
/// in the server's queue (on hold, say), which is as good as delivered.
pub fn breaches(
    ledger: &Ledger,
    deliveries: &Deliveries,
    crashes: &[Instant],
    window: Duration,
    queued: impl Fn(Number) -> bool,
) -> Vec<Breach> {
    let damaged = deliveries.damaged.iter().map(|message| {
        Breach::Damaged(String::from_utf8_lossy(&message[..message.len().min(300)]).into_owned())
    });
    let lost = ledger
        .iter()
        .filter(|(number, answer)| {
            matches!(answer, Answer::Accepted(_))
                && !deliveries.taken.contains_key(number)
                && !queued(**number)
        })
        .map(|(&number, _)| Breach::Lost(number));
    let invented = deliveries
        .taken
        .keys()
        .filter(|number| !ledger.contains_key(number))
        .map(|&number| Breach::Invented(number));
    let refused = deliveries
        .taken
        .keys()
        .filter(|number| matches!(ledger.get(number), Some(Answer::Refused(_))))
        .map(|&number| Breach::Refused(number));
    let duplicates = deliveries
        .taken
        .iter()
        .filter(|(_, taken)| !is_explained(taken, crashes, window))
        .map(|(&number, taken)| Breach::Duplicate(number, taken.clone()));
    damaged.chain(lost).chain(invented).chain(refused).chain(duplicates).collect()
}

/// Each delivery but the last must have been followed, soon, by a crash, or was never answered.
fn is_explained(taken: &[Delivery], crashes: &[Instant], window: Duration) -> bool {
    let (_, repeated) = taken.split_last().expect("an entry has a delivery");
    repeated.iter().all(|delivery| {
        !delivery.answered
            || crashes.iter().any(|&crash| crash + TRANSIT >= delivery.at && crash <= delivery.at + window)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_break_the_promise_is_seen() {
        let second = |seconds: u64| Instant(seconds * 1_000_000_000);
        let delivery = |at| Delivery { at: second(at), answered: true };
        let ledger = Ledger::from([
            (1, Answer::Accepted(second(1))),
            (2, Answer::Accepted(second(1))),
            (3, Answer::Accepted(second(1))),
            (4, Answer::Unknown),
            (5, Answer::Accepted(second(1))),
            (6, Answer::Refused(451)),
        ]);
        let mut deliveries = Deliveries::default();
        deliveries.taken.insert(1, vec![delivery(2), delivery(9)]);
        deliveries.taken.insert(2, vec![delivery(5), delivery(9)]);
        deliveries.taken.insert(6, vec![delivery(2)]);
        deliveries.taken.insert(7, vec![delivery(2)]);
        deliveries.damaged.push(b"x".to_vec());
        let found = breaches(&ledger, &deliveries, &[second(5)], SETTLE_WINDOW, |number| number == 5);
        let expected = [
            Breach::Damaged("x".to_owned()),
            Breach::Lost(3),
            Breach::Invented(7),
            Breach::Refused(6),
            Breach::Duplicate(1, vec![delivery(2), delivery(9)]),
        ];
        assert_eq!(found, expected);
    }
}

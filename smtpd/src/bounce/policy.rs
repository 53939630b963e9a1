//! Who is told of what: the one table (hooks 4.2 and 6.1, RFC 3461 4.1 and 5.2).
//!
//! | | failed | delayed | passed on |
//! |---|---|---|---|
//! | null sender | no | no | no |
//! | `dsn.transport: ""` | no | no | no |
//! | NOTIFY absent | yes | yes | no |
//! | NOTIFY=NEVER | no | no | no |
//! | NOTIFY=list | if FAILURE | if DELAY | if SUCCESS |

use net::smtp::parameters::Notify;

/// What a sender could be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// It has failed for good.
    Failure,
    /// It has not been delivered yet.
    Delay,
    /// It was passed on or delivered.
    Success,
}

/// Why nobody is told, as the log says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    NullSender,
    TurnedOff,
    NotWanted,
}

impl Silence {
    pub(super) fn name(self) -> &'static str {
        match self {
            Silence::NullSender => "null-sender",
            Silence::TurnedOff => "dsn-off",
            Silence::NotWanted => "notify",
        }
    }
}

/// Why the sender is not told; `None`: it is.
pub(super) fn silence(
    topic: Topic,
    sender: &[u8],
    turned_off: bool,
    notify: Option<Notify>,
) -> Option<Silence> {
    if sender.is_empty() {
        return Some(Silence::NullSender);
    }
    if turned_off {
        return Some(Silence::TurnedOff);
    }
    let wanted = match (topic, notify) {
        (Topic::Failure, None) | (Topic::Delay, None) => true,
        (Topic::Success, None) => false,
        (Topic::Failure, Some(notify)) => notify.failure,
        (Topic::Delay, Some(notify)) => notify.delay,
        (Topic::Success, Some(notify)) => notify.success,
    };
    (!wanted).then_some(Silence::NotWanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_are_told_what_the_table_says() {
        let list = |text: &str| Notify::parse(text.as_bytes());
        let cases = [
            // NOTIFY, told of failure, delay, success
            (None, [true, true, false]),
            (list("NEVER"), [false; 3]),
            (list("FAILURE"), [true, false, false]),
            (list("DELAY"), [false, true, false]),
            (list("SUCCESS"), [false, false, true]),
            (list("SUCCESS,FAILURE,DELAY"), [true; 3]),
        ];
        let topics = [Topic::Failure, Topic::Delay, Topic::Success];
        for (notify, told) in cases {
            for (topic, told) in topics.into_iter().zip(told) {
                assert_eq!(silence(topic, b"a@b", false, notify).is_none(), told, "{topic:?} {notify:?}");
                assert_eq!(silence(topic, b"", false, notify), Some(Silence::NullSender));
                assert_eq!(silence(topic, b"a@b", true, notify), Some(Silence::TurnedOff));
            }
        }
    }
}

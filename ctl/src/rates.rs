//! Figures of the shards, with rates worked out from two samples.

use control::smtpd::ShardStatus;
use control::smtpd::shard_status::State;

/// A shard as it is shown. What is `None` is not known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// Percent of one CPU.
    pub(crate) cpu: Option<f64>,
    /// Messages or recipients a second.
    pub(crate) received: Option<f64>,
    pub(crate) delivered: Option<f64>,
    pub(crate) deferred: Option<f64>,
    /// Script runs a second.
    pub(crate) scripts: Option<f64>,
    /// Records in a durable write.
    pub(crate) batch: Option<f64>,
}

/// The figures of a shard at `now`, given an earlier sample of it.
pub(crate) fn figures(before: Option<&ShardStatus>, now: &ShardStatus) -> Figures {
    let since_start = ShardStatus::default();
    let (from, known) = match before {
        Some(before) if before.elapsedus <= now.elapsedus => (before, true),
        // The shard was started anew, or this is the first sample.
        _ => (&since_start, false),
    };
    let span = now.elapsedus.saturating_sub(from.elapsedus) as f64 / 1e6;
    let answered = !matches!(now.state(), State::Stalled | State::Ended);
    let rate =
        |from: u64, to: u64| (known && answered && span > 0.0).then(|| to.saturating_sub(from) as f64 / span);
    let (records, commits) =
        (now.commitrecords.saturating_sub(from.commitrecords), now.commits.saturating_sub(from.commits));
    // An idle server has no batch of its own; the mean since the start stands for it.
    let batch = if commits > 0 { (records, commits) } else { (now.commitrecords, now.commits) };
    Figures {
        cpu: rate(from.cpuus, now.cpuus).map(|micros| micros / 1e4),
        received: rate(from.received, now.received),
        delivered: rate(from.delivered, now.delivered),
        deferred: rate(from.deferred, now.deferred),
        scripts: rate(from.scripts, now.scripts),
        batch: (batch.1 > 0).then(|| batch.0 as f64 / batch.1 as f64),
    }
}

/// What all shards do together, as far as they answered: rates and sizes are sums, latencies the worst.
pub(crate) fn total(shards: &[(Figures, ShardStatus)]) -> (Figures, ShardStatus) {
    let sum = |value: fn(&Figures) -> Option<f64>| {
        shards.iter().filter_map(|(figures, _)| value(figures)).reduce(|one, other| one + other)
    };
    let mut all = ShardStatus::default();
    for (_, shard) in shards {
        all.connectionsin += shard.connectionsin;
        all.connectionsout += shard.connectionsout;
        all.active += shard.active;
        all.defer += shard.defer;
        all.hold += shard.hold;
        all.sending += shard.sending;
        all.commits += shard.commits;
        all.commitrecords += shard.commitrecords;
        all.spoolbytes += shard.spoolbytes;
        all.scriptsrunning += shard.scriptsrunning;
        all.channeldepth += shard.channeldepth;
        all.commitp50us = all.commitp50us.max(shard.commitp50us);
        all.commitp99us = all.commitp99us.max(shard.commitp99us);
        all.loopp99us = all.loopp99us.max(shard.loopp99us);
        all.loopmaxus = all.loopmaxus.max(shard.loopmaxus);
    }
    let figures = Figures {
        cpu: sum(|figures| figures.cpu),
        received: sum(|figures| figures.received),
        delivered: sum(|figures| figures.delivered),
        deferred: sum(|figures| figures.deferred),
        scripts: sum(|figures| figures.scripts),
        batch: (all.commits > 0).then(|| all.commitrecords as f64 / all.commits as f64),
    };
    (figures, all)
}

/// A rate or share as text: a decimal where it is small, `-` where it is not known.
pub(crate) fn shown(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(value) if value < 99.95 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}

/// What stands in the column of the state.
pub(crate) fn state(shard: &ShardStatus) -> String {
    match shard.state() {
        State::Unspecified => "?".to_owned(),
        State::Ok => "OK".to_owned(),
        State::Loading => "LOADING".to_owned(),
        State::Frozen => "FROZEN".to_owned(),
        State::Ended => "ENDED".to_owned(),
        State::Stalled => {
            let stalled = crate::text::duration(shard.stalledms as f64 / 1000.0);
            let place = if shard.r#where.is_empty() { "" } else { " in " };
            format!("STALLED {stalled}{place}{}", shard.r#where)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(elapsed_s: u64, received: u64) -> ShardStatus {
        ShardStatus {
            state: State::Ok.into(),
            elapsedus: elapsed_s * 1_000_000,
            cpuus: elapsed_s * 250_000,
            received,
            commits: received / 2,
            commitrecords: received,
            ..ShardStatus::default()
        }
    }

    #[test]
    fn rates_come_from_two_samples() {
        let now = figures(Some(&shard(10, 100)), &shard(12, 300));
        assert_eq!((now.received, now.cpu, now.batch), (Some(100.0), Some(25.0), Some(2.0)));
    }

    #[test]
    fn one_sample_has_no_rates_and_neither_has_a_shard_that_was_started_anew() {
        let first = figures(None, &shard(10, 100));
        assert_eq!((first.received, first.batch), (None, Some(2.0)));
        assert_eq!(figures(Some(&shard(10, 100)), &shard(2, 0)).received, None);
        assert_eq!(figures(Some(&shard(10, 100)), &shard(10, 100)).received, None);
    }

    #[test]
    fn a_stalled_shard_has_no_rates_and_does_not_spoil_the_total() {
        let mut stalled = shard(12, 300);
        stalled.state = State::Stalled.into();
        stalled.stalledms = 3_000;
        stalled.r#where = "eod:inbound at main.hsl:7".to_owned();
        assert_eq!(figures(Some(&shard(10, 100)), &stalled).received, None);
        assert_eq!(state(&stalled), "STALLED 3s in eod:inbound at main.hsl:7");
        let rows = [
            (figures(Some(&shard(10, 100)), &stalled), stalled),
            (figures(Some(&shard(10, 100)), &shard(12, 300)), shard(12, 300)),
        ];
        assert_eq!(total(&rows).0.received, Some(100.0));
    }
}

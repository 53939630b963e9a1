//! What `shard status` shows of a shard.

use control::smtpd::ShardStatus;
use control::smtpd::shard_status::State;

use super::metric::Source;
use crate::shard::Shard;

/// The row of a shard. Runs on it.
pub fn of(shard: &Shard) -> ShardStatus {
    let source = Source::new(shard);
    let (stats, store) = (&shard.stats, &source.store);
    let tallies = || stats.servers.iter().map(|server| &server.scripts).chain([&stats.queue_scripts]);
    let state = if shard.is_frozen() {
        State::Frozen
    } else if stats.loader.active.get() > 0 {
        State::Loading
    } else {
        State::Ok
    };
    let here = engine::boot::current();
    let waiting = engine::stats::pulse(here).mesh_waiting + store.requests;
    ShardStatus {
        shard: u32::from(here.0),
        state: state.into(),
        elapsedus: (engine::time::now() - stats.begun).as_micros() as u64,
        cpuus: source.engine.cpu_us,
        connectionsin: shard.sessions.count() as u64,
        connectionsout: stats.delivery.open.get(),
        received: stats.intake.messages.get(),
        delivered: stats.delivery.delivered.get(),
        deferred: stats.delivery.delayed.get(),
        failed: stats.delivery.failed.get(),
        active: source.queue.active as u64,
        defer: source.queue.defer as u64,
        hold: source.queue.hold as u64,
        sending: source.queue.sending as u64,
        update: stats.updating.get(),
        pending: shard.queue.borrow().waiting_for_us() as u64,
        commits: store.batches,
        commitrecords: store.commits + store.settles,
        commitp50us: source.recent.commit_us.quantile_us(0.5),
        commitp99us: source.recent.commit_us.quantile_us(0.99),
        spoolbytes: store.allocated_bytes,
        scripts: tallies().map(|tallies| tallies.finished()).sum(),
        scriptsrunning: tallies().map(|tallies| tallies.running()).sum(),
        channeldepth: waiting as u64,
        loopp99us: source.recent.loop_us.quantile_us(0.99),
        loopmaxus: stats.history.longest_turn_us(),
        ..ShardStatus::default()
    }
}

/// The row of a shard that stands still: what can be seen from outside.
pub fn stalled(shard: u16, for_ms: u64, in_what: String) -> ShardStatus {
    let id = engine::boot::ShardId(shard);
    ShardStatus {
        shard: u32::from(shard),
        state: State::Stalled.into(),
        stalledms: for_ms,
        r#where: in_what,
        cpuus: engine::stats::of(id).cpu_us,
        channeldepth: engine::stats::pulse(id).mesh_waiting as u64,
        ..ShardStatus::default()
    }
}

/// The row of a shard that has ended.
pub fn ended(shard: u16) -> ShardStatus {
    ShardStatus { shard: u32::from(shard), state: State::Ended.into(), ..ShardStatus::default() }
}

//! `halonctl shard status` (ours).

use control::Command as Letter;
use control::smtpd::{ShardStatus, ShardStatusResponse};

use super::{GROUP, JSON, Run, leaf};
use crate::cli::{Arguments, Body, Command, Group, Value, flag, option};
use crate::client::{decode, now};
use crate::limits::{QUICK_ANSWER, SAMPLE, SLOW_SAMPLE};
use crate::output::Session;
use crate::rates::{Figures, figures, shown, state, total};
use crate::table::{Align, Table};
use crate::{Failure, text};

pub(super) const SHARD: Command<Run> = Command {
    name: "shard",
    summary: "The shards of the server",
    body: Body::Commands(&[
        Command {
            about: "Rates are per second, of a quarter of a second before the answer, or with --watch since the screen \
                    before. Commit is the time of a durable write, Loop that of a turn of the shard's loop, both over \
                    the last minute or so. A shard that does not answer is STALLED, with where it is stuck.",
            options: &[&WATCHING, &JSON],
            ..leaf("status", "Show figures of each shard, and of all together", run)
        },
        leaf("thaw", "Let a server that was started with --frozen take and send mail", |session, _| {
            session.order(Letter::Thaw)
        }),
    ]),
    ..GROUP
};

static WATCHING: Group = Group {
    title: "Watching",
    note: "",
    options: &[
        flag("watch", "Again and again, until interrupted"),
        option("interval", Value::Text("SECONDS"), "Between two screens; 1 by default"),
    ],
};

fn run(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    if session.json {
        return session.ask::<ShardStatusResponse>(Letter::ShardStatus, &(), Some("shards")).map(drop);
    }
    let begun = now();
    let mut before = sample(session)?;
    if arguments.has("watch") {
        let interval: f64 = arguments.number("interval")?.unwrap_or(1.0);
        if !(0.1..=3600.0).contains(&interval) {
            return Err(Failure::Usage("--interval: from 0.1 to 3600 seconds".to_owned()));
        }
        session.print(&screen(&table(None, &before), &before))?;
        loop {
            pause(std::time::Duration::from_secs_f64(interval));
            let next = sample(session)?;
            session.print(&screen(&table(Some(&before), &next), &next))?;
            before = next;
        }
    }
    if begun.elapsed() >= SLOW_SAMPLE {
        return session.print(&table(None, &before).render());
    }
    pause(SAMPLE);
    let after = sample(session)?;
    session.print(&table(Some(&before), &after).render())
}

/// Without JSON of the request: it would come again with every sample.
fn sample(session: &mut Session<'_>) -> Result<ShardStatusResponse, Failure> {
    decode(&session.client()?.call(Letter::ShardStatus, &[], QUICK_ANSWER)?)
}

#[expect(clippy::disallowed_methods, reason = "a client may wait")]
fn pause(time: std::time::Duration) {
    std::thread::sleep(time);
}

/// The table where the one before was.
fn screen(table: &Table, answer: &ShardStatusResponse) -> String {
    let lines: String = table.render().lines().map(|line| format!("{line}\x1b[K\n")).collect();
    let head = format!("smtpd {}, pid {}, up {}", answer.version, answer.pid, text::duration(answer.elapsed));
    format!("\x1b[H{}\x1b[K\n{lines}\x1b[J", text::visible(&head))
}

fn table(before: Option<&ShardStatusResponse>, now: &ShardStatusResponse) -> Table {
    let right = [
        "CPU %",
        "In",
        "Out",
        "Recv/s",
        "Sent/s",
        "Defer/s",
        "Active",
        "Deferred",
        "Hold",
        "Sending",
        "Batch",
        "Commit p50",
        "p99 ms",
        "Spool",
        "Scripts",
        "/s",
        "Channel",
        "Loop p99",
    ];
    let mut table = Table::new(
        [("Shard", Align::Right)]
            .into_iter()
            .chain(right.map(|title| (title, Align::Right)))
            .chain([("State", Align::Left)]),
    );
    let earlier = |id: u32| before.and_then(|before| before.shards.iter().find(|shard| shard.shard == id));
    let rows: Vec<(Figures, ShardStatus)> =
        now.shards.iter().map(|shard| (figures(earlier(shard.shard), shard), shard.clone())).collect();
    for (figures, shard) in &rows {
        row(&mut table, &shard.shard.to_string(), figures, shard, &state(shard));
    }
    let (figures, shard) = total(&rows);
    row(&mut table, "all", &figures, &shard, "");
    table
}

fn row(table: &mut Table, name: &str, figures: &Figures, shard: &ShardStatus, state: &str) {
    let ms = |micros: u64| format!("{:.2}", micros as f64 / 1000.0);
    table.row([
        name.to_owned(),
        shown(figures.cpu),
        shard.connectionsin.to_string(),
        shard.connectionsout.to_string(),
        shown(figures.received),
        shown(figures.delivered),
        shown(figures.deferred),
        shard.active.to_string(),
        shard.defer.to_string(),
        shard.hold.to_string(),
        shard.sending.to_string(),
        shown(figures.batch),
        ms(shard.commitp50us),
        ms(shard.commitp99us),
        text::bytes(shard.spoolbytes),
        shard.scriptsrunning.to_string(),
        shown(figures.scripts),
        shard.channeldepth.to_string(),
        ms(shard.loopp99us),
        state.to_owned(),
    ]);
}

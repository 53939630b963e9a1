//! `halonctl shard status` (ours).

use control::Command as Letter;
use std::io::IsTerminal;

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
                    the last minute or so; Loop max is the longest turn since somebody last asked. A shard that does not answer is STALLED, with where it is stuck. Where a row is wider \
                    than the terminal it is cut in two tables.",
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
        session.print(&screen(&tables(None, &before, terminal_width()), &before))?;
        loop {
            pause(std::time::Duration::from_secs_f64(interval));
            let next = sample(session)?;
            session.print(&screen(&tables(Some(&before), &next, terminal_width()), &next))?;
            before = next;
        }
    }
    if begun.elapsed() >= SLOW_SAMPLE {
        return session.print(&tables(None, &before, terminal_width()));
    }
    pause(SAMPLE);
    let mut after = sample(session)?;
    for shard in &mut after.shards {
        let earlier = before.shards.iter().find(|earlier| earlier.shard == shard.shard);
        shard.loopmaxus = shard.loopmaxus.max(earlier.map_or(0, |earlier| earlier.loopmaxus));
    }
    session.print(&tables(Some(&before), &after, terminal_width()))
}

/// Without JSON of the request: it would come again with every sample.
fn sample(session: &mut Session<'_>) -> Result<ShardStatusResponse, Failure> {
    decode(&session.client()?.call(Letter::ShardStatus, &[], QUICK_ANSWER)?)
}

#[expect(clippy::disallowed_methods, reason = "a client may wait")]
fn pause(time: std::time::Duration) {
    std::thread::sleep(time);
}

/// The tables where those before were.
fn screen(tables: &str, answer: &ShardStatusResponse) -> String {
    let lines: String = tables.lines().map(|line| format!("{line}\x1b[K\n")).collect();
    let head = format!("smtpd {}, pid {}, up {}", answer.version, answer.pid, text::duration(answer.elapsed));
    format!("\x1b[H{}\x1b[K\n{lines}\x1b[J", text::visible(&head))
}

/// Columns of the terminal; `None` when there is none.
fn terminal_width() -> Option<usize> {
    let size = std::io::stdout().is_terminal().then(crossterm::terminal::size)?;
    size.ok().map(|(columns, _)| usize::from(columns))
}

const TITLES: [&str; 21] = [
    "Shard",
    "CPU %",
    "In",
    "Out",
    "Recv/s",
    "Sent/s",
    "Defer/s",
    "Active",
    "Defer",
    "Hold",
    "Sending",
    "State",
    "Batch",
    "Commit p50",
    "Commit p99",
    "Spool",
    "Scripts",
    "Runs/s",
    "Channel",
    "Loop p99",
    "Loop max",
];

/// The column of the state.
const STATE: usize = 11;

/// One table, or several below each other where one is wider than `room`; each says which shard a row is of.
fn tables(before: Option<&ShardStatusResponse>, now: &ShardStatusResponse, room: Option<usize>) -> String {
    let rows = rows(before, now);
    let fits = |columns: &[usize]| {
        let line = table(&rows, columns).lines().next().map_or(0, text::width);
        room.is_none_or(|room| line <= room)
    };
    let mut all = String::new();
    let mut columns = vec![0];
    for column in 1..TITLES.len() {
        columns.push(column);
        if columns.len() > 2 && !fits(&columns) {
            columns.pop();
            all += &table(&rows, &columns);
            columns = vec![0, column];
        }
    }
    all + &table(&rows, &columns)
}

fn table(rows: &[Vec<String>], columns: &[usize]) -> String {
    let align = |column: usize| if column == STATE { Align::Left } else { Align::Right };
    let mut table = Table::new(columns.iter().map(|column| (TITLES[*column], align(*column))));
    for row in rows {
        table.row(columns.iter().map(|column| &row[*column]));
    }
    table.render()
}

/// A row for each shard, and one for all.
fn rows(before: Option<&ShardStatusResponse>, now: &ShardStatusResponse) -> Vec<Vec<String>> {
    let earlier = |id: u32| before.and_then(|before| before.shards.iter().find(|shard| shard.shard == id));
    let shards: Vec<(Figures, ShardStatus)> =
        now.shards.iter().map(|shard| (figures(earlier(shard.shard), shard), shard.clone())).collect();
    let each =
        shards.iter().map(|(figures, shard)| row(&shard.shard.to_string(), figures, shard, &state(shard)));
    let (figures, shard) = total(&shards);
    each.chain([row("all", &figures, &shard, "")]).collect()
}

fn row(name: &str, figures: &Figures, shard: &ShardStatus, state: &str) -> Vec<String> {
    let ms = |micros: u64| format!("{:.2} ms", micros as f64 / 1000.0);
    vec![
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
        state.to_owned(),
        shown(figures.batch),
        ms(shard.commitp50us),
        ms(shard.commitp99us),
        text::bytes(shard.spoolbytes),
        shard.scriptsrunning.to_string(),
        shown(figures.scripts),
        shard.channeldepth.to_string(),
        ms(shard.loopp99us),
        ms(shard.loopmaxus),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_gets_tables_below_each_other_with_all_columns() {
        let shard = ShardStatus { shard: 7, state: 1, ..ShardStatus::default() };
        let now = ShardStatusResponse { shards: vec![shard], ..ShardStatusResponse::default() };
        let whole = tables(None, &now, None);
        assert_eq!(whole.lines().count(), 6);
        for room in [120, 100, 80] {
            let split = tables(None, &now, Some(room));
            assert!(split.lines().all(|line| text::width(line) <= room), "{split}");
            assert!(TITLES.iter().all(|title| whole.contains(title) && split.contains(title)));
        }
    }
}

//! Screens against snapshots in `top/snapshots`. `UPDATE_DOCS=1` writes them anew.
#![expect(clippy::disallowed_methods, reason = "reads and writes the files of the source tree")]

use control::smtpd::metric_sample::Value;
use control::smtpd::shard_status::State;
use control::smtpd::{MetricFamily, MetricSample, ProcessStatsResponse, ShardStatus, ShardStatusResponse};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

use super::{Sample, Screen, draw, draw::whole_height, text};

/// A server at a time: its counters have grown by `grown` since another time.
fn sample(grown: u64) -> Sample {
    let mut stats: Vec<(String, u64)> = vec![
        ("process.pid".to_owned(), 4711),
        ("process.runtime".to_owned(), 93_784 + grown),
        ("servers.inbound.connections".to_owned(), 120 + grown),
        ("servers.inbound.connections.max".to_owned(), 5000),
        ("servers.submission-é\u{1b}[1m.connections".to_owned(), 3),
        ("servers.submission-é\u{1b}[1m.connections.max".to_owned(), 100),
        ("queue.connections.count".to_owned(), 250 - grown),
        ("queue.connections.max".to_owned(), 10_000),
    ];
    for hook in ["connect", "helo", "mailfrom", "rcptto", "eod"] {
        stats.push((format!("servers.inbound.scripts.{hook}.running"), 1));
        stats.push((format!("servers.inbound.scripts.{hook}.finished"), 123_456_000 + 10_000 * grown));
        stats.push((format!("servers.inbound.scripts.{hook}.errors"), grown));
    }
    for pool in ["_default", "_queues"] {
        stats.push((format!("threads.{pool}.size"), 4));
        stats.push((format!("threads.{pool}.running"), 1));
    }
    for (index, name) in
        ["active.0", "active.1", "defer", "hold", "update", "pending", "sending"].iter().enumerate()
    {
        stats.push((format!("queue.queue.{name}"), 1000 * index as u64 + grown));
    }
    let samples = stats
        .into_iter()
        .map(|(stat, value)| MetricSample {
            stat,
            value: Some(Value::Integer(value)),
            ..MetricSample::default()
        })
        .collect();
    let stats = ProcessStatsResponse {
        metrics: vec![MetricFamily { samples, ..MetricFamily::default() }],
        ..ProcessStatsResponse::default()
    };
    let shard = |id: u32, state: State| ShardStatus {
        shard: id,
        state: state.into(),
        elapsedus: 1_000_000 * grown,
        cpuus: 430_000 * grown,
        received: 812 * grown,
        delivered: 790 * grown,
        loopp99us: 412,
        ..ShardStatus::default()
    };
    let mut stalled = shard(1, State::Stalled);
    stalled.stalledms = 7_400;
    stalled.r#where = "eod:inbound at main.hsl:17".to_owned();
    let shards =
        ShardStatusResponse { shards: vec![shard(0, State::Ok), stalled], ..ShardStatusResponse::default() };
    Sample::of(&stats, shards, "2026-03-01 14:00:00".to_owned())
}

fn screen() -> Screen {
    let mut screen = Screen::of(sample(1));
    screen.update(Ok(sample(7)));
    screen
}

fn drawn(screen: &Screen, width: u16, height: u16) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    draw(screen, buffer.area, &mut buffer);
    buffer
}

fn agrees(name: &str, buffer: &Buffer) {
    let path = format!("{}/src/top/snapshots/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, text(buffer)).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(wanted == text(buffer), "{name} is drawn as\n{}", text(buffer));
}

#[test]
fn a_large_terminal_shows_all_panes() {
    agrees("100x40", &drawn(&screen(), 100, 40));
}

#[test]
fn a_small_terminal_has_pages() {
    agrees("80x24-page-1", &drawn(&screen(), 80, 24));
    let last = Screen { chosen: screen().count() - 1, ..screen() };
    agrees("80x24-last", &drawn(&last, 80, 24));
}

#[test]
fn help_lies_over_the_panes() {
    agrees("80x24-help", &drawn(&Screen { help: true, ..screen() }, 80, 24));
}

#[test]
fn what_cannot_be_asked_is_said_and_the_old_figures_stay() {
    let mut screen = screen();
    screen.update(Err("cannot connect to /run/smtpd.ctl".to_owned()));
    let shown = text(&drawn(&screen, 80, 24));
    assert!(shown.contains("old figures: cannot connect") && shown.contains("pid 4711"), "{shown}");
    screen.update(Ok(sample(8)));
    assert!(!text(&drawn(&screen, 80, 24)).contains("old figures"));
    assert!(text(&drawn(&Screen::default(), 80, 24)).contains("waiting for the server"));
}

#[test]
fn changes_are_blue() {
    let buffer = drawn(&screen(), 100, 40);
    let blue: String =
        buffer.content.iter().filter(|cell| cell.fg == Color::Blue).map(|cell| cell.symbol()).collect();
    assert!(blue.starts_with("+6"), "{blue}");
    assert!(blue.contains("-6"), "{blue}");
}

#[test]
fn no_size_is_too_small_or_too_large() {
    for (width, height) in [(0, 0), (1, 1), (9, 3), (10, 3), (20, 4), (40, 10), (300, 100)] {
        for chosen in 0..screen().count() {
            drawn(&Screen { chosen, help: true, ..screen() }, width, height);
        }
    }
}

#[test]
fn one_screen_for_scripts_is_as_high_as_it_takes() {
    let screen = screen();
    for width in [40, 80, 100, 200] {
        let shown = text(&drawn(&screen, width, whole_height(&screen, width)));
        assert!(
            shown.contains("SERVERS") && shown.contains("RESOLVER") && !shown.contains("page"),
            "{shown}"
        );
    }
}

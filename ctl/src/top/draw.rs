//! Panes on a screen of any size.
//!
//! Panes flow down columns of at least [`COLUMN_WIDTH`], from the left; what does not fit comes on further pages. The
//! page is the one that the chosen pane is on.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::Sample;
use super::panes::{Cell, Pane, Row, panes};
use crate::text::{cut, duration, width};

/// Narrowest column.
pub const COLUMN_WIDTH: u16 = 32;

/// Space between two columns.
const GAP: u16 = 2;

/// Width below which the label of a row does not give way to its values.
const LABEL_WIDTH: usize = 8;

/// What there is to draw.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    /// The sample before.
    pub before: Option<Sample>,
    /// The newest; none until the server has answered.
    pub now: Option<Sample>,
    /// Which pane is chosen, from 0.
    pub chosen: usize,
    /// Whether the help is shown.
    pub help: bool,
    /// Why there is nothing newer.
    pub trouble: Option<String>,
}

impl Screen {
    /// With one sample.
    #[must_use]
    pub fn of(sample: Sample) -> Self {
        Self { now: Some(sample), ..Self::default() }
    }

    /// Takes the next sample, or why there is none.
    pub fn update(&mut self, sample: Result<Sample, String>) {
        match sample {
            Ok(sample) => {
                self.before = self.now.replace(sample);
                self.trouble = None;
            }
            Err(trouble) => self.trouble = Some(trouble),
        }
    }

    /// How many panes there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.panes().len()
    }

    fn panes(&self) -> Vec<Pane> {
        self.now.as_ref().map(|now| panes(self.before.as_ref(), now)).unwrap_or_default()
    }
}

/// Draws it all.
pub fn draw(screen: &Screen, area: Rect, buffer: &mut Buffer) {
    if area.height < 3 || area.width < 10 {
        return;
    }
    let body = Rect { y: area.y + 1, height: area.height - 2, ..area };
    header(screen).render(Rect { height: 1, ..area }, buffer);
    let panes = screen.panes();
    let (places, pages) = flow(&panes, body);
    let page = places.get(screen.chosen).map_or(0, |place| place.page);
    for ((pane, place), index) in panes.iter().zip(&places).zip(0..) {
        if place.page == page {
            draw_pane(pane, index == screen.chosen, place.area, buffer);
        }
    }
    let foot = Rect { y: area.bottom() - 1, height: 1, ..area };
    footer(screen, page, pages).render(foot, buffer);
    if screen.help {
        draw_help(body, buffer);
    }
}

/// Rows that all panes together take at this width, header and footer included.
#[must_use]
pub fn whole_height(screen: &Screen, width: u16) -> u16 {
    let panes = screen.panes();
    let tallest: u16 = panes.iter().map(height).max().unwrap_or(0);
    let all: u16 = panes.iter().map(height).fold(0, u16::saturating_add);
    (tallest..=all)
        .find(|height| flow(&panes, Rect::new(0, 0, width, *height)).1 <= 1)
        .unwrap_or(all)
        .saturating_add(2)
}

/// Where a pane is.
struct Place {
    page: usize,
    area: Rect,
}

/// The places of all panes, and the number of pages.
fn flow(panes: &[Pane], body: Rect) -> (Vec<Place>, usize) {
    let columns = ((body.width + GAP) / (COLUMN_WIDTH + GAP)).max(1);
    let column_width = (body.width - GAP * (columns - 1)) / columns;
    let (mut page, mut column, mut y) = (0, 0, 0);
    let mut places = Vec::new();
    for pane in panes {
        let height = height(pane).min(body.height);
        if y > 0 && y + height > body.height {
            column += 1;
            y = 0;
        }
        if column == columns {
            page += 1;
            column = 0;
        }
        let area = Rect::new(body.x + column * (column_width + GAP), body.y + y, column_width, height);
        places.push(Place { page, area });
        y += height;
    }
    (places, page + 1)
}

/// Rows of a pane: its title, titles of columns, and what is in it.
fn height(pane: &Pane) -> u16 {
    let rows = pane.rows.len().max(1) + usize::from(!pane.columns.is_empty());
    u16::try_from(rows + 1).unwrap_or(u16::MAX)
}

fn header(screen: &Screen) -> Line<'static> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let Some(now) = &screen.now else {
        return Line::styled("halontop: waiting for the server", bold);
    };
    let pid = now.stat("process.pid").map_or_else(|| "?".to_owned(), |pid| format!("{pid:.0}"));
    let up = now.stat("process.runtime").map_or_else(|| "?".to_owned(), duration);
    Line::styled(format!("smtpd pid {pid}   up {up}   {}", now.time), bold)
}

fn footer(screen: &Screen, page: usize, pages: usize) -> Line<'static> {
    if let Some(trouble) = &screen.trouble {
        let text = format!("old figures: {}", crate::text::visible(trouble));
        return Line::styled(text, Style::new().fg(Color::White).bg(Color::Red));
    }
    let page = if pages > 1 { format!("page {} of {pages}   ", page + 1) } else { String::new() };
    Line::styled(format!("{page}←→ pane   h help   q quit"), Style::new().add_modifier(Modifier::DIM))
}

fn draw_pane(pane: &Pane, chosen: bool, area: Rect, buffer: &mut Buffer) {
    let style = match chosen {
        true => Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED),
        false => Style::new().add_modifier(Modifier::BOLD),
    };
    let rule = "─".repeat(usize::from(area.width).saturating_sub(pane.title.len() + 4));
    let title = Line::from(vec![
        Span::raw("─ "),
        Span::styled(pane.title, style),
        Span::raw(" "),
        Span::styled(rule, Style::new()),
    ]);
    let mut lines = vec![title];
    let widths = widths(pane, usize::from(area.width));
    if !pane.columns.is_empty() {
        let cells =
            pane.columns.iter().map(|title| Cell { text: (*title).to_owned(), change: String::new() });
        let heading = Row { label: String::new(), cells: cells.collect(), alarm: false };
        lines.push(line(&heading, &widths).style(Style::new().add_modifier(Modifier::DIM)));
    }
    if pane.rows.is_empty() {
        lines.push(Line::styled("none", Style::new().add_modifier(Modifier::DIM)));
    }
    lines.extend(pane.rows.iter().map(|row| line(row, &widths)));
    let room = usize::from(area.height);
    if lines.len() > room {
        let hidden = lines.len() - room + 1;
        lines.truncate(room - 1);
        lines.push(Line::raw(format!("… {hidden} more")));
    }
    for (line, y) in lines.into_iter().zip(area.y..) {
        line.render(Rect { y, height: 1, ..area }, buffer);
    }
}

/// Widths of the label and of each cell. The label gets what is left; where there is too little, the last cell gives way.
fn widths(pane: &Pane, area: usize) -> Vec<usize> {
    let count = pane.rows.first().map_or(pane.columns.len(), |row| row.cells.len());
    let mut cells: Vec<usize> = (0..count)
        .map(|index| {
            let title = pane.columns.get(index).map_or(0, |title| width(title));
            let rows = pane.rows.iter().filter_map(|row| row.cells.get(index));
            rows.map(|cell| width(&cell.text) + width(&cell.change)).max().unwrap_or(0).max(title) + 1
        })
        .collect();
    let labels = pane.rows.iter().filter(|row| !row.cells.is_empty()).map(|row| width(&row.label));
    let label = labels.max().unwrap_or(0).min(LABEL_WIDTH);
    let wanted: usize = label + cells.iter().sum::<usize>();
    if let Some(last) = cells.last_mut() {
        *last = last.saturating_sub(wanted.saturating_sub(area));
    }
    let label = area.saturating_sub(cells.iter().sum());
    std::iter::once(label).chain(cells).collect()
}

fn line(row: &Row, widths: &[usize]) -> Line<'static> {
    let room = if row.cells.is_empty() { widths.iter().sum() } else { widths[0] };
    let label = cut(&row.label, room).into_owned();
    let space = room.saturating_sub(width(&label));
    let mut spans = vec![Span::raw(label + &" ".repeat(space))];
    for (cell, columns) in row.cells.iter().zip(&widths[1..]) {
        let room = columns.saturating_sub(1);
        let text = cut(&cell.text, room).into_owned();
        let change = cut(&cell.change, room - width(&text).min(room)).into_owned();
        let space = columns.saturating_sub(width(&text) + width(&change));
        spans.push(Span::raw(" ".repeat(space) + &text));
        spans.push(Span::styled(change, Style::new().fg(Color::Blue)));
    }
    let style = if row.alarm { Style::new().fg(Color::Red) } else { Style::new() };
    Line::from(spans).style(style)
}

const HELP: &[&str] = &[
    "left, right    choose a pane, turn the page",
    "h              this help",
    "q              quit",
    "",
    "Blue: what has changed since the screen before.",
    "Pending scripts: more than the shards can run.",
    "Pending in the loader: the disk is slow.",
    "STALLED: the shard's loop does not turn;",
    "halonctl shard status says where it is stuck.",
];

fn draw_help(body: Rect, buffer: &mut Buffer) {
    let columns = HELP.iter().map(|line| width(line)).max().unwrap_or(0) + 4;
    let size = |wanted: usize, room: u16| u16::try_from(wanted).unwrap_or(room).min(room);
    let (wide, high) = (size(columns, body.width), size(HELP.len() + 2, body.height));
    let area = Rect::new(body.x + (body.width - wide) / 2, body.y + (body.height - high) / 2, wide, high);
    ratatui::widgets::Clear.render(area, buffer);
    let block = ratatui::widgets::Block::bordered().title(" Help ");
    let inside = block.inner(area);
    block.render(area, buffer);
    for (text, y) in HELP.iter().zip(inside.top()..inside.bottom()) {
        Line::raw(format!(" {text}")).render(Rect { y, height: 1, ..inside }, buffer);
    }
}

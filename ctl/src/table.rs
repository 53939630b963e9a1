//! Tables with box-drawing characters: one header row, text to the left, numbers to the right.

use crate::limits::CELL_WIDTH;
use crate::text::{cut, visible, width};

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table in the making.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    /// All rows, one after the other.
    cells: Vec<Box<str>>,
}

#[derive(Debug)]
struct Column {
    title: String,
    align: Align,
    width: usize,
}

impl Table {
    pub(crate) fn new<T: Into<String>>(columns: impl IntoIterator<Item = (T, Align)>) -> Self {
        let columns = columns.into_iter().map(|(title, align)| {
            let title = title.into();
            Column { width: width(&title), title, align }
        });
        Self { columns: columns.collect(), cells: Vec::new() }
    }

    /// Adds a row with a cell for each column. The cells may hold anything.
    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let before = self.cells.len();
        for (cell, column) in cells.into_iter().zip(&mut self.columns) {
            let visible = visible(cell.as_ref());
            let cell = cut(&visible, CELL_WIDTH);
            column.width = column.width.max(width(&cell));
            self.cells.push(cell.into());
        }
        debug_assert_eq!(self.cells.len() - before, self.columns.len());
    }

    /// The table as text.
    pub(crate) fn render(&self) -> String {
        let mut text = self.rule('┌', '┬', '┐');
        self.line(&mut text, self.columns.iter().map(|column| column.title.as_str()));
        if !self.cells.is_empty() {
            text.push_str(&self.rule('├', '┼', '┤'));
        }
        for row in self.cells.chunks(self.columns.len()) {
            self.line(&mut text, row.iter().map(AsRef::as_ref));
        }
        text + &self.rule('└', '┴', '┘')
    }

    fn rule(&self, first: char, between: char, last: char) -> String {
        let mut text = String::from(first);
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                text.push(between);
            }
            text.extend(std::iter::repeat_n('─', column.width + 2));
        }
        text.push(last);
        text.push('\n');
        text
    }

    fn line<'a>(&self, text: &mut String, cells: impl Iterator<Item = &'a str>) {
        for (cell, column) in cells.zip(&self.columns) {
            let space = " ".repeat(column.width - width(cell));
            match column.align {
                Align::Left => text.extend(["│ ", cell, &space, " "]),
                Align::Right => text.extend(["│ ", &space, cell, " "]),
            }
        }
        text.push_str("│\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let mut table = Table::new([("Recipient", Align::Left), ("Retry delay", Align::Right)]);
        table.row(["kim@example.net", "412"]);
        table.row(["日本@example.net\x1b[2J", "7"]);
        assert_eq!(
            table.render(),
            "\
┌───────────────────────────┬─────────────┐
│ Recipient                 │ Retry delay │
├───────────────────────────┼─────────────┤
│ kim@example.net           │         412 │
│ 日本@example.net\\u{1b}[2J │           7 │
└───────────────────────────┴─────────────┘
"
        );
    }

    #[test]
    fn without_rows_there_is_the_header() {
        let table = Table::new([("ID", Align::Left)]);
        assert_eq!(table.render(), "┌────┐\n│ ID │\n└────┘\n");
    }
}

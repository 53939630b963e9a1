//! CSV (RFC 4180): hsl-stdlib 8.4.

mod schema;
#[cfg(test)]
mod tests;

use csv::ByteRecord;

use self::schema::Schema;
use crate::fault::Fault;
use crate::limits::MAX_ARRAY_ITEMS;
use crate::native::{Call, Native, Options};
use crate::value::{Array, Key, Str, Value};

/// On one core of a busy machine decoding took 241 µs for twice as much.
const INLINE_BYTES: usize = 4 << 10;

/// The natives of this folder.
pub static NATIVES: &[Native] = &[
    Native::sized(
        "csv_encode",
        "array values [, array options]",
        (1, Some(2)),
        "One CSV record, without a line end. Option: `delimiter` (,).",
        INLINE_BYTES,
        csv_encode,
    ),
    Native::sized(
        "csv_decode",
        "string text [, array options]",
        (1, Some(2)),
        "The rows of a CSV text; none if a cell does not fit its type. Options: `delimiter` (,), `header` (true: the first \
         row names the columns, else rows are lists), `schema` (per column `type` string, boolean or number, `nullable` \
         true or a list of texts, `true` and `false` as lists of texts). Cells beyond the header have their number as key; \
         missing ones are left out.",
        INLINE_BYTES,
        csv_decode,
    ),
];

fn csv_encode(call: &mut Call<'_>) -> Result<Value, Fault> {
    let delimiter = delimiter(&call.options(1)?)?;
    let mut out = Vec::new();
    for (index, value) in call.array(0)?.values().enumerate() {
        if index > 0 {
            out.push(delimiter);
        }
        write_field(&value.to_text()?, delimiter, &mut out);
    }
    Ok(Value::from(out))
}

/// A cell, in quotes if a reader could misunderstand it otherwise.
fn write_field(text: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b'"' | b'\r' | b'\n' | b' ') || *byte == delimiter;
    if !text.iter().any(special) {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for &byte in text {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

fn csv_decode(call: &mut Call<'_>) -> Result<Value, Fault> {
    let layout = Layout::new(&call.options(1)?)?;
    Ok(decode(call.bytes(0)?, &layout)?.map_or(Value::None, Value::from))
}

/// How a text is to be read.
#[derive(Debug)]
pub struct Layout {
    delimiter: u8,
    header: bool,
    schema: Schema,
}

impl Layout {
    /// The options of `csv_decode` and of data imports.
    pub fn new(options: &Options) -> Result<Layout, Fault> {
        Ok(Layout {
            delimiter: delimiter(options)?,
            header: options.boolean("header", true)?,
            schema: Schema::new(options.array("schema")?)?,
        })
    }
}

fn delimiter(options: &Options) -> Result<u8, Fault> {
    match options.str("delimiter")?.as_deref() {
        None => Ok(b','),
        Some(&[byte]) if byte != b'"' && byte != b'\r' && byte != b'\n' => Ok(byte),
        Some(_) => Err(Fault::error("option \"delimiter\" must be one byte and no quote or line end")),
    }
}

/// The rows of a text, or none if a cell does not fit the schema.
pub fn decode(text: &[u8], layout: &Layout) -> Result<Option<Array>, Fault> {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(layout.delimiter)
        .from_reader(text);
    let mut record = ByteRecord::new();
    let mut names: Vec<Key> = Vec::new();
    if layout.header && reader.read_byte_record(&mut record).unwrap_or(false) {
        names = record.iter().map(Key::from_bytes).collect();
    }
    let columns: Vec<_> = names.iter().map(|name| layout.schema.column(name)).collect();
    let mut rows = Vec::new();
    let mut cells = 0usize;
    while reader.read_byte_record(&mut record).unwrap_or(false) {
        cells += record.len();
        if cells > MAX_ARRAY_ITEMS {
            return Err(Fault::error(format!("the CSV text has more than {MAX_ARRAY_ITEMS} cells")));
        }
        let mut row = Array::new();
        for (index, cell) in record.iter().enumerate() {
            let key = names.get(index).cloned().unwrap_or(Key::Int(index as i64));
            let column = match columns.get(index) {
                Some(column) => *column,
                None => layout.schema.column(&key),
            };
            match column {
                None => row.set(key, Value::from(Str::new(cell))),
                Some(column) => match column.convert(cell) {
                    Some(value) => row.set(key, value),
                    None => return Ok(None),
                },
            }
        }
        rows.push(Value::from(row));
    }
    Ok(Some(Array::from_list(rows)))
}

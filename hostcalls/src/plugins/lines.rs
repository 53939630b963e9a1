//! Lists with one entry a line.

use crate::limits::LIST_COMPLAINTS_MAX;

/// Calls `entry` with each line that is neither empty nor a comment; `wrong` hears of the lines that it refuses, with
/// their numbers from 1, as far as that helps.
pub(super) fn each(
    text: &[u8],
    wrong: &mut dyn FnMut(usize, &str),
    entry: &mut dyn FnMut(&[u8]) -> Result<(), String>,
) {
    let mut complaints = 0;
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let Err(what) = entry(line) else { continue };
        complaints += 1;
        if complaints <= LIST_COMPLAINTS_MAX {
            wrong(index + 1, &what);
        }
    }
}

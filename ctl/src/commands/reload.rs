//! Reloads, and what they would change.

use control::Command as Letter;
use control::smtpd::reload_check_request::File;
use control::smtpd::{ReloadCheckRequest, ReloadCheckResponse};

use super::{DRY_RUN, JSON, counted};
use crate::Failure;
use crate::cli::{Arguments, Group};
use crate::limits::ANSWER;
use crate::output::Session;
use crate::text::visible;

/// Their options.
pub(super) static OPTIONS: &[&Group] = &[&DRY_RUN, &JSON];

/// Has a file read again, or only checked.
pub(super) fn reload(
    session: &mut Session<'_>,
    arguments: &Arguments,
    letter: Letter,
    file: File,
) -> Result<(), Failure> {
    if !arguments.has("dry-run") {
        return session.order(letter);
    }
    let request = ReloadCheckRequest { file: file.into() };
    let answer: ReloadCheckResponse = session.ask_within(Letter::ReloadCheck, &request, None, ANSWER)?;
    if session.json {
        return Ok(());
    }
    let lines: String = answer.changes.iter().map(|change| format!("{}\n", visible(change))).collect();
    session.print(&(lines + &counted(answer.changes.len() as u64, "keys", true, "changed")))
}

//! Shards that an answer lacks.

use control::smtpd::Missing;
use control::smtpd::missing::Reason;

use crate::Failure;
use crate::output::Session;
use crate::text::duration;

/// Says which shards are missing from a listing; it is worth having all the same.
pub(super) fn mention(session: &mut Session<'_>, missing: &[Missing]) {
    for line in missing.iter().map(sentence) {
        session.complain(&format!("the answer is partial: {line}"));
    }
}

/// Fails a change that did not reach all shards.
pub(super) fn refuse(missing: &[Missing]) -> Result<(), Failure> {
    if missing.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> =
        missing.iter().map(|one| format!("not done everywhere: {}", sentence(one))).collect();
    Err(Failure::Failed(lines.join("\n")))
}

fn sentence(missing: &Missing) -> String {
    let shard = missing.shard;
    match missing.reason() {
        Reason::Loading => format!("shard {shard} is still reading its queue"),
        Reason::Ended => format!("shard {shard} has ended"),
        Reason::Stalled | Reason::Unspecified => {
            let stalled = duration(missing.stalledms as f64 / 1000.0);
            let place = if missing.r#where.is_empty() { "" } else { " in " };
            format!("shard {shard} has been stalled for {stalled}{place}{}", missing.r#where)
        }
    }
}

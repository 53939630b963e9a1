//! `halonctl process-stats`.

use control::Command as Letter;
use control::openmetrics;
use control::smtpd::ProcessStatsResponse;
use control::smtpd::metric_sample::Value;

use super::{JSON, Run, leaf};
use crate::Failure;
use crate::cli::{Arguments, Command, Group, flag};
use crate::output::Session;
use crate::text::visible;

pub(super) const PROCESS_STATS: Command<Run> =
    Command { options: &[&FORM, &JSON], ..leaf("process-stats", "Print all counters", run) };

static FORM: Group = Group {
    title: "Form",
    note: "",
    options: &[flag("openmetrics", "As the monitor endpoint gives them, with types and help texts")],
};

fn run(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let answer: ProcessStatsResponse = session.ask(Letter::ProcessStats, &(), None)?;
    if session.json {
        return Ok(());
    }
    if arguments.has("openmetrics") {
        return session.print(&openmetrics::render(&answer.metrics));
    }
    let mut text = String::new();
    for sample in answer.metrics.iter().flat_map(|family| &family.samples) {
        // Parts of a histogram have no name of their own here.
        if !sample.stat.is_empty() {
            text += &format!("{}: {}\n", visible(&sample.stat), value(sample.value.as_ref()));
        }
    }
    session.print(&text)
}

fn value(value: Option<&Value>) -> String {
    match value {
        Some(Value::Integer(number)) => number.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        None => "0".to_owned(),
    }
}

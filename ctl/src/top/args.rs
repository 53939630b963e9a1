//! The command line of `halontop`.

use std::time::Duration;

use crate::Failure;
use crate::cli::{Arguments, Body, Command, Group, Value, flag, option};

pub(super) static ROOT: Command<()> = Command {
    name: "halontop",
    summary: "Watch all counters of a running smtpd",
    about: "Keys: left and right choose a pane, and turn the page where there are several; h help; q quits. What has \
            changed since the screen before stands beside it in blue.",
    options: &[&OPTIONS],
    operands: &[],
    examples: &[("halontop --once", "One screen, for a script or a report")],
    body: Body::Run(()),
};

static OPTIONS: Group = Group {
    title: "Options",
    note: "",
    options: &[
        option("interval", Value::Text("SECONDS"), "Between two screens; 1 by default").short('n'),
        flag("once", "Print one screen, and end"),
        option(
            "config",
            Value::Path("FILE"),
            "Where the server is: another file than /etc/halon/halonctl.yaml",
        ),
    ],
};

/// The time between two screens.
pub(super) fn interval(arguments: &Arguments) -> Result<Duration, Failure> {
    let seconds: f64 = arguments.number("interval")?.unwrap_or(1.0);
    if !(0.1..=3600.0).contains(&seconds) {
        return Err(Failure::Usage("--interval: from 0.1 to 3600 seconds".to_owned()));
    }
    Ok(Duration::from_secs_f64(seconds))
}

//! `halonctl plugin`.

use control::Command as Letter;
use control::smtpd::{PluginCommandRequest, PluginCommandResponse};

use super::{GROUP, Run, leaf};
use crate::Failure;
use crate::cli::{Arguments, Body, Command, Value, operand};
use crate::output::Session;
use crate::text::visible_lines;

pub(super) const PLUGIN: Command<Run> = Command {
    name: "plugin",
    summary: "Plugins",
    body: Body::Commands(&[Command {
        operands: &[
            operand("PLUGIN", Value::Text("PLUGIN"), "Its id"),
            operand(
                "ARGUMENT",
                Value::Text("ARGUMENT"),
                "What it is told; after -- also what begins with a dash",
            )
            .optional()
            .repeated(),
        ],
        ..leaf("command", "Give a plugin a command, and print what it says", run)
    }]),
    ..GROUP
};

fn run(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let request = PluginCommandRequest {
        id: arguments.operand("PLUGIN").to_owned(),
        argv: arguments.all("ARGUMENT").to_vec(),
    };
    let answer: PluginCommandResponse = session.ask(Letter::PluginCommand, &request, None)?;
    if session.json { Ok(()) } else { session.print(&visible_lines(&answer.output)) }
}

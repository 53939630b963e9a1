//! `halonctl completion`.

use super::{ROOT, Run};
use crate::Failure;
use crate::cli::{Arguments, Body, Command, Shell, Value, operand, script};
use crate::output::Session;

pub(super) const COMPLETION: Command<Run> = Command {
    name: "completion",
    summary: "Print a completion script for a shell",
    about: "",
    options: &[],
    operands: &[operand("SHELL", Value::Word("SHELL", Shell::NAMES), "The shell: bash, zsh or fish")],
    examples: &[("source <(halonctl completion bash)", "For this session of bash")],
    body: Body::Run(run),
};

fn run(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let Some(shell) = Shell::named(arguments.operand("SHELL")) else { return Ok(()) };
    session.print(&script(&ROOT, shell))
}

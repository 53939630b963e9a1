//! What the scripts of each hook find: variables, and the functions that decide (reference: hooks 1 to 4).
//!
//! A function that decides ends the script with [`Fault::finished`]: its name, and its arguments. What that means is up to the
//! program that runs the hook.

use std::sync::Arc;

use script::fault::{Fault, Terminator};
use script::native::{Call, Library, Native};
use script::value::Value;

/// One kind of hook.
#[derive(Debug)]
pub struct Hook {
    /// Its name: the phase of a session, `predelivery` or `postdelivery`.
    pub name: &'static str,
    /// The variables that are there before the script runs.
    pub variables: &'static [Variable],
    /// The functions that decide.
    pub decisions: &'static [Native],
    /// Functions that do something else.
    pub functions: &'static [Native],
    /// The decision of a script that makes none.
    pub implied: &'static str,
}

/// A variable that is there before the script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Without the `$`.
    pub name: &'static str,
    /// Assigning to it is an error.
    pub read_only: bool,
}

/// The hook of this name.
pub fn hook(name: &str) -> Option<&'static Hook> {
    HOOKS.iter().find(|hook| hook.name == name)
}

impl Hook {
    /// The standard library and what this hook adds to it.
    pub fn library(&self) -> Arc<Library> {
        let mut library = crate::library::build();
        library.add(self.decisions).add(self.functions);
        for native in self.decisions {
            library.terminating(&[native.name]);
        }
        library.build()
    }
}

/// The standard library and [`ANY_HOOK`].
pub fn any_library() -> Arc<Library> {
    let mut library = crate::library::build();
    library.add(ANY_HOOK);
    for native in HOOKS.iter().flat_map(|hook| hook.decisions) {
        library.terminating(&[native.name]);
    }
    library.build()
}

/// All hooks: those of a session in the order in which they come, then those of the queue.
pub static HOOKS: [Hook; 10] = [
    session("connect", ACCEPT_REJECT_DEFER, "Accept"),
    session("proxy", PASS_REPLY, "Pass"),
    session("helo", ACCEPT_REJECT_DEFER, "Accept"),
    session("auth", ACCEPT_REJECT_DEFER_REPLY, "Reject"),
    session("mailfrom", ACCEPT_REJECT_DEFER, "Accept"),
    session("rcptto", ACCEPT_REJECT_DEFER, "Accept"),
    session("eod", ACCEPT_REJECT_DEFER, "Defer"),
    session("disconnect", PASS, "Pass"),
    queue("predelivery", &[ARGUMENTS, MESSAGE, CONTEXT], BEFORE_DELIVERY, "Try"),
    queue("postdelivery", &[ARGUMENTS, MESSAGE, read_only("context")], AFTER_DELIVERY, "Default"),
];

/// Every function of every hook, each once and as generous as the most generous hook: what a file may call that is
/// included by who knows which hook.
pub static ANY_HOOK: &[Native] = &[
    decision("Accept", "[array options]", 1, ACCEPT),
    decision("Reject", "[any reason [, array options]]", 2, REJECT),
    decision("Defer", "[any reason [, array options]]", 2, DEFER),
    decision("Reply", "[any reply [, array options]]", 2, REPLY),
    decision("Pass", "[array options]", 1, PASS_ON),
    decision("Try", "[array options]", 1, TRY),
    decision("Queue", "[array options]", 1, QUEUE),
    decision("Bounce", "[array options]", 1, BOUNCE),
    decision("Delete", "[array options]", 1, DELETE),
    decision("Default", "", 0, DEFAULT),
    SET_METADATA,
    GET_METADATA,
];

const fn read_only(name: &'static str) -> Variable {
    Variable { name, read_only: true }
}

const ARGUMENTS: Variable = read_only("arguments");
const MESSAGE: Variable = read_only("message");
const CONTEXT: Variable = Variable { name: "context", read_only: false };
const SESSION: &[Variable] = &[ARGUMENTS, read_only("connection"), read_only("transaction"), CONTEXT];

const fn session(name: &'static str, decisions: &'static [Native], implied: &'static str) -> Hook {
    Hook { name, variables: SESSION, decisions, functions: &[], implied }
}

const fn queue(
    name: &'static str,
    variables: &'static [Variable],
    decisions: &'static [Native],
    implied: &'static str,
) -> Hook {
    Hook { name, variables, decisions, functions: METADATA, implied }
}

const fn decision(name: &'static str, params: &'static str, most: u8, doc: &'static str) -> Native {
    Native::inline(name, params, (0, Some(most)), doc, decide)
}

const ACCEPT: &str = "Goes on, and ends the script.";
const REJECT: &str = "Refuses for good, and ends the script.";
const DEFER: &str = "Refuses for now, and ends the script.";
const REPLY: &str = "Answers the client, and ends the script.";
const PASS_ON: &str = "Hands on, and ends the script.";
const TRY: &str = "Attempts the delivery, and ends the script.";
const QUEUE: &str = "Leaves the message in the queue, and ends the script.";
const BOUNCE: &str = "Removes the message and tells its sender, and ends the script.";
const DELETE: &str = "Removes the message, and ends the script.";
const DEFAULT: &str = "Does what would be done without a script, and ends the script.";

const ACCEPT_REJECT_DEFER: &[Native] = &[
    decision("Accept", "[array options]", 1, ACCEPT),
    decision("Reject", "[any reason [, array options]]", 2, REJECT),
    decision("Defer", "[any reason [, array options]]", 2, DEFER),
];

const ACCEPT_REJECT_DEFER_REPLY: &[Native] = &[
    decision("Accept", "[array options]", 1, ACCEPT),
    decision("Reject", "[any reason [, array options]]", 2, REJECT),
    decision("Defer", "[any reason [, array options]]", 2, DEFER),
    decision("Reply", "[any reply [, array options]]", 2, REPLY),
];

const PASS_REPLY: &[Native] = &[
    decision("Pass", "[array options]", 1, PASS_ON),
    decision("Reply", "[any reason [, array options]]", 2, REPLY),
];

const PASS: &[Native] = &[decision("Pass", "", 0, PASS_ON)];

const BEFORE_DELIVERY: &[Native] = &[
    decision("Try", "[array options]", 1, TRY),
    decision("Queue", "[array options]", 1, QUEUE),
    decision("Bounce", "[array options]", 1, BOUNCE),
    decision("Delete", "[array options]", 1, DELETE),
];

const AFTER_DELIVERY: &[Native] = &[
    decision("Default", "", 0, DEFAULT),
    decision("Queue", "[array options]", 1, QUEUE),
    decision("Bounce", "[array options]", 1, BOUNCE),
    decision("Delete", "", 0, DELETE),
];

const METADATA: &[Native] = &[SET_METADATA, GET_METADATA];

const SET_METADATA: Native = Native::inline(
    "SetMetaData",
    "array metadata",
    (1, Some(1)),
    "Replaces what is kept with the message in the queue: strings by string. It lasts until the message is gone.",
    crate::item::set_metadata,
);

const GET_METADATA: Native = Native::inline(
    "GetMetaData",
    "",
    (0, Some(0)),
    "What is kept with the message in the queue: strings by string.",
    crate::item::get_metadata,
);

fn decide(call: &mut Call<'_>) -> Result<Value, Fault> {
    let arguments = (0..call.len()).map(|at| call.take(at)).collect();
    Err(Fault::finished(Terminator { name: call.native().name, arguments }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hook_implies_one_of_its_decisions() {
        for hook in &HOOKS {
            assert!(hook.decisions.iter().any(|native| native.name == hook.implied), "{}", hook.name);
        }
    }

    #[test]
    fn a_file_may_call_what_any_hook_may() {
        for native in HOOKS.iter().flat_map(|hook| hook.decisions.iter().chain(hook.functions)) {
            let any = ANY_HOOK.iter().find(|any| any.name == native.name).expect("listed");
            assert!(any.max_args >= native.max_args && any.min_args <= native.min_args, "{}", native.name);
        }
    }

    #[test]
    fn the_library_of_a_hook_has_its_decisions_and_no_others() {
        let library = hook("connect").expect("a hook").library();
        assert!(library.is_terminating("Accept") && library.function("Accept").is_some());
        assert!(library.function("Try").is_none());
        let any = any_library();
        assert!(
            any.function("Try").is_some() && any.is_terminating("Try") && !any.is_terminating("GetMetaData")
        );
    }

    #[test]
    fn the_linter_knows_the_options_of_each_decision_and_of_no_other() {
        let mut expected: Vec<String> = Vec::new();
        for hook in &HOOKS {
            let with_options = hook.decisions.iter().filter(|native| native.params.contains("options"));
            expected.extend(with_options.map(|native| format!("{}:{}", hook.name, native.name)));
        }
        let known = script::lint::names_with_options();
        let mut known: Vec<&str> = known.filter(|name| name.contains(':') && !name.contains("::")).collect();
        expected.sort_unstable();
        known.sort_unstable();
        assert_eq!(known, expected);
    }

    #[test]
    fn every_phase_of_the_configuration_has_its_hook() {
        let phases: Vec<&str> = HOOKS.iter().map(|hook| hook.name).collect();
        assert_eq!(phases[..8], config::PHASES);
    }
}

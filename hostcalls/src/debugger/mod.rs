//! Who looks into scripts while they run (reference: cli-and-operations 6.6).
//!
//! - [`Debugger`]: what a script stops for.
//! - [`Desk`]: where scripts that have stopped wait, and whoever talks with the debugger finds them.
//! - [`response`], [`ABORTED`], [`NO_BREAKPOINT`]: what the debugger is told, in the words of the control protocol.

mod desk;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use control::smtpd::{HslBreakPointResponse, HslCall, HslLocation};
use script::machine::{Range, Stop};

pub use desk::{Desk, Key, NoBreakPoint, Printed};

/// What a debugger knows as the end of what it looked at.
pub const ABORTED: &str = "Aborted";
/// Nothing stands, or nothing that it has seen.
pub const NO_BREAKPOINT: &str = "No breakpoint";

/// A debugger. Scripts that stop for it wait as for any host function: nobody else does.
pub trait Debugger {
    /// Whether it is there. A script that begins while it is not never stops.
    fn is_attached(&self) -> bool;

    /// Whose breakpoints count; `None`: all.
    fn stage(&self) -> Option<Rc<str>>;

    /// Shows a script that has stopped, until the debugger lets it go on, or goes away. The time is not the script's.
    fn stop(&self, stop: Stop) -> Pin<Box<dyn Future<Output = ()> + '_>>;
}

/// A stop, as debuggers read it.
pub fn response(stop: Stop) -> HslBreakPointResponse {
    let call = |function, range| HslCall { function, location: Some(location(range)) };
    HslBreakPointResponse {
        id: stop.id,
        values: stop.values,
        location: stop.range.map(location),
        // Outermost first: the published debugger turns them around.
        callstack: stop.calls.into_iter().rev().map(|stop| call(stop.function, stop.range)).collect(),
    }
}

fn location(range: Range) -> HslLocation {
    let Range { mut file, begin_line, begin_column, end_line, end_column } = range;
    // The hooks of the queue have no id.
    if file == "predelivery" || file == "postdelivery" {
        file.push(':');
    }
    HslLocation {
        file,
        beginline: begin_line,
        endline: end_line,
        begincolumn: begin_column,
        endcolumn: end_column,
    }
}

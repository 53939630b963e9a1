//! What a script may ask of the program that runs it.

use std::any::Any;

use crate::machine::Stop;
use crate::native::Native;
use crate::std::regex::PatternCache;
use crate::value::{Frozen, Object, Value};

/// Services that answer at once. What takes time is a [`HostCall`].
pub trait Host {
    /// Wall clock: seconds since 1970 with their fraction.
    fn now(&self) -> f64;
    /// Seconds of a clock that never jumps.
    fn monotonic(&self) -> f64;
    /// Seconds since the system started.
    fn uptime(&self) -> f64;
    /// Seconds since this execution began.
    fn execution_time(&self) -> f64;
    /// Fills `out` with random bytes that a stranger cannot predict.
    fn random(&mut self, out: &mut [u8]);
    /// The output of `echo`, without a line end.
    fn echo(&mut self, text: &[u8]);
    /// A line for the system log, with a priority of syslog(3).
    fn syslog(&mut self, priority: u32, text: &[u8]);
    /// The name of this machine.
    fn hostname(&self) -> String;
    /// The local time zone.
    fn timezone(&self) -> &jiff::tz::TimeZone;
    /// Compiled regular expressions of this shard.
    fn patterns(&mut self) -> &mut PatternCache;
    /// For natives of the embedder, which know its type.
    fn as_any(&mut self) -> &mut dyn Any;
}

/// A call that the embedder answers later: the script waits meanwhile.
#[derive(Debug)]
pub struct HostCall {
    /// The number in the embedder's table: [`crate::native::NativeRun::Host`].
    pub function: u16,
    /// The name that the script used, for messages.
    pub name: &'static str,
    /// The object of a method call.
    pub this: Option<Object>,
    /// The arguments; their number is checked.
    pub args: Vec<Value>,
}

/// What a waiting script waits for.
#[derive(Debug)]
pub enum PendingCall {
    /// The embedder's own function.
    Host(HostCall),
    /// A native that works longer than a shard may be blocked: [`crate::native::run_offloaded`] on another thread.
    Offload {
        /// The native.
        native: &'static Native,
        /// The object of a method call.
        this: Option<Frozen>,
        /// The arguments.
        args: Vec<Frozen>,
    },
    /// A debugger may look, until it lets the script go on; any answer does that.
    Stop(Box<Stop>),
}

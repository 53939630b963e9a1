//! `signDKIM` and `verifyDKIM` of the classes `MailMessage` and `MIME` (hsl-stdlib 15).
//!
//! Both are frames: what takes long, the passes over the message and the operations with private keys, runs on another
//! thread as the natives [`sign::WORK`] and [`verify::WORK`], whose one argument is a resource with the whole job.

mod sign;
mod verify;

#[cfg(test)]
pub(crate) mod script_tests;
#[cfg(test)]
mod tests;

use script::fault::Fault;
use script::native::Native;
use script::value::{Function, FunctionBuf, Resource, Value};

pub(super) use sign::{SIGN_MESSAGE, SIGN_MIME};
pub(super) use verify::VERIFY;

/// The function that runs `work`, and the job that it gets, as the machine calls it.
fn function(work: &'static Native) -> Value {
    Value::Function(Function::new(FunctionBuf::Native(work)))
}

/// The job that came as the only argument of a native of ours.
fn job<T: 'static>(value: &Value) -> Result<&T, Fault> {
    let job = value.as_resource().and_then(Resource::get);
    job.ok_or_else(|| Fault::error("this function is for internal use"))
}

/// Seconds since 1970 as the mail crate counts them.
fn unix_s(now: f64) -> u64 {
    now.max(0.0) as u64
}

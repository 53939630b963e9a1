//! Work for the engine's pool, with errors that scripts may catch.

use engine::offload::OffloadError;
use script::fault::Fault;
use script::host::{Host, HostCall};
use script::native::{Call, NativeFrame, Next, Step};
use script::value::Value;

use crate::limits;

/// Runs `f` on the pool, on behalf of the function `name`.
pub(crate) async fn offload<T, F>(name: &str, f: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    engine::offload::run(limits::OFFLOAD, f).await.map_err(|error| failed(name, error))
}

fn failed(name: &str, error: OffloadError) -> Fault {
    Fault::error(format!("{name}(): {error}"))
}

/// Leaves a call to the host as it is.
pub(crate) fn ask(function: u16, call: &Call<'_>) -> Step {
    let call = HostCall {
        function,
        name: call.native().name,
        this: call.this_object().ok().cloned(),
        args: call.args().to_vec(),
    };
    Step::Host { call, then: Box::new(Passthrough) }
}

/// The frame of a native that asks the host once and gives its answer.
pub(crate) struct Passthrough;

impl NativeFrame for Passthrough {
    fn resume(&mut self, result: Value, _: &mut dyn Host) -> Result<Next, Fault> {
        Ok(Next::Return(result))
    }

    fn for_each_value(&self, _: &mut dyn FnMut(&Value)) {}
}

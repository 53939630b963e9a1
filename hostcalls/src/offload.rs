//! Work for the engine's pool, with errors that scripts may catch.

use engine::offload::OffloadError;
use script::fault::Fault;
use script::host::Host;
use script::native::{NativeFrame, Next};
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

/// The frame of a native that asks the host once and gives its answer.
pub(crate) struct Passthrough;

impl NativeFrame for Passthrough {
    fn resume(&mut self, result: Value, _: &mut dyn Host) -> Result<Next, Fault> {
        Ok(Next::Return(result))
    }

    fn for_each_value(&self, _: &mut dyn FnMut(&Value)) {}
}

//! `stdout`: the standard output and error of the process.

use std::io::Write as _;
use std::rc::Rc;

use script::fault::Fault;
use script::host::HostCall;
use script::value::Value;

use crate::arguments::Arguments;
use crate::environment::Stream;
use crate::library::HostFuture;
use crate::{Execution, offload};

pub(super) fn stdout(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    write(execution, call, Stream::Output)
}

pub(super) fn stderr(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    write(execution, call, Stream::Error)
}

/// The number of bytes; none when they could not be written.
fn write(execution: Rc<Execution>, call: HostCall, stream: Stream) -> HostFuture {
    Box::pin(async move {
        let text = call.str(0)?;
        if execution.log().standard(stream, &text) {
            return Ok(text.len().into());
        }
        let bytes = text.as_bytes().to_vec();
        // Whoever reads may be slow.
        let written = offload::offload("stdout", move || match stream {
            Stream::Output => std::io::stdout().write_all(&bytes).and_then(|()| std::io::stdout().flush()),
            Stream::Error => std::io::stderr().write_all(&bytes),
        });
        let written: Result<_, Fault> = written.await;
        Ok(written?.map_or(Value::None, |()| text.len().into()))
    })
}

//! `logger`: appends to files. A file is opened for each call, so that one that was moved away is made again.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::rc::Rc;

use config::LogFile;
use script::fault::Fault;
use script::host::HostCall;
use script::value::Value;

use crate::arguments::Arguments;
use crate::library::HostFuture;
use crate::{Execution, offload};

/// `logger(id, data)`: none when it could not be written.
pub(super) fn logger(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let id = call.str(0)?.to_string_lossy().into_owned();
        let data = call.str(1)?.as_bytes().to_vec();
        let plugins = &execution.environment.settings.plugins;
        let Some(file) = plugins.logs.get(&id).cloned() else {
            let why = plugins.no_logs.unwrap_or("there is none of that id in plugins");
            return Err(Fault::error(format!("logger(): no log \"{id}\": {why}")));
        };
        let path = file.path.display().to_string();
        match offload::offload("logger", move || append(&file, &data)).await? {
            Ok(()) => Ok(true.into()),
            Err(error) => {
                const ERR: u32 = 3;
                execution.log().syslog(ERR, format!("logger \"{id}\": {path}: {error}").as_bytes());
                Ok(Value::None)
            }
        }
    })
}

/// Each call is one write, which no other comes into the middle of.
fn append(file: &LogFile, data: &[u8]) -> io::Result<()> {
    let mut open = OpenOptions::new();
    let mut opened = open.append(true).create(true).mode(file.mode).open(&file.path)?;
    match &file.header {
        Some(header) if opened.metadata()?.len() == 0 => {
            let end = if header.ends_with('\n') { &b""[..] } else { b"\n" };
            opened.write_all(&[header.as_bytes(), end, data].concat())?;
        }
        _ => opened.write_all(data)?,
    }
    if file.sync { opened.sync_data() } else { Ok(()) }
}

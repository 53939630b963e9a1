//! What scripts see of `File`.

use std::rc::Rc;

use bytes::Bytes;
use script::fault::Fault;
use script::host::HostCall;
use script::native::{Call, Native, NativeClass, NativeRun, Step};
use script::value::Value;

use super::{FILE_RESOURCE, File, FileResource, Source, open};
use crate::arguments::Arguments;
use crate::library::{Family, HostFunction, HostFuture, TO_FFI_VALUE};
use crate::offload::ask;
use crate::{Execution, numbers};

const OPEN: u16 = numbers::FILE;
const READ_WHOLE: u16 = numbers::FILE + 1;
const READ: u16 = numbers::FILE + 2;
const READ_LINE: u16 = numbers::FILE + 3;
const SEEK: u16 = numbers::FILE + 4;

pub(crate) static FAMILY: Family = Family {
    classes: &[&CLASS],
    host: &[
        HostFunction { number: OPEN, run: open_path },
        HostFunction { number: READ_WHOLE, run: read_whole },
        HostFunction { number: READ, run: read_disk },
        HostFunction { number: READ_LINE, run: read_line_of_disk },
        HostFunction { number: SEEK, run: seek_end },
    ],
    ..Family::EMPTY
};

pub(super) static CLASS: NativeClass = NativeClass {
    name: "File",
    doc: "A file for reading: of the configuration, below the root path, or in memory.",
    extends: None,
    constructor: Some(Native::frame(
        "File",
        "FileResource or string file",
        (1, Some(1)),
        "Opens a file of the configuration by its name, or one below the root path as file://path.",
        construct,
    )),
    methods: &[
        Native::inline("close", "", (0, Some(0)), "Closes it.", close),
        Native::frame(
            "read",
            "[number length]",
            (0, Some(1)),
            "Up to length bytes, or all that is left. Empty at the end, none on errors.",
            read,
        ),
        Native::frame(
            "readline",
            "",
            (0, Some(0)),
            "The next line without CRLF or LF. False at the end, none on errors.",
            read_line,
        ),
        Native::frame(
            "seek",
            "number offset [, string whence = \"SEEK_SET\"]",
            (1, Some(2)),
            "Goes to a position counted from SEEK_SET, SEEK_CUR or SEEK_END. The new position, or none.",
            seek,
        ),
        Native::inline("tell", "", (0, Some(0)), "The position; none when closed.", tell),
        Native::inline(
            "getPath",
            "",
            (0, Some(0)),
            "The name of the file, if it was opened by one.",
            get_path,
        ),
        TO_FFI_VALUE,
    ],
    statics: &[
        Native::inline("String", "string content", (1, Some(1)), "A file in memory.", from_string),
        Native {
            name: "read",
            params: "string path",
            doc: "The whole content of a file; none when it cannot be read.",
            min_args: 1,
            max_args: Some(1),
            run: NativeRun::Host(READ_WHOLE),
        },
    ],
};

fn construct(call: &mut Call<'_>) -> Result<Step, Fault> {
    match call.arg(0) {
        Value::Resource(resource) if resource.kind() == FILE_RESOURCE => Ok(ask(OPEN, call)),
        Value::Str(_) => Ok(ask(OPEN, call)),
        _ => Err(call.wrong(0, "a FileResource or a string")),
    }
}

fn from_string(call: &mut Call<'_>) -> Result<Value, Fault> {
    let content = Bytes::from_owner(call.str(0)?.freeze());
    Ok(File::new(Source::Memory(content), None).into_value())
}

fn close(call: &mut Call<'_>) -> Result<Value, Fault> {
    let file = call.this::<File>()?;
    file.content.replace(Source::Closed);
    file.ahead.take();
    Ok(Value::None)
}

fn read(call: &mut Call<'_>) -> Result<Step, Fault> {
    let length = length(call.opt_number(0)?);
    let file = call.this::<File>()?;
    Ok(match file.in_memory() {
        Some(bytes) => Step::Return(file.read_memory(&bytes, length)),
        None => ask(READ, call),
    })
}

/// What is not a number, or below 0, is 0.
fn length(given: Option<f64>) -> Option<u64> {
    given.map(|length| length as u64)
}

fn read_line(call: &mut Call<'_>) -> Result<Step, Fault> {
    let file = call.this::<File>()?;
    Ok(match file.in_memory() {
        Some(bytes) => Step::Return(file.line_of_memory(&bytes)),
        None => ask(READ_LINE, call),
    })
}

fn seek(call: &mut Call<'_>) -> Result<Step, Fault> {
    let offset = call.number(0)?;
    let file = call.this::<File>()?;
    let whence = call.opt_str(1)?;
    let from = match whence.as_deref().unwrap_or(b"SEEK_SET") {
        _ if matches!(*file.content.borrow(), Source::Closed) => return Ok(Step::Return(Value::None)),
        b"SEEK_SET" => 0,
        b"SEEK_CUR" => file.position.get(),
        b"SEEK_END" => match file.fixed_length() {
            Some(length) => length as u64,
            None => return Ok(ask(SEEK, call)),
        },
        _ => return Err(call.wrong(1, "SEEK_SET, SEEK_CUR or SEEK_END")),
    };
    Ok(Step::Return(go_to(file, from, offset)))
}

/// Positions beyond the end are good, before the start they are not.
fn go_to(file: &File, from: u64, offset: f64) -> Value {
    let position = from as f64 + offset.trunc();
    if !(0.0..9e15).contains(&position) {
        return Value::None;
    }
    file.position.set(position as u64);
    position.into()
}

fn tell(call: &mut Call<'_>) -> Result<Value, Fault> {
    let file = call.this::<File>()?;
    let closed = matches!(*file.content.borrow(), Source::Closed);
    Ok(if closed { Value::None } else { file.position.get().into() })
}

fn get_path(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(call.this::<File>()?.path.as_deref().into())
}

// ---- the host functions

fn open_path(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        if let Value::Resource(resource) = call.arg(0) {
            let file = resource.get::<FileResource>().ok_or_else(|| call.wrong(0, "a FileResource"))?;
            let content = file.0.read().await.map_err(|why| call.error(why))?;
            super::bounded(call.name, content.len())?;
            return Ok(File::new(Source::Memory(content), None).into_value());
        }
        let opened = open(&execution, call.name, &call.str(0)?).await?;
        opened.map(File::into_value).map_err(|why| call.error(why))
    })
}

fn read_whole(execution: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        match open(&execution, "File::read", &call.str(0)?).await? {
            Ok(file) => file.read("File::read", None).await,
            Err(_) => Ok(Value::None),
        }
    })
}

fn read_disk(_: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let length = length(call.opt_number(0)?);
        call.this::<File>()?.read(call.name, length).await
    })
}

fn read_line_of_disk(_: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move { call.this::<File>()?.read_line(call.name).await })
}

fn seek_end(_: Rc<Execution>, call: HostCall) -> HostFuture {
    Box::pin(async move {
        let file = call.this::<File>()?;
        match file.length(call.name).await? {
            Some(length) => Ok(go_to(file, length, call.number(0)?)),
            None => Ok(Value::None),
        }
    })
}
